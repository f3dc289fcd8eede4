"""Records that were moved, altered or written by others are refused, wherever they are read."""

from __future__ import annotations

import copy
import gzip
import json
import sqlite3
from contextlib import closing, suppress

import pytest

from tests.support.products import ProductFactory
from tinyfactory import control
from tinyfactory.cli import main
from tinyfactory.errors import DamagedRecord, TinyFactoryError, UnknownRecord
from tinyfactory.journal.inventory import faults, shares
from tinyfactory.journal.storage.store import Store
from tinyfactory.journal.values.changes import apply
from tinyfactory.journal.values.stored_text import digest_text, from_text
from tinyfactory.journal.verification import check_row


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


def make(folder, names="abc"):
    simulation = control.begin(folder)
    factory = ProductFactory()
    for name in names:
        factory.make(name)
    keys = [event.key for event in factory.history()]
    control.reset()
    return keys, simulation


def execute(folder, statement, *values):
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        assert database.execute(statement, values).rowcount > 0
        database.commit()


def replace(folder, name, value):
    """Store another value under a key, with right digests."""
    with closing(Store(folder)) as store:
        store.remove_all([name])
        store.add(name, value)


def record_of(folder, key):
    with closing(Store(folder)) as store:
        return store.get("event:" + key)


MOVES = {
    "value": "UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = ?2) WHERE key = ?1",
    "value and seal": "UPDATE Cache SET (value, tag) = (SELECT value, tag FROM Cache "
    "WHERE key = ?2) WHERE key = ?1",
    "value without seal": "UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = ?2), "
    "tag = NULL WHERE key = ?1",
}


@pytest.mark.parametrize("how", MOVES)
def test_a_value_under_another_key_is_not_replayed(folder, caplog, how):
    keys, _ = make(folder)
    execute(folder, MOVES[how], "event:" + keys[1], "event:" + keys[2])
    simulation = control.begin(folder)
    factory = ProductFactory()
    assert [factory.make(name) for name in "abc"] == ["a!", "b!", "c!"]
    assert (simulation.hits, factory.runs) == (2, 1)
    assert "runs again and is replaced" in caplog.text


def test_any_value_under_another_key_is_damaged(tmp_path):
    with closing(Store(tmp_path / "j")) as store:
        store.add_all([("a", 1), ("b", 2)])
        execute(store.folder, "UPDATE Cache SET key = 'c' WHERE key = 'a'")
        with pytest.raises(DamagedRecord):
            store.get("c")
        assert store.get("b") == 2


def test_a_value_under_another_key_of_a_recording_is_refused(folder, tmp_path):
    keys, simulation = make(folder)
    path = simulation.export(tmp_path / "r.gz")
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    rows = {line["key"]: line for line in lines if "key" in line}
    rows["event:" + keys[1]]["value"] = rows["event:" + keys[2]]["value"]
    write_lines(path, lines)
    control.begin(recording=path)
    factory = ProductFactory()
    factory.make("a")
    with pytest.raises(DamagedRecord):
        factory.make("b")
    assert factory.runs == 0 and factory.products == ["a"]


def write_lines(path, lines):
    """A recording whose chain of digests is right."""
    chain, out = "", []
    for line in lines:
        line.pop("chain")
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        chain = digest_text(chain + text)
        out.append(f'{text[:-1]},"chain":"{chain}"}}\n')
    path.write_bytes(gzip.compress("".join(out).encode()))


@pytest.mark.parametrize(
    "changes",
    [
        {"self": {"frobnicate": {"products": ["b"]}}},
        {"self": {"append": {"products": ["b"]}, "increase": {"n": 1}}},
        {"self": {"append": {"products": "b"}}},
        {"self": {"set": ["products"]}},
        {"self": {"remove": [1]}},
        {"self": []},
        {"somebody": {"set": {"a": 1}}},
        {"name": {"set": {"a": 1}}},
    ],
)
def test_unknown_changes_are_refused_and_nothing_is_changed(folder, changes):
    keys, _ = make(folder)
    replace(folder, "event:" + keys[1], record_of(folder, keys[1]) | {"changes": changes})
    control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    with pytest.raises(UnknownRecord, match="Nothing was changed"):
        factory.make("b")
    assert (factory.runs, factory.products) == (0, ["a"])


def test_apply_refuses_an_unknown_kind():
    with pytest.raises(DamagedRecord, match="turn"):
        apply({"a": 1}, {"turn": {"a": 2}})


ODD = [None, 1, -1, True, "x", [], {}, [1], {"a": 1}, 1e300, [None]]


def places_in(record):
    """All fields of a record, and of the parts that are read by name."""
    yield from ((name,) for name in record)
    yield from (("meta", name) for name in record["meta"])
    yield ("changes", "self")


def altered(record, place, value, *, gone=False):
    record = copy.deepcopy(record)
    *path, last = place
    part = record
    for name in path:
        part = part[name]
    if gone:
        del part[last]
    else:
        part[last] = value
    return record


def test_no_odd_record_raises_anything_but_a_typed_error(folder, tmp_path, capsys):
    """Fields missing or of another type, in every place where records are read."""
    keys, _ = make(folder)
    name = "event:" + keys[1]
    whole = record_of(folder, keys[1])
    for place in places_in(whole):
        for odd in ODD:
            with suppress(UnknownRecord):
                check_row(name, altered(whole, place, odd), True)
    cases = [altered(whole, place, None, gone=True) for place in places_in(whole)]
    cases += [altered(whole, p, odd) for p in places_in(whole) for odd in ODD[:: 6 - len(p)]]
    cases = [*cases[::5], None, "text", {}]
    for case in cases:
        replace(folder, name, case)
        simulation = control.begin(folder)
        factory = ProductFactory()
        for read in (
            lambda: [factory.make(n) for n in "abc"],  # noqa: B023 - called within the loop
            factory.history,
            simulation.lines,
            lambda: simulation.explain(keys[1]),  # noqa: B023
            lambda: factory.checkout(keys[1]),  # noqa: B023
            lambda: simulation.export(tmp_path / "r.gz"),  # noqa: B023
        ):
            with suppress(TinyFactoryError):
                read()
        control.reset()
        with closing(Store(folder)) as store:
            list(faults(store))
        assert main(["journal", "verify", "--path", str(folder)]) in (0, 1)
        assert main(["journal", "ls", "--path", str(folder)]) == 0
    capsys.readouterr()


def test_other_simulations_are_listed_beside_an_odd_record(folder):
    keys, _ = make(folder)
    record = record_of(folder, keys[1])
    del record["meta"]
    replace(folder, "event:" + keys[1], record)
    with closing(Store(folder, check_row)) as store:
        assert [share.events for share in shares(store)] == [2]
        assert [name for name, _ in faults(store)] == ["event:" + keys[1]]


@pytest.mark.parametrize("kind", ["line", "join", "reply"])
def test_odd_rows_of_other_kinds_are_named(folder, kind):
    make(folder)
    with closing(Store(folder)) as store:
        store.add(f"{kind}:odd", {"simulation": "default"})
        assert [name for name, _ in faults(store)] == [f"{kind}:odd"]
    simulation = control.begin(folder)
    ProductFactory().make("a")
    assert simulation.hits == 1 and len(simulation.lines()) == 1


@pytest.mark.parametrize("text", ["", "{", "[1] 2", "nul", "[" * 100_000])
def test_text_that_is_no_json_is_damaged(text):
    with pytest.raises(DamagedRecord):
        from_text(text)


def test_a_state_that_its_class_cannot_use_is_refused(folder):
    keys, _ = make(folder)
    record = record_of(folder, keys[0])
    record["result"] = {"$": "object", "type": "TinyPerson", "state": {}}
    replace(folder, "event:" + keys[0], record)
    control.begin(folder)
    factory = ProductFactory()
    with pytest.raises(DamagedRecord, match="KeyError"):
        factory.make("a")
    assert factory.products == []


def test_an_import_takes_nothing_of_a_recording_with_a_moved_row(folder, tmp_path):
    keys, simulation = make(folder)
    path = simulation.export(tmp_path / "r.gz")
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    rows = {line["key"]: line for line in lines if "key" in line}
    rows["event:" + keys[1]]["value"] = rows["event:" + keys[2]]["value"]
    write_lines(path, lines)
    assert main(["journal", "import", str(path), "--path", str(tmp_path / "other")]) != 0
    with closing(Store(tmp_path / "other")) as store:
        assert len(store) == 0


@pytest.mark.parametrize("value", [5, None, "text", ["simulation"]])
def test_a_row_of_an_unknown_kind_that_is_no_record_is_named(folder, tmp_path, capsys, value):
    make(folder)
    with closing(Store(folder)) as store:
        store.add("other:odd", value)
        assert [name for name, _ in faults(store)] == ["other:odd"]
    assert main(["journal", "ls", "--path", str(folder)]) == 0
    assert main(["journal", "verify", "--path", str(folder)]) == 1
    assert "other:odd" in capsys.readouterr().out
    control.begin(folder).export(tmp_path / "r.gz")
