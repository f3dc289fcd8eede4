"""Rows of damaged files are found page by page, and only whole ones are taken."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from tests.support.products import ProductFactory
from tinyfactory import control
from tinyfactory.journal.storage.rescue import rescued
from tinyfactory.journal.storage.store import Store

EVENTS = 41


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


def fill(folder):
    """A journal of 41 events of different lengths, some with overflow pages."""
    values = {f"event:{n:040}": f"{n}" + "x" * (500 + n * 97 % 5000) for n in range(EVENTS)}
    with closing(Store(folder)) as store:
        for item in values.items():
            store.add(*item)
    return values


def test_all_rows_of_a_healthy_file_are_found_in_order(folder):
    values = fill(folder)
    found = list(rescued(folder / "cache.db"))
    assert [row.key for row in found] == list(values)
    assert all(row.seal is not None for row in found)


@pytest.mark.parametrize(("share", "aim"), [(95, 38), (80, 32), (50, 19), (30, 11), (5, 0), (0, 0)])
def test_a_file_that_was_cut_off_is_rescued(folder, caplog, share, aim):
    values = fill(folder)
    file = folder / "cache.db"
    os.truncate(file, file.stat().st_size * share // 100)
    left = file.read_bytes()
    with closing(Store(folder)) as store:
        found = {key: store.get(key) for key in store}
        store.add("event:new", 1)
    assert len(found) >= aim and found.items() <= values.items()
    if left:
        assert (folder / "cache.db.damaged-1").read_bytes() == left
        assert f"{len(found)} rows that could still be read ({len(found)} events)" in caplog.text
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_rows_are_found_below_a_header_that_was_overwritten(folder):
    values = fill(folder)
    with (folder / "cache.db").open("r+b") as file:
        file.write(b"x" * 100)
    with closing(Store(folder)) as store:
        assert {key: store.get(key) for key in store} == values


def test_removed_rows_do_not_come_back(folder):
    values = fill(folder)
    gone = list(values)[5:30]
    with closing(Store(folder)) as store:
        store.remove_all(gone)
    os.truncate(folder / "cache.db", (folder / "cache.db").stat().st_size - 4096)
    with closing(Store(folder)) as store:
        assert not set(gone) & set(store)


def test_a_changed_or_moved_row_is_not_rescued(folder):
    fill(folder)
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        database.execute("UPDATE Cache SET value = value || 'y' WHERE rowid = 3")
        database.execute("UPDATE Cache SET key = 'event:other' WHERE rowid = 4")
        database.commit()
    assert len(list(rescued(folder / "cache.db"))) == EVENTS - 2


def test_a_rescue_on_a_full_disk_leaves_the_damaged_file_in_place(folder, monkeypatch):
    from tinyfactory.journal.storage import database as databases

    fill(folder)
    file = folder / "cache.db"
    os.truncate(file, file.stat().st_size // 2)
    left = file.read_bytes()

    def full(self, row):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(databases.Database, "insert", full)
        with pytest.raises(Exception, match="cannot be opened"):
            Store(folder)
    assert file.read_bytes() == left and [p.name for p in folder.iterdir()] == ["cache.db"]
    with closing(Store(folder)) as store:
        assert len(store) >= 19


def test_people_of_a_notebook_are_replayed_from_what_was_rescued(folder, caplog):
    control.begin(folder)
    factory = ProductFactory()
    for number in range(EVENTS):
        factory.make(f"{number}" + "x" * 800)
    control.reset()
    file = folder / "cache.db"
    os.truncate(file, file.stat().st_size * 80 // 100)
    simulation = control.begin(folder)
    factory = ProductFactory()
    for number in range(EVENTS):
        factory.make(f"{number}" + "x" * 800)
    assert simulation.hits >= 28 and simulation.hits + factory.runs == EVENTS
