from __future__ import annotations

import json
import os
import sys

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import InvalidInput, TinyFactoryError
from tinyfactory.people import People, TinyPerson, load_people, save_people, to_frame


def some(count=3) -> People:
    return People(
        TinyPerson(persona=full_person(n), provenance={"source": "offline"}, register=False)
        for n in range(count)
    )


@pytest.mark.parametrize("name", ["p.jsonl", "p.ndjson", "p.json", "folder", "a b/../p.jsonl"])
def test_what_is_saved_is_loaded(tmp_path, name):
    (tmp_path / "a b").mkdir()
    people = some(12)
    people[3].define("motto", "line\u2028break\x85 \n {x}")
    save_people(people, tmp_path / name)
    loaded = load_people(tmp_path / name)
    assert isinstance(loaded, People)
    assert loaded == people
    assert [p.provenance for p in loaded] == [p.provenance for p in people]
    assert not any(p.is_registered for p in loaded)


def test_one_person_is_an_agent_file(tmp_path):
    path = tmp_path / "ana.agent.json"
    save_people(some(1)[0], path)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["type"] == "TinyPerson"
    assert written["persona"] == full_person(0)
    assert load_people(path) == some(1)
    with pytest.raises(InvalidInput, match="holds one person"):
        save_people(some(2), path)


def test_no_people_are_saved_and_loaded(tmp_path):
    for name in ("p.jsonl", "p.json"):
        save_people([], tmp_path / name)
        assert load_people(tmp_path / name) == []


def test_people_save_themselves(tmp_path):
    some().save(tmp_path / "p.jsonl")
    assert load_people(tmp_path / "p.jsonl") == some()


def test_the_format_can_be_given(tmp_path):
    save_people(some(), tmp_path / "people.txt", format="jsonl")
    assert len((tmp_path / "people.txt").read_text(encoding="utf-8").splitlines()) == 3
    for path, kind in (("people.xyz", None), ("people", "yaml")):
        with pytest.raises(InvalidInput, match="nothing was written"):
            save_people(some(), tmp_path / path, format=kind)
        assert not (tmp_path / path).exists()


def test_names_that_differ_in_signs_only_have_files_of_their_own(tmp_path):
    names = ["A/B", "A\\B", "../A", "A B", "李", "x" * 200]
    people = People(TinyPerson(name, register=False) for name in names)
    save_people(people, tmp_path / "folder")
    assert [p.name for p in load_people(tmp_path / "folder")] == names
    assert {p.name for p in tmp_path.iterdir()} == {"folder"}


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="not empty"):
        save_people(some(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "p.jsonl"
    save_people(some(1), path)
    before = path.read_bytes()

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TinyFactoryError, match="No space left on device"):
        save_people(some(3), path)
    with pytest.raises(TinyFactoryError, match="No space left"):
        save_people(some(3), tmp_path / "folder")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["p.jsonl"]


def test_a_place_that_is_not_there_is_said(tmp_path):
    with pytest.raises(TinyFactoryError, match="could not be written"):
        save_people(some(1), tmp_path / "nowhere" / "p.jsonl")


def test_a_file_is_readable_by_others_as_the_umask_says(tmp_path):
    save_people(some(1), tmp_path / "p.jsonl")
    (tmp_path / "other").write_text("")
    assert (tmp_path / "p.jsonl").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_foreign_files_are_read(tmp_path):
    older = {"name": "Lisa", "_configuration": {"age": 28, "skills": [{"skill": "Python"}]}}
    edsl = {"name": "Bo", "traits": {"age": 60}}
    path = tmp_path / "people.json"
    for content in ([older, edsl], {"agent_list": [older, edsl], "edsl_version": "1"}):
        path.write_text(json.dumps(content), encoding="utf-8-sig")
        assert [p.persona for p in load_people(path)] == [
            {"name": "Lisa", "age": 28, "skills": ["Python"]},
            {"name": "Bo", "age": 60},
        ]
    path.write_text(json.dumps(older))
    assert [p.name for p in load_people(path)] == ["Lisa"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("p.jsonl", b'{"name": "Ana"}\n\n{"name": ', "line 3: not valid JSON"),
        ("p.jsonl", b'{"name": "Ana"}\n{"name": "Bo", "age": 190}', "line 2: .*age: 190"),
        ("p.jsonl", b'{"name": "Ana"}\n5', "line 2: "),
        ("p.json", b'[{"name": "Ana"}, {"age": 3}]', "person 2: .*name: missing"),
        ("p.json", b"5", "neither a person nor a list"),
        ("p.json", b"[" * 100_000, "nested too deep"),
        ("p.json", b"\x81\xff", "UTF-8"),
        ("p.json", b"\xff\xfe", "not valid JSON"),
        ("p.csv", b"name,age\nAna,190", "line 2: .*age: 190"),
    ],
)
def test_what_is_no_person_is_named_by_its_place(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=f"(?s){reason}"):
        load_people(tmp_path / name)


def test_nothing_to_load_is_said(tmp_path):
    with pytest.raises(InvalidInput, match="could not be read"):
        load_people(tmp_path / "missing.jsonl")
    with pytest.raises(InvalidInput, match="no files"):
        load_people(tmp_path)


def test_a_frame_has_one_row_a_person_and_the_same_columns_always():
    pytest.importorskip("pandas")
    people = some(2)
    people[1].define("motto", "Onwards")
    people[1].define("occupation_badge", 7)
    people[1].define("source", "told")
    frame = people.to_frame()
    bare = to_frame([TinyPerson("Ana", register=False)])
    own = ("motto", "other_occupation_badge", "other_source")  # "occupation_" is of a part
    known = [c for c in frame.columns if c not in own]
    assert known == list(bare.columns)
    assert list(frame.columns[:8]) == [
        *("name", "age", "gender", "nationality", "residence", "education"),
        *("occupation_title", "occupation_organization"),
    ]
    assert frame["age"].dtype == "Int64"
    assert list(frame["big_five_openness"]) == [40, 41]
    assert frame.loc[0, "skills"] == full_person(0)["skills"]
    assert frame.loc[0, "routines_morning"] == ["makes tea before anything else"]
    assert frame.loc[1, "motto"] == "Onwards"
    assert frame.loc[1, "other_source"] == "told"
    assert list(frame["source"]) == ["offline", "offline"]
    assert len(to_frame([])) == 0


def test_an_unknown_field_does_not_pass_for_a_known_one():
    pytest.importorskip("pandas")
    persona = {"name": "Ana", "big_five_openness": "x", "routines_morning": "y"}
    frame = to_frame([TinyPerson(persona=persona, register=False)])
    assert frame["big_five_openness"].isna().all()
    assert frame.loc[0, "other_big_five_openness"] == "x"
    assert frame.loc[0, "other_routines_morning"] == "y"


def test_without_pandas_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(TinyFactoryError, match=r"\[tables\]"):
        to_frame(some(1))


@pytest.mark.parametrize("name", ["people.jsonl", "people.json", "people.csv"])
def test_control_characters_in_a_file_are_restored_or_shown_with_a_note(tmp_path, name):
    path = tmp_path / name
    rows = [
        {"name": "Jos\x00e9 Lima", "motto": "Caf\x00e9"},
        {"name": "Ana\x00 Souza", "motto": "Tea"},
    ]
    if name.endswith("csv"):
        path.write_text("name,motto\n" + "".join(",".join(row.values()) + "\n" for row in rows))
    elif name.endswith("jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    people = load_people(path)
    assert [person.name for person in people] == ["José Lima", "Ana\ufffd Souza"]
    assert people[0].get("motto") == "Café"
    restored, replaced = (note for note in people.notes if "name" not in note)
    assert "which was restored (2 times" in restored and "NUL" in replaced
