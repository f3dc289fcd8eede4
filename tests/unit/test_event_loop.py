"""The private loop: used from any thread and loop, and cancelled in every possible way."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import os
import threading
import time
import warnings

import pytest

from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.models import event_loop


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail() -> None:
    raise KeyError("from the coroutine")


async def where() -> tuple[int, int]:
    return id(asyncio.get_running_loop()), threading.get_ident()


class Sleeper:
    """A coroutine that records its start and its end."""

    def __init__(self, tidying: float = 0.0) -> None:
        self.began = threading.Event()
        self.ended: str | None = None
        self.tidying = tidying

    async def sleep(self) -> None:
        self.began.set()
        try:
            await asyncio.sleep(600)
            self.ended = "slept"
        except asyncio.CancelledError:
            await asyncio.sleep(self.tidying)
            self.ended = "cancelled"
            raise


def in_thread(function) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


# --- results -----------------------------------------------------------------------------------


def test_run_gives_the_result_and_the_error():
    assert event_loop.run(double, 21) == 42
    with pytest.raises(KeyError, match="from the coroutine"):
        event_loop.run(fail)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_loop_survives_a_coroutine_that_raises_what_ends_other_loops(error):
    async def end() -> None:
        raise error

    with pytest.raises(error):
        event_loop.run(end)
    assert event_loop.run(double, 4) == 8


def test_run_works_inside_a_running_loop_as_in_a_notebook():
    async def cell() -> int:
        return event_loop.run(double, 4)

    assert asyncio.run(cell()) == 8


def test_everything_runs_on_one_loop_whatever_loops_the_user_has():
    places = {
        event_loop.run(where),
        asyncio.run(event_loop.arun(where)),
        asyncio.run(event_loop.arun(where)),
    }
    in_thread(lambda: places.add(event_loop.run(where))).join()
    assert len(places) == 1
    assert places.pop()[1] != threading.get_ident()


def test_arun_on_the_private_loop_does_not_change_the_task():
    async def nested() -> bool:
        outer = asyncio.current_task()

        async def inner() -> bool:
            return asyncio.current_task() is outer

        return await event_loop.arun(inner)

    assert event_loop.run(nested)


def test_run_on_the_private_loop_is_refused_instead_of_waiting_for_ever():
    async def wrong() -> int:
        return event_loop.run(double, 1)

    with pytest.raises(InvalidInput, match="Await the coroutine"):
        event_loop.run(wrong)


def test_the_coroutine_sees_the_context_of_the_caller():
    colour = contextvars.ContextVar("colour", default="none")

    async def look() -> str:
        return colour.get()

    colour.set("green")
    assert event_loop.run(look) == "green"
    assert asyncio.run(event_loop.arun(look)) == "green"


def test_what_is_kept_is_made_once():
    made = []

    def make() -> object:
        made.append(1)
        return object()

    async def pool() -> object:
        return event_loop.loop_local("test-pool", make)

    assert event_loop.run(pool) is event_loop.run(pool)
    assert made == [1]


def test_a_forked_process_gets_a_loop_of_its_own():
    async def mark() -> int:
        return event_loop.loop_local("test-fork", os.getpid)

    parent = event_loop.run(mark)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork
        child = os.fork()
    if child == 0:
        os.write(writing, str(event_loop.run(mark)).encode())
        os._exit(0)
    os.close(writing)
    assert os.waitpid(child, 0)[1] == 0
    assert int(os.read(reading, 20)) == child != parent
    os.close(reading)


# --- cancelling --------------------------------------------------------------------------------


@pytest.mark.parametrize("tidying", [0.0, 0.3])
def test_an_interrupt_cancels_and_is_raised_when_the_coroutine_has_ended(tidying):
    sleeper = Sleeper(tidying)

    def press() -> None:
        sleeper.began.wait()
        _thread.interrupt_main()

    in_thread(press)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        event_loop.run(sleeper.sleep)
    assert sleeper.ended == "cancelled"
    assert time.monotonic() - began < 60
    assert event_loop.run(double, 1) == 2


def test_a_token_stops_run_from_another_thread_promptly():
    sleeper, token = Sleeper(), event_loop.CancelToken()
    pressed = []

    def press() -> None:
        sleeper.began.wait()
        pressed.append(time.monotonic())
        token.cancel()

    in_thread(press)
    with pytest.raises(Cancelled, match="stopped on request"):
        event_loop.run(sleeper.sleep, token=token)
    assert time.monotonic() - pressed[0] < 60
    assert sleeper.ended == "cancelled"


def test_a_token_stops_arun():
    sleeper, token = Sleeper(), event_loop.CancelToken()

    async def work() -> None:
        await event_loop.arun(sleeper.sleep, token=token)

    def press() -> None:
        sleeper.began.wait()
        token.cancel()

    in_thread(press)
    with pytest.raises(Cancelled):
        asyncio.run(work())
    assert sleeper.ended == "cancelled"


def test_a_cancelled_token_starts_nothing():
    sleeper, token = Sleeper(), event_loop.CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        event_loop.run(sleeper.sleep, token=token)
    with pytest.raises(Cancelled):
        asyncio.run(event_loop.arun(sleeper.sleep, token=token))
    assert not sleeper.began.is_set()


def test_a_token_affects_only_the_calls_that_it_is_passed_to():
    token = event_loop.CancelToken()
    token.cancel()
    assert event_loop.run(double, 3) == 6
    assert event_loop.run(double, 3, token=event_loop.CancelToken()) == 6


def test_one_token_stops_many_threads():
    token = event_loop.CancelToken()
    sleepers = [Sleeper() for _ in range(8)]
    outcomes = []

    def work(sleeper: Sleeper) -> None:
        try:
            event_loop.run(sleeper.sleep, token=token)
        except Cancelled:
            outcomes.append("cancelled")

    threads = [in_thread(lambda s=s: work(s)) for s in sleepers]
    for sleeper in sleepers:
        sleeper.began.wait()
    token.cancel()
    for thread in threads:
        thread.join(60)
    assert outcomes == ["cancelled"] * 8


def test_cancelling_the_callers_await_cancels_the_coroutine_and_waits_for_its_end():
    sleeper = Sleeper(tidying=0.2)

    async def work() -> None:
        task = asyncio.create_task(event_loop.arun(sleeper.sleep))
        await asyncio.to_thread(sleeper.began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sleeper.ended == "cancelled"

    asyncio.run(work())


def test_a_token_asked_between_two_requests_raises():
    token = event_loop.CancelToken()
    token.raise_if_cancelled()
    token.cancel()
    with pytest.raises(Cancelled):
        token.raise_if_cancelled()
