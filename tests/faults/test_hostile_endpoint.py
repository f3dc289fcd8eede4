"""An endpoint that sends too much, never ends, misleads, or redirects elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import time
import tracemalloc
import zlib
from typing import Any

import httpx2
import pytest

import tinyfactory
from tests.support.chat_server import Answer, ChatServer, answer
from tests.support.hostile import RawServer, once, response
from tests.support.people import person
from tinyfactory import TinyPersonFactory, control
from tinyfactory.errors import (
    BadResponse,
    EndpointUnavailable,
    LimitExceeded,
    ModelError,
    RedirectRefused,
    RequestRejected,
    ResponseTooLarge,
    TinyFactoryError,
)
from tinyfactory.journal.storage.store import Store
from tinyfactory.models.batch import files
from tinyfactory.models.chat import ChatReply, ChatRequest
from tinyfactory.models.http import transport
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.refusals import read_error
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

REQUEST = ChatRequest(({"role": "user", "content": "Who? The prompt is private."},))
ONCE = RetryPolicy(attempts=2, wait_initial=0.01, wait_jitter=0.01)
TARGET = Target("http://x/v1", "m", None)


def ask(base_url: str, key: str = "sk-test-canary-0123456789abcdef") -> ChatReply:
    return asyncio.run(
        OpenAIModel("m", base_url=base_url, api_key=key, retry=ONCE).complete(REQUEST)
    )


# -- size ---------------------------------------------------------------------------------


def endless(server, connection):
    server.send(connection, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while not server.closing.is_set():
        server.send(connection, b" " * 65536)


def test_an_endless_response_is_read_up_to_the_limit():
    tinyfactory.configure(limits={"response_bytes": 1_000_000})
    with RawServer(endless) as server:
        with pytest.raises(
            ResponseTooLarge, match=r"1,000,000 bytes.*limits=.*response_bytes"
        ) as e:
            ask(server.base_url)
        assert isinstance(e.value, LimitExceeded)
        assert isinstance(e.value, BadResponse)
    # The rest is in the buffers of the two sockets.
    assert server.sent < 20_000_000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b" " * 40_000_000)),
        ("deflate", zlib.compress(b" " * 40_000_000)),
        ("gzip, gzip", gzip.compress(gzip.compress(b" " * 40_000_000))),
    ],
)
def test_a_response_that_unpacks_into_a_huge_one_is_not_unpacked(encoding, packed):
    tinyfactory.configure(limits={"response_bytes": 1_000_000})
    with RawServer(once(packed, f"content-encoding: {encoding}")) as server:
        tracemalloc.start()
        try:
            with pytest.raises(BadResponse, match=r"response_bytes|packed more than once"):
                ask(server.base_url)
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


def test_a_packed_response_of_usual_size_is_read():
    body = gzip.compress(json.dumps(answer("Ana").body).encode())
    with RawServer(once(body, "content-encoding: gzip")) as server:
        assert ask(server.base_url).text == "Ana"


def test_headers_without_end_are_a_typed_error():
    def respond(server, connection):
        server.send(connection, b"HTTP/1.1 200 OK\r\n")
        while not server.closing.is_set():
            server.send(connection, b"x-more: " + b"x" * 1000 + b"\r\n")

    with RawServer(respond) as server, pytest.raises(ModelError):
        ask(server.base_url)
    assert server.sent < 20_000_000


def test_a_response_that_trickles_ends_with_the_time_for_the_whole():
    tinyfactory.configure(timeout=0.5, time_limit=0.7)

    def respond(server, connection):
        server.send(connection, b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not server.closing.wait(0.05):
            server.send(connection, b" ")

    began = time.monotonic()
    with RawServer(respond) as server, pytest.raises(EndpointUnavailable):
        ask(server.base_url)
    assert time.monotonic() - began < 10


def test_a_stream_of_events_is_no_completion():
    body = b"data: {}\n\n" * 10_000
    server = RawServer(once(body, "content-type: text/event-stream"))
    with server, pytest.raises(BadResponse, match="no JSON"):
        ask(server.base_url)


# -- contents -----------------------------------------------------------------------------

COMPLETION = json.dumps(answer("Ana").body)
DIGITS = "9" * 1_000_000


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        DIGITS,
        COMPLETION.replace('"index": 0', f'"index": {DIGITS}'),
        COMPLETION.replace('"stop"', "[[1]]"),
        COMPLETION.replace('"stop"', json.dumps("x" * 100_000)),
        COMPLETION.replace('"stop"', '"\\ud800"'),
        COMPLETION.replace('"test-model"', '"\\ud800\\u001b[2J"'),
        COMPLETION.replace('"test-model"', json.dumps("m" * 100_000)),
        COMPLETION.replace("100", "-100"),
        COMPLETION.replace("100", "9" * 400),
        COMPLETION.replace("100", "NaN"),
        COMPLETION.replace("100", "1e999"),
        COMPLETION.replace("100", "true"),
        COMPLETION.replace('"Ana"', '"\\ud800\\u0000"'),
        COMPLETION.replace('"Ana"', json.dumps([{"text": 3}, None, {"text": "b"}])),
        COMPLETION[:-1] + ',"choices":null}',
        '{"choices": [' + "{}," * 100_000 + "{}]}",
    ],
    ids=range(18),
)
def test_any_json_is_a_reply_that_can_be_saved_or_a_typed_error(body):
    with RawServer(once(body.encode())) as server:
        try:
            reply = ask(server.base_url)
        except ModelError:
            return
    usage = reply.usage
    assert all(0 <= n < 10**9 for n in (usage.prompt_tokens, usage.completion_tokens))
    assert len(reply.model) <= 200
    assert len(reply.finish_reason) <= 200
    json.dumps(reply.to_json(), allow_nan=False).encode()
    json.dumps(reply.to_json(), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "unit", ["a", "*", "a*", "sk-", "token", "token=", "://", "Bearer ", "{", "x "]
)
def test_an_error_body_of_any_text_is_read_at_once(unit):
    body = unit * (400_000 // len(unit))
    with RawServer(once(body.encode(), status="400 Bad Request")) as server:
        began = time.process_time()
        with pytest.raises(RequestRejected) as raised:
            ask(server.base_url)
        assert time.process_time() - began < 5  # 49 s for a quarter of that, before
    assert len(str(raised.value)) < 2_000


def test_a_key_in_a_long_error_body_is_removed_wherever_it_is():
    key = "sk-test-canary-0123456789abcdef"
    for before in (0, 450, 490, 900, 1390, 1395):
        failure = read_error(
            400, "x" * before + " " + key + " y" * 5_000, {}, Target("http://x", "m", key)
        )
        assert "canary" not in str(failure)
        assert "sk-" not in str(failure)
        assert len(failure.message) <= 501


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("31536000", 31536000.0),
        ("-1", None),
        ("nan", None),
        ("1e999", None),
        ("9" * 5000, None),
        ("soon", None),
        ("Mon, 01 Jan 1990 00:00:00 GMT", None),
        ("Mon, 01 Jan 999999999999 00:00:00 GMT", None),
        ("Mon, 99 Foo 2020 99:99:99 GMT", None),
        (", " * 20_000, None),
    ],
)
def test_retry_after_is_read_or_ignored(value, seconds):
    assert read_error(429, {}, {"retry-after": value}, TARGET).retry_after == seconds


def test_a_wait_of_a_year_is_not_waited_for():
    limited = Answer(429, {"error": {"message": "slow"}}, {"retry-after": "31536000"})
    server = ChatServer(rules=[limited])
    with server, pytest.raises(EndpointUnavailable, match="asks to wait 31536000 s"):
        ask(server.base_url)


def test_codes_of_an_error_of_any_type_are_read():
    code: Any
    for code in ([[1]], {"a": {}}, 5, "x" * 10_000, True, None, 1.5):
        failure = read_error(
            400, {"error": {"message": code, "code": code, "type": code}}, {}, TARGET
        )
        assert len(failure.code) <= 200
        assert len(failure.message) <= 501


# -- rejected replies ---------------------------------------------------------------------


def test_a_reply_beyond_the_limit_is_rejected_and_only_its_beginning_is_saved(serve, tmp_path):
    tinyfactory.configure(limits={"reply_characters": 5_000, "evidence_characters": 100})
    server = serve([answer('{"name": "' + "x" * 600_000), answer(person(1))])
    control.begin(tmp_path / "journal")
    someone = TinyPersonFactory("Bakers in Graz").generate_person()
    control.end()
    assert someone is not None
    assert "5,000 characters" in server.requests[1].last_message
    store = Store(tmp_path / "journal")
    replies = [store.get(name)["reply"] for name in store if name.startswith("reply:")]
    assert len(replies) == 2
    (cut,) = [reply for reply in replies if reply["finish_reason"] == "too long"]
    assert cut["text"].startswith('{"name": "xxx')
    assert "[cut: 600,010 characters in all, SHA-256 " in cut["text"]
    assert max(len(json.dumps(store.get(name))) for name in store) < 60_000
    store.close()


def test_a_long_reply_of_a_users_own_model_is_cut_too(tmp_path):
    class Endless:
        def __init__(self):
            self.identity = {"kind": "mine"}

        def complete(self, request):
            return ChatReply("x" * 3_000_000, refusal="r" * 3_000_000)

    control.begin(tmp_path / "journal")
    assert TinyPersonFactory("Bakers in Graz", model=Endless()).generate_person() is None
    control.end()
    assert sum(f.stat().st_size for f in (tmp_path / "journal").iterdir()) < 1_000_000


# -- redirects ----------------------------------------------------------------------------


def redirect(to: str, status: str = "307 Temporary Redirect"):
    return once(b"", f"location: {to}", status=status)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 T", "308 P"])
def test_a_redirect_to_another_server_is_not_followed(status):
    with RawServer(once(COMPLETION.encode())) as other:
        for to in (
            other.base_url,
            f"//127.0.0.1:{other.port}/v1?key=abc",
            f"http://a:b@localhost:{other.port}",
        ):
            with RawServer(redirect(to, status)) as server:
                with pytest.raises(RedirectRefused, match=r"redirects to .*base_url=") as raised:
                    ask(server.base_url)
                assert str(other.port) in str(raised.value)
                assert "key=abc" not in str(raised.value)
                assert "a:b@" not in str(raised.value)
        assert other.requests == []


@pytest.mark.parametrize(
    "to", ["http://[x", "javascript:1", "http://\x7f", "http://:0", "http://" + "a" * 5000]
)
def test_a_redirect_to_no_address_is_a_typed_error(to):
    with RawServer(redirect(to)) as server, pytest.raises(ModelError):
        ask(server.base_url)


def test_a_redirect_on_the_same_server_is_followed():
    def respond(server, connection):
        if b"/elsewhere" in server.requests[-1]:
            server.send(connection, response(COMPLETION.encode()))
        else:
            server.send(connection, response(b"", "location: /elsewhere", status="307 T"))

    with RawServer(respond) as server:
        assert ask(server.base_url).text == "Ana"
    assert server.requests[1].startswith(b"POST /elsewhere")


def test_redirects_in_a_circle_end():
    with RawServer(redirect("/v1/again")) as server, pytest.raises(BadResponse, match="redirected"):
        ask(server.base_url)
    assert len(server.requests) < 20


def test_https_is_never_left_for_http():
    def redirecting(here: str, there: str) -> httpx2.Response:
        return httpx2.Response(
            307, headers={"location": there}, request=httpx2.Request("POST", here)
        )

    transport.check_redirect(redirecting("https://a/v1", "/v2"))
    transport.check_redirect(redirecting("https://a/v1", "https://a:443/v2"))
    for there in ("http://a/v1", "http://a:443/v1", "https://b/v1", "https://a:444/v1"):
        with pytest.raises(RedirectRefused):
            transport.check_redirect(redirecting("https://a/v1", there))


# -- secrets in the address ---------------------------------------------------------------


def test_a_token_in_the_address_is_sent_but_never_shown(caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    tokens = ("tok-query-5f3a9c", "user-name-77", "pass%20word-88", "pass word-88")
    bodies = [once(COMPLETION.encode()), once(b"tok-query-5f3a9c", status="400 Bad")]
    bodies += [
        once(b"", status="500 Bad"),
        redirect("http://example.org/"),
        once(b"tok-query-5f3a9c"),
    ]
    shown = []
    for number, respond in enumerate(bodies):
        with RawServer(respond) as server:
            address = server.base_url.replace("//", "//user-name-77:pass%20word-88@")
            model = OpenAIModel("m", base_url=f"{address}?key=tok-query-5f3a9c&x=1", retry=ONCE)
            shown += [repr(model), repr(model.target()), json.dumps(model.identity)]
            try:
                asyncio.run(model.complete(REQUEST))
            except TinyFactoryError as error:
                shown.append(f"{error} {error!r} {error.__cause__!r} {error.__context__!r}")
            else:
                assert number == 0
            assert b"key=tok-query-5f3a9c" in server.requests[0]
            assert server.requests[0].startswith(b"POST /v1/chat/completions?")
    shown += [record.getMessage() for record in caplog.records]
    for token in tokens:
        assert not [text for text in shown if token in text]
    assert [text for text in shown if "HTTP Request: POST" in text]


# -- batches ------------------------------------------------------------------------------


def test_rows_of_a_result_file_are_results_or_failures():
    def row(**changes):
        good = {"custom_id": "1", "response": {"status_code": 200, "body": answer("Ana").body}}
        return json.dumps(good | changes).encode()

    lines = [
        row(),
        b"[" * 50_000,
        b'{"custom_id": ' + b"9" * 5_000 + b"}",
        row(custom_id=[1]),
        row(response={"status_code": 200, "body": "[" * 1000}),
        row(response={"status_code": "200"}),
        row(response=None, error={"code": [["x"]], "message": {"a": "b" * 10_000}}),
        row(response={"status_code": 400, "body": {"error": {"message": "a*" * 100_000}}}),
        b"\xff\xfe",
        b"\x00",
    ]
    found = list(files.reply_rows(b"\n\n\n".join(lines) + b"\n" * 1_000_000))
    assert len(found) == len(lines)
    began = time.process_time()
    for name, content in filter(None, found):
        assert name == "1"
        outcome = files.read_row(content, TARGET, {}, 1.0)
        if isinstance(outcome, ChatReply):
            assert outcome.text == "Ana"
        else:
            assert len(str(outcome)) < 1_000
    assert time.process_time() - began < 2


def test_a_line_of_a_result_file_beyond_the_limit_is_no_row():
    tinyfactory.configure(limits={"line_bytes": 1000})
    assert list(files.reply_rows(b'{"custom_id": "' + b"x" * 2000 + b'"}')) == [None]
