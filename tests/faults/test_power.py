"""A power cut, and a disk that fails to read: rebuilt from the calls of a real process."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.support.power import ACKNOWLEDGED, Disk, calls, digest_of, shim, write_image
from tests.support.processes import HEADER, environment
from tinyfactory.journal.storage.store import Store

# Each event is acknowledged after the store has returned. The folder has two new levels.
WRITER = """
store = Store(folder)
acknowledged = os.open(arguments[0], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(int(arguments[1])):
    name = f"event:{number}"
    store.add_all([(name, name + "x" * 300 * number), (f"line:{number}", number)])
    os.write(acknowledged, (name + "\\n").encode())
os._exit(0)
"""
# As the journal did it before: the file that undoes a commit may come back after it.
WITH_FULL = """
from tinyfactory.journal.storage import database
database.SETTINGS["sqlite_synchronous"] = 2
"""


def record(tmp_path, events, before=""):
    """The log of a process that stores events."""
    top, log = tmp_path / "disk", tmp_path / "log"
    top.mkdir()
    settings = {"LD_PRELOAD": str(shim()), "DISK_FOLDER": str(top), "DISK_LOG": str(log)}
    program = [sys.executable, "-c", HEADER + before + WRITER]
    subprocess.run(
        [*program, str(top / "new" / "journal"), str(top / ACKNOWLEDGED), str(events)],
        env=environment() | settings,
        check=True,
        timeout=120,
    )
    return top, log


def after_power_cuts(tmp_path, top, log, every=1):
    """Points of the log, images opened, acknowledged events checked, and those that were lost."""
    disk, seen = Disk(top), {}
    points = images = checked = 0
    lost = set()
    for number, call in enumerate(calls(log)):
        disk.follow(call)
        points += 1
        if number % every:
            continue
        for image in disk.images():
            key = (digest_of(image), len(disk.acknowledged))
            if key in seen:
                continue
            seen[key] = True
            images += 1
            place = tmp_path / "image"
            write_image(image, disk.top, place)
            with closing(Store(place / "new" / "journal")) as store:
                for name in disk.acknowledged:
                    checked += 1
                    value = store.get(name)
                    if value is None:
                        lost.add((number, name))
                    else:
                        assert value.startswith(name)
                assert [k for k in store if k.startswith("damaged")] == []
            shutil.rmtree(place)
    return points, images, checked, lost


def test_a_power_cut_loses_no_acknowledged_event(tmp_path):
    top, log = record(tmp_path, 3)
    points, images, checked, lost = after_power_cuts(tmp_path, top, log)
    assert points > 40 and images > 20 and checked > 20
    assert lost == set()


def test_the_images_show_what_a_weaker_sync_loses(tmp_path):
    """Otherwise the test above would show nothing."""
    top, log = record(tmp_path, 2, WITH_FULL)
    assert after_power_cuts(tmp_path, top, log)[3]


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_power_cuts_at_every_point_of_a_long_log(tmp_path, capsys):
    told = []
    for name, before in (("EXTRA", ""), ("FULL, as before", WITH_FULL)):
        place = tmp_path / name[:4]
        place.mkdir()
        top, log = record(place, 12, before)
        points, images, checked, lost = after_power_cuts(place, top, log)
        at = len({number for number, _ in lost})
        told.append(
            f"synchronous {name}: {points} points, {images} images, {checked:,} acknowledged "
            f"events looked up: lost at {at} points"
        )
        assert bool(lost) == (name != "EXTRA")
    with capsys.disabled():
        print("\n" + "\n".join(told))


# -- one failing read ------------------------------------------------------------------------

READER = """
import logging
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
from tinyfactory.errors import TinyFactoryError
try:
    store = Store(folder)
    found = sum(store.get(f"event:{n}") is not None for n in range(12))
    store.add("event:new", 1)
    store.close()
except TinyFactoryError as error:
    found = type(error).__name__
say(found)
os._exit(0)
"""


def read_with_failure(folder, number, how):
    settings = {"LD_PRELOAD": str(shim()), "DISK_FOLDER": str(folder), "DISK_FAIL": str(number)}
    return subprocess.run(
        [sys.executable, "-c", HEADER + READER, str(folder)],
        env=environment() | settings | {"DISK_HOW": how},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("how", ["error", "zeros"])
@pytest.mark.parametrize("number", [1, 2, 4, 7, 11])
def test_one_failing_read_sets_no_healthy_file_aside(tmp_path, number, how):
    check_failing_read(tmp_path / "journal", number, how)


def check_failing_read(folder, number, how):
    with closing(Store(folder)) as store:
        store.add_all([(f"event:{n}", f"{n}" + "x" * 3000) for n in range(12)])
    file = (folder / "cache.db").stat().st_ino
    done = read_with_failure(folder, number, how)
    assert done.stdout.strip() == "12", (number, how, done.stdout, done.stderr)
    assert (folder / "cache.db").stat().st_ino == file
    assert [path.name for path in folder.iterdir()] == ["cache.db"]
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return "nothing was set aside" in done.stderr


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_each_read_fails_once(tmp_path, capsys):
    warned = sum(
        check_failing_read(tmp_path / f"{how}{number}", number, how)
        for how in ("error", "zeros")
        for number in range(1, 31)
    )
    with capsys.disabled():
        print(f"\n60 runs with one failing read: 12 of 12 events found in each, {warned} warned")
