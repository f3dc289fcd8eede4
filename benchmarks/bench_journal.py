"""What the journal costs: storing, replaying, growing, opening. See README.md beside this file.

python benchmarks/bench_journal.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diskcache
import joblib
from common import Row, Table, interleaved, machine, medians
from people import InstantModel, name_of, person

from tinyfactory import Simulation, TinyFactory, TinyPersonFactory, control, transactional
from tinyfactory.journal.scopes.scope import scope
from tinyfactory.journal.storage.store import Store
from tinyfactory.journal.transactions.transaction import current_transaction

RESULTS = Path(__file__).parent / "results" / "bench_journal.json"
RAW = "raw sqlite3"
US, MS = 1e6, 1e3
GROWING = "Making many events in one factory, on disk: the last tenth and the first"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    stores: dict[int, int]  # bytes of an event: how many
    events: int  # in the factory that grows
    journals: tuple[int, int]  # events in the journals that are opened
    openings: int
    notebook: int


FULL = Size({2_000: 400, 200_000: 40}, 10_000, (10_000, 100_000), 15, 1_000)
QUICK = Size({2_000: 20, 200_000: 4}, 200, (500, 5_000), 3, 20)


class Raw:
    """The least that a durable store can do: JSON and a digest in a row, one commit each.

    With EXTRA the folder is synced, too, when the file that undoes a commit is gone. With FULL
    a power cut may bring that file back, and with it the state before the last commit.
    """

    def __init__(self, folder: Path, synchronous: str = "EXTRA") -> None:
        name = f"raw {synchronous}.db"
        self._db = sqlite3.connect(folder / name, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.execute(f"PRAGMA synchronous = {synchronous}")
        self._db.execute("CREATE TABLE kv (key TEXT PRIMARY KEY, digest TEXT, value TEXT)")

    def add(self, key: str, value: object) -> None:
        text = json.dumps(value)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._db.execute("INSERT OR IGNORE INTO kv VALUES (?, ?, ?)", (key, digest, text))

    def close(self) -> None:
        self._db.close()

    def get(self, key: str) -> object:
        digest, text = self._db.execute(
            "SELECT digest, value FROM kv WHERE key = ?", (key,)
        ).fetchone()
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise ValueError(key)
        return json.loads(text)


# What is to be kept, by number; made before the clock runs.
payloads: dict[int, Any] = {}


def payload_of(number: int) -> Any:
    """What joblib keeps: it keys by the function and its arguments."""
    return payloads[number]


class Maker(TinyFactory):
    """A user's factory: one method copies its small state, the other works on a draft."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.names: list[str] = []

    def encode_complete_state(self) -> dict[str, Any]:
        return super().encode_complete_state() | {"made": self.made, "names": list(self.names)}

    def decode_complete_state(self, state: dict[str, Any]) -> Maker:
        self.made, self.names = state["made"], list(state["names"])
        super().decode_complete_state(state)
        return self

    def _apply_change(self, change: dict[str, Any]) -> None:
        """Make a change at the cost of the change, as a factory with long lists does."""
        for key, items in change.get("append", {}).items():
            getattr(self, key).extend(items)
        for key, value in change.get("set", {}).items():
            setattr(self, key, value)

    @transactional
    def make(self, number: int) -> Any:
        self.made += 1
        return payloads[number]

    @transactional
    def put(self, name: str) -> int:
        self.names.append(name)
        return self.made

    @transactional(touches=())
    def draft(self, number: int) -> Any:
        current_transaction().stage({"append": {"names": [payloads[0]["name"]]}})  # type: ignore[union-attr]
        return number


# -- an event of some size ---------------------------------------------------------------------


def bench_events(table: Table, size: Size, place: Path) -> None:
    for length, number in size.stores.items():
        folder = place / f"events {length}"
        folder.mkdir()
        numbers = _payloads(length, number)
        stores, gets, close = _contenders(folder)
        _compare(table, f"Store an event of {length // 1000} kB, on disk", stores, numbers, 2.0)
        control.begin(folder / "public")
        maker = Maker()
        gets["@transactional"] = lambda n: maker.make(n)  # noqa: B023 - called within the loop
        # The key, the copy and the lock of a call take as long as reading a small event.
        replay_aim = 3.0 if length <= 2_000 else 2.0
        _compare(table, f"Replay an event of {length // 1000} kB", gets, numbers, replay_aim)
        if control.cache_misses():
            raise SystemExit("what was stored was not replayed; the figures mean nothing")
        close()


def _payloads(length: int, number: int) -> list[int]:
    many = max(1, round(length / len(json.dumps(person(0)))))
    payloads.clear()
    for n in range(number):
        payloads[n] = person(n) if many == 1 else [person(n * many + i) for i in range(many)]
    return list(payloads)


def _contenders(
    folder: Path,
) -> tuple[
    dict[str, Callable[[int], object]], dict[str, Callable[[int], object]], Callable[[], None]
]:
    raw, store = Raw(folder), Store(folder / "store")
    cache = diskcache.Cache(
        str(folder / "diskcache"),
        disk=diskcache.JSONDisk,
        eviction_policy="none",
        cull_limit=0,
        sqlite_journal_mode="delete",
        sqlite_synchronous=3,
        disk_min_file_size=2**62,
    )
    kept = joblib.Memory(folder / "joblib", verbose=0).cache(payload_of)
    control.begin(folder / "public")
    maker = Maker()
    stores: dict[str, Callable[[int], object]] = {
        RAW: lambda n: raw.add(f"event:{n}", payloads[n]),
        "Store alone": lambda n: store.add(f"event:{n}", payloads[n]),
        "@transactional": lambda n: maker.make(n),
        "diskcache JSONDisk": lambda n: cache.add(f"event:{n}", payloads[n]),
        "joblib Memory (not synced)": kept,
    }
    gets: dict[str, Callable[[int], object]] = {
        RAW: lambda n: raw.get(f"event:{n}"),
        "Store alone": lambda n: store.get(f"event:{n}"),
        "@transactional": lambda n: maker.make(n),
        "diskcache JSONDisk": lambda n: cache.get(f"event:{n}"),
        "joblib Memory (not synced)": kept,
    }

    def close() -> None:
        control.reset()
        store.close()
        cache.close()

    return stores, gets, close


def _compare(
    table: Table,
    group: str,
    works: dict[str, Callable[[int], object]],
    numbers: list[int],
    aim: float,
) -> None:
    took = medians(interleaved(works, numbers))
    for name, seconds in took.items():
        ours = name in ("Store alone", "@transactional")
        ratio = None if name == RAW else seconds / took[RAW]
        against = "" if name == RAW else RAW
        table.add(Row(group, name, seconds * US, "us", ratio, against, aim if ours else None))


def bench_durability(table: Table, size: Size, place: Path) -> None:
    """What EXTRA costs beside FULL, and the folders that are synced with a first event."""
    numbers = _payloads(2_000, size.stores[2_000])
    bare = place / "weaker"
    bare.mkdir()
    extra, full = Raw(bare), Raw(bare, "FULL")
    took = medians(
        interleaved(
            {
                "FULL": lambda n: full.add(f"event:{n}", payloads[n]),
                "EXTRA": lambda n: extra.add(f"event:{n}", payloads[n]),
            },
            numbers,
        )
    )
    group = "What a power cut costs: 2 kB in raw sqlite3"
    with_extra = took["EXTRA"] / took["FULL"]
    table.add(
        Row(group, "synchronous FULL, which loses events", took["FULL"] * US, "us"),
        Row(group, "synchronous EXTRA", took["EXTRA"] * US, "us", with_extra, "FULL"),
    )

    def store_first(number: int, levels: str) -> None:
        store = Store(place / f"folder {number}" / levels)
        store.add("event", payloads[0])
        store.close()

    def raw_first(number: int) -> None:
        folder = place / f"raw {number}"
        folder.mkdir()
        raw = Raw(folder)
        raw.add("event", payloads[0])
        raw.close()

    works: dict[str, Callable[[int], object]] = {
        RAW + ", parent not synced": raw_first,
        "Store alone, one new folder": lambda n: store_first(n, "."),
        "Store alone, three new folders": lambda n: store_first(n, "a/b/c"),
    }
    for name, seconds in medians(interleaved(works, range(size.openings))).items():
        table.add(Row("Make a folder and store its first event of 2 kB", name, seconds * MS, "ms"))


# -- growing -----------------------------------------------------------------------------------


def bench_growth(table: Table, size: Size, place: Path) -> None:
    """The last tenth of a long line in turns with the first tenth of a new one elsewhere."""
    _payloads(2_000, 1)
    old, new = _journals("draft", place, Maker)
    start = time.perf_counter()
    for _ in range(size.events - size.events // 10):
        old.draft(1)
    grown = time.perf_counter() - start
    _tenths(table, "a draft method", size, old, new, lambda factory: factory.draft(1))
    table.add(Row(table.rows[-1].group, "a draft method: the first nine tenths", grown, "s"))
    # People take several times as long, so nine tenths of them are put there, not made.
    model = InstantModel()
    old, new = _journals("people", place, lambda: TinyPersonFactory("Joiners", model=model))
    there = range(size.events, 2 * size.events - size.events // 10)
    old.generated_names = [name_of(n) for n in there]
    old.generated_minibios = ["x" * 100 for _ in there]
    scope(old.simulation_id).store.add_all(
        [(_key(n), {"text": "x" * 2_400}) for n in range(2 * len(there))]
    )
    _tenths(table, "generate_person", size, old, new, lambda factory: factory.generate_person())
    control.reset()
    _bytes_of_people(table, size, place)
    _notebook(table, size, place / "new people", model)


def _journals(what: str, place: Path, make: Callable[[], Any]) -> tuple[Any, Any]:
    """A factory in a journal that will be long, and one in a journal that begins."""
    factories = []
    for age in ("old", "new"):
        Simulation(place / f"{age} {what}", age).begin()
        factories.append(make())
    return factories[0], factories[1]


def _tenths(
    table: Table, what: str, size: Size, old: Any, new: Any, step: Callable[[Any], object]
) -> None:
    turns = {"first": lambda _: step(new), "last": lambda _: step(old)}
    first, last = medians(interleaved(turns, range(size.events // 10))).values()
    if any(scope(factory.simulation_id).hits for factory in (old, new)):
        raise SystemExit("a step was replayed that should have been done")
    table.add(
        Row(GROWING, f"{what}: in the first tenth", first * US, "us"),
        Row(GROWING, f"{what}: in the last tenth", last * US, "us", last / first, "first", 1.1),
    )


def _bytes_of_people(table: Table, size: Size, place: Path) -> None:
    """Bytes of key and value of all rows of a person: the event, and the reply before it."""
    few = sum(_row_sizes(place / "new people")[2 * 5 : 2 * 15]) / 10
    many = sum(_row_sizes(place / "old people")[-2 * 10 :]) / 10
    group = "Bytes that a person takes in the journal (event and reply)"
    at = f"at {size.events:,} people in the factory"
    table.add(
        Row(group, "at 10 people in the factory", few, "bytes"),
        Row(group, at, many, "bytes", many / few, "those at 10", 1.2),
    )


def _row_sizes(folder: Path) -> list[int]:
    """Of rows of events and replies, in the order in which they were stored."""
    db = sqlite3.connect(f"file:{folder / 'cache.db'}?mode=ro", uri=True)
    found = db.execute(
        "SELECT length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)) FROM Cache "
        "WHERE key LIKE 'event:%' OR key LIKE 'reply:%' ORDER BY rowid"
    ).fetchall()
    db.close()
    return [length for (length,) in found]


def bench_snapshots(table: Table, size: Size, place: Path) -> None:
    """A method that declares nothing has its object's state copied: that grows, bytes do not."""
    with Simulation(place / "snapshots", "snapshots"):
        few, many = Maker(), Maker()
        for factory, length in ((few, 10), (many, size.events)):
            factory.names = [f"name {n:06}" for n in range(length)]
            factory.put("the first, with which the line's beginning is kept")
        took = medians(
            interleaved(
                {"few": lambda n: few.put(f"{n:06}"), "many": lambda n: many.put(f"{n:06}")},
                range(size.openings * 2),
            )
        )
        lengths = {
            factory: statistics.median(
                len(json.dumps(scope().store.get("event:" + step.key)))
                for step in scope().line_of(factory).steps[1:]
            )
            for factory in (few, many)
        }
    group = "A method that declares nothing, appending to a list (its object is copied)"
    at = f"at {size.events:,} items"
    table.add(
        Row(group, "at 10 items", took["few"] * US, "us"),
        Row(group, at, took["many"] * US, "us", took["many"] / took["few"], "those at 10"),
        Row(group, "bytes of an event at 10 items", lengths[few], "bytes"),
        Row(
            group,
            f"bytes of an event {at}",
            lengths[many],
            "bytes",
            lengths[many] / lengths[few],
            "those at 10",
            1.2,
        ),
    )


def _notebook(table: Table, size: Size, folder: Path, model: InstantModel) -> None:
    """A new run of what made the people of the new journal."""
    calls = model.calls
    gc.collect()
    with Simulation(folder, "new") as simulation:
        start = time.perf_counter()
        factory = TinyPersonFactory("Joiners", model=model)
        people = factory.generate_people(size.notebook)
        seconds = time.perf_counter() - start
        if model.calls != calls or simulation.hits != size.notebook != len(people):
            raise SystemExit("the notebook was not replayed; the figures mean nothing")
    group = f"Replay of a notebook of {size.notebook:,} people"
    table.add(
        Row(group, "in all", seconds, "s"),
        Row(group, "each person", seconds / size.notebook * US, "us"),
    )


# -- opening -----------------------------------------------------------------------------------


def bench_opening(table: Table, size: Size, place: Path) -> None:
    folders = {number: place / f"opened {number}" for number in size.journals}
    for number, folder in folders.items():
        _fill(folder, number)
    small, large = size.journals
    took: dict[str, dict[str, list[float]]] = {}
    for kind in ("warm", "cold"):
        for what in ("open", "first look-up", "look-up of nothing"):
            took[f"{kind}: {what}"] = {str(number): [] for number in size.journals}
        for _ in range(size.openings):
            for number, folder in folders.items():
                if kind == "cold":
                    _forget_pages(folder)
                for what, seconds in _open(folder, number).items():
                    took[f"{kind}: {what}"][str(number)].append(seconds)
    group = f"Opening a journal of {small:,} and of {large:,} events"
    for what, seconds_of in took.items():
        first, last = medians(seconds_of).values()
        aim = 1.2 if what == "warm: open" else None
        table.add(
            Row(group, f"{what}, {small:,}", first * MS, "ms"),
            Row(group, f"{what}, {large:,}", last * MS, "ms", last / first, f"{small:,}", aim),
        )


def _fill(folder: Path, number: int) -> None:
    """Events of half a kilobyte; many to a commit, as only a benchmark would."""
    text = "x" * 400
    store = Store(folder)
    for start in range(0, number, 5_000):
        batch = range(start, min(number, start + 5_000))
        store.add_all([(_key(n), {"number": n, "text": text}) for n in batch])
    store.close()


def _key(number: int) -> str:
    # As the journal's own keys: a digest, so that neighbours lie far apart in the index.
    return "row:" + hashlib.sha256(str(number).encode()).hexdigest()[:40]


def _open(folder: Path, number: int) -> dict[str, float]:
    marks = [time.perf_counter()]
    simulation = Simulation(folder, "opened").begin()
    marks.append(time.perf_counter())
    found = scope().store.get(_key(number // 2))
    marks.append(time.perf_counter())
    missing = scope().store.get("event:none")
    marks.append(time.perf_counter())
    simulation.end()
    if found["number"] != number // 2 or missing is not None:
        raise SystemExit("the journal gave something else than what was stored")
    names = ("open", "first look-up", "look-up of nothing")
    return {name: marks[i + 1] - marks[i] for i, name in enumerate(names)}


def _forget_pages(folder: Path) -> None:
    """Have the system drop what it holds of the database in memory, where it can."""
    if not hasattr(os, "posix_fadvise"):
        return
    descriptor = os.open(folder / "cache.db", os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


# -- importing ---------------------------------------------------------------------------------


def bench_import(table: Table, size: Size, place: Path) -> None:
    """New interpreters in turns, with the compiled files of the package in a cache."""
    cached = os.environ | {"PYTHONPYCACHEPREFIX": str(place / "compiled")}
    cached.pop("PYTHONDONTWRITEBYTECODE", None)

    def starts(code: str) -> Callable[[int], object]:
        return lambda _: subprocess.run([sys.executable, "-c", code], env=cached, check=True)

    works = {"bare": starts("pass"), "factory": starts("import tinyfactory.factory")}
    for work in works.values():
        work(0)  # which compiles
    bare, factory = medians(interleaved(works, range(size.openings))).values()
    group = "Importing the factory against a bare interpreter"
    table.add(
        Row(group, "a bare interpreter", bare * MS, "ms"),
        Row(group, "import tinyfactory.factory", factory * MS, "ms", factory / bare, "bare", 10.0),
    )


# -- the whole ---------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small form: that it runs at all")
    parser.add_argument("--json", type=Path, default=RESULTS, help=f"results ({RESULTS})")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else FULL
    warnings.filterwarnings("ignore", module="joblib")  # it says that a payload took long
    table = Table()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tinyfactory-bench-") as name:
        place = Path(name).resolve()
        about = machine(place) | {"quick": options.quick}
        print("\n".join(f"{key}: {value}" for key, value in about.items()))
        for bench in (
            bench_import,
            bench_events,
            bench_durability,
            bench_growth,
            bench_snapshots,
            bench_opening,
        ):
            bench(table, size, place)
            control.reset()
    print(f"\n{table.summary()}\nTook {time.perf_counter() - start:.0f} s.")
    table.write(options.json, about)
    print(f"Written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
