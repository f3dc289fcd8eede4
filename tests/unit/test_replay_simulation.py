"""Opening a recording, calls in another order outside a notebook, edits, and extending it."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import shutil

import pytest

import tinyfactory
from tests.support.people import person as persona
from tinyfactory import (
    Simulation,
    TinyFactory,
    TinyPerson,
    TinyPersonFactory,
    control,
    transactional,
)
from tinyfactory.errors import DamagedRecord, InvalidInput, ReplayMiss
from tinyfactory.models.chat import ChatReply
from tinyfactory.people import People

CONTEXT = "Bakers in Vienna"
UNUSED = "Nothing of the recording"


class Writer:
    """A model of the user's own, with no network."""

    def __init__(self, first=0):
        self.identity = {"kind": "test", "model": "writer"}
        self.calls = 0
        self.first = first

    async def complete(self, request):
        self.calls += 1
        if request.schema_name == "talk":
            return ChatReply(f"Answer {self.calls} to {request.messages[-1]['content']}")
        return ChatReply(json.dumps(persona(self.first + self.calls)))


class Refusing(Writer):
    async def complete(self, request):
        pytest.fail("a model was asked in a replay")


@pytest.fixture
def recorded(tmp_path):
    """A recording of two people and a question, and the names of the people."""
    with Simulation(tmp_path / "teacher", "lesson") as simulation:
        factory = TinyPersonFactory(CONTEXT, model=Writer())
        people = [factory.generate_person() for _ in range(2)]
        people[0].ask("Why?", model=Writer())
        people[0].revise({"age": 91})
        path = simulation.export(tmp_path / "lesson.recording.jsonl.gz")
    tinyfactory.configure(model=Refusing())
    return path, [person.name for person in people]


def names(number=2):
    factory = TinyPersonFactory(CONTEXT)
    return [factory.generate_person().name for _ in range(number)]


# -- opening -------------------------------------------------------------------------------


def test_a_recording_is_active_as_soon_as_it_is_opened(recorded):
    path, expected = recorded
    simulation = Simulation.from_recording(path)
    assert simulation.is_open and control.current_simulation() is simulation
    assert names() == expected
    # `begin` and `with` start again from the beginning.
    assert simulation.begin() is simulation and names() == expected
    with simulation:
        assert names() == expected
    assert not simulation.is_open and control.current_simulation() is None


@pytest.mark.parametrize("end", ["end", "with", "begin another"])
def test_a_recording_that_was_opened_and_never_used_says_so(recorded, tmp_path, capsys, end):
    path, _ = recorded
    simulation = Simulation.from_recording(path)
    if end == "end":
        simulation.end()
    elif end == "with":
        with simulation:
            pass
    else:
        control.begin(tmp_path / "other")
    shown = capsys.readouterr().out
    assert shown.count(UNUSED) == 1 and path.name in shown


def test_a_recording_that_was_used_says_nothing(recorded, capsys):
    with Simulation.from_recording(recorded[0]):
        names()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["lesson.recording.jsonl.gz", "lesson", "lesson.txt"])
def test_begin_opens_a_recording_by_its_content(recorded, tmp_path, name):
    path, expected = recorded
    other = tmp_path / "copy" / name
    other.parent.mkdir()
    other.write_bytes(path.read_bytes())
    simulation = control.begin(str(other))
    assert simulation.id == "lesson" and names() == expected
    simulation = control.begin(other, "mine")
    assert simulation.id == "mine" and names() == expected
    assert list(other.parent.iterdir()) == [other]


def test_begin_does_not_take_a_recording_that_is_missing_for_a_new_journal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("lesson.recording.jsonl.gz", "sub/Lesson.JSONL", "~/lesson.jsonl.gz"):
        with pytest.raises(InvalidInput, match=r"There is no recording at .*Copy the file"):
            control.begin(name)
    assert list(tmp_path.iterdir()) == []


def test_begin_finds_a_recording_in_the_home_folder(recorded, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(recorded[0], tmp_path / "own.jsonl.gz")
    with control.begin("~/own.jsonl.gz") as simulation:
        assert simulation.is_open
    assert not (tmp_path / "own.jsonl.gz").is_dir()


def test_begin_refuses_another_file_and_a_damaged_recording(recorded, tmp_path):
    path, _ = recorded
    (tmp_path / "notes.recording.jsonl.gz").write_text("Not packed, and no recording.")
    (tmp_path / "other.gz").write_bytes(gzip.compress(b'{"format": "another"}\n'))
    (tmp_path / "cut.gz").write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidInput, match="recording"):
        control.begin(tmp_path / "other.gz")
    for name in ("notes.recording.jsonl.gz", "cut.gz"):
        with pytest.raises(DamagedRecord):
            control.begin(tmp_path / name)
    assert control.current_simulation() is None


# -- another order, outside of a notebook ---------------------------------------------------


def notebook():
    """Calls that may be made in any order, with their results."""
    factory = TinyPersonFactory(CONTEXT, model=Writer())
    other = TinyPersonFactory("Bakers in Graz", model=Writer(first=50))
    return {
        "two": lambda: [p.name for p in factory.generate_people(2)],
        "tall": lambda: factory.generate_person("tall").name,
        "together": lambda: [p.name for p in factory.generate_people(3, "old", concurrency=2)],
        "other": lambda: other.generate_person().name,
    }


@pytest.mark.parametrize("seed", range(6))
def test_without_cells_calls_are_found_in_any_order(tmp_path, seed):
    with Simulation(tmp_path / "j", "lesson") as simulation:
        expected = {name: call() for name, call in notebook().items()}
        path = simulation.export(tmp_path / "r.gz")
    with Simulation.from_recording(path) as simulation:
        calls = list(notebook().items())
        random.Random(seed).shuffle(calls)
        assert {name: call() for name, call in calls} == expected
        assert simulation.misses == 0


def test_without_cells_the_nth_equal_call_is_the_nth_recorded_one(recorded):
    path, expected = recorded
    with Simulation.from_recording(path):
        assert names() == expected
        with pytest.raises(ReplayMiss, match="another one of equals"):
            names()
        factory = TinyPersonFactory("At sea")
        with pytest.raises(ReplayMiss, match="At sea"):
            factory.generate_person()


def test_questions_are_found_in_any_order_and_for_a_person_who_was_edited_first(tmp_path):
    def people():
        factory = TinyPersonFactory(CONTEXT, model=Writer())
        return People(factory.generate_people(2))

    with Simulation(tmp_path / "j", "lesson") as simulation:
        one, other = people()
        said = [one.ask("A?"), one.ask("B?"), other.ask("A?"), asyncio.run(one.aask("C?"))]
        panel = People([one, other]).ask("D?", concurrency=2).answers
        path = simulation.export(tmp_path / "r.gz")
    with Simulation.from_recording(path) as simulation:
        one, other = people()
        one.define("hobby", "rowing", group="preferences")
        other.revise({"age": 91})
        again = [asyncio.run(one.aask("C?")), other.ask("A?"), one.ask("B?"), one.ask("A?")]
        assert again == [said[3], said[2], said[1], said[0]]
        assert People([other, one]).ask("D?").answers == panel[::-1]
        assert simulation.spent.calls == 0
        with pytest.raises(ReplayMiss, match=r"question .*'F\?'"):
            one.ask("F?")


class Counter(TinyFactory):
    def __init__(self, n=0):
        super().__init__()
        self.n = n

    @transactional(version="1")
    def add(self, number: int) -> int:
        self.n += number
        return self.n

    def encode_complete_state(self):
        return super().encode_complete_state() | {"n": self.n}

    def decode_complete_state(self, state):
        self.n = state["n"]
        return super().decode_complete_state(state)


def test_an_object_with_another_initial_state_is_another_one(tmp_path):
    with Simulation(tmp_path / "j", "lesson") as simulation:
        assert Counter(0).add(1) == 1
        path = simulation.export(tmp_path / "r.gz")
    with Simulation.from_recording(path), pytest.raises(ReplayMiss, match="n 0 → 5"):
        Counter(5).add(1)


def test_a_call_that_is_rolled_back_can_be_made_again(recorded):
    path, expected = recorded
    with Simulation.from_recording(path):
        factory = TinyPersonFactory(CONTEXT)
        blocking = TinyPerson(expected[0])
        with pytest.raises(ReplayMiss, match="taken"):
            factory.generate_person()
        blocking.unregister()
        assert [factory.generate_person().name for _ in range(2)] == expected


# -- edits ---------------------------------------------------------------------------------


def test_edits_that_were_not_recorded_are_made_in_memory(recorded):
    path, expected = recorded
    before = path.read_bytes()
    with Simulation.from_recording(path) as simulation:
        factory = TinyPersonFactory(CONTEXT)
        one = factory.generate_person()
        assert one.revise({"age": 55}).changes["age"][1] == 55
        assert one.revise({"name": "Bo Berg"}) is not None
        one.undo()
        assert (one.name, one.get("age"), len(one.revisions)) == (expected[0], 55, 2)
        factory._setup_agent(one, {"skills": ["rowing"]})
        assert "rowing" in one.get("skills")
        # What was recorded is still found, with the edit made on the present state.
        assert one.ask("Why?").startswith("Answer 1")
        assert one.revise({"age": 91}).changes["age"] == (55, 91)
        assert "rowing" in one.get("skills") and simulation.spent.calls == 0
        simulation.begin()
        assert TinyPersonFactory(CONTEXT).generate_person().get("age") not in (55, 91)
    assert path.read_bytes() == before


def test_edits_of_an_extended_recording_are_saved_in_the_own_journal(recorded, tmp_path):
    path, _ = recorded

    def edit():
        with Simulation.from_recording(path, "extend", tmp_path / "mine") as simulation:
            one = TinyPersonFactory(CONTEXT).generate_person()
            one.revise({"age": 55})
            return simulation.misses, one.get("age")

    assert edit() == (1, 55)
    assert edit() == (0, 55)


def test_a_recorded_edit_is_replayed_where_nothing_else_was_edited(recorded):
    path, _ = recorded
    with Simulation.from_recording(path) as simulation:
        one = TinyPersonFactory(CONTEXT).generate_person()
        one.ask("Why?")
        one.revise({"age": 91})
        assert simulation.misses == 0
        assert simulation.explain().endswith("it was done before.")


def test_a_method_of_the_users_own_is_no_edit(recorded):
    path, _ = recorded
    with Simulation.from_recording(path), pytest.raises(ReplayMiss, match="no call of that"):
        Counter().add(1)


# -- extend --------------------------------------------------------------------------------


def test_extend_makes_what_is_new_and_replays_it_in_any_order_with_the_recorded(recorded, tmp_path):
    path, expected = recorded
    model = Writer(first=100)

    def run(reverse):
        with Simulation.from_recording(path, "extend", tmp_path / "mine") as simulation:
            factory = TinyPersonFactory(CONTEXT, model=model)
            other = TinyPersonFactory("At sea", model=model)
            calls = [factory.generate_person, factory.generate_person, other.generate_person]
            made = [call().name for call in (reversed(calls) if reverse else calls)]
            return sorted(made), simulation.misses

    first, misses = run(reverse=False)
    assert misses == 1 and set(expected) < set(first)
    assert run(reverse=True) == (first, 0)
    assert model.calls == 1
