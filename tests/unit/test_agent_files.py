"""A corpus of agent files: each is read, written in every format, and equal when read again."""

from __future__ import annotations

import gzip
import json
import keyword
import logging
import zipfile

import pytest

from tests.support.agent_files import AgentFile, agent_files
from tests.support.people import person as full_person
from tinyfactory import configure
from tinyfactory.errors import FileTooLarge, InvalidInput
from tinyfactory.people import People, TinyPerson, load_people, save_people

CORPUS = agent_files()
NAMES = [file.name for file in CORPUS]


def read(folder, file: AgentFile) -> People:
    path = folder / file.name
    path.write_bytes(file.content)
    return load_people(path)


def test_the_corpus_has_different_files_of_all_shapes():
    assert len(set(NAMES)) == len(NAMES) >= 60


@pytest.mark.parametrize("file", CORPUS, ids=NAMES)
def test_a_file_is_read_and_changes_are_noted(tmp_path, file, caplog):
    with caplog.at_level(logging.WARNING, "tinyfactory"):
        people = read(tmp_path, file)
    assert len(people) == len(file.people)
    for person, expected in zip(people, file.people, strict=True):
        fields = person.persona
        assert {key: fields.get(key) for key in expected} == expected
    if file.note:
        assert any(file.note in note for note in people.notes), people.notes
    assert len(caplog.records) == bool(people.notes)  # once


@pytest.mark.parametrize("file", CORPUS, ids=NAMES)
def test_a_file_is_written_in_every_format_and_equal(tmp_path, file):
    people = read(tmp_path, file)
    for name in ("p.json", "p.jsonl", "p.csv", "p.parquet", "p.edsl.json", "folder"):
        if name == "folder" and not people:
            continue  # a folder without agents is told from one with agents only by an error
        people_format = "edsl" if "edsl" in name else None
        save_people(people, tmp_path / name, format=people_format)
        loaded = load_people(tmp_path / name)
        assert [p.to_dict() for p in loaded] == [p.to_dict() for p in people], name
        assert loaded.notes == [], name
    assert People.from_edsl(json.loads(json.dumps(people.to_edsl()))) == people


@pytest.mark.parametrize("file", CORPUS, ids=NAMES)
def test_a_file_goes_through_a_frame(tmp_path, file):
    """A frame has the source of a description only, and a CSV file of it has text only."""
    pandas = pytest.importorskip("pandas")
    people = read(tmp_path, file)
    frame = people.to_frame()
    assert People.from_frame(frame) == people
    frame.to_json(tmp_path / "f.json", orient="records")
    frame.to_json(tmp_path / "f.jsonl", orient="records", lines=True)
    assert load_people(tmp_path / "f.json") == load_people(tmp_path / "f.jsonl") == people
    for index in (False, True):
        frame.to_csv(tmp_path / "f.csv", index=index)
        loaded = load_people(tmp_path / "f.csv")
        assert [known(p) for p in loaded] == [known(p) for p in people]
        assert [note for note in loaded.notes if "counts the rows" not in note] == []
    assert len(People.from_frame(pandas.read_csv(tmp_path / "f.csv"))) == len(people)


def test_a_frame_saved_as_parquet_has_no_padding(tmp_path):
    """All objects of a column have the same fields there, most of them empty."""
    pytest.importorskip("pandas")
    people = some()
    people[1].define("behaviors.habits", {"deep": ["tea"]})  # Arrow has lists of one type
    people[2].define("relationships", [{"name": "Cy", "description": "a cousin", "far": True}])
    people.to_frame().to_parquet(tmp_path / "f.parquet")
    assert load_people(tmp_path / "f.parquet") == people


def known(person):
    """A person with numbers of unknown fields as text, which is all that CSV has."""
    return json.dumps(person.persona, sort_keys=True, ensure_ascii=False).replace('"', "")


def some() -> People:
    people = People(
        TinyPerson(
            persona=full_person(n), provenance={"source": "model", "model": "m"}, register=False
        )
        for n in range(3)
    )
    people[0].define("relationships", [{"name": "Bia", "description": "a sister", "since": 2001}])
    people[1].define("behaviors.habits", {"deep": ["tea", 2]})
    people[1].define("occupation_badge", "7a")
    people[2].define("demographics", {"region": "north", "income level": "low", "class": "b"})
    people[2].define("source", "told")
    return people


@pytest.mark.parametrize("name", ["p.parquet", "p.csv", "p.jsonl", "p.json", "folder"])
def test_our_own_file_is_read_exactly(tmp_path, name):
    """Columns of one type hold a part of a relationship; the file was refused as changed."""
    people = some()
    people.save(tmp_path / name)
    loaded = load_people(tmp_path / name)
    assert [p.to_dict() for p in loaded] == [p.to_dict() for p in people]
    assert loaded.notes == []


def test_a_changed_relationship_of_a_parquet_file_is_still_told(tmp_path):
    pandas = pytest.importorskip("pandas")
    some().save(tmp_path / "p.parquet")
    frame = pandas.read_parquet(tmp_path / "p.parquet")
    frame.at[0, "relationships"] = [{"name": "Bia", "description": "a cousin"}]
    frame.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(InvalidInput, match="row 1: the column relationships was changed"):
        load_people(tmp_path / "p.parquet")


def test_a_frame_comes_back_with_parts_and_sources():
    pytest.importorskip("pandas")
    people = some()
    back = People.from_frame(people.to_frame())
    assert back == people
    assert [p.provenance for p in back] == [p.provenance for p in people]


def test_a_frame_with_an_index_or_other_types_is_read():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "name": ["Ana", "Bo"],
            "age": pandas.Series([34, None], dtype="Int64"),
            "since": pandas.to_datetime(["2020-01-02", None]),
            "group": pandas.Series(["a", None], dtype="category"),
            "score": [0.5, float("nan")],
        },
    )
    expected = [
        {"name": "Ana", "age": 34, "group": "a", "score": 0.5, "since": "2020-01-02T00:00:00"},
        {"name": "Bo"},
    ]
    for form in (frame, frame.set_index("name"), frame.sort_index(ascending=False)[::-1]):
        assert [p.persona for p in People.from_frame(form)] == expected
    for no_frame in ([{"name": "Ana"}], None, "a.csv"):
        with pytest.raises(InvalidInput, match="must be a data frame"):
            People.from_frame(no_frame)


def test_an_agent_of_edsl_has_demographics_among_its_traits():
    agent = some().to_edsl()[2]
    assert agent["traits"]["region"] == "north"
    assert agent["traits"]["income_level"] == "low"
    assert agent["codebook"]["income_level"] == "income level"
    assert "demographics" not in agent["traits"] and "name" not in agent["traits"]
    assert all(key.isidentifier() and not keyword.iskeyword(key) for key in agent["traits"])
    # EDSL keeps these keys of an agent and drops others, such as the provenance.
    keeps = ("name", "traits", "instruction", "codebook", "traits_presentation_template")
    through = People.from_edsl([{key: agent[key] for key in keeps if key in agent}])[0]
    own = some()[2].persona
    assert (
        through.persona
        == {k: v for k, v in own.items() if k != "demographics"} | own["demographics"]
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"a": 1, "b": [2]}, "its keys are 'a', 'b'"),
        ({"meta": {"x": 1}, "list": [1, 2]}, "its keys are 'meta', 'list'"),
        ({"people": [{"name": "Ana"}, {"age": 190, "name": "Bo"}]}, "people, person 2: .*age: 190"),
        ([{"name": "Ana"}, {"age": 3}], "person 2: .*name: missing"),
    ],
)
def test_a_collection_without_people_is_told_by_its_keys(tmp_path, content, reason):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InvalidInput, match=f"(?s){reason}"):
        load_people(tmp_path / "a.json")


def test_a_person_with_a_list_of_others_is_one_person(tmp_path):
    person = {
        "name": "Ana",
        "age": 34,
        "children": [{"name": "Bia", "age": 3}],
        "data": [{"age": 1}],
    }
    for content in (person, {"name": "Ana", "pets": [{"name": "Rex", "age": 3}]}):
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert [p.persona for p in load_people(tmp_path / "a.json")] == [content]


def test_what_is_cut_off_or_packed_otherwise_is_told(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"name": "Ana"}' * 1000)[:-20])
    with pytest.raises(InvalidInput, match="cut off or is not gzip"):
        load_people(tmp_path / "a.json.gz")
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(InvalidInput, match="damaged ZIP file"):
        load_people(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(InvalidInput, match="ZIP or Excel file"):
        load_people(tmp_path / "b.xlsx")


def test_a_home_folder_is_meant_by_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    people = some()
    for name in ("p.json", "p.csv", "p.parquet", "folder"):
        people.save(f"~/{name}")
        assert load_people(f"~/{name}") == people
    with pytest.raises(InvalidInput, match="a user that this machine does not have"):
        load_people("~nobody-of-this-name/p.json")


@pytest.mark.parametrize("name", ["a.json.gz", "a.jsonl.gz", "a.csv.gz"])
def test_a_packed_file_that_unpacks_beyond_the_limit_is_refused(tmp_path, name):
    configure(limits={"file_bytes": 100_000, "document_bytes": 100_000})
    (tmp_path / name).write_bytes(gzip.compress(b"name\n" + b" " * 30_000_000))
    with pytest.raises(FileTooLarge, match=r"more than 100,000 bytes.*(file|document)_bytes"):
        load_people(tmp_path / name)
