"""Calls that would wait for each other for ever end with an error that names both."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tinyfactory
from tests.support.waiting import until
from tests.unit.test_locks import CONTEXT, Shop
from tinyfactory import TinyPersonFactory, control, transactional
from tinyfactory.errors import Deadlock, InvalidInput, ObjectLocked
from tinyfactory.journal.parallel.locks import lock_of


@pytest.fixture(autouse=True)
def simulation(tmp_path):
    return control.begin(tmp_path / "j")


class Meeting(Shop):
    """Its calls meet after they have locked their first object."""

    meet: Any = staticmethod(lambda: None)
    meet_async: Any

    @transactional(version="1")
    def outer(self, other):
        self.items.append("outer")
        self.meet()
        self.friend.put("from outside")
        return "done"

    @transactional(version="1")
    async def outer_async(self):
        self.items.append("outer")
        await self.meet_async.wait()
        await self.friend.put_async("from outside")
        return "done"

    @transactional(version="1")
    async def put_async(self, item):
        self.items.append(item)

    @transactional(version="1", ignore=("held", "go_on"))
    async def hold(self, held, go_on):
        self.items.append("held")
        held.set()
        await go_on.wait()


def two():
    a, b = Meeting("A"), Meeting("B")
    a.friend, b.friend = b, a
    return a, b


def test_two_threads_that_lock_two_objects_crosswise():
    a, b = two()
    Meeting.meet = staticmethod(threading.Barrier(2, timeout=10).wait)
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(shop.outer, 1) for shop in (a, b)]
        errors = [end.exception() for end in ends]
    assert time.monotonic() - began < 5
    (error,) = [e for e in errors if e is not None]
    assert isinstance(error, Deadlock)
    assert "Meeting.put" in str(error) and "Meeting.outer" in str(error)
    assert a.name in str(error) or b.name in str(error)
    lost, won = (a, b) if errors[0] is not None else (b, a)
    assert won.items == ["outer"] and lost.items == ["from outside"]
    assert not lock_of(a).locked() and not lock_of(b).locked()
    Meeting.meet = staticmethod(lambda: None)
    assert lost.outer(1) == "done"  # made again it works


def test_three_threads_in_a_circle():
    shops = [Meeting(brand) for brand in "ABC"]
    for number, shop in enumerate(shops):
        shop.friend = shops[(number + 1) % 3]
    Meeting.meet = staticmethod(threading.Barrier(3, timeout=10).wait)
    with ThreadPoolExecutor(3) as pool:
        ends = [pool.submit(shop.outer, 1) for shop in shops]
        errors = [end.exception() for end in ends]
    assert len([e for e in errors if isinstance(e, Deadlock)]) == 1
    assert errors.count(None) == 2


def test_two_tasks_that_lock_two_objects_crosswise():
    a, b = two()

    async def go():
        Meeting.meet_async = asyncio.Event()
        tasks = [asyncio.create_task(shop.outer_async()) for shop in (a, b)]
        await asyncio.sleep(0.01)
        Meeting.meet_async.set()
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)

    ends = asyncio.run(go())
    assert {type(end) for end in ends} == {str, Deadlock}


def test_a_task_and_a_thread_that_lock_two_objects_crosswise():
    a, b = two()
    inside = threading.Event()
    Meeting.meet = staticmethod(inside.set)

    async def go():
        Meeting.meet_async = asyncio.Event()
        task = asyncio.create_task(b.outer_async())
        await asyncio.sleep(0)
        thread = asyncio.create_task(asyncio.to_thread(a.outer, 1))
        await asyncio.to_thread(inside.wait, 10)
        Meeting.meet_async.set()
        return await asyncio.wait_for(asyncio.gather(task, thread, return_exceptions=True), 10)

    ends = asyncio.run(go())
    assert sum(isinstance(end, Deadlock) for end in ends) <= 1
    assert sum(end == "done" for end in ends) >= 1


def test_inner_calls_beside_each_other_that_lock_crosswise():
    a, b = two()
    Meeting.meet = staticmethod(threading.Barrier(2, timeout=10).wait)

    class Root(Shop):
        @transactional(version="1")
        def both(self):
            contexts = [contextvars.copy_context() for _ in range(2)]
            with ThreadPoolExecutor(2) as pool:
                ends = [
                    pool.submit(c.run, s.outer, 1) for c, s in zip(contexts, (a, b), strict=True)
                ]
                return [type(end.exception()).__name__ for end in ends]

    assert sorted(Root().both()) == ["Deadlock", "NoneType"]


def test_a_sync_call_while_an_async_one_is_pending_in_this_loop():
    shop = Meeting("A")

    async def go():
        held, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(shop.hold(held, go_on))
        await held.wait()
        began = time.monotonic()
        with pytest.raises(Deadlock, match=r"Meeting\.put needs .*Meeting\.hold.*event loop"):
            shop.put("sync")
        assert time.monotonic() - began < 1
        go_on.set()
        await task
        shop.put("sync")

    asyncio.run(go())
    assert shop.items == ["held", "sync"]


def test_a_sync_call_through_another_object_while_an_async_one_is_pending():
    a, b = two()
    Meeting.meet = staticmethod(lambda: None)

    async def go():
        held, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(b.hold(held, go_on))
        await held.wait()
        with pytest.raises(Deadlock):
            a.outer(1)
        go_on.set()
        await task

    asyncio.run(go())
    assert a.items == [] and b.items == ["held"]


class Pool(Shop):
    @transactional(version="1")
    def fan(self):
        self.items.append("before")
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self.put, range(2)))

    @transactional(version="1", ignore=("work",))
    def run(self, work):
        return work()


def test_a_pool_within_a_call_on_the_same_object_ends_after_the_timeout():
    tinyfactory.configure(lock_timeout=0.4)
    shop = Pool("A")
    began = time.monotonic()
    with pytest.raises(ObjectLocked) as caught:
        shop.fan()
    assert 0.4 <= time.monotonic() - began < 5
    for word in ("Pool.put", "Pool.fan", shop.name, "copy_context", "lock_timeout"):
        assert word in str(caught.value)
    assert shop.items == [] and not lock_of(shop).locked()


def test_a_call_in_another_context_of_the_same_thread():
    shop = Pool("A")
    with pytest.raises(Deadlock):
        shop.run(lambda: contextvars.Context().run(shop.put, 1))


def test_a_holder_that_waits_for_a_model_makes_progress(serve):
    server = serve()
    tinyfactory.configure(lock_timeout=0.3)

    class Team(TinyPersonFactory):
        @transactional(version="1")
        def build(self):
            return self.generate_person().name

        @transactional(version="1")
        def rename(self, text):
            self.context_text = text

    team = Team(CONTEXT)
    server.slow = 1.0
    with ThreadPoolExecutor(2) as pool:
        built = pool.submit(team.build)
        until(lambda: server.requests)
        pool.submit(team.rename, "other").result()
        assert built.result()


def test_a_holder_that_makes_inner_calls_makes_progress():
    tinyfactory.configure(lock_timeout=0.5)
    shop, inside = Pool("A"), threading.Event()

    def work():
        inside.set()
        for number in range(8):
            time.sleep(0.12)
            shop.put(number)

    with ThreadPoolExecutor(2) as pool:
        holder = pool.submit(shop.run, work)
        assert inside.wait(10)
        pool.submit(shop.put, "other").result()
        holder.result()
    assert shop.items[-1] == "other"


class Team(TinyPersonFactory):
    @transactional(version="1")
    def build(self, together):
        job = self.start_people(2, concurrency=1 + together)
        try:
            job.wait()
        finally:
            job.cancel()

    @transactional(version="1")
    def iterate(self):
        job = self.start_people(2)
        try:
            return [person.name for person in job]
        finally:
            job.cancel()


@pytest.mark.parametrize("together", [0, 1])
def test_waiting_for_a_job_in_a_call_that_locks_the_factory(together):
    team = Team(CONTEXT, model="offline")
    began = time.monotonic()
    with pytest.raises((Deadlock, InvalidInput), match="build"):
        team.build(together)
    assert time.monotonic() - began < 5
    with pytest.raises(Deadlock, match="iterate"):
        team.iterate()
    team.last_job.join()
    assert team.generated_names == []


def test_lock_timeout_is_a_positive_number():
    for wrong in (0, -1, "1", True):
        with pytest.raises(InvalidInput, match="lock_timeout"):
            tinyfactory.configure(lock_timeout=wrong)  # type: ignore[arg-type]
