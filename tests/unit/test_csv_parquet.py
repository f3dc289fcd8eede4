from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import InvalidInput, TinyFactoryError
from tinyfactory.people import (
    People,
    PeopleWriter,
    TinyPerson,
    from_csv,
    iter_parquet,
    load_people,
    save_people,
    to_csv,
    to_parquet,
)
from tinyfactory.people.formats.csv_file import guarded, unguarded
from tinyfactory.people.formats.rows import KNOWN, STORED

PROVENANCE = {
    "source": "model",
    "model": "m-1",
    "profile": {"sex": "female", "age": 34, "region": ["north", {"deep": 1.5}]},
    "own": {"note": None},
}


def some(count=3) -> People:
    people = People(
        TinyPerson(persona=full_person(n), provenance=PROVENANCE, register=False)
        for n in range(count)
    )
    people[-1].define("favourite dish", {"name": "soup", "with": ["leek", "=1+1"]})
    people[-1].define("routines", ["reads the paper"])
    return people


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "json"])
def test_a_round_trip_keeps_person_and_provenance_whole(tmp_path, kind):
    people = some(12)
    people.save(tmp_path / f"p.{kind}")
    loaded = load_people(tmp_path / f"p.{kind}")
    assert isinstance(loaded, People)
    assert [p.to_dict() for p in loaded] == [p.to_dict() for p in people]
    assert loaded[0].provenance["profile"] == PROVENANCE["profile"]
    assert not any(p.is_registered for p in loaded)
    assert names(tmp_path) == [f"p.{kind}"]


def test_an_agent_file_keeps_the_profile(tmp_path):
    save_people(some(1)[0], tmp_path / "a.agent.json")
    assert load_people(tmp_path / "a.agent.json")[0].provenance == PROVENANCE


def test_people_have_the_methods(tmp_path):
    people = some(2)
    people.to_csv(tmp_path / "p.csv")
    people.to_parquet(tmp_path / "p.parquet")
    assert People.from_csv(tmp_path / "p.csv") == People.from_parquet(tmp_path / "p.parquet")
    assert People.from_csv(tmp_path / "p.csv") == people


def test_memories_beside_the_persona_come_along(tmp_path):
    person = TinyPerson.from_dict(
        {"type": "TinyPerson", "persona": {"name": "Ana"}, "episodic_memory": [{"x": "=1"}]}
    )
    for name in ("p.csv", "p.parquet"):
        save_people([person], tmp_path / name)
        assert load_people(tmp_path / name)[0].to_dict() == person.to_dict()


def test_a_parquet_file_is_a_table_for_others(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "p.parquet"
    some(2).to_parquet(path)
    frame = pandas.read_parquet(path)
    assert list(frame.columns) == list(STORED)
    assert list(frame["age"]) == [21, 22]
    assert list(frame.loc[0, "skills"]) == full_person(0)["skills"]
    assert list(frame.loc[0, "relationships"]) == full_person(0)["relationships"]
    assert frame.loc[1, "routines_daily"] == ["reads the paper"]
    assert json.loads(frame.loc[0, "profile"]) == PROVENANCE["profile"]
    frame.to_parquet(path)  # saved again by pandas, it is still read
    assert People.from_parquet(path) == some(2)


def test_the_schema_is_the_same_whoever_is_in_the_file(tmp_path):
    import pyarrow.parquet as pq

    save_people([], tmp_path / "none.parquet")
    save_people([TinyPerson("Ana", register=False)], tmp_path / "one.parquet")
    some().to_parquet(tmp_path / "some.parquet")
    first, *others = (pq.read_schema(tmp_path / f"{n}.parquet") for n in ("none", "one", "some"))
    assert all(schema.equals(first, check_metadata=True) for schema in others)
    assert load_people(tmp_path / "none.parquet") == []


def test_people_are_written_in_groups_and_read_one_by_one(tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "p.parquet"
    with PeopleWriter(path, rows_per_group=4) as writer:
        for person in some(10):
            writer.add(person)
            assert not path.exists()
    assert writer.count == 10
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [4, 4, 2]
    people = iter_parquet(path)
    assert next(people) == some(1 + 9)[0]
    assert sum(1 for _ in people) == 9


def test_what_is_added_is_the_person_of_that_moment(tmp_path):
    person = TinyPerson("Ana", {"age": 34}, register=False)
    with PeopleWriter(tmp_path / "p.parquet") as writer:
        writer.add(person)
        person.define("age", 35)
        writer.add(person)
    assert [p.get("age") for p in iter_parquet(tmp_path / "p.parquet")] == [34, 35]


def test_an_error_in_the_block_leaves_what_was_there(tmp_path):
    path = tmp_path / "p.parquet"
    some(1).to_parquet(path)

    def stopped():
        with PeopleWriter(path, rows_per_group=1) as writer:
            writer.add(some(3)[2])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert names(tmp_path) == ["p.parquet"]
    assert People.from_parquet(path) == some(1)


def test_a_closed_writer_takes_nobody(tmp_path):
    writer = PeopleWriter(tmp_path / "p.parquet")
    writer.add(some(1)[0])
    with pytest.raises(InvalidInput, match="add needs a person, not a dict"):
        writer.add({"name": "Ana"})  # type: ignore[arg-type]
    writer.close()
    writer.close()
    with pytest.raises(InvalidInput, match="closed"):
        writer.add(some(1)[0])
    assert People.from_parquet(tmp_path / "p.parquet") == some(1)


@pytest.mark.parametrize("size", [0, -1, True])
def test_a_group_has_rows(tmp_path, size):
    with pytest.raises(InvalidInput, match="rows_per_group"):
        PeopleWriter(tmp_path / "p.parquet", rows_per_group=size)
    assert names(tmp_path) == []


def test_a_link_goes_on_pointing_to_where_it_did(tmp_path):
    for name in ("p.csv", "p.parquet"):
        (tmp_path / "real").mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(tmp_path / "real" / name)
        some().save(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert load_people(tmp_path / "real" / name) == some()


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


FULL = """
import resource, signal, sys
from tests.support.people import person
from tinyfactory.errors import TinyFactoryError
from tinyfactory.people import TinyPerson, save_people
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
everyone = (TinyPerson(persona=person(n), register=False) for n in range(3000))
try:
    save_people(everyone, sys.argv[1])
except TinyFactoryError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_a_disk_that_takes_no_more_is_said_and_leaves_the_old_file(tmp_path, name):
    path = tmp_path / name
    some(2).save(path)
    ended = run(FULL, path)
    assert ended.returncode == 0, ended.stderr
    assert "could not be written: File too large" in ended.stdout
    assert "unharmed" in ended.stdout
    assert names(tmp_path) == [name]
    assert load_people(path) == some(2)


KILLED = """
import os, signal, sys
from tests.support.people import person
from tinyfactory.people import PeopleWriter, TinyPerson
with PeopleWriter(sys.argv[1], rows_per_group=10) as writer:
    for n in range(100):
        writer.add(TinyPerson(persona=person(n), register=False))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_no_half_file_under_the_name(tmp_path):
    path = tmp_path / "p.parquet"
    assert run(KILLED, path).returncode == -9
    assert not path.exists()
    assert all(name.startswith(".") and name.endswith(".new") for name in names(tmp_path))
    some(2).to_parquet(path)
    assert People.from_parquet(path) == some(2)


PEAK = """
import resource, sys
from tests.support.people import person
from tinyfactory.people import PeopleWriter, TinyPerson, iter_parquet

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def work(path, count):
    with PeopleWriter(path, rows_per_group=200) as writer:
        for n in range(count):
            writer.add(TinyPerson(persona=person(n), register=False))
    return sum(1 for _ in iter_parquet(path))

work(sys.argv[1], 400)
before = peak()
assert work(sys.argv[1], 4000) == 4000
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_number_of_people(tmp_path):
    """4,000 people after 400; what they take at once, held whole, is tens of megabytes."""
    ended = run(PEAK, tmp_path / "p.parquet")
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < 12


def test_a_place_that_is_not_there_is_said(tmp_path):
    for name in ("p.csv", "p.parquet"):
        with pytest.raises(TinyFactoryError, match="could not be written"):
            some(1).save(tmp_path / "nowhere" / name)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for act in (lambda: to_parquet(some(1), tmp_path / "p"), lambda: [*iter_parquet("p")]):
        with pytest.raises(TinyFactoryError, match=r"\[tables\]"):
            act()
    assert names(tmp_path) == []


# CSV


RUN_BY_A_SPREADSHEET = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", ' "=1"', "'=1", "''=1", "a;=1", "a\n-b"),
    *("＝1+1", 'a;"=1', "; ;@x", "-", "=cmd|' /C calc'!A0", "a\r\n'=1"),
]


@pytest.mark.parametrize("text", RUN_BY_A_SPREADSHEET)
def test_a_formula_is_guarded_and_comes_back(text, tmp_path):
    assert guarded(text) != text
    assert unguarded(guarded(text)) == text
    fields = {"style": text, "skills": [text], "motto": {text: text}, "relationships": [text]}
    person = TinyPerson(f"{text} Ana", fields, provenance={"source": text}, register=False)
    to_csv([person], tmp_path / "p.csv")
    loaded = from_csv(tmp_path / "p.csv")
    assert loaded == [person]
    assert loaded[0].provenance == person.provenance


@pytest.mark.parametrize("text", ["a-b", "it's - so", "x=1", "ana@example.org", "'quoted'", ""])
def test_other_text_is_left_as_it_is(text):
    assert guarded(text) == unguarded(text) == text


def cells_as_a_spreadsheet_cuts(text, separator):
    """Cells as a reader sees them that takes `separator` for the one and quotes loosely."""
    import csv

    for line in csv.reader(text.splitlines(), delimiter=separator):
        yield from line


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_begins_as_a_formula_however_the_file_is_cut(tmp_path, separator):
    path = tmp_path / "p.csv"
    people = []
    for number, text in enumerate(RUN_BY_A_SPREADSHEET):
        fields = {"style": text, "health": f"x{text}", "skills": [text, f"y{text}"], "own": text}
        asked = {"profile": {"a": f"z{text}"}}
        people.append(TinyPerson(f"{text} {number}", fields, provenance=asked, register=False))
    to_csv(people, path)
    text = path.read_text(encoding="utf-8")
    cells = [*cells_as_a_spreadsheet_cuts(text, separator)]
    if separator == ",":
        import csv

        with path.open(encoding="utf-8", newline="") as file:
            cells = [cell for line in csv.reader(file) for cell in line]
    assert len(cells) > len(people)
    assert [cell for cell in cells if cell.lstrip(' \t\r\n"')[:1] in tuple("=+-@＝＋－＠")] == []


def test_a_table_that_someone_typed_is_read(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(
        "name,age,job,occupation_organization,skills,big_five_openness,routines_morning,club\r\n"
        'Ana,34,nurse,the clinic,"[""sewing"", ""chess""]",70,makes tea,rowing\r\n'
        "José,,,,,,,\r\n"
        ",,,,,,,\r\n",
        encoding="utf-8-sig",
    )
    ana, jose = from_csv(path)
    assert ana.persona == {
        "name": "Ana",
        "age": 34,
        "occupation": {"title": "nurse", "organization": "the clinic"},
        "personality": {"big_five": {"openness": 70}},
        "skills": ["sewing", "chess"],
        "behaviors": {"routines": {"morning": ["makes tea"]}},
        "club": "rowing",
    }
    assert jose.persona == {"name": "José"}


def test_without_the_persona_column_the_known_columns_are_read(tmp_path):
    import csv

    path = tmp_path / "p.csv"
    people = People(TinyPerson(persona=full_person(n), register=False) for n in range(4))
    people[0].define("style", "=calm")
    people.to_csv(path)
    with path.open(encoding="utf-8", newline="") as file:
        lines = [row[: len(KNOWN)] for row in csv.reader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    assert from_csv(path) == people


def test_a_cell_that_was_changed_is_not_dropped_in_silence(tmp_path):
    path = tmp_path / "p.csv"
    some(3).to_csv(path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Amara Abara,21", "Amara Abara,81", 1), encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 2: the column age was changed"):
        from_csv(path)


def test_what_spreadsheets_change_by_themselves_is_no_change(tmp_path):
    path = tmp_path / "p.csv"
    person = TinyPerson("Ana", {"style": "calm\nand slow", "age": 34}, register=False)
    to_csv([person], path)
    text = path.read_bytes().replace(b"calm\n", b"calm\r\n").replace(b"Ana,34,", b"Ana,34.0,")
    path.write_bytes(b"\xef\xbb\xbf" + text + b",,,\r\n")
    assert from_csv(path) == [person]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"name,age\nAna,34\nBo,190\n", "line 3: .*age: 190"),
        (b"name,age\nAna\n", "line 2: 1 cells"),
        (b"name:age\nAna:34\n", "name: missing"),
        (b"name,name\nAna,Bo\n", "names of columns must differ"),
        (b"name,\nAna,Bo\n", "names of columns must differ"),
        (b'name\n"Ana"x\n', "not CSV"),
        (b"\x81\xff", "UTF-8"),
        (b'name,provenance,persona\nAna,{},"{"', "line 2: .*not valid JSON"),
        (b'name,provenance,persona\nAna,{},"{}"', "line 2: .*name: missing"),
    ],
)
def test_what_is_no_table_of_people_is_named_by_its_place(tmp_path, content, reason):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=f"(?s){reason}"):
        load_people(tmp_path / "p.csv")


def test_nothing_to_read_is_said(tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    for name in ("none.csv", "none.parquet", "bad.parquet"):
        with pytest.raises(InvalidInput, match="could not be read"):
            load_people(tmp_path / name)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_error_of_the_generator_is_not_taken_for_the_disks(tmp_path, kind):
    def broken():
        yield from some(2)
        raise ConnectionError("the line is dead")

    with pytest.raises(ConnectionError):
        {"csv": to_csv, "parquet": to_parquet}[kind](broken(), tmp_path / "p")
    assert names(tmp_path) == []


def test_a_foreign_parquet_file_is_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"name": "Mary", "persona": "Mary, a nurse, likes maps.", "sex": "Female", "age": 43}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    mary = load_people(tmp_path / "p.parquet")[0]
    assert (mary.name, mary.get("gender"), mary.get("age")) == ("Mary", "Female", 43)
    assert mary.get("persona") == "Mary, a nurse, likes maps."
    pq.write_table(pa.Table.from_pylist([{"age": 43}]), tmp_path / "p.parquet")
    with pytest.raises(InvalidInput, match=r"(?s)row 1: .*name: missing"):
        load_people(tmp_path / "p.parquet")


def test_a_broken_file_is_told_of_in_one_sentence(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1nope")
    with pytest.raises(InvalidInput, match=r"could not be read as Parquet: .*[^.]\.$"):
        load_people(tmp_path / "broken.parquet")
