"""Streamed replies over HTTP: how they are read, how long they are waited for, what they cost."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time

import pytest

import tinyfactory
from tests.support.chat_server import Answer, ChatServer, answer, hang, status
from tests.support.streams import DONE, as_stream, event, line, stream, streaming, words
from tests.support.waiting import until
from tinyfactory import People, Simulation, TinyPersonFactory, settings
from tinyfactory.errors import BadResponse, EndpointUnavailable
from tinyfactory.journal.simulation import scope_of
from tinyfactory.models import event_loop
from tinyfactory.models.chat import TOO_LONG, ChatReply, ChatRequest, Usage
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.endpoint import target
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.http.stream import EventReader
from tinyfactory.models.http.wait import first_words
from tinyfactory.models.openai import OpenAIModel
from tinyfactory.models.progress import Progress

QUICK = RetryPolicy(attempts=4, wait_initial=0.01, wait_jitter=0.01)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
STOP = event(reason="stop")


def ask(server: ChatServer, policy: RetryPolicy = QUICK, progress=None, **changes) -> ChatReply:
    model = OpenAIModel("test-model", base_url=server.base_url, retry=policy)
    request = ChatRequest(({"role": "user", "content": "Who?"},), 1.0, **changes)
    return event_loop.run(model.complete, request, progress=progress)


# --- reading -------------------------------------------------------------------------------------


def saved_replies(simulation: Simulation) -> list[dict]:
    store = scope_of(simulation).store
    return [store.get(key) for key in store if key.startswith("reply:")]


def test_a_stream_is_read_as_the_reply_that_it_makes():
    usage = {"prompt_tokens": 9, "completion_tokens": 7}
    with ChatServer([as_stream(answer("Olá, João! 你好", usage=usage)), answer("whole")]) as server:
        reply, whole = ask(server), ask(server)
        assert server.bodies[0]["stream"] is True
        assert server.connections == 1  # read to its end, so the connection is used again
    assert (reply.text, reply.finish_reason) == ("Olá, João! 你好", "stop")
    assert (reply.model, reply.usage, reply.requests) == ("test-model", Usage(9, 7), 1)
    assert whole.text == "whole"


@pytest.mark.parametrize("end", [[STOP, DONE], [STOP], [DONE], [STOP[:-2]], [DONE[:-2]]])
def test_a_stream_ends_with_a_reason_or_done(end):
    with ChatServer([stream([*words("Hel", "lo"), *end])]) as server:
        assert ask(server).text == "Hello"


def test_a_server_that_keeps_the_connection_open_after_the_end_does_not_delay_the_reply():
    with ChatServer([stream([*words("Hello"), STOP, DONE, None])]) as server:
        began = time.monotonic()
        assert ask(server).text == "Hello"
        assert time.monotonic() - began < 20


def test_comments_heartbeats_and_events_by_other_names_are_no_words():
    pieces = [b"\xef\xbb\xbf: PROCESSING\n\n", b"retry: 5\nevent: ping\ndata: ping\n\n"]
    pieces += [*words("Hel"), b":\n\n", *words("lo"), STOP, DONE]
    with ChatServer([stream(pieces)]) as server:
        assert ask(server).text == "Hello"


def test_usage_comes_from_the_last_event_that_has_one():
    counts = [{"prompt_tokens": 5, "completion_tokens": number} for number in (1, 2)]
    places = [
        [event({"content": "a"}, usage=counts[0]), event(reason="stop", usage=counts[1])],
        [*words("a"), STOP, line({"choices": [], "usage": counts[1]})],
        [*words("a"), event(reason="stop", x_groq={"usage": counts[1]})],
    ]
    with ChatServer([stream([*pieces, DONE]) for pieces in places]) as server:
        assert [ask(server).usage for _ in places] == [Usage(5, 2)] * 3


def test_reasoning_refusals_and_tools_arrive_in_pieces():
    calls = [
        {"tool_calls": [{"index": 0, "function": {"name": "reply", "arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
    ]
    script = [
        stream([event({"reasoning_content": "Hm"}), *words("Yes"), STOP, DONE]),
        stream([event({"refusal": "I"}), event({"refusal": " can't."}), STOP, DONE]),
        stream([*map(event, calls), event(reason="tool_calls"), DONE]),
        stream([event({"content": [{"type": "text", "text": "Hi"}]}), STOP, DONE]),
    ]
    with ChatServer(script) as server:
        replies = [ask(server) for _ in script]
    assert [reply.text for reply in replies] == ["Yes", "", '{"a": 1}', "Hi"]
    assert replies[1].refusal == "I can't."


def test_a_packed_stream_is_unpacked_on_the_way():
    packed = gzip.compress(b"".join([*words("Hel", "lo"), STOP, DONE]))
    with ChatServer(
        [stream([packed[:20], packed[20:]], headers={"content-encoding": "gzip"})]
    ) as s:
        assert ask(s).text == "Hello"


def test_a_stream_under_another_type_and_a_completion_called_a_stream_are_read():
    events = Answer(200, b"".join([*words("Hello"), STOP, DONE]), {"content-type": "text/plain"})
    whole = Answer(200, answer("Hello").body, {"content-type": "text/event-stream"})
    with ChatServer([events, whole]) as server:
        assert [ask(server).text, ask(server).text] == ["Hello", "Hello"]


@pytest.mark.parametrize(
    ("code", "message", "kept"),
    [
        (400, "Streaming is not supported for this model.", None),
        (501, "stream: true is not implemented", None),
        (422, "body.stream_options: Extra inputs are not permitted", True),
        (400, "Unknown parameter: 'stream_options.include_usage'", True),
    ],
)
def test_a_refused_stream_costs_one_request_once(code, message, kept):
    def rule(request):
        refused = "stream_options" if kept else "stream"
        return status(code, {"error": {"message": message}}) if refused in request.body else None

    with ChatServer(rules=[rule]) as server:
        assert [ask(server).requests, ask(server).requests] == [2, 1]
        assert server.bodies[-1].get("stream") is kept
        assert "stream_options" not in server.bodies[-1]


# --- streams that break off ----------------------------------------------------------------------


@pytest.mark.parametrize("drop", [True, False])
def test_a_broken_stream_is_asked_again_and_never_a_reply(drop, caplog):
    caplog.set_level(logging.INFO, logger="tinyfactory")
    with ChatServer([stream(words("Ana is a"), drop=drop), as_stream(answer("whole"))]) as server:
        reply = ask(server)
    assert (reply.text, reply.requests) == ("whole", 2)
    assert "8 characters" in caplog.text and "Ana is a" in caplog.text


def test_a_stream_that_always_breaks_is_an_error_with_its_beginning_and_nothing_is_saved(tmp_path):
    with ChatServer(rules=[stream(words('{"name": "Ana'))]) as server:
        settings.configure(base_url=server.base_url)
        with Simulation(tmp_path, "broken") as simulation:
            model = OpenAIModel("m", retry=RetryPolicy(attempts=2, wait_initial=0.01))
            factory = TinyPersonFactory("Bakers", model=model)
            with pytest.raises(EndpointUnavailable, match=r"broke off.*name.*Ana"):
                factory.generate_person()
            assert saved_replies(simulation) == []


def test_a_server_whose_streams_never_say_that_they_are_finished_is_asked_without_one():
    whole = streaming(lambda _: answer("Ana"))

    def rule(request):
        return stream(words("A", "na")) if request.body.get("stream") else whole(request)

    with ChatServer(rules=[rule]) as server:
        assert [ask(server).requests for _ in range(2)] == [3, 1]
        assert [body.get("stream", False) for body in server.bodies] == [True, True, False, False]


def test_an_error_in_mid_stream_is_read_as_an_error():
    overloaded = line({"error": {"message": "Provider is overloaded", "code": 503}})
    vague = line({"error": {"message": "Something broke", "type": "server_error"}})
    script = [stream([*words("Ana"), broken]) for broken in (overloaded, vague)]
    with ChatServer([*script, as_stream(answer("whole"))]) as server:
        assert (ask(server).text, len(server.requests)) == ("whole", 3)


def test_an_event_that_is_no_json_breaks_the_stream():
    with ChatServer([stream([*words("a"), b'data: {"choices": [{"de\n\n', STOP, DONE])]) as server:
        reply = ask(server)
    assert reply.requests == 2


def test_events_without_a_choice_are_no_completion():
    with ChatServer(rules=[stream([line({}), DONE])]) as server, pytest.raises(BadResponse):
        ask(server)


# --- waits ---------------------------------------------------------------------------------------


def test_the_wait_for_the_first_words_depends_on_the_place_and_the_settings():
    here, there = target("http://localhost:11434/v1", "m"), target("https://a.example/v1", "m")
    assert here.is_local and target("http://[::1]:1/v1", "m").is_local and not there.is_local
    assert first_words(is_local=True) == (600, "first_token_timeout")
    assert first_words(is_local=False) == (120, "first_token_timeout")
    settings.configure(timeout=30)
    assert first_words(is_local=True) == (30, "timeout")
    settings.configure(first_token_timeout=40)
    assert first_words(is_local=True) == (40, "first_token_timeout")


@pytest.mark.parametrize(
    "silent", [hang(), stream([b": PROCESSING\n\n", event({"role": "a"}), None])]
)
def test_silence_before_the_first_word_is_ended_by_its_own_setting(silent):
    settings.configure(first_token_timeout=0.3, timeout=60)
    with ChatServer(rules=[silent]) as server:
        with pytest.raises(EndpointUnavailable, match=r"first_token_timeout=0\.6") as raised:
            ask(server)
        assert len(server.requests) == 2
    assert "time_limit" not in str(raised.value)


def test_silence_between_words_is_ended_by_timeout():
    settings.configure(first_token_timeout=60, timeout=0.3)
    with ChatServer(rules=[stream([*words("Ana is a"), None])]) as server:
        with pytest.raises(EndpointUnavailable, match=r"configure\(timeout=0.6\)") as raised:
            ask(server)
        assert len(server.requests) == 2
    assert "Ana is a" in str(raised.value)


def test_a_reply_that_arrives_is_not_cut_by_the_time_limit():
    held = threading.Event()
    progress = Progress()
    # The limit passes while the stream is held, and the clock stands still.
    policy = RetryPolicy(attempts=4, time_limit=0.5, wait_initial=0.01, wait_jitter=0.01)
    with ChatServer([stream([*words("Hel"), held, *words("lo"), STOP, DONE])]) as server:
        opener = threading.Timer(1.2, held.set)
        opener.start()
        reply = ask(server, policy, progress)
        opener.join()
    assert reply.text == "Hello"
    assert reply.seconds > 1.0  # words that arrive take time, although no limit counts it


def test_the_time_limit_ends_an_attempt_that_brings_nothing():
    policy = RetryPolicy(time_limit=0.5, wait_initial=0.01, wait_jitter=0.01)
    said = r"within 0.5 s.*configure\(time_limit=1\)"
    with ChatServer(rules=[hang()]) as server, pytest.raises(EndpointUnavailable, match=said):
        ask(server, policy)


def test_the_default_time_limit_allows_the_wait_for_the_first_words():
    from tinyfactory.models.http.retry import Clock

    assert Clock(RetryPolicy(), least=900).limit == 900
    assert Clock(RetryPolicy(), least=180).limit == 300
    settings.configure(time_limit=50)
    assert Clock(RetryPolicy(), least=900).limit == 50


# --- length --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "bound"),
    [({}, 1_000), ({"schema": SCHEMA}, 4_000), ({"items": 20}, 3_000), ({"max_tokens": 70}, 70)],
)
def test_a_bound_on_the_length_is_always_sent_and_no_part_of_the_key(changes, bound):
    with ChatServer() as server:
        ask(server, **changes)
        assert server.bodies[0]["max_tokens"] == bound
    written = ChatRequest((), **changes).to_json()
    assert written["max_tokens"] == changes.get("max_tokens") and "items" not in written


def test_openai_and_azure_get_the_newer_name_from_the_first_request_on():
    official = capabilities.known.get(target("https://api.openai.com/v1", "m"))
    assert official.parameters(ChatRequest(())) == {"max_completion_tokens": 1_000}


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 4000. This model supports at most 2048 completion tokens.",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 2048]",
        "`max_tokens` must be less than or equal to `2048`, the maximum value for `max_tokens`",
        "max_tokens: 4000 > 2048, which is the maximum allowed number of output tokens",
    ],
)
def test_a_bound_that_is_too_high_is_lowered_once(message):
    def rule(request):
        high = request.body.get("max_tokens", 0) > 2_048
        return status(400, {"error": {"message": message, "param": "max_tokens"}}) if high else None

    with ChatServer(rules=[rule]) as server:
        replies = [ask(server, schema=SCHEMA) for _ in range(2)]
        assert [reply.requests for reply in replies] == [2, 1]
        assert server.bodies[-1]["max_tokens"] == 2_048


REASONED = {"completion_tokens_details": {"reasoning_tokens": 3_900}}


@pytest.mark.parametrize(
    "cut",
    [
        answer("", "length"),
        answer('{"na', "length", {"prompt_tokens": 5, "completion_tokens": 4_000} | REASONED),
        answer("<think>The person", "length"),
        stream([event({"reasoning_content": "Hm, hm"}), event(reason="length"), DONE]),
    ],
)
def test_a_bound_that_reasoning_used_up_is_raised_once_and_remembered(cut):
    with ChatServer([cut]) as server:
        first, second = ask(server, schema=SCHEMA), ask(server, schema=SCHEMA)
        assert [body["max_tokens"] for body in server.bodies] == [4_000, 16_000, 16_000]
    assert (first.requests, second.requests, first.finish_reason) == (2, 1, "stop")
    assert first.usage.prompt_tokens >= 100  # of both requests


def test_a_bound_that_the_text_used_up_or_that_was_given_is_not_raised():
    with ChatServer([answer('{"na', "length"), answer("", "length")]) as server:
        assert ask(server, schema=SCHEMA).finish_reason == "length"
        assert ask(server, schema=SCHEMA, max_tokens=9).finish_reason == "length"
        assert len(server.requests) == 2


def test_a_text_without_end_is_cut_and_asked_for_with_bounds():
    begun = event({"content": '{"name": "Ana '})
    endless = [begun, *(event({"content": "and on "}) for _ in range(2_000)), None]

    def writer(request):
        schema = request.body["response_format"]["json_schema"]["schema"]
        bounded = "maxLength" in schema["properties"]["name"]
        return answer('{"name": "Ana"}') if bounded else stream(endless)

    with ChatServer(writer) as server:
        first, second = ask(server, schema=SCHEMA), ask(server, schema=SCHEMA)
    assert first.finish_reason == "length" and 3_000 < len(first.text) < 4_000
    assert (second.text, second.requests) == ('{"name": "Ana"}', 1)


def test_long_prose_is_no_text_without_end():
    prose = [event({"content": "word " * 20}) for _ in range(60)]
    with ChatServer([stream([*prose, STOP, DONE])]) as server:
        assert len(ask(server).text) == 6_000


def test_a_choice_whose_number_is_none_is_read_as_the_first():
    parts = [{"choices": [{"index": [], "delta": {"content": word}}]} for word in ("An", "a")]
    reader = EventReader()
    for part in parts:
        reader.feed(b"data: " + json.dumps(part).encode() + b"\n\n")
    reader.feed(b"data: [DONE]\n\n")
    completion = reader.completion()
    assert isinstance(completion, dict)
    assert completion["choices"][0]["message"]["content"] == "Ana"


@pytest.mark.parametrize(
    ("refuses", "bounded"),
    [(False, [False, True, True]), (True, [False, True, False, False])],
)
def test_after_a_text_without_end_the_schema_bounds_each_text(refuses, bounded):
    asked = []

    def writer(request):
        schema = request.body["response_format"]["json_schema"]["schema"]
        asked.append(schema)
        if len(asked) == 1:
            return answer('{"name": "Ana and on and on', "length")
        if refuses and "maxLength" in schema["properties"]["name"]:
            return status(400, "Invalid schema: 'maxLength' is not permitted.")
        return answer('{"name": "Ana"}')

    with ChatServer(writer) as server:
        for _ in range(3):
            ask(server, schema=SCHEMA)
    assert ["maxLength" in schema["properties"]["name"] for schema in asked] == bounded


def test_an_endless_reply_is_cut_here():
    settings.configure(limits={"reply_characters": 2_000})

    def endless(request):
        return stream([*(event({"content": "word " * 20}) for _ in range(200)), None])

    with ChatServer(endless) as server:
        reply = ask(server)
    assert reply.finish_reason == TOO_LONG
    assert 2_000 < len(reply.text) < 3_000


# --- usage, budgets, progress --------------------------------------------------------------------


def test_usage_is_estimated_and_marked_where_a_stream_gives_none(tmp_path):
    with ChatServer() as server:
        good = server.good
        server.good = lambda request: as_stream(good(request), usage=False)
        settings.configure(base_url=server.base_url, model="test-model")
        with Simulation(tmp_path, "usage") as simulation:
            TinyPersonFactory("Bakers").generate_person()
            (reply,) = saved_replies(simulation)
    assert reply["reply"]["sent"]["usage"] == "estimated"
    assert reply["reply"]["usage"]["completion_tokens"] > 50


def test_people_are_the_same_from_a_stream(tmp_path):
    made: list[People] = []
    for change in (lambda good: good, streaming):
        with ChatServer() as server, Simulation(tmp_path / f"{len(made)}", "same"):
            server.good = change(server.good)
            settings.configure(base_url=server.base_url, model="test-model")
            made.append(TinyPersonFactory("Bakers").generate_people(3))
    assert [one.name for one in made[0]] == [one.name for one in made[1]]


def test_a_job_shows_the_words_of_replies_that_arrive():
    held = threading.Event()
    with ChatServer() as server:
        good = server.good

        def slowly(request):
            pieces = as_pieces(good(request))
            return stream([*pieces[:8], held, *pieces[8:]])

        server.good = slowly
        settings.configure(base_url=server.base_url, model="test-model")
        job = TinyPersonFactory("Bakers").start_people(2, concurrency=2)
        until(lambda: "words so far in 2 replies" in job.snapshot().note)
        held.set()
        assert len(job.wait()) == 2
    assert "words" not in job.snapshot().note


def as_pieces(whole: Answer) -> list[bytes]:
    from tinyfactory.models.loopback.server import streamed

    return streamed(whole.body, usage=True)


def test_the_offline_endpoint_streams_the_same_people(tmp_path):
    from tinyfactory.models.loopback import serve_offline

    names = []
    with serve_offline() as endpoint:
        for model in ("offline-writer", "offline"):
            tinyfactory.configure(base_url=endpoint.base_url, api_key="none", model=model)
            with Simulation(tmp_path / model, "same"):
                names.append(TinyPersonFactory("Bakers in Vienna").generate_person().name)
        assert endpoint.requests == 1
    assert names[0] == names[1]
