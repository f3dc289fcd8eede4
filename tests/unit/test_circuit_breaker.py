"""The breaker: opens after failures in a row, lets one call look, closes when it is answered."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tinyfactory.errors import EndpointUnavailable
from tinyfactory.models.http.circuit_breaker import CircuitBreaker


def opened(threshold: int = 5) -> CircuitBreaker:
    breaker = CircuitBreaker("http://there/v1", threshold)
    for _ in range(threshold):
        breaker.record_failure("HTTP 503")
    return breaker


def test_it_opens_after_so_many_failures_in_a_row_and_an_answer_counts_from_nought():
    breaker = CircuitBreaker("there", threshold=3)
    for trouble in ("a", "b", None, "c", "d"):
        if trouble is None:
            breaker.record_success()
        else:
            breaker.record_failure(trouble)
        assert not breaker.is_open
    breaker.record_failure("e")
    assert breaker.is_open


def test_it_says_so_once(caplog):
    breaker = opened()
    breaker.record_failure("HTTP 503")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "http://there/v1 is down" in record.getMessage()
    assert "5 calls in a row were not answered, the last with: HTTP 503" in record.getMessage()


def test_closed_it_admits_all_and_open_it_admits_one_after_another():
    async def work():
        assert not await CircuitBreaker("there").admit()
        breaker = opened()
        for _ in range(3):
            assert await breaker.admit()
            breaker.probe_failed()
            breaker.record_failure("HTTP 503")
            breaker.end_probe()
        assert breaker.is_open

    asyncio.run(work())


def test_those_beside_the_probe_fail_with_its_first_failure():
    async def work():
        breaker = opened()
        assert await breaker.admit()
        others = [asyncio.create_task(breaker.admit()) for _ in range(5)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in others)
        breaker.probe_failed()
        for outcome in await asyncio.gather(*others, return_exceptions=True):
            assert isinstance(outcome, EndpointUnavailable)
            assert "5 calls in a row" in str(outcome) and "not sent" in str(outcome)
        with pytest.raises(EndpointUnavailable):  # the probe goes on; nobody waits for that
            await asyncio.wait_for(breaker.admit(), 60)

    asyncio.run(work())


def test_those_beside_the_probe_go_on_when_it_is_answered():
    async def work():
        breaker = opened()
        assert await breaker.admit()
        others = [asyncio.create_task(breaker.admit()) for _ in range(5)]
        await asyncio.sleep(0)
        breaker.record_success()
        breaker.end_probe()
        assert await asyncio.gather(*others) == [False] * 5

    asyncio.run(work())


def test_a_probe_that_was_cancelled_is_followed_by_one_other():
    async def work():
        breaker = opened()
        assert await breaker.admit()
        others = [asyncio.create_task(breaker.admit()) for _ in range(3)]
        await asyncio.sleep(0)
        breaker.end_probe()
        done, waiting = await asyncio.wait(others, timeout=0.05)
        assert [task.result() for task in done] == [True] and len(waiting) == 2
        breaker.record_success()
        breaker.end_probe()
        assert [await task for task in waiting] == [False, False]

    asyncio.run(work())


def test_calls_that_are_asking_again_are_told():
    told = []
    breaker = CircuitBreaker("there", threshold=2)
    with breaker.on_open(lambda: told.append("ended")):
        breaker.record_failure("HTTP 503")
    with breaker.on_open(lambda: told.append("asking")):
        breaker.record_failure("HTTP 503")
        breaker.record_failure("HTTP 503")
    assert told == ["asking"]
