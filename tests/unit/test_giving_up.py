"""An endpoint that has never answered is given up soon, and until then its trouble is visible."""

from __future__ import annotations

import logging
import re
import time

import pytest

from tests.support.chat_server import (
    Answer,
    ChatServer,
    drop_connection,
    html_page,
    rate_limited,
    status,
)
from tests.support.people import person as persona
from tinyfactory import TinyPersonFactory, settings
from tinyfactory.errors import (
    EndpointUnavailable,
    NoChatEndpoint,
)
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatRequest
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel
from tinyfactory.models.progress import Progress
from tinyfactory.people import People, TinyPerson

REQUEST = ChatRequest(({"role": "user", "content": "Who?"},))
QUICK = RetryPolicy(wait_initial=0.01, wait_jitter=0.01, wait_max=0.05, attempts=1000)
NOT_ONE = {
    "unexpected": status(200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
    "login page": html_page(),
    "detail": status(200, {"detail": "Sign in first"}),
    "message": status(200, {"message": "Welcome to the gateway"}),
    "empty": status(200, b""),
    "text": status(200, "Ollama is running"),
    "list": status(200, []),
    "null": status(200, None),
}
SAYS = {
    "unexpected": "Unexpected endpoint or method",
    "login page": "an HTML page",
    "detail": "Sign in first",
    "message": "Welcome to the gateway",
    "empty": "an empty body",
    "text": "Ollama is running",
    "list": "a JSON list",
    "null": "null",
}


@pytest.fixture(autouse=True, scope="module")
def _client_is_imported():
    """So that no measured time includes the first import of the client."""
    with ChatServer() as server:
        event_loop.run(OpenAIModel("m", base_url=server.base_url).complete, REQUEST)


def quick(server: ChatServer) -> OpenAIModel:
    return OpenAIModel("m", base_url=server.base_url, retry=QUICK)


# --- a response that is none ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", NOT_ONE)
@pytest.mark.parametrize("concurrency", [1, 5])
def test_an_endpoint_that_gives_no_completion_stops_the_job(kind, concurrency, serve):
    server = serve(rules=[NOT_ONE[kind]])
    with pytest.raises(NoChatEndpoint) as raised:
        TinyPersonFactory("Nurses").generate_people(20, concurrency=concurrency)
    assert len(server.requests) <= 2 * concurrency
    said = str(raised.value)
    assert f"{server.base_url}/chat/completions" in said and "base URL" in said
    assert SAYS[kind] in said


def test_a_single_person_and_contexts_are_told_as_well(serve):
    server = serve(rules=[html_page()])
    with pytest.raises(NoChatEndpoint):
        TinyPersonFactory("Nurses").generate_person()
    with pytest.raises(NoChatEndpoint):
        TinyPersonFactory.generate_person_factories(2, "Nurses")
    assert len(server.requests) == 4


def test_a_question_to_many_people_stops_as_well(serve):
    server = serve(rules=[html_page()])
    people = People(TinyPerson.from_dict(persona(number)) for number in range(1, 11))
    with pytest.raises(NoChatEndpoint):
        people.ask("How are you?")
    assert len(server.requests) == 2


def test_after_one_completion_a_bad_response_is_asked_again(serve):
    server = serve()
    server.rules = [lambda _: html_page() if len(server.requests) in (2, 3, 4) else None]
    assert len(TinyPersonFactory("Nurses").generate_people(3)) == 3
    assert len(server.requests) == 6


def test_an_endpoint_that_was_corrected_is_asked_again_at_once(serve):
    server = serve(rules=[html_page()])
    factory = TinyPersonFactory("Nurses")
    with pytest.raises(NoChatEndpoint):
        factory.generate_people(3)
    server.rules = []
    assert len(factory.generate_people(3)) == 3


# --- a server in trouble --------------------------------------------------------------------------

TROUBLE = {
    "server error 500": status(500, {"error": {"message": "boom"}}),
    "server error 502": status(502, "<html>Bad gateway</html>"),
    "server error 503": status(503, {"error": {"message": "loading model"}}),
    "the connection was dropped": drop_connection(),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_an_endpoint_that_never_answers_is_given_up_with_what_was_seen(kind):
    settings.configure(give_up_after=0.5)
    with ChatServer(rules=[TROUBLE[kind]]) as server:
        began = time.monotonic()
        with pytest.raises(EndpointUnavailable) as raised:
            event_loop.run(quick(server).complete, REQUEST)
        assert 0.3 < time.monotonic() - began < 4
        number = len(server.requests)
    said = str(raised.value)
    assert number > 1 and re.search(rf"\d+ × {kind}", said)
    assert "give_up_after" in said and server.base_url in said


def test_by_default_it_is_given_up_within_a_minute():
    """The pauses of the default policy end before the minute is over."""
    assert settings.get("give_up_after") == 60
    policy = RetryPolicy()
    pauses = [min(policy.wait_initial * 2**number, policy.wait_max) for number in range(9)]
    assert sum(pauses[:6]) < 60 < sum(pauses[:7]) + 6 * policy.wait_jitter


def test_the_time_can_be_set_by_the_environment(monkeypatch):
    monkeypatch.setenv("TINYFACTORY_GIVE_UP_AFTER", "0.3")
    with (
        ChatServer(rules=[status(500)]) as server,
        pytest.raises(EndpointUnavailable, match="give_up_after"),
    ):
        event_loop.run(quick(server).complete, REQUEST)


def test_infinite_patience_leaves_the_time_limit():
    settings.configure(give_up_after=float("inf"), time_limit=1)
    with (
        ChatServer(rules=[status(503)]) as server,
        pytest.raises(EndpointUnavailable, match="time_limit") as raised,
    ):
        event_loop.run(quick(server).complete, REQUEST)
    assert re.search(r"\d+ × server error 503", str(raised.value))


def test_after_one_answer_the_time_limit_rules():
    settings.configure(give_up_after=0.2)
    with ChatServer() as server:
        model = quick(server)
        event_loop.run(model.complete, REQUEST)
        began = time.monotonic()
        server.rules = [lambda _: status(500) if time.monotonic() - began < 1 else None]
        assert event_loop.run(model.complete, REQUEST).text


def test_a_slow_first_reply_is_no_failure():
    settings.configure(give_up_after=0.3)
    with ChatServer(slow=1.0) as server:
        assert event_loop.run(quick(server).complete, REQUEST).text


def test_one_failure_after_a_slow_wait_is_asked_again():
    settings.configure(give_up_after=0.3)
    with ChatServer([status(500)], slow=0.6) as server:
        assert event_loop.run(quick(server).complete, REQUEST).requests == 2


def test_throttling_is_no_failure():
    settings.configure(give_up_after=0.2)
    with ChatServer() as server:
        began = time.monotonic()
        server.rules = [lambda _: rate_limited() if time.monotonic() - began < 1 else None]
        assert event_loop.run(quick(server).complete, REQUEST).text


def test_a_job_is_given_up_as_a_whole(serve, monkeypatch):
    settings.configure(give_up_after=0.8)
    server = serve(rules=[status(500, {"error": {"message": "boom"}})])
    began = time.monotonic()
    with pytest.raises(EndpointUnavailable, match="500"):
        TinyPersonFactory("Nurses").generate_people(50, concurrency=5)
    assert time.monotonic() - began < 10
    assert len(server.requests) < 40


def test_a_question_to_many_people_is_given_up_as_a_whole(serve):
    settings.configure(give_up_after=0.8)
    server = serve(rules=[status(500)])
    people = People(TinyPerson.from_dict(persona(number)) for number in range(1, 11))
    with pytest.raises(EndpointUnavailable):
        people.ask("How are you?")
    assert len(server.requests) < 4


# --- what a user sees meanwhile -------------------------------------------------------------------


def test_the_trouble_is_told_from_the_first_failure(caplog):
    settings.configure(give_up_after=0.5)
    caplog.set_level(logging.INFO, logger="tinyfactory")
    with ChatServer(rules=[status(500)]) as server, pytest.raises(EndpointUnavailable):
        event_loop.run(quick(server).complete, REQUEST)
    told = [r for r in caplog.records if "next in" in r.getMessage()]
    visible = [record for record in told if record.levelno == logging.WARNING]
    assert visible == told[:1]
    assert re.search(
        r"m at http\S+: server error 500, try 1 of 1000, next in 0\.0\d+ s", told[0].getMessage()
    )
    assert "try 2 of 1000" in told[1].getMessage()


def test_a_single_failure_after_an_answer_needs_no_visible_line(caplog):
    caplog.set_level(logging.INFO, logger="tinyfactory")
    with ChatServer() as server:
        model = quick(server)
        event_loop.run(model.complete, REQUEST)
        for failures, visible in ((1, 0), (2, 1)):
            server.rules, server._script = [], [status(500)] * failures
            caplog.clear()
            event_loop.run(model.complete, REQUEST)
            levels = [record.levelno for record in caplog.records]
            assert levels.count(logging.WARNING) == visible


def test_a_time_to_wait_is_told_with_the_clock(caplog):
    caplog.set_level(logging.INFO)
    progress = Progress()
    notes = []

    def limited(request) -> Answer | None:
        notes.append(progress.note)
        return rate_limited(1) if len(notes) == 1 else None

    with ChatServer(rules=[limited]) as server:
        event_loop.run(quick(server).complete, REQUEST, progress=progress)
    assert notes == ["", "too many requests 429, now try 2 of 1000"]
    (line,) = [r.getMessage() for r in caplog.records if "waiting until" in r.getMessage()]
    assert re.search(r"too many requests 429, try 1 of 1000, waiting until \d\d:\d\d:\d\d", line)


def test_the_progress_of_a_job_shows_the_trouble(serve):
    settings.configure(give_up_after=20)
    server = serve()
    server.rules = [lambda _: status(503) if len(server.requests) < 3 else None]
    seen = set()
    factory = TinyPersonFactory("Nurses")
    factory.generate_people(1, progress=lambda now: seen.add(now.note))
    assert any(re.search(r"server error 503, try 1 of 10, next in [\d.]+ s", note) for note in seen)
