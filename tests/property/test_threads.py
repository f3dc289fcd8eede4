"""Two objects and threads: no commit is lost, nothing half done stays, all is found again."""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_locks import Shop
from tinyfactory import control, transactional
from tinyfactory.errors import Deadlock
from tinyfactory.journal.parallel.locks import lock_of
from tinyfactory.journal.transactions.transaction import current_transaction

METHODS = ("put", "put_later", "put_in_friend", "stage_in_friend", "both", "spread")
OPS = st.tuples(
    st.integers(0, 1),  # on which shop
    st.sampled_from(METHODS),
    st.booleans(),  # whether it fails at its end
    st.integers(0, 2),  # milliseconds in its body
)


class Trader(Shop):
    """Changes itself and its friend, in inner calls and in threads of its own."""

    meet: Any = staticmethod(lambda: None)

    def _end(self, fail, milliseconds):
        time.sleep(milliseconds / 1000)
        if fail:
            raise ValueError("on purpose")

    @transactional(version="2")
    def put(self, item, fail=False, milliseconds=0):
        self.items.append(item)
        self._end(fail, milliseconds)

    @transactional(version="2", touches=())
    def put_later(self, item, fail=False, milliseconds=0):
        current_transaction().stage({"append": {"items": [item]}})
        Trader.meet()
        self._end(fail, milliseconds)

    @transactional(version="2")
    def put_in_friend(self, item, fail=False, milliseconds=0):
        self.friend.put(item)
        self._end(fail, milliseconds)

    @transactional(version="2")
    def stage_in_friend(self, item, fail=False, milliseconds=0):
        self.friend.put_later(item)
        self._end(fail, milliseconds)

    @transactional(version="2")
    def both(self, item, fail=False, milliseconds=0):
        self.items.append(item)
        with contextlib.suppress(ValueError):
            self.friend.put("never", fail=True)
        self.friend.put(item)
        self._end(fail, milliseconds)

    @transactional(version="2")
    def spread(self, item, fail=False, milliseconds=0):
        contexts = [contextvars.copy_context() for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            done = [
                pool.submit(context.run, shop.put, item)
                for context, shop in zip(contexts, (self, self.friend), strict=True)
            ]
            for one in done:
                one.result()
        self._end(fail, milliseconds)


# The shops that a method leaves its item in.
CHANGES = {
    "put": (True, False),
    "put_later": (True, False),
    "put_in_friend": (False, True),
    "stage_in_friend": (False, True),
    "both": (True, True),
    "spread": (True, True),
}


@contextlib.contextmanager
def short_slices() -> Iterator[None]:
    """Threads take turns often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextlib.contextmanager
def new_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp()
    try:
        yield folder
    finally:
        control.reset()
        shutil.rmtree(folder)


def two() -> list[Trader]:
    shops = [Trader("A"), Trader("B")]
    shops[0].friend, shops[1].friend = shops[1], shops[0]
    return shops


def run(programs, shops, numbers):
    """Run each program in a thread: what the shops must hold then, and how many deadlocks."""
    barrier = threading.Barrier(len(programs))
    expected: list[list[Any]] = [[], []]
    deadlocks: list[Deadlock] = []

    def work(program):
        barrier.wait(10)
        for number, method, fail, milliseconds in program:
            item = next(numbers)
            while True:
                try:
                    getattr(shops[number], method)(item, fail, milliseconds)
                except ValueError:
                    break
                except Deadlock as error:
                    deadlocks.append(error)  # rolled back; made again it works at some time
                    continue
                for changed, place in zip(CHANGES[method], (number, 1 - number), strict=True):
                    if changed:
                        expected[place].append(item)
                break

    with short_slices(), ThreadPoolExecutor(len(programs)) as pool:
        list(pool.map(work, programs))
    return expected, len(deadlocks)


def check_atomicity(programs, *, saved):
    with new_folder() as folder:
        simulation = control.begin(folder) if saved else None
        shops = two()
        expected, deadlocks = run(programs, shops, itertools.count())
        assert [sorted(shop.items) for shop in shops] == [sorted(items) for items in expected]
        assert not any(lock_of(shop).locked() or lock_of(shop).queue for shop in shops)
        assert current_transaction() is None
        if simulation is not None:
            made = sum(not op[2] for program in programs for op in program)
            assert simulation.hits == 0
            assert simulation.misses >= made
            assert len([e for shop in shops for e in shop.history()]) == made
    return deadlocks


PROGRAMS = st.lists(st.lists(OPS, min_size=1, max_size=4), min_size=2, max_size=4)


@settings(max_examples=25, derandomize=True)
@given(programs=PROGRAMS, saved=st.booleans())
def test_no_commit_is_lost_and_nothing_half_done_stays(programs, saved):
    check_atomicity(programs, saved=saved)


@pytest.mark.drill
@pytest.mark.timeout(1800)
@settings(max_examples=1500)
@given(programs=PROGRAMS, saved=st.booleans())
def test_no_commit_is_lost_and_nothing_half_done_stays_at_length(programs, saved):
    check_atomicity(programs, saved=saved)


PHASES = st.lists(
    st.one_of(
        # Calls that overlap: on which shop, with which item, and how long they take.
        st.lists(
            st.tuples(st.integers(0, 1), st.sampled_from("abc"), st.integers(0, 3)),
            min_size=1,
            max_size=6,
        ),
        # One call that runs alone.
        st.tuples(st.integers(0, 1), st.sampled_from(METHODS), st.sampled_from("abc")),
    ),
    min_size=1,
    max_size=4,
)


def check_replay(phases):
    """The first run of a phase in parallel makes all its calls overlap; a replay does not."""

    def go(folder, *, first):
        simulation = control.begin(folder)
        shops = two()

        def call(one):
            number, item, milliseconds = one
            shops[number].put_later(item, False, milliseconds)

        for phase in phases:
            if isinstance(phase, tuple):
                number, method, item = phase
                getattr(shops[number], method)(item)
                continue
            if first:
                Trader.meet = threading.Barrier(len(phase), timeout=10).wait
            with short_slices(), ThreadPoolExecutor(len(phase)) as pool:
                list(pool.map(call, phase))
            Trader.meet = staticmethod(lambda: None)
        for shop in shops:
            shop.put("last")
        items = [shop.items for shop in shops]
        control.end()
        return items, simulation.misses

    with new_folder() as folder:
        made, _ = go(folder, first=True)
        for _ in range(2):
            assert go(folder, first=False) == (made, 0)


@settings(max_examples=25, derandomize=True)
@given(phases=PHASES)
def test_calls_that_overlapped_are_all_found_again(phases):
    check_replay(phases)


@pytest.mark.drill
@pytest.mark.timeout(1800)
@settings(max_examples=1000)
@given(phases=PHASES)
def test_calls_that_overlapped_are_all_found_again_at_length(phases):
    check_replay(phases)
