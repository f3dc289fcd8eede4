"""Another process has locked the database: Ctrl-C works at once, and nobody waits for ever."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from contextlib import contextmanager

import pytest

from tests.support.processes import end, start
from tests.support.processes import hear as said
from tests.support.waiting import until
from tests.unit.test_locks import Shop
from tinyfactory import TinyPersonFactory, control, transactional
from tinyfactory.errors import Cancelled, JournalUnavailable
from tinyfactory.journal.storage import database

LOCK = """
import sqlite3
connection = sqlite3.connect(f"{folder}/cache.db", isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
say("locked")
wait()
"""


@contextmanager
def locked(folder):
    """Locked by another process: it can be neither read nor written."""
    child = start(LOCK, folder)
    try:
        assert said(child) == "locked"
        yield
    finally:
        end(child)


@contextmanager
def interrupted(seconds=0.3):
    """The block is interrupted, and ends at once."""

    def interrupt():
        shot.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    shot: list[float] = []
    timer = threading.Timer(seconds, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    assert time.monotonic() - shot[0] < 1.0
    timer.join()


class Counting(Shop):
    runs = 0

    @transactional(version="1")
    def count(self, item):
        Counting.runs += 1
        self.items.append(item)
        self.on_the_way()
        return item


@pytest.fixture
def folder(tmp_path):
    Counting.runs = 0
    return tmp_path / "j"


def test_ctrl_c_while_a_locked_journal_is_opened(folder):
    control.begin(folder)
    control.end()
    with locked(folder), interrupted():
        control.begin(folder)
    control.begin(folder)
    assert Counting().count("a") == "a"


def test_ctrl_c_during_a_look_up(folder):
    control.begin(folder)
    shop = Counting()
    shop.count("a")
    with locked(folder), interrupted():
        shop.count("b")
    assert shop.items == ["a"] and Counting.runs == 1
    assert shop.count("b") == "b"


def lock_in_the_body(shop, stack):
    shop.on_the_way = lambda: stack.append(None) or stack[0].__enter__()


def test_ctrl_c_during_a_commit_and_the_same_call_again(folder):
    simulation = control.begin(folder)
    shop = Counting()
    shop.count("a")
    lock = locked(folder)
    shop.on_the_way = lock.__enter__
    try:
        with interrupted(1.5):
            shop.count("b")
        # Rolled back, and known: the same call is replayed, although it is not on disk yet.
        assert shop.items == ["a"] and Counting.runs == 2 and simulation.unsaved == 1
        shop.on_the_way = lambda: None
        assert shop.count("b") == "b" and shop.items == ["a", "b"]
        assert Counting.runs == 2
    finally:
        lock.__exit__(None, None, None)
    until(lambda: simulation.unsaved == 0)
    control.end()
    simulation = control.begin(folder)
    shop = Counting()
    assert [shop.count(name) for name in "ab"] == ["a", "b"]
    assert (Counting.runs, simulation.hits) == (2, 2)


def test_ctrl_c_during_a_commit_and_another_call(folder):
    control.begin(folder)
    shop = Counting()
    lock = locked(folder)
    shop.on_the_way = lock.__enter__
    try:
        with interrupted(1.5):
            shop.count("a")
    finally:
        lock.__exit__(None, None, None)
    shop.on_the_way = lambda: None
    shop.count("b")
    assert shop.items == ["b"]
    control.end()
    control.begin(folder)
    shop = Counting()
    shop.count("b")
    assert shop.items == ["b"] and Counting.runs == 2


def test_a_busy_database_ends_with_a_typed_error_in_time(folder, monkeypatch):
    control.begin(folder)
    shop = Counting()
    shop.count("a")
    monkeypatch.setattr(database, "PATIENCE", 0.5)
    with locked(folder):
        began = time.monotonic()
        with pytest.raises(JournalUnavailable, match="locked"):
            shop.count("b")
        assert time.monotonic() - began < 1.5
        control.end()
        began = time.monotonic()
        with pytest.raises(JournalUnavailable, match="locked"):
            control.begin(folder)
        assert time.monotonic() - began < 1.5
    assert shop.items == ["a"]


def test_ctrl_c_stops_a_job_whose_people_cannot_be_stored(folder, serve):
    server = serve()
    simulation = control.begin(folder)
    factory = TinyPersonFactory("A group of friends are on a camping trip.")
    lock = locked(folder)
    try:
        with server.held_until(3):
            threading.Thread(target=lock.__enter__).start()
            with interrupted(2.0):
                factory.generate_people(3, concurrency=3)
    finally:
        lock.__exit__(None, None, None)
    until(lambda: simulation.unsaved == 0)
    assert len(factory.generate_people(3, concurrency=3)) == 3
    assert len(server.requests) == 3


def test_a_cancelled_job_whose_people_cannot_be_stored_ends(folder, serve):
    server = serve()
    control.begin(folder)
    factory = TinyPersonFactory("A group of friends are on a camping trip.")
    server.allowed = 0
    job = factory.start_people(3, concurrency=3)
    until(lambda: len(server.requests) == 3)
    with locked(folder):
        server.allowed = 10
        time.sleep(0.5)  # the replies cannot be stored
        job.cancel()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            job.wait()
        assert time.monotonic() - began < 2
    assert len(factory.generate_people(3, concurrency=3)) == 3
