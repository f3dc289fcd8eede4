"""The store: JSON under text keys, on disk when `add` returns, never overwritten."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tinyfactory.errors import JournalUnavailable, NotSerialisable
from tinyfactory.journal.storage.database import (
    NAME,
    READ,
    SETTINGS,
    Database,
    Reader,
    is_busy,
    is_damage,
    is_forbidden,
    reason,
)
from tinyfactory.journal.storage.store import Store, Waiting, Writer
from tinyfactory.journal.values.stored_text import Sealed, seal


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "journal")
    yield store
    store.close()


def on_disk(store):
    """Keys as another process sees them."""
    connection = sqlite3.connect(store.folder / "cache.db")
    found = [key for (key,) in connection.execute("SELECT key FROM Cache ORDER BY rowid")]
    connection.close()
    return found


def test_what_is_added_is_there_for_everyone(store, tmp_path):
    value = {"a": [1, 2.5, None, True, "é"], "b": {}}
    assert store.add("k", value) is value
    assert store.get("k") == value
    other = Store(tmp_path / "journal")
    assert other.get("k") == value and on_disk(store) == ["k"]
    other.close()


def test_what_is_not_there_is_none(store):
    assert store.get("nothing") is None


def test_the_first_added_stands(store, tmp_path):
    other = Store(tmp_path / "journal")
    assert store.add("k", "first") == "first"
    assert other.add("k", "second") == store.add("k", "third") == "first"
    other.close()


def test_several_are_added_in_one_commit_and_those_that_stand_are_given(store):
    store.add("b", "before")
    assert store.add_all([("a", 1), ("b", 2), ("c", 3)]) == [1, "before", 3]
    assert list(store) == ["b", "a", "c"] and len(store) == 3


def test_what_was_added_does_not_change_with_the_object(store):
    value = {"a": [1]}
    store.add("k", value)
    value["a"].append(2)
    store.get("k")["a"].append(3)
    assert store.get("k") == {"a": [1]}


def test_one_that_cannot_be_kept_fails_alone(store):
    def add(number):
        try:
            return store.add(f"k{number}", float("nan") if number % 5 == 0 else number)
        except NotSerialisable:
            return "refused"

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(add, range(50)))
    assert results == ["refused" if n % 5 == 0 else n for n in range(50)]
    assert sorted(store) == sorted(f"k{n}" for n in range(50) if n % 5)
    with pytest.raises(UnicodeEncodeError):
        store.add("half", "\ud800")


def test_what_several_wait_for_goes_into_one_commit(store):
    commits = []
    inner, gate = store._writer._commit, threading.Event()

    def counted(batches):
        commits.append(len(batches))
        gate.wait(100)
        return inner(batches)

    store._writer._commit = counted
    with ThreadPoolExecutor(30) as pool:
        futures = [pool.submit(store.add, f"k{n}", n) for n in range(30)]
        while store._writer._queue.qsize() < 30 - sum(commits):
            pass
        gate.set()
        assert [future.result() for future in futures] == list(range(30))
    assert sum(commits) == 30 and len(commits) <= 3


def test_a_closed_store_opens_again_when_it_is_used(store):
    store.add("a", 1)
    store.close()
    assert store.get("a") == 1
    store.close()
    assert store.add("b", 2) == 2
    store.close()
    store.close()
    assert on_disk(store) == ["a", "b"]


def test_closing_beside_writers_loses_nothing(store):
    stop = threading.Event()

    def close_often():
        while not stop.is_set():
            store.close()
            time.sleep(0.002)

    closer = threading.Thread(target=close_often)
    closer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            keys = [f"k{n}" for n in range(100)]
            assert list(pool.map(lambda k: store.add(k, k), keys)) == keys
            assert list(pool.map(store.get, keys)) == keys
    finally:
        stop.set()
        closer.join()
    assert sorted(on_disk(store)) == sorted(keys)


def test_settings_are_those_asked_for_whatever_the_folder_had(tmp_path):
    store = Store(tmp_path / "j")
    store.close()
    connection = sqlite3.connect(tmp_path / "j" / "cache.db")
    connection.execute("UPDATE Settings SET value = 'least-recently-used' WHERE key LIKE 'evict%'")
    connection.execute("UPDATE Settings SET value = 1 WHERE key IN ('size_limit', 'cull_limit')")
    connection.commit()
    connection.close()
    database = Database(tmp_path / "j")
    assert {name: getattr(database, name) for name in SETTINGS} == SETTINGS
    names = ("journal_mode", "synchronous")
    pragmas = [database._sql(f"PRAGMA {name}").fetchall() for name in names]
    database.close()
    assert pragmas == [[("delete",)], [(3,)]]  # EXTRA


@pytest.mark.parametrize("name", ["$HOME", "~", "${HOME}/x", "a b'c?d#e%41"])
def test_a_path_is_taken_literally(tmp_path, name):
    folder = tmp_path / name
    store = Store(folder)
    assert store.add("k", 1) == store.get("k") == 1
    assert (folder / "cache.db").exists() and folder.stat().st_mode & 0o777 == 0o700
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name.split("/")[0]]


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    store = Store("$HOME")
    monkeypatch.chdir("/")
    store.add("k", 1)
    store.close()
    assert (tmp_path / "$HOME" / "cache.db").exists()


def test_the_home_folder_may_be_named_in_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Store("~/journal").close()
    assert (tmp_path / "home" / "journal" / "cache.db").exists()


def test_a_path_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnavailable, match="Give a folder that can be written"):
        Store(tmp_path / "file" / "journal")


def test_keys_that_are_not_text_are_refused(store):
    with pytest.raises(TypeError, match="keys of the journal are text"):
        store.add(1, 2)
    assert store.add("after", 1) == 1


def test_many_keys_come_in_order(store):
    keys = [f"k{n}" for n in range(2500)]
    store.add_all([(key, 1) for key in keys])
    assert list(store) == keys


def test_what_was_set_aside_by_another_process_is_not_written_to(store, caplog):
    """The file was replaced by a new one while this store had the old one open."""
    store.add("a", 1)
    (store.folder / "cache.db").rename(store.folder / "cache.db.elsewhere")
    fresh = Store(store.folder)
    fresh.add("b", 2)
    assert store.get("b") == 2
    assert store.add("c", 3) == 3 and fresh.get("c") == 3
    assert on_disk(store) == ["b", "c"]
    fresh.close()


# -- parts -----------------------------------------------------------------------------------


def test_kinds_of_failure_are_told_apart(tmp_path):
    def error_of(sql, *, file="db", uri=""):
        connection = sqlite3.connect(f"file:{tmp_path / file}{uri}", uri=True, timeout=0)
        try:
            connection.execute(sql)
        except sqlite3.Error as error:
            return error
        finally:
            connection.close()
        raise AssertionError("no error")

    holder = sqlite3.connect(tmp_path / "db", isolation_level=None)
    holder.execute("CREATE TABLE t (x)")
    (tmp_path / "broken").write_bytes(os.urandom(5000))
    broken = error_of("SELECT * FROM t", file="broken")
    forbidden = error_of("INSERT INTO t VALUES (1)", uri="?mode=ro")
    holder.execute("BEGIN EXCLUSIVE")
    busy = error_of("SELECT * FROM t")
    holder.close()
    kinds = [(is_damage(e), is_forbidden(e), is_busy(e)) for e in (broken, forbidden, busy)]
    assert kinds == [(True, False, False), (False, True, False), (False, False, True)]
    assert is_forbidden(PermissionError()) and not is_damage(OSError())
    assert reason(OSError("no room")) == "no room"
    assert reason(OSError()) == "OSError"


def test_waiting_keeps_the_first_of_two_and_their_order():
    waiting = Waiting()
    assert waiting.add([("event:1", seal(1)), ("line:1", seal(0))]) == [None, None]
    assert waiting.add([("event:1", seal(2)), ("reply:2", seal(2))]) == [1, None]
    assert len(waiting) == 2
    waiting.saved(1)
    assert list(waiting.rows) == ["event:1", "reply:2"]
    waiting.saved(1)
    assert not waiting.rows and not waiting.batches


def test_a_writer_raises_to_the_caller_and_goes_on():
    def commit(batches):
        if any(key == "bad" for batch in batches for key, _ in batch):
            raise NotSerialisable("no")
        return [[None] * len(batch) for batch in batches]

    writer = Writer(commit)
    with pytest.raises(NotSerialisable):
        writer.store([("bad", Sealed())])
    with pytest.raises(ZeroDivisionError):
        writer.call(lambda: 1 / 0)
    assert writer.store([("good", Sealed())]) == [None]
    writer.stop()
    assert writer.store([("again", Sealed())]) == [None]
    writer.stop()


def test_a_writer_works_where_no_thread_can_be_started(monkeypatch):
    """As at the end of an interpreter."""

    def no_threads(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", no_threads)
    writer = Writer(lambda batches: [[None] for _ in batches])
    assert writer.store([("k", Sealed())]) == [None]
    writer.stop()


def test_an_interrupted_look_up_leaves_no_lock_while_its_traceback_is_kept(tmp_path):
    store = Store(tmp_path)
    store.add("key", "x" * 2000)
    reader = Reader(tmp_path / NAME, may_write=True)
    other = sqlite3.connect(tmp_path / NAME, timeout=0, isolation_level=None)
    main, ended, armed = threading.main_thread().ident, threading.Event(), False

    def interrupted(number, frame):
        if armed:
            raise KeyboardInterrupt

    def aim():
        while not ended.wait(random.uniform(0, 0.0006)):
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupted)
    thread = threading.Thread(target=aim)
    thread.start()
    try:
        for _ in range(300):
            kept = None
            while kept is None:
                try:
                    armed = True
                    reader.query(READ, "key")
                    armed = False
                except KeyboardInterrupt as error:
                    armed, kept = False, error
            other.execute("BEGIN EXCLUSIVE")
            other.execute("ROLLBACK")
            assert reader.lock.acquire(blocking=False)
            reader.lock.release()
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
        other.close()
        reader.close()
        store.close()


def test_what_was_read_can_be_changed_without_changing_what_is_read_next(tmp_path):
    store = Store(tmp_path)
    store.add("key", {"list": [1]})
    store.get("key")["list"].append(2)
    assert store.get("key") == {"list": [1]}
    store.close()
