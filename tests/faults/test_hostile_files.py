"""Recordings, journals and files of people and tables that attack their reader."""

from __future__ import annotations

import gzip
import json
import os
import socket
import sqlite3
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import tinyfactory
from tests.support.hostile import chained, header, rechained, write_recording
from tinyfactory import (
    Demography,
    Simulation,
    TinyFactory,
    TinyPerson,
    TinyPersonFactory,
    control,
)
from tinyfactory.errors import (
    DamagedRecord,
    FileTooLarge,
    InvalidInput,
    LimitExceeded,
    TinyFactoryError,
)
from tinyfactory.journal import inventory
from tinyfactory.journal.key import fork_head
from tinyfactory.journal.recording.recording import Recording
from tinyfactory.journal.timeline import Timeline
from tinyfactory.journal.values.serializer import check_names, decode
from tinyfactory.journal.values.stored_text import from_text
from tinyfactory.people import from_csv, iter_parquet, load_people
from tinyfactory.utils.files import read_file

END = {"end": True, "rows": 0, "stripped": 0}


def from_template(path):
    return TinyPersonFactory("Bakers", model="offline", template=path)


READERS = {
    "a.recording.jsonl.gz": Recording,
    "a.json": load_people,
    "a.jsonl": load_people,
    "a.csv": from_csv,
    "a.agent.json": load_people,
    "a.parquet": lambda path: list(iter_parquet(path)),
    "table.json": Demography.from_json,
    "table.csv": Demography.from_csv,
    "t.mustache": from_template,
}


# -- special files ------------------------------------------------------------------------


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["pipe", "link to a device", "socket"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, monkeypatch, name, kind):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
    else:
        path.symlink_to("/dev/zero")
    began = time.monotonic()
    with pytest.raises(InvalidInput, match="not a regular file"):
        READERS[name](path)
    assert time.monotonic() - began < 5


def test_a_link_to_a_regular_file_is_read(tmp_path):
    TinyPerson("Ana", register=False)
    (tmp_path / "real").write_text('{"name": "Ana"}\n')
    (tmp_path / "people.jsonl").symlink_to("real")
    assert load_people(tmp_path / "people.jsonl")[0].name == "Ana"


# -- files of people and tables -----------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in READERS if "recording" not in name])
def test_a_file_beyond_the_limit_is_refused(tmp_path, name):
    tinyfactory.configure(limits={"file_bytes": 100, "document_bytes": 100})
    (tmp_path / name).write_bytes(b" " * 101)
    with pytest.raises(FileTooLarge, match=r"more than 100 bytes.*limit (file|document)_bytes"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "limit"),
    [
        ("a.jsonl", '{"name": "' + "x" * 2000 + '"}', "line_bytes"),
        ("a.csv", "name\n" + "x" * 2000, "line_bytes"),
        ("a.csv", 'name\n"' + "x\n" * 2000, "line_bytes"),
        ("a.json", "[" * 300 + "]" * 300, "json_depth"),
        ("a.json", '{"name": "A", "x": ' + "[" * 30 + "]" * 30 + "}", "json_depth"),
        ("a.json", "[" + "1," * 2000 + "1]", "json_values"),
        ("a.jsonl", "[" + "1," * 490 + "1]", "json_values"),
        ("table.json", '{"a":' * 300 + "1" + "}" * 300, "json_depth"),
        ("table.json", "[" + "{}," * 2000 + "{}]", "json_values"),
        ("table.csv", "sex,count\n" + "f,1\n" * 200, "table_cells"),
    ],
)
def test_what_is_too_large_in_a_file_is_refused(tmp_path, name, content, limit):
    limits = {"line_bytes": 1000, "json_depth": 20, "json_values": 400, "table_cells": 300}
    tinyfactory.configure(limits=limits)
    (tmp_path / name).write_text(content)
    if name == "table.json" and not content.startswith("{"):
        content = '{"sex": ' + content + "}"
        (tmp_path / name).write_text(content)
    with pytest.raises(LimitExceeded, match=f"{limit}.*configure"):
        READERS[name](tmp_path / name)


def test_many_columns_are_compared_in_linear_time(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(",".join(f"c{i}" for i in range(60_000)) + ",count\n")
    began = time.process_time()
    with pytest.raises(InvalidInput):
        Demography.from_csv(path)
    assert time.process_time() - began < 5


def test_a_long_category_is_refused_before_any_pattern_reads_it():
    began = time.process_time()
    for text in (" " * 100_000 + "x", "1" * 100_000, "1 " * 100_000, "1," * 100_000):
        with pytest.raises(TinyFactoryError):
            Demography.from_dict({"age": {"x" + text + "x": 1, "20-29": 1}})
    assert time.process_time() - began < 2


def test_a_group_of_rows_that_unpacks_into_a_huge_one_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "bomb.parquet"
    names = pa.table({"name": ["x" * 1000 + str(i) for i in range(3000)]})
    pq.write_table(names, path, compression="zstd", use_dictionary=False)
    tinyfactory.configure(limits={"document_bytes": 100_000})
    with pytest.raises(FileTooLarge, match=r"group of rows.*document_bytes"):
        list(iter_parquet(path))


def test_a_file_that_says_it_is_empty_is_read_up_to_the_limit():
    if not Path("/proc/self/maps").exists():
        pytest.skip("there is no /proc")
    tinyfactory.configure(limits={"document_bytes": 100})
    with pytest.raises(FileTooLarge, match="document_bytes"):
        read_file(Path("/proc/self/maps"))


# -- recordings: size and depth -----------------------------------------------------------


def row(key, **value):
    return {"key": key, "value": value}


@pytest.mark.parametrize("junk", [b" ", b"{", b"\n", b'{"a":[', b"\x00", b'"'])
def test_a_recording_that_unpacks_into_a_huge_one_is_refused(tmp_path, junk):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(junk * (30_000_000 // len(junk))))
    tinyfactory.configure(limits={"recording_bytes": 3_000_000, "line_bytes": 1_000_000})
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises((FileTooLarge, DamagedRecord)):
            Recording(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("lines", "limit"),
    [
        ([header(1), row("line:a", x="y" * 200_000), END], "line_bytes"),
        (
            [header(1), *(row(f"other:{i}", text="") for i in range(50)), END],
            "recording_lines",
        ),
        ([header(10**9), END], "recording_lines"),
        ([header(1), row("x:a", x=[1] * 5_000), END], "json_values"),
        ([header(1), row("x:a", **{str(i): i for i in range(5_000)}), END], "json_values"),
    ],
)
def test_a_recording_beyond_a_limit_names_it(tmp_path, lines, limit):
    limits = {"line_bytes": 100_000, "recording_lines": 40, "json_values": 2_000}
    tinyfactory.configure(limits=limits)
    path = write_recording(tmp_path / "r.gz", *lines)
    with pytest.raises(FileTooLarge, match=f"(?s){limit}.*configure"):
        Recording(path)


@pytest.mark.parametrize("depth", [150, 20_000])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("[", "]"),
        ('{"a":', "}"),
        ('{"$":"tuple","items":[', "]}"),
        ('{"$":"dict","items":[[1,', "]]}"),
    ],
)
def test_a_recording_nested_deep_is_refused(tmp_path, depth, left, right):
    text = '{"key":"x:a","value":{"a":' + left * depth + "1" + right * depth + "}}"
    path = tmp_path / "deep.gz"
    lines = [
        json.dumps(header(1), separators=(",", ":")),
        text,
        json.dumps(END, separators=(",", ":")),
    ]
    path.write_bytes(gzip.compress(chained(lines).encode()))
    with pytest.raises(FileTooLarge, match="json_depth"):
        Recording(path)


def test_damage_in_a_packed_piece_is_found_in_linear_time(tmp_path):
    packed = bytearray(gzip.compress(b"\x00" * 60_000_000))
    packed[len(packed) // 2] ^= 0x55
    path = tmp_path / "damaged.gz"
    path.write_bytes(packed)
    began = time.process_time()
    with pytest.raises((DamagedRecord, FileTooLarge)):
        Recording(path)
    assert time.process_time() - began < 10


def test_a_row_of_values_takes_no_more_time_than_its_length(tmp_path):
    path = write_recording(tmp_path / "wide.gz", header(1), row("x:a", x=[[]] * 300_000), END)
    began = time.process_time()
    with pytest.raises(DamagedRecord):
        Recording(path)
    assert time.process_time() - began < 5


# -- recordings: contents -----------------------------------------------------------------


class Shop(TinyFactory):
    def __init__(self, town: str) -> None:
        super().__init__()
        self.town = town
        self.sold = 0

    @tinyfactory.transactional
    def sell(self, number: int) -> int:
        self.sold += number
        return self.sold

    def encode_complete_state(self):
        return super().encode_complete_state() | {"town": self.town, "sold": self.sold}

    def decode_complete_state(self, state):
        super().decode_complete_state(state)
        self.__dict__.update(state)  # as a user may write it
        return self


@pytest.fixture
def recorded(tmp_path):
    simulation = control.begin(tmp_path / "journal")
    shop = Shop("Graz")
    shop.sell(2)
    factory = TinyPersonFactory("Bakers in Graz", model="offline")
    factory.generate_person()
    simulation.export(tmp_path / "r.gz")
    control.end()
    control.reset()
    TinyFactory.clear_factories()
    return tmp_path / "r.gz"


def replay(path):
    """What the person who opens a recording runs; the shop."""
    with Simulation.from_recording(path):
        shop = Shop("Graz")
        shop.sell(2)
        TinyPersonFactory("Bakers in Graz", model="offline").generate_person()
    return shop


@pytest.mark.parametrize(
    "name",
    [
        "__class__",
        "__dict__",
        "sell",
        "checkout",
        "decode_complete_state",
        "all_factories",
        "_remove",
    ],
)
def test_a_recording_sets_no_method_and_no_name_of_python(recorded, tmp_path, name):
    def change(line):
        changes = line["value"].get("changes") or {}
        if "self" in changes and line["value"]["method"] == "sell":
            changes["self"].setdefault("set", {})[name] = "changed"

    path = rechained(recorded, tmp_path / "changed.gz", change)
    with pytest.raises(DamagedRecord, match=f"{name}.*no attribute with data"):
        replay(path)


@pytest.mark.parametrize(
    "change",
    [
        {"append": {"sell": [1]}},
        {"drop": {"__dict__": [1]}},
        {"remove": ["sell"]},
        {"remove": [["sold"]]},
        {"set": [1]},
        {"append": {"sold": 5}},
        {"run": {"sold": 5}},
    ],
)
def test_a_change_of_unknown_form_is_refused(recorded, tmp_path, change):
    def changed(line):
        if line["key"].startswith("event:") and line["value"]["method"] == "sell":
            line["value"]["changes"]["self"] = change

    with pytest.raises(DamagedRecord):
        replay(rechained(recorded, tmp_path / "changed.gz", changed))


def test_a_recording_sets_data(recorded):
    assert replay(recorded).sold == 2


def test_names_of_data_are_allowed_and_others_are_not():
    class Child(Shop):
        limit = 3
        names: list = []  # noqa: RUF012
        __slots__ = ("slot",)

        @property
        def total(self):
            return 1

        @classmethod
        def make(cls): ...

    check_names(
        Child, dict.fromkeys(("limit", "names", "slot", "total", "new", "_own", "__mine"), 1)
    )
    for name in ("make", "sell", "__init__", "__x__", "history", 5, None, ("a",)):
        with pytest.raises(DamagedRecord):
            check_names(Child, {name: 1})


def test_a_stored_object_is_of_a_registered_class_and_in_its_form():
    name: Any
    value: dict[str, Any]
    for kind in ("object", "list"):
        for name in (
            "builtins.int",
            "os.system",
            "int",
            "subprocess.Popen",
            5,
            None,
            [],
            "TinyPerson",
        ):
            value = {"$": kind, "type": name, "state": {}, "items": []}
            with pytest.raises(DamagedRecord):
                decode(value)
    for value in (
        {"$": "tuple", "items": 5},
        {"$": "dict", "items": [[1]]},
        {"$": "dict", "items": [[[], 1]]},
        {"$": "dict", "items": "ab"},
        {"$": "x"},
        {"$": None},
        {"$": "object", "type": "TinyPersonFactory", "state": 5},
        {"$": "object", "type": "TinyPersonFactory", "state": {}},
        {"$": "object", "type": "TinyPersonFactory", "state": {"context_text": 3}},
        {"$": "object", "type": "TinyPerson", "state": {"persona": 5}},
    ):
        with pytest.raises(TinyFactoryError):
            decode(value)


BAD = [None, 5, "x", [], {}, [[1]], {"a": 1}, True, 1e308, "\x1b[2J", -1]


@pytest.mark.parametrize("part", [
    *("simulation", "line", "parent", "within", "base", "class", "method", "version", "arguments"),
    *("request", "result", "changes", "failure", "composite", "steps", "head", "meta"),
])  # fmt: skip
def test_an_event_of_any_form_replays_or_is_a_typed_error(recorded, tmp_path, part):
    for number, bad in enumerate(BAD):

        def change(line, bad=bad):
            if line["key"].startswith("event:"):
                line["value"][part] = bad

        path = rechained(recorded, tmp_path / f"{number}.gz", change)
        try:
            replay(path)
            recording = Recording(path)
            tinyfactory.journal.recording.recording.rows_of(recording, recording.simulation)
        except TinyFactoryError:
            pass
        finally:
            control.reset()
            TinyFactory.clear_factories()


def test_events_in_a_circle_are_listed_and_end(recorded, tmp_path):
    keys = []

    def change(line):
        if line["key"].startswith("event:"):
            keys.append(line["key"])
            line["value"]["parent"] = line["value"]["head"]
            line["value"]["within"] = line["key"].removeprefix("event:")

    path = rechained(recorded, tmp_path / "circle.gz", change)
    simulation = Simulation.from_recording(path)
    with simulation:
        timeline = Timeline(tinyfactory.journal.scopes.scope.scope())
        assert sum(len(timeline.events(line.root)) for line in timeline.lines) == len(keys)


def test_joins_that_name_each_other_are_followed_once():
    rows: dict[str, Any] = {}
    head = ""
    for _ in range(20_000):
        before, head = head, fork_head("", [head, head])
        rows[f"join:{head}"] = {"parent": "", "heads": [before, before]}
    rows["event:e"] = {
        **dict.fromkeys(("request", "result", "failure", "line")), "arguments": {},
        **dict.fromkeys(("base", "class", "method", "version", "parent"), "x"),
        "simulation": "s", "changes": {}, "composite": False, "steps": [], "head": "",
        "meta": {"at": 0, "seconds": 0, "why": "", "replies": []},
    }  # fmt: skip
    began = time.process_time()
    found = tinyfactory.journal.recording.recording.rows_of(rows, "s")
    assert len(found) == 20_001
    assert time.process_time() - began < 3


def test_a_row_of_a_journal_that_is_no_json_or_too_deep_is_damaged():
    for text in ("[" * 100_000, "x", "9" * 5_000, "", '{"a":' * 50_000):
        with pytest.raises(DamagedRecord):
            from_text(text)


def test_verify_and_list_survive_rows_of_any_form(tmp_path, capsys):
    from tinyfactory.journal.storage.store import Store

    path = tmp_path / "journal"
    store = Store(path)
    for number, bad in enumerate(BAD):
        if bad is not None:
            store.add_all(
                [(f"event:{number}", bad), (f"join:{number}", bad), (f"reply:{number}", bad)]
            )
    store.add_all([("event:x", {"simulation": "s", "head": [1], "line": {}, "meta": 3})])
    store.close()
    from tinyfactory.cli import main

    assert main(["journal", "ls", "--path", str(path)]) == 0
    assert main(["journal", "verify", "--path", str(path)]) == 1
    assert main(["journal", "show", "--path", str(path), "x"]) == 2
    assert "damaged: event:x: " in capsys.readouterr().out


def test_a_database_in_place_of_a_recording_is_damaged(tmp_path):
    sqlite3.connect(tmp_path / "r.gz").execute("create table a (b)").connection.close()
    with pytest.raises(DamagedRecord):
        Recording(tmp_path / "r.gz")
    assert inventory.shares({}) == []
