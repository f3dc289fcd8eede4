"""Flow control over HTTP: limits of the endpoint, limits of ours, and an endpoint that is down."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.chat_server import (
    ChatServer,
    answer,
    hang,
    quota_exhausted,
    rate_limited,
    status,
)
from tests.support.waiting import when
from tinyfactory import settings
from tinyfactory.errors import (
    EndpointDown,
    EndpointUnavailable,
    EndpointUnreachable,
    QuotaExhausted,
)
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatReply, ChatRequest
from tinyfactory.models.http.circuit_breaker import THRESHOLD
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

PATIENT = RetryPolicy(attempts=100, wait_initial=0.05, wait_max=0.2, wait_jitter=0.1)
ONCE = RetryPolicy(attempts=1)
REQUEST = ChatRequest(({"role": "user", "content": "Who?"},))
# Seconds that what is done at once never takes, however slow the machine is; what would be waited
# for without reason is longer in each of the tests.
LONG = 60


def model(server: ChatServer, retry: RetryPolicy = PATIENT, **options: Any) -> OpenAIModel:
    return OpenAIModel("test-model", base_url=server.base_url, retry=retry, **options)


def together(
    chat: OpenAIModel, number: int, concurrency: int | None = None, request: ChatRequest = REQUEST
) -> list[Any]:
    """So many calls, at most `concurrency` at once: their replies and errors."""

    async def all_of_them() -> list[Any]:
        left = asyncio.Semaphore(concurrency or number)

        async def one() -> ChatReply:
            async with left:
                return await chat.complete(request)

        return await asyncio.gather(*(one() for _ in range(number)), return_exceptions=True)

    return event_loop.run(all_of_them)


def answered(outcomes: list[Any]) -> bool:
    return all(isinstance(outcome, ChatReply) for outcome in outcomes)


def taking(at_once: int) -> Callable[[ChatServer], ChatServer]:
    """A server that says 429 to more than so many at once."""

    def limit(server: ChatServer) -> ChatServer:
        server.rules.append(lambda _: rate_limited() if server.under_way > at_once else None)
        return server

    return limit


# --- what the endpoint takes ----------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def _client_is_imported():
    """So that no time measured below holds the first import of the client."""
    with ChatServer() as server:
        assert answered(together(model(server), 1))


def test_concurrency_settles_near_what_the_server_takes():
    with ChatServer(slow=0.05) as server:
        taking(10)(server)
        outcomes = together(model(server), 400, concurrency=100)
        assert answered(outcomes)
        late = [reply.requests for reply in outcomes[200:]]
    # Without a limit of ours 90 of the first 100 are refused, and most of those again and again.
    assert sum(late) / len(late) < 1.25
    assert len(server.requests) < 400 * 1.6


def test_without_a_429_nobody_waits():
    with ChatServer() as server, server.held_until(100):
        assert answered(together(model(server), 100))
        assert server.most_at_once == 100


def test_a_time_that_one_is_told_holds_back_all(caplog):
    caplog.set_level(logging.INFO, logger="tinyfactory.models")
    with ChatServer([rate_limited(1.0)]) as server:
        chat = model(server)

        async def work() -> list[ChatReply]:
            first = asyncio.create_task(chat.complete(REQUEST))
            await when(lambda: "as it asks" in caplog.text)
            return await asyncio.gather(first, *(chat.complete(REQUEST) for _ in range(5)))

        event_loop.run(work)
        refused, *others = (request.at for request in server.requests)
        assert len(others) == 6
        assert all(0.99 <= at - refused < LONG for at in others)


def test_another_key_is_not_held_back(caplog):
    caplog.set_level(logging.INFO, logger="tinyfactory.models")
    with ChatServer([rate_limited(90)]) as server:

        async def work() -> str:
            held = asyncio.create_task(model(server, api_key="sk-first").complete(REQUEST))
            await when(lambda: "as it asks" in caplog.text)
            reply = await model(server, api_key="sk-second").complete(REQUEST)
            held.cancel()
            return reply.text

        began = time.monotonic()
        assert event_loop.run(work)
        assert time.monotonic() - began < LONG


def test_a_time_that_nobody_would_wait_for_holds_back_nobody():
    with ChatServer([rate_limited(86_400)]) as server:
        with pytest.raises(EndpointUnavailable, match="asks to wait 86400 s"):
            event_loop.run(model(server).complete, REQUEST)
        began = time.monotonic()
        assert answered(together(model(server), 3))
        assert time.monotonic() - began < LONG


def test_an_exhausted_quota_is_no_reason_to_slow_down():
    with ChatServer([quota_exhausted()]) as server:
        with pytest.raises(QuotaExhausted):
            event_loop.run(model(server).complete, REQUEST)
        with server.held_until(10):
            assert answered(together(model(server), 10))


# --- what we allow ourselves ----------------------------------------------------------------------


def test_requests_per_minute_are_held_and_a_changed_setting_counts(caplog):
    settings.configure(requests_per_minute=3)
    with ChatServer() as server:

        async def work() -> list[ChatReply]:
            tasks = [asyncio.create_task(model(server).complete(REQUEST)) for _ in range(5)]
            await when(lambda: len(server.requests) == 3)
            await asyncio.sleep(1.5)
            assert len(server.requests) == 3
            settings.configure(requests_per_minute=None)
            return await asyncio.gather(*tasks)

        assert len(event_loop.run(work)) == 5


def test_tokens_per_minute_are_held_and_corrected_by_what_the_replies_say():
    settings.configure(tokens_per_minute=1_100)
    usage = {"prompt_tokens": 100, "completion_tokens": 20}
    request = ChatRequest(({"role": "user", "content": "x" * 400},), max_tokens=400)
    with ChatServer(rules=[answer("Hi", usage=usage)], slow=0.3) as server:

        async def work() -> None:
            # Estimated at 500 each, so two at once; answered at 120 each, so five in all: of
            # 1,100 tokens 600 are then taken, and 500 more are one request.
            tasks = [asyncio.create_task(model(server).complete(request)) for _ in range(20)]
            await when(lambda: len(server.requests) == 6)
            await asyncio.sleep(2)
            assert len(server.requests) == 6
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        event_loop.run(work)
        assert server.most_at_once == 2


def test_waiting_here_does_not_count_towards_the_time_limit():
    with ChatServer([rate_limited()], slow=0.3) as server:
        event_loop.run(model(server).complete, REQUEST)  # refused once: from now on one at a time
        settings.configure(time_limit=3.0)
        began = time.monotonic()
        outcomes = together(model(server), 80)  # in 13 groups, of which each is one larger
        took = time.monotonic() - began
        assert answered(outcomes)
        assert took > 3.3
        assert max(reply.seconds for reply in outcomes) < 3.0


# --- an endpoint that is down ---------------------------------------------------------------------


def break_down(server: ChatServer) -> None:
    for _ in range(THRESHOLD):
        with pytest.raises(EndpointUnavailable):
            event_loop.run(model(server, ONCE).complete, REQUEST)


def test_when_it_is_down_one_looks_and_the_others_fail_with_it():
    with ChatServer(rules=[status(503)], slow=0.1) as server:
        break_down(server)
        assert len(server.requests) == THRESHOLD
        outcomes = together(model(server, ONCE), 10)
        assert len(server.requests) == THRESHOLD + 1
        down = [outcome for outcome in outcomes if isinstance(outcome, EndpointDown)]
        assert len(down) == 9
        said = str(down[0])
        for part in ("is down: since", "calls in a row", "HTTP 503", "saved", "run it again"):
            assert part in said


def test_when_the_server_is_mended_a_run_by_hand_is_never_refused():
    with ChatServer(rules=[status(503)], slow=0.1) as server:
        break_down(server)
        server.rules.clear()
        assert answered(together(model(server), 10))
        assert len(server.requests) == THRESHOLD + 10


def test_one_by_one_the_endpoint_itself_is_always_asked():
    with ChatServer(rules=[status(503)]) as server:
        for number in range(THRESHOLD + 3):
            with pytest.raises(EndpointUnavailable, match="HTTP 503"):
                event_loop.run(model(server, ONCE).complete, REQUEST)
            assert len(server.requests) == number + 1


def test_calls_that_are_asking_again_give_up_when_it_opens(caplog):
    caplog.set_level(logging.INFO, logger="tinyfactory.models")
    slow = RetryPolicy(attempts=5, wait_initial=90, wait_max=90, wait_jitter=0)
    with ChatServer(rules=[status(503)]) as server:

        async def work() -> list[Any]:
            tasks = [asyncio.create_task(model(server, slow).complete(REQUEST)) for _ in range(8)]
            await when(lambda: caplog.text.count("attempt 1 failed") == 8)
            assert len(server.requests) == 8
            for _ in range(THRESHOLD):
                with pytest.raises(EndpointUnavailable):
                    await model(server, ONCE).complete(REQUEST)
            return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LONG)

        outcomes = event_loop.run(work)
        assert len(server.requests) == 8 + THRESHOLD
    for outcome in outcomes:
        assert isinstance(outcome, EndpointUnavailable)
        assert "is down: since" in str(outcome) and "asked 1 times and given up" in str(outcome)


def test_calls_that_wait_for_their_turn_are_not_sent_when_it_opens():
    with ChatServer([rate_limited()]) as server:
        event_loop.run(model(server).complete, REQUEST)  # refused once: from now on one at a time
        before = len(server.requests)
        server.rules.append(status(503))
        server.slow = 0.05
        # Most wait for the next minute; when it opens they need not.
        settings.configure(requests_per_minute=THRESHOLD + 1)
        began = time.monotonic()
        outcomes = together(model(server, ONCE), 20)
        assert time.monotonic() - began < 30
        sent = len(server.requests) - before
        assert THRESHOLD <= sent <= THRESHOLD + 1  # one may be under way when it opens
    down = [outcome for outcome in outcomes if isinstance(outcome, EndpointDown)]
    assert len(down) == 20 - sent
    # The one under way may fail before or after the others are told.
    assert all(f" {THRESHOLD} calls" in str(o) or f" {sent} calls" in str(o) for o in down)


def test_a_server_that_is_not_there_opens_it_too():
    with socket.socket() as bound:  # bound, but not listening: the port refuses
        bound.bind(("127.0.0.1", 0))
        chat = OpenAIModel(
            "m", base_url=f"http://127.0.0.1:{bound.getsockname()[1]}/v1", retry=ONCE
        )
        for _ in range(THRESHOLD):
            with pytest.raises(EndpointUnreachable):
                event_loop.run(chat.complete, REQUEST)
        outcomes = together(chat, 5)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == [
            *["EndpointDown"] * 4,
            "EndpointUnreachable",
        ]


def test_refusals_by_a_server_that_is_up_do_not_open_it():
    with ChatServer(rules=[rate_limited()]) as server:
        for _ in range(THRESHOLD + 1):
            with pytest.raises(EndpointUnavailable, match="429"):
                event_loop.run(model(server, ONCE).complete, REQUEST)
        server.rules.clear()
        assert answered(together(model(server), 5))


def test_an_answer_in_between_counts_from_nought():
    with ChatServer(rules=[status(503)]) as server:
        for _ in range(2):
            for _ in range(THRESHOLD - 1):
                with pytest.raises(EndpointUnavailable):
                    event_loop.run(model(server, ONCE).complete, REQUEST)
            server.rules.clear()
            assert answered(together(model(server), 1))
            server.rules.append(status(503))
        outcomes = together(model(server, ONCE), 3)
        assert not any(isinstance(outcome, EndpointDown) for outcome in outcomes)


def test_a_probe_that_is_cancelled_hands_on_to_the_next(caplog):
    caplog.set_level(logging.INFO, logger="tinyfactory.models")
    with ChatServer(rules=[status(503)]) as server:
        break_down(server)
        server.rules[:] = [hang()]

        async def work() -> list[ChatReply]:
            probe = asyncio.create_task(model(server).complete(REQUEST))
            await when(lambda: len(server.requests) == THRESHOLD + 1)
            others = [asyncio.create_task(model(server).complete(REQUEST)) for _ in range(3)]
            await asyncio.sleep(0.1)
            assert len(server.requests) == THRESHOLD + 1
            server.rules.clear()
            probe.cancel()
            return await asyncio.gather(*others)

        assert answered(event_loop.run(work))
    assert sum("it answers again" in record.getMessage() for record in caplog.records) == 1


def test_a_probe_that_runs_out_of_time_fails_those_beside_it():
    with ChatServer(rules=[status(503)]) as server:
        break_down(server)
        server.rules[:] = [hang()]
        began = time.monotonic()
        outcomes = together(model(server, RetryPolicy(time_limit=2)), 5)
        assert time.monotonic() - began < LONG
        assert len(server.requests) == THRESHOLD + 1
    assert sum(isinstance(outcome, EndpointDown) for outcome in outcomes) == 4
    assert sum("within 2 s" in str(outcome) for outcome in outcomes) == 1
