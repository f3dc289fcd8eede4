"""RateLimiter: requests in flight, requests per minute, and their order."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfactory import settings
from tinyfactory.errors import InvalidInput
from tinyfactory.models.chat import Usage
from tinyfactory.models.http import rate_limit
from tinyfactory.models.http.rate_limit import Permit, RateLimiter, Window

SOON = 30  # seconds; enough on a slow machine, and less than the minute of an unnecessary wait


def tokens(mean: int) -> int:
    return 100 + mean


async def acquire(limiter: RateLimiter, number: int = 1) -> list[Permit]:
    return [await limiter.acquire(tokens) for _ in range(number)]


def release(limiter: RateLimiter, permits: list[Permit]) -> None:
    for permit in permits:
        limiter.release(permit)


# --- the sliding window ---------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 20)), min_size=1, max_size=60),
    st.integers(1, 100),
)
def test_no_stretch_of_a_minute_ever_holds_more_than_the_limit(asked, limit):
    window, now, sent = Window(60), 0.0, []
    for amount, pause in asked:
        now += pause
        while (seconds := window.wait(amount, limit, now)) > 0:
            now += seconds
        window.add(min(amount, limit), now)
        sent.append((now, min(amount, limit)))
    for end, _ in sent:
        assert sum(amount for at, amount in sent if at + 60 > end >= at) <= limit


def test_a_window_waits_no_longer_than_it_must():
    window = Window(60)
    for at in range(3):
        assert window.wait(1, 3, now=float(at)) == 0
        window.add(1, now=float(at))
    assert window.wait(1, 3, now=10.0) == 50.0
    assert window.wait(2, 3, now=10.0) == 51.0
    assert window.wait(1, 4, now=10.0) == 0
    assert window.wait(1, 3, now=60.0) == 0


def test_more_than_the_whole_limit_goes_when_nothing_else_does():
    window = Window(60)
    window.add(1, now=0.0)
    assert window.wait(5000, 1000, now=30.0) == 30.0
    assert window.wait(5000, 1000, now=60.0) == 0.0


def test_what_left_the_window_is_not_corrected():
    window = Window(60)
    old = window.add(900, now=0.0)
    new = window.add(900, now=61.0)
    assert window.wait(100, 1000, now=61.0) == 0
    window.correct(old, 5000)
    window.correct(new, 800)
    assert window.wait(200, 1000, now=61.0) == 0
    assert window.wait(201, 1000, now=61.0) == 60


# --- requests in flight ---------------------------------------------------------------------------


def test_there_is_no_limit_until_the_first_429():
    async def work():
        limiter = RateLimiter("there")
        permits = await acquire(limiter, 300)
        assert limiter.limit == math.inf and limiter.in_flight == 300
        limiter.throttled(permits[-1])
        assert limiter.limit == 150

    asyncio.run(work())


def test_a_burst_of_429_halves_the_limit_once_and_the_next_burst_again():
    async def work():
        limiter = RateLimiter("there")
        permits = await acquire(limiter, 40)
        for permit in permits[10:]:
            limiter.throttled(permit)
            limiter.release(permit)
        assert limiter.limit == 20
        release(limiter, permits[:10])
        for permit in await acquire(limiter, 20):
            limiter.throttled(permit)
            limiter.release(permit)
        assert limiter.limit == 10

    asyncio.run(work())


def test_a_late_429_halves_what_was_in_flight_when_it_went_out():
    async def work():
        limiter = RateLimiter("there")
        permits = await acquire(limiter, 40)
        release(limiter, permits[:39])
        limiter.throttled(permits[39])
        assert limiter.limit == 20

    asyncio.run(work())


def test_one_always_goes():
    async def work():
        limiter = RateLimiter("there")
        for _ in range(3):
            (permit,) = await acquire(limiter)
            limiter.throttled(permit)
            limiter.release(permit)
        assert limiter.limit == 1

    asyncio.run(work())


def test_a_window_of_successes_adds_one():
    async def work():
        limiter = RateLimiter("there")
        first = await acquire(limiter, 8)
        limiter.throttled(first[0])
        for permit in first:  # sent before the decrease, so they say nothing about the new limit
            limiter.succeeded(permit, Usage())
            limiter.release(permit)
        assert limiter.limit == 4
        grown = []
        for _ in range(3):
            window = await acquire(limiter, int(limiter.limit))
            for permit in window:
                limiter.succeeded(permit, Usage())
            release(limiter, window)
            grown.append(limiter.limit)
        assert grown == [5, 6, 7]
        (alone,) = await acquire(limiter)
        for _ in range(20):  # with slots free, a success says nothing
            limiter.succeeded(alone, Usage())
        assert limiter.limit == 7

    asyncio.run(work())


def test_those_who_wait_are_served_in_order_and_one_that_gives_up_takes_no_place():
    async def work():
        limiter = RateLimiter("there")
        (first,) = await acquire(limiter)
        limiter.throttled(first)
        served = []

        async def come(number: int) -> None:
            permit = await limiter.acquire(tokens)
            served.append(number)
            await asyncio.sleep(0.001)
            limiter.release(permit)

        tasks = [asyncio.create_task(come(number)) for number in range(6)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        tasks[3].cancel()
        await asyncio.sleep(0.01)
        assert served == []
        limiter.release(first)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert served == [1, 2, 4, 5] and limiter.in_flight == 0

    asyncio.run(work())


def test_a_time_that_the_endpoint_names_holds_back_everybody():
    async def work():
        limiter = RateLimiter("there")
        permits = await acquire(limiter, 6)
        began = time.monotonic()
        limiter.throttled(permits[0], retry_after=0.3)
        limiter.throttled(permits[1], retry_after=0.1)  # the longest counts
        release(limiter, permits)
        await asyncio.gather(*(acquire(limiter) for _ in range(3)))
        assert 0.29 <= time.monotonic() - began < SOON

    asyncio.run(work())


# --- limits per minute ----------------------------------------------------------------------------


def test_requests_in_a_minute_are_held_and_a_changed_setting_counts(monkeypatch):
    monkeypatch.setattr(rate_limit, "_RECHECK", 0.05)

    async def work():
        limiter = RateLimiter("there")
        settings.configure(requests_per_minute=3)
        release(limiter, await acquire(limiter, 3))
        fourth = asyncio.create_task(acquire(limiter))
        await asyncio.sleep(0.2)
        assert not fourth.done()
        settings.configure(requests_per_minute=4)
        release(limiter, await asyncio.wait_for(fourth, SOON))

    asyncio.run(work())


def test_tokens_are_set_aside_as_estimated_and_counted_as_they_were():
    async def work():
        limiter = RateLimiter("there")
        settings.configure(tokens_per_minute=2_500)  # the first reply is assumed to have 1,000
        permits = await acquire(limiter, 2)
        third = asyncio.create_task(acquire(limiter))
        await asyncio.sleep(0.05)
        assert not third.done()
        for permit in permits:
            limiter.succeeded(permit, Usage(100, 200))
        permits += await asyncio.wait_for(third, SOON)
        # 2 * 300 are taken and 300 set aside; with 300 for each, five more go, and no sixth.
        for _ in range(5):
            permits += await asyncio.wait_for(acquire(limiter), SOON)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(acquire(limiter), 0.1)
        limiter.failed(permits[-1])  # refused: it used no tokens
        await asyncio.wait_for(acquire(limiter), SOON)

    asyncio.run(work())


def test_an_endpoint_that_does_not_count_is_taken_at_the_estimate():
    async def work():
        limiter = RateLimiter("there")
        settings.configure(tokens_per_minute=1_500)
        (permit,) = await acquire(limiter)
        limiter.succeeded(permit, Usage())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(acquire(limiter), 0.1)

    asyncio.run(work())


def test_a_queue_is_told_of(caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="tinyfactory.models")
    monkeypatch.setattr(rate_limit, "_FIRST_REMINDER", 0.05)
    settings.configure(requests_per_minute=1)

    async def work():
        limiter = RateLimiter("there")
        await acquire(limiter)
        waiting = [asyncio.create_task(acquire(limiter)) for _ in range(3)]
        await asyncio.sleep(0.2)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(work())
    (record,) = caplog.records
    said = r"there: 3 requests are waiting \(1 requests a minute, for (\d+) s more\)"
    assert 30 < int(re.fullmatch(said, record.getMessage())[1]) <= 60


# --- the settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute"])
def test_limits_are_read_from_the_environment_and_checked(name, monkeypatch):
    assert settings.get(name) is None
    monkeypatch.setenv(f"TINYFACTORY_{name.upper()}", "60_000")
    assert settings.get(name) == 60_000
    settings.configure(**{name: 5})  # type: ignore[arg-type]
    assert settings.get(name) == 5
    for wrong in (0, -1, 1.5, True, "60"):
        with pytest.raises(InvalidInput, match=name):
            settings.configure(**{name: wrong})  # type: ignore[arg-type]
    assert settings.get(name) == 5
    settings.configure(**{name: None})
    for wrong in ("0", "many", "1.5"):
        monkeypatch.setenv(f"TINYFACTORY_{name.upper()}", wrong)
        with pytest.raises(InvalidInput, match=name):
            settings.get(name)
