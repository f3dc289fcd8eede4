"""What a call may change stays locked until the outermost call ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.waiting import until
from tinyfactory import TinyFactory, TinyPersonFactory, control, transactional
from tinyfactory.errors import JournalError
from tinyfactory.journal.parallel.locks import lock_of
from tinyfactory.journal.transactions.transaction import current_transaction

CONTEXT = "A group of friends are on a camping trip."


class Shop(TinyFactory):
    def __init__(self, brand="Acme"):
        super().__init__()
        self.brand, self.items = brand, []
        self.friend = None
        self.on_the_way = lambda: None

    def encode_complete_state(self):
        own = {"brand": self.brand, "items": list(self.items)}
        return super().encode_complete_state() | own

    def decode_complete_state(self, state):
        self.brand, self.items = state["brand"], list(state["items"])
        return super().decode_complete_state(state)

    @transactional(version="1")
    def put(self, item):
        self.items.append(item)
        return len(self.items)

    @transactional(version="1", touches=())
    def put_later(self, item):
        current_transaction().stage({"append": {"items": [item]}})

    @transactional(version="1")
    def put_in_friend(self, item, fail=False):
        self.friend.put(item)
        self.on_the_way()
        if fail:
            raise ValueError("on purpose")

    @transactional(version="1")
    def stage_in_friend(self, item, fail=False):
        self.friend.put_later(item)
        self.on_the_way()
        if fail:
            raise ValueError("on purpose")

    @transactional(version="1")
    def join_friend(self, item):
        current_transaction().lock(self.friend)
        self.on_the_way()


def meeting(inside, go_on):
    def meet():
        inside.set()
        assert go_on.wait(10)

    return meet


@pytest.fixture(params=["in a simulation", "free"])
def shops(request, tmp_path):
    if request.param != "free":
        control.begin(tmp_path / "j")
    shop, friend = Shop("A"), Shop("B")
    shop.friend = friend
    return shop, friend


@pytest.mark.parametrize("method", ["put_in_friend", "stage_in_friend"])
@pytest.mark.parametrize("other", ["put", "put_later"])
def test_the_commit_of_another_thread_is_not_lost_when_the_outer_call_rolls_back(
    shops, method, other
):
    shop, friend = shops
    inside, go_on = threading.Event(), threading.Event()
    shop.on_the_way = meeting(inside, go_on)
    with ThreadPoolExecutor(2) as pool:
        outer = pool.submit(getattr(shop, method), "uncommitted", fail=True)
        assert inside.wait(10)
        later = pool.submit(getattr(friend, other), "committed")
        until(lambda: lock_of(friend).queue or later.done())
        assert not later.done()
        go_on.set()
        assert isinstance(outer.exception(), ValueError)
        later.result()
    assert friend.items == ["committed"]
    assert not lock_of(friend).locked() and not lock_of(shop).locked()


def test_another_thread_does_not_see_what_is_not_committed(shops):
    shop, friend = shops
    inside, go_on = threading.Event(), threading.Event()
    shop.on_the_way = meeting(inside, go_on)
    with ThreadPoolExecutor(2) as pool:
        outer = pool.submit(shop.put_in_friend, "first")
        assert inside.wait(10)
        later = pool.submit(friend.put, "second")
        until(lambda: lock_of(friend).queue)
        go_on.set()
        outer.result()
        assert later.result() == 2
    assert friend.items == ["first", "second"]


def test_an_object_can_be_locked_in_the_middle_of_a_body(shops):
    shop, friend = shops
    inside, go_on = threading.Event(), threading.Event()
    shop.on_the_way = meeting(inside, go_on)
    with ThreadPoolExecutor(2) as pool:
        outer = pool.submit(shop.join_friend, "x")
        assert inside.wait(10) and lock_of(friend).locked()
        later = pool.submit(friend.put, "second")
        until(lambda: lock_of(friend).queue)
        go_on.set()
        outer.result()
        later.result()
    assert not lock_of(friend).locked()


def test_an_inner_call_that_failed_does_not_keep_its_object(shops):
    friend = shops[0]

    class Caller(Shop):
        @transactional(version="1")
        def try_it(self):
            with pytest.raises(ValueError, match="on purpose"):
                friend.put_in_friend("x", fail=True)
            return lock_of(friend).locked()

    assert Caller().try_it() is False


def test_what_a_call_locks_its_inner_calls_lock_too_one_after_another(shops):
    seen: list[int] = []

    class Fan(Shop):
        @transactional(version="1")
        def fan(self):
            run = contextvars.copy_context
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(lambda n: run().run(self.put, n), range(4)))

        @transactional(version="1")
        def spread(self):
            # In threads with the context of this call
            contexts = [contextvars.copy_context() for _ in range(8)]
            with ThreadPoolExecutor(8) as pool:
                done = [pool.submit(c.run, self.put, n) for n, c in enumerate(contexts)]
                seen.extend(one.result() for one in done)

    fan = Fan()
    fan.spread()
    assert sorted(seen) == list(range(1, 9)) and sorted(fan.items) == list(range(8))


def test_tasks_get_the_object_in_the_order_of_their_creation(shops):
    class Slow(Shop):
        @transactional(version="1")
        async def put_slowly(self, item):
            await asyncio.sleep(0.001 * (9 - item))
            self.items.append(item)
            return len(self.items)

    async def all_at_once():
        return await asyncio.gather(*(slow.put_slowly(n) for n in range(8)))

    slow = Slow()
    assert asyncio.run(all_at_once()) == list(range(1, 9))
    assert slow.items == list(range(8))


def test_parallel_people_do_not_wait_for_each_other(server, tmp_path):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    with server.held_until(6), ThreadPoolExecutor(6) as pool:
        people = list(pool.map(lambda _: factory.generate_person(), range(6)))
    assert len({person.name for person in people}) == 6


def test_a_cancelled_task_leaves_the_queue(shops):
    class Held(Shop):
        @transactional(version="1", ignore=("held", "go_on"))
        async def hold(self, held, go_on):
            held.set()
            await go_on.wait()

        @transactional(version="1")
        async def put_async(self, item):
            self.items.append(item)

    async def go():
        held, go_on = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(thing.hold(held, go_on))
        await held.wait()
        second = asyncio.create_task(thing.put_async("cancelled"))
        third = asyncio.create_task(thing.put_async("third"))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, second, third, return_exceptions=True)

    thing = Held()
    asyncio.run(go())
    assert thing.items == ["third"] and not lock_of(thing).locked()


def test_a_task_that_outlives_its_call_is_rolled_back_and_leaves_no_lock(shops):
    class Leaving(Shop):
        @transactional(version="1")
        async def leave(self):
            tasks.append(asyncio.create_task(self.slow()))
            await asyncio.sleep(0)

        @transactional(version="1")
        async def slow(self):
            self.items.append("late")
            await asyncio.sleep(0.01)

        @transactional(version="1")
        async def leave_a_friend(self):
            tasks.append(asyncio.create_task(self.friend.later()))
            await asyncio.sleep(0)

        async def later(self):
            await asyncio.sleep(0.01)
            self.put("by itself")

    tasks: list[Any] = []
    thing = Leaving()
    thing.friend = Leaving()

    async def go():
        await thing.leave()
        with pytest.raises(JournalError, match="leave has ended before slow"):
            await tasks[0]
        await thing.leave_a_friend()
        await tasks[1]

    asyncio.run(go())
    assert thing.items == [] and thing.friend.items == ["by itself"]
    assert not lock_of(thing).locked() and not lock_of(thing.friend).locked()
    assert thing.put("after") == 1
