"""Long runs against the journal: a short form for every test run, a long form for drills."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import end, finish, hear, run, start, tell
from tests.support.products import ProductFactory
from tinyfactory import control
from tinyfactory.journal.storage.store import Store

# Writes to the same folder and prints how long it took.
WRITE = """
control.begin(folder, "other")
began = time.monotonic()
ProductFactory("other").make("x")
say(time.monotonic() - began)
"""

# -- interrupts ------------------------------------------------------------------------------

INTERRUPTED = """
import random
from queue import SimpleQueue
rounds = int(arguments[0])
main, armed, interrupts = threading.main_thread().ident, False, 0
shots = SimpleQueue()

def interrupted(number, frame):
    global armed, interrupts
    if armed:  # else it missed: it hit this program, and not a step
        armed, interrupts = False, interrupts + 1
        raise KeyboardInterrupt

def aim():
    while True:
        time.sleep(shots.get())
        signal.pthread_kill(main, signal.SIGINT)

signal.signal(signal.SIGINT, interrupted)
threading.Thread(target=aim, daemon=True).start()
control.begin(folder)
factory, kept, took, number = ProductFactory(), [], 0.005, 0
while interrupts < rounds:
    number += 1
    name = f"p{number}"
    began = time.monotonic()
    try:
        armed = True
        shots.put(random.uniform(0, 1.1) * took)
        factory.make(name)
        armed = False
        took = 0.9 * took + 0.1 * (time.monotonic() - began)
    except KeyboardInterrupt:
        pass
    if factory.products[-1:] == [name]:
        kept.append(name)
    assert factory.products == kept, (number, factory.products[-3:], kept[-3:])
    if number % 500 == 0:  # a new line, so that the state does not grow for ever
        control.current_simulation().begin()
        factory, kept = ProductFactory(f"brand {number}"), []
armed = False
say(interrupts, number, factory.brand)
say(kept)
wait()
"""


def interrupt_often(folder: Path, rounds: int) -> tuple[int, int, float]:
    """Interrupt commits: interrupts and steps, and how long another process then needed."""
    child = start(INTERRUPTED, folder, rounds)
    try:
        return _interrupted(child, folder)
    finally:
        end(child)
        control.reset()


def _interrupted(child: subprocess.Popen[str], folder: Path) -> tuple[int, int, float]:
    interrupts, steps, brand = hear(child)
    kept = hear(child)
    seconds = run(WRITE, folder)[0]  # while the interrupted process still lives
    tell(child)
    finish(child)
    # The state in memory equals the journal: nothing is half done.
    simulation = control.begin(folder)
    factory = ProductFactory(brand)
    for name in kept:
        factory.make(name)
    assert (simulation.hits, factory.runs) == (len(kept), 0)
    return interrupts, steps, seconds


# -- kills -----------------------------------------------------------------------------------

# Acknowledges each event by a line after it is on disk; the values are long, so that a commit
# takes several pages.
WRITER = """
import itertools, random
store = Store(folder)
random.seed(arguments[0])
say("ready")
for number in itertools.count():
    name = f"{arguments[0]}.{number}"
    text = name + "x" * random.randrange(20_000)
    store.add_all([("event:" + name, text), ("line:" + name, text)])
    say(name)
"""


def kill_often(folder: Path, kills: int) -> tuple[int, int]:
    """Kill writing processes, three at a time, at random moments.

    Returns how many kills there were and how many events had been acknowledged; fails when
    one of these is lost or one that is there is torn.
    """
    random.seed(7)
    acknowledged: list[str] = []
    serial = killed = 0
    writers: list[subprocess.Popen[str]] = []
    try:
        # More where the disk is so slow that too little was written before each.
        while killed < kills or len(acknowledged) <= kills:
            while len(writers) < 3:
                serial += 1
                writers.append(start(WRITER, folder, serial))
            for writer in writers:
                hear_ready(writer)
            time.sleep(random.uniform(0.0, 0.15))
            victim = writers.pop(random.randrange(3))
            victim.send_signal(signal.SIGKILL)
            said, errors = victim.communicate()
            assert victim.returncode == -signal.SIGKILL, errors
            # A line that was cut off by the kill was not acknowledged.
            acknowledged += [line[1:-1] for line in said.split("\n")[:-1] if "." in line]
            killed += 1
    finally:
        for writer in writers:
            end(writer)
    check_whole(folder, acknowledged)
    return killed, len(acknowledged)


_ready: set[int] = set()


def hear_ready(writer: subprocess.Popen[str]) -> None:
    if writer.pid not in _ready:
        assert hear(writer) == "ready"
        _ready.add(writer.pid)


def check_whole(folder: Path, acknowledged: list[str]) -> None:
    """Every acknowledged event is stored, and each stored event is complete."""
    store = Store(folder)
    try:
        for name in acknowledged:
            assert store.get("event:" + name) is not None, f"{name} was acknowledged and is lost"
        for key in store:
            kind, name = key.split(":", 1)
            text = store.get(key)
            assert text.startswith(name + "x") or text == name
            other = "line:" if kind == "event" else "event:"
            assert store.get(other + name) == text, f"{name} is torn"
    finally:
        store.close()
    connection = sqlite3.connect(folder / "cache.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """During the block another process is in the middle of a write."""
    other = sqlite3.connect(folder / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()
