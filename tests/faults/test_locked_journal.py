"""Another process has locked the database: Ctrl-C works at once, and nobody waits for ever."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.processes import end, hear, start
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


class Lock:
    """Another process that locks the journal: it can be neither read nor written."""

    def __init__(self, folder):
        self.folder = folder
        self.locked = threading.Event()

    def __enter__(self):
        self.child = start(LOCK, self.folder)
        assert hear(self.child) == "locked"
        self.locked.set()
        return self

    def __exit__(self, *error):
        end(self.child)


@contextmanager
def interrupted(lock):
    """The block is interrupted after the journal was locked, and ends at once."""

    def interrupt():
        assert lock.locked.wait(30)
        time.sleep(0.3)
        shot.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    shot: list[float] = []
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    assert time.monotonic() - shot[0] < 1.5
    thread.join()


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
    with Lock(folder) as lock, interrupted(lock):
        control.begin(folder)
    control.begin(folder)
    assert Counting().count("a") == "a"


def test_ctrl_c_during_a_look_up(folder):
    control.begin(folder)
    shop = Counting()
    shop.count("a")
    with Lock(folder) as lock, interrupted(lock):
        shop.count("b")
    assert shop.items == ["a"] and Counting.runs == 1
    assert shop.count("b") == "b"


def test_ctrl_c_during_a_commit_and_the_same_call_again(folder):
    simulation = control.begin(folder)
    shop = Counting()
    shop.count("a")
    lock = Lock(folder)
    shop.on_the_way = lock.__enter__
    try:
        with interrupted(lock):
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
    lock = Lock(folder)
    shop.on_the_way = lock.__enter__
    try:
        with interrupted(lock):
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
    with Lock(folder):
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


CONTEXT = "A group of friends are on a camping trip."


class Locking(TinyPersonFactory):
    """Locks the journal before the first person is stored."""

    lock: Any = None

    def _setup_agent(self, agent, configuration):
        if self.lock is not None:
            lock, Locking.lock = self.lock, None
            lock.__enter__()
        agent.define_all(configuration)


def answer_when_locked(server, lock):
    """Let the replies arrive when another process has locked the journal."""

    def work():
        until(lambda: len(server.requests) == 3)
        lock.__enter__()
        server.allowed = 10

    server.allowed = 0
    threading.Thread(target=work).start()


@pytest.mark.parametrize("when", ["replies arrive", "people are stored"])
def test_ctrl_c_stops_a_job_while_the_journal_is_locked(folder, serve, when):
    server = serve()
    simulation = control.begin(folder)
    lock = Lock(folder)
    factory = Locking(CONTEXT)
    if when == "replies arrive":
        answer_when_locked(server, lock)
    else:
        Locking.lock = lock
    try:
        with interrupted(lock):
            factory.generate_people(3, concurrency=3)
        assert factory.generated_names == []
    finally:
        lock.__exit__(None, None, None)
    assert len(factory.generate_people(3, concurrency=3)) == 3
    assert len(server.requests) == 3
    until(lambda: simulation.unsaved == 0)


def test_a_cancelled_job_ends_while_the_journal_is_locked(folder, serve):
    server = serve()
    control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    lock = Lock(folder)
    answer_when_locked(server, lock)
    job = factory.start_people(3, concurrency=3)
    try:
        until(lambda: server.allowed == 10)
        time.sleep(0.3)
        job.cancel()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            job.wait()
        assert time.monotonic() - began < 2
    finally:
        lock.__exit__(None, None, None)
    assert len(factory.generate_people(3, concurrency=3)) == 3
    assert len(server.requests) == 3
