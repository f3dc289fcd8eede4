"""Faults 24 to 29 of a model: a server that misbehaves."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import threading
import time
import traceback
from email.utils import formatdate

import pytest

from tests.support.chat_server import (
    ChatServer,
    answer,
    choices_null,
    drop_connection,
    empty,
    fenced,
    hang,
    html_page,
    message_null,
    no_choices,
    prefixed,
    quota_exhausted,
    rate_limited,
    rejects_parameter,
    status,
    trailing_comma,
    unknown_model,
    wrong_key,
)
from tests.support.waiting import until, when
from tinyfactory import settings
from tinyfactory.errors import (
    AuthenticationFailed,
    BadResponse,
    Cancelled,
    EndpointUnavailable,
    EndpointUnreachable,
    ModelError,
    QuotaExhausted,
    RequestRejected,
    UnknownModel,
)
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatReply, ChatRequest
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

QUICK = RetryPolicy(attempts=4, wait_initial=0.01, wait_jitter=0.01)
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"
REQUEST = ChatRequest(({"role": "user", "content": "Who?"},), temperature=1.5)
# Seconds; more than an immediate action takes on a slow machine, and less than the wait that each
# test rules out.
LONG = 60


@pytest.fixture(autouse=True, scope="module")
def _client_is_imported():
    """So that no measured time includes the first import of the client."""
    with ChatServer() as server:
        event_loop.run(OpenAIModel("m", base_url=server.base_url).complete, REQUEST)


def ask(
    server: ChatServer,
    retry: RetryPolicy = QUICK,
    key: str | None = None,
    token: event_loop.CancelToken | None = None,
) -> ChatReply:
    model = OpenAIModel("test-model", base_url=server.base_url, api_key=key, retry=retry)
    return event_loop.run(model.complete, REQUEST, token=token)


def refused(server: ChatServer, kind: type[ModelError], key: str | None = None) -> str:
    """The message of the error, which is raised after exactly one request."""
    with pytest.raises(kind) as raised:
        ask(server, key=key)
    assert len(server.requests) == 1
    return str(raised.value)


# --- 24: rate limits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limited", [rate_limited(1), rate_limited("1.0"), rate_limited(1000, milliseconds=True)]
)
def test_retry_after_is_waited_for(limited):
    with ChatServer([limited]) as server:
        reply = ask(server)
        first, second = (request.at for request in server.requests)
    assert 1.0 <= second - first < LONG
    assert reply.requests == 2


def test_retry_after_as_a_date_is_waited_for():
    asked = []

    def limited(request):
        asked.append(time.time())
        return rate_limited(formatdate(asked[0] + 2, usegmt=True)) if len(asked) == 1 else None

    with ChatServer(limited) as server:
        ask(server)
    first, second = asked
    assert int(first + 2) - 0.05 <= second < first + LONG  # a date has whole seconds


@pytest.mark.parametrize("nonsense", ["soon", "-500", "nan", "inf"])
def test_a_retry_after_that_makes_no_sense_is_ignored(nonsense):
    with ChatServer([rate_limited(nonsense)]) as server:
        began = time.monotonic()
        assert ask(server).requests == 2
        assert time.monotonic() - began < LONG


def test_rate_limited_without_a_time_backs_off_and_asks_again():
    with ChatServer([rate_limited(), rate_limited()]) as server:
        assert ask(server).requests == 3


def test_a_retry_after_past_the_limit_stops_at_once_and_names_the_seconds():
    settings.configure(time_limit=100)
    with ChatServer(rules=[rate_limited(150)]) as server:
        began = time.monotonic()
        message = refused(server, EndpointUnavailable)
        assert time.monotonic() - began < LONG
    assert "asks to wait 150 s" in message
    assert "configure(time_limit=" in message
    assert "saved" in message


def test_the_waiting_stays_within_the_time_limit():
    settings.configure(time_limit=3.0)
    patient = RetryPolicy(attempts=1000, wait_initial=0.1, wait_max=300, wait_jitter=0.1)
    with ChatServer(rules=[status(503)]) as server:
        began = time.monotonic()
        with pytest.raises(EndpointUnavailable, match=r"within 3 s.*HTTP 503"):
            ask(server, patient)
        assert 2.9 < time.monotonic() - began < LONG
        assert 2 <= len(server.requests) <= 10


# --- 25: timeouts and lost connections --------------------------------------------------------


def test_a_timeout_is_retried_and_every_attempt_logged(caplog):
    caplog.set_level(logging.INFO, logger="tinyfactory")
    settings.configure(timeout=2)
    with ChatServer([hang()]) as server:
        assert ask(server).requests == 2
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("tinyfactory")]
    assert sum("more than 2 s to answer" in line for line in lines) == 1
    assert "attempt 1 failed" in lines[0]
    assert "answered" in lines[1]


def test_timeouts_end_with_a_typed_error_that_counts_the_attempts_and_names_the_setting():
    settings.configure(timeout=1)
    with ChatServer(rules=[hang()]) as server:
        with pytest.raises(EndpointUnavailable, match="asked 2 times") as raised:
            ask(server)
        assert len(server.requests) == 2  # a server that is too slow stays so
    assert "configure(timeout=2)" in str(raised.value)
    assert "time_limit" not in str(raised.value)


def test_a_hanging_server_closes_at_once():
    server = ChatServer(rules=[hang()])
    with server:
        settings.configure(timeout=0.2)
        with pytest.raises(EndpointUnavailable):
            ask(server, RetryPolicy(attempts=1))
        began = time.monotonic()
    assert time.monotonic() - began < LONG
    assert not server._thread.is_alive()


@pytest.mark.parametrize("failure", [status(500), status(502, "Bad Gateway"), status(408)])
def test_what_passes_by_itself_is_retried(failure):
    with ChatServer([failure, failure]) as server:
        assert ask(server).requests == 3


def test_a_dropped_connection_is_retried():
    with ChatServer([drop_connection(), drop_connection()]) as server:
        assert ask(server).requests == 3


def test_nothing_listens_there_says_so_quickly():
    with socket.socket() as bound:  # bound but not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        began = time.monotonic()
        with pytest.raises(EndpointUnreachable, match="Start the server") as raised:
            event_loop.run(OpenAIModel("m", base_url=url).complete, REQUEST)
    assert time.monotonic() - began < LONG  # ten attempts would take minutes
    assert url in str(raised.value)


def test_a_server_that_is_being_restarted_is_found_by_the_second_look(caplog):
    with ChatServer() as server:
        port = server.port
    revived = ChatServer(port=port)

    class Revive(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "attempt 1 failed" in record.getMessage():
                revived.start()

    caplog.set_level(logging.INFO, logger="tinyfactory.models")
    logger, reviving = logging.getLogger("tinyfactory.models"), Revive()
    logger.addHandler(reviving)
    try:
        assert ask(server).text
    finally:
        logger.removeHandler(reviving)
        revived.close()


def test_cancelling_gives_up_the_request_in_flight():
    token = event_loop.CancelToken()
    with ChatServer(rules=[hang()]) as server:

        def press() -> None:
            until(lambda: server.requests)
            token.cancel()

        button = threading.Thread(target=press)
        button.start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            ask(server, token=token)
        assert time.monotonic() - began < LONG
        button.join()
        server.rules.clear()
        assert ask(server).text


def test_cancelling_ends_a_pause_between_attempts():
    token = event_loop.CancelToken()
    with ChatServer(rules=[rate_limited(90)]) as server:
        threading.Timer(0.3, token.cancel).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            ask(server, token=token)
        assert time.monotonic() - began < LONG


def test_a_cancelled_task_cancels_itself_alone():
    async def work(server: ChatServer) -> list[object]:
        model = OpenAIModel("m", base_url=server.base_url)
        tasks = [asyncio.create_task(model.complete(REQUEST)) for _ in range(3)]
        await when(lambda: len(server.requests) == 3)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        server.allowed = math.inf
        return await asyncio.gather(*tasks, return_exceptions=True)

    with ChatServer() as server:
        server.allowed = 0
        first, second, third = asyncio.run(work(server))
    assert isinstance(first, ChatReply) and isinstance(third, ChatReply)
    assert isinstance(second, asyncio.CancelledError)


# --- 26: a 200 without a completion -----------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (html_page(), "an HTML page"),
        (choices_null(), "`choices` is null"),
        (no_choices(), r"`choices` is \[\]"),
        (message_null(), "without a `message`"),
        (status(200, "OK"), "no JSON"),
        (status(200, "[" * 100_000), "the limit json_depth"),
        (status(200, b"\xff\xfe\x00"), "no JSON"),
        (status(200, ["a"]), "a JSON list"),
        (status(200, {}), "`choices` is null"),
    ],
)
def test_a_200_that_is_no_completion_is_a_typed_error_after_one_more_look(page, says):
    with ChatServer(rules=[page]) as server:
        with pytest.raises(BadResponse, match=says) as raised:
            ask(server)
        assert len(server.requests) == 2
    assert "base URL" in str(raised.value)


def test_a_proxys_hiccup_is_mended_by_one_retry():
    with ChatServer([html_page()]) as server:
        assert ask(server).requests == 2


def test_an_error_sent_with_status_200_counts_as_that_error():
    body = {"object": "error", "message": "The model `x` does not exist.", "code": 404}
    with ChatServer(rules=[status(200, body)]) as server:
        refused(server, UnknownModel)


# --- 27: odd texts are replies; parsing is not the model's task -------------------------------


@pytest.mark.parametrize("odd", [fenced, prefixed, trailing_comma])
def test_an_odd_text_arrives_as_it_was_written(odd):
    wanted = odd({"name": "Ana", "age": 3})
    with ChatServer([wanted]) as server:
        assert ask(server).text == wanted.body["choices"][0]["message"]["content"]
        assert len(server.requests) == 1


def test_an_empty_text_is_a_reply():
    with ChatServer([empty()]) as server:
        assert ask(server).text == ""
        assert len(server.requests) == 1


# --- 28: refused parameters (more in tests/unit/test_openai.py) -------------------------------


def test_parallel_calls_learn_a_refusal_with_one_warning(caplog):
    async def together(model: OpenAIModel) -> list[ChatReply]:
        return await asyncio.gather(*(model.complete(REQUEST) for _ in range(20)))

    with ChatServer(rules=[rejects_parameter("temperature")], slow=0.05) as server:
        replies = asyncio.run(together(OpenAIModel("m", base_url=server.base_url)))
        assert all("temperature" not in reply.sent for reply in replies)
        assert sum(reply.requests for reply in replies) == len(server.requests)
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1


# --- 29: errors that a retry cannot fix -------------------------------------------------------


def test_an_exhausted_quota_fails_at_once():
    with ChatServer(rules=[quota_exhausted()]) as server:
        message = refused(server, QuotaExhausted)
    assert "Add credit" in message
    assert 'configure(model="offline")' in message


def test_an_empty_balance_fails_at_once():
    body = {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "x"}}
    with ChatServer(rules=[status(402, body)]) as server:
        assert "Insufficient Balance" in refused(server, QuotaExhausted)


@pytest.mark.parametrize("rule", [wrong_key(), status(403), status(401, "")])
def test_a_wrong_key_fails_at_once(rule):
    with ChatServer(rules=[rule]) as server:
        assert "OPENAI_API_KEY" in refused(server, AuthenticationFailed, key=KEY)


@pytest.mark.parametrize("style", ["openai", "vllm", "ollama", "azure"])
def test_an_unknown_model_fails_at_once(style):
    with ChatServer(rules=[unknown_model(style)]) as server:
        message = refused(server, UnknownModel)
    assert "'test-model'" in message
    assert "/models lists them" in message


def test_a_model_refused_with_400_is_an_unknown_model():
    body = {"error": {"message": "test-model is not a valid model ID", "code": 400}}
    with ChatServer(rules=[status(400, body)]) as server:
        refused(server, UnknownModel)


def test_a_wrong_path_says_that_the_base_url_is_wrong():
    with ChatServer() as server:
        model = OpenAIModel("m", base_url=server.origin + "/api")
        with pytest.raises(RequestRejected, match="ends in /v1"):
            event_loop.run(model.complete, REQUEST)


def test_a_request_that_is_too_long_fails_at_once():
    body = {
        "error": {
            "message": "This model's maximum context length is 8192 tokens. However, your messages "
            "resulted in 9001 tokens. Please reduce the length of the messages.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    }
    with ChatServer(rules=[status(400, body)]) as server:
        assert "9001 tokens" in refused(server, RequestRejected)


# --- 39: secrets ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, "abra-cadabra-without-a-prefix"])
def test_a_key_that_the_server_repeats_is_shown_nowhere(key, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore2").setLevel(logging.INFO)
    with ChatServer(rules=[wrong_key()]) as server, pytest.raises(AuthenticationFailed) as raised:
        ask(server, key=key)
    shown = "".join(traceback.format_exception(raised.value)) + caplog.text
    shown += "".join(capfd.readouterr()) + repr(raised.value)
    for part in (key, key[:8], key[-4:] + " "):
        assert part not in shown
    assert "[key]" in shown
    error: BaseException | None = raised.value
    while error is not None:
        assert "authorization" not in repr(vars(error)).lower()
        error = error.__cause__ or error.__context__


def test_a_bearer_in_a_servers_message_is_not_shown():
    said = {"error": {"message": "Bad header: Authorization: Bearer abc.def-123 for user"}}
    with ChatServer(rules=[status(400, said)]) as server:
        message = refused(server, RequestRejected)
    assert "abc.def-123" not in message


def test_retries_print_nothing(capfd):
    with ChatServer([status(503), status(503)]) as server:
        ask(server)
    assert capfd.readouterr() == ("", "")


def test_retries_of_the_user_with_stamina_are_still_reported():
    import stamina
    from stamina.instrumentation import set_on_retry_hooks

    heard = []
    set_on_retry_hooks([lambda details: heard.append(details.caused_by)])
    try:
        with ChatServer([status(503)]) as server:
            ask(server)
        assert heard == []
        tries = iter([ValueError("once")])

        @stamina.retry(on=ValueError, wait_initial=0, wait_jitter=0)
        def flaky() -> None:
            for error in tries:
                raise error

        flaky()
        assert len(heard) == 1
    finally:
        set_on_retry_hooks(None)


def test_usage_of_a_retried_call_is_that_of_its_answer():
    with ChatServer([status(500), answer("Hi", usage={"prompt_tokens": 7})]) as server:
        reply = ask(server)
    assert (reply.usage.prompt_tokens, reply.requests) == (7, 2)
