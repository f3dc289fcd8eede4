"""Editing step by step: checked, kept, replayed, taken back exactly; and where fields came from."""

from __future__ import annotations

import copy
import random
import threading

import pytest

from tests.support.people import person as a_person
from tinyfactory import Simulation, TinyPerson, TinyPersonFactory, transactional
from tinyfactory.errors import InvalidInput, InvalidPersona, NameTaken
from tinyfactory.journal.scopes.scope import scope
from tinyfactory.journal.timeline import history_of
from tinyfactory.journal.values.serializer import decode, encode
from tinyfactory.people.revisions import Revision
from tinyfactory.people.schema.provenance import origins_of

PERSONA = {"age": 34, "occupation": {"title": "nurse"}, "skills": ["sewing"], "motto": "Slowly."}


def ana(**options) -> TinyPerson:
    return TinyPerson("Ana Souza", PERSONA, **{"register": False} | options)


def whole(person: TinyPerson) -> dict:
    """All of a person but what was done to them."""
    state = person.encode_complete_state()
    state.pop("revisions", None)
    return state


# -- one edit ---------------------------------------------------------------------------------


def test_an_edit_says_what_stood_before_and_after():
    person = ana()
    made = person.revise({"age": 35, "occupation.title": "midwife", "motto": None, "style": "Dry."})
    assert made == Revision(
        1,
        {
            "age": (34, 35),
            "occupation.title": ("nurse", "midwife"),
            "style": (None, "Dry."),
            "motto": ("Slowly.", None),
        },
        "edited",
        False,
    )
    assert person.revisions == [made]
    assert (person.get("age"), person.get("motto")) == (35, None)


@pytest.mark.parametrize(
    "changes",
    [{"age": 35, "skills": [{"skill": object()}]}, {"age": 190}, {"name": " "}, {"": 1}],
)
def test_all_of_an_edit_or_nothing(changes):
    person = ana()
    before = person.encode_complete_state()
    with pytest.raises(InvalidPersona):
        person.revise(changes)
    assert person.encode_complete_state() == before and person.revisions == []


@pytest.mark.parametrize("changes", [{}, None, [("age", 3)], "age"])
def test_what_is_no_edit_is_refused(changes):
    with pytest.raises(InvalidInput, match="Nothing was changed"):
        ana().revise(changes)


def test_an_edit_that_changes_nothing_is_none(tmp_path):
    with Simulation(tmp_path, "edit"):
        person = ana()
        assert person.revise({"age": 34, "occupation.title": " nurse "}) is None
        assert person.revisions == [] and history_of(scope(), person) == []


def test_fields_are_found_by_older_names_and_in_other_shapes():
    person = ana()
    made = person.revise({"job": "midwife", "age": "35", "skills": ({"skill": "chess"},)})
    assert made is not None
    assert made.changes == {
        "age": (34, 35),
        "occupation.title": ("nurse", "midwife"),
        "skills": (["sewing"], ["chess"]),
    }


def test_what_is_handed_out_is_a_copy():
    person = ana()
    made = person.revise({"skills": ["chess"]})
    assert made is not None
    made.changes["skills"][1].append("lies")
    person.revisions.clear()
    assert person.revisions[0].changes["skills"] == (["sewing"], ["chess"])
    assert person.get("skills") == ["chess"]


# -- taking back ------------------------------------------------------------------------------


def test_undo_takes_the_latest_standing_edit_back():
    person = ana()
    before = whole(person)
    person.revise({"age": 35})
    between = whole(person)
    person.revise({"age": 36, "style": "Dry."})
    assert person.undo().number == 2
    assert whole(person) == between
    assert person.undo().number == 1
    assert whole(person) == before
    assert [revision.undone for revision in person.revisions] == [True, True]
    with pytest.raises(InvalidInput, match="no edit to undo"):
        person.undo()
    person.revise({"age": 37})
    assert [(r.number, r.undone) for r in person.revisions] == [(1, True), (2, True), (3, False)]


def test_many_edits_and_as_many_undos_give_the_same_person():
    dice = random.Random(7)
    values: dict[str, list] = {
        "age": [20, 30, None],
        "occupation.title": ["cook", "clerk", None],
        "occupation": [{"title": "judge", "organization": "a court"}, None],
        "personality.big_five.openness": [10, 90],
        "behaviors.routines": [{"morning": ["runs"]}, None],
        "relationships": [[{"name": "Bo"}], []],
        "motto": ["Fast.", {"of": {"youth": 1}}, None],
        "motto2": [[1, 2.5, True], {"a.b": 1}],
        "name": ["Ana Lima", "Bo Lind"],
    }
    person = TinyPerson(persona=a_person(3) | {"motto": "Slowly."})
    states = []
    for _ in range(60):
        field = dice.choice(list(values))
        before = whole(person)
        try:
            if person.revise({field: dice.choice(values[field])}) is not None:
                states.append(before)
        except InvalidPersona:  # such as a title within an occupation that is gone
            assert whole(person) == before
    assert len(states) > 30
    for before in reversed(states):
        person.undo()
        assert whole(person) == before
        assert list(person.persona) == list(before["persona"])
        assert person.is_registered


def test_what_was_changed_elsewhere_since_stays():
    person = ana()
    person.revise({"occupation.title": "midwife"})
    person.define("organization", "a clinic", group="occupation")
    person.undo()
    assert person.get("occupation") == {"title": "nurse", "organization": "a clinic"}


def test_a_name_is_taken_and_given_back():
    person, other = ana(register=True), TinyPerson("Bo Lind")
    with pytest.raises(NameTaken):
        person.revise({"age": 35, "name": "bo lind"})
    assert person.get("age") == 34 and person.is_registered and person.revisions == []
    person.revise({"name": "Ana Lima"})
    assert [p.name for p in TinyPerson.all_people()] == ["Bo Lind", "Ana Lima"]
    other.revise({"name": "Ana Souza"})
    before = person.encode_complete_state()
    with pytest.raises(NameTaken):
        person.undo()
    assert person.encode_complete_state() == before and person.is_registered
    other.undo()
    person.undo()
    assert {p.name for p in TinyPerson.all_people()} == {"Ana Souza", "Bo Lind"}


# -- as steps ---------------------------------------------------------------------------------


def edited(path) -> tuple[dict, Simulation]:
    with Simulation(path, "edit") as simulation:
        person = TinyPersonFactory("Bakers", model="offline").generate_person()
        person.revise({"age": 35, "name": "Somebody Else"})
        person.revise({"style": "Dry."})
        person.undo()
        state = person.encode_complete_state()
        assert [e.method for e in history_of(scope(), person)] == [
            "TinyPerson._revise",
            "TinyPerson._revise",
            "TinyPerson._take_back",
        ]
        assert TinyPerson.all_people()[0] is person
    return state, simulation


def test_edits_are_steps_that_replay(tmp_path):
    first, again = edited(tmp_path), edited(tmp_path)
    assert first[0] == again[0]
    assert (first[1].misses, again[1].misses, again[1].hits) == (4, 0, 4)


def test_an_edit_of_someone_changed_by_hand_is_another_step(tmp_path):
    def notebook(age: int) -> TinyPerson:
        with Simulation(tmp_path, "edit"):
            person = ana()
            person.revise({"style": "Dry."})
            person.define("age", age)
            person.revise({"style": "Warm."})
        return person

    assert notebook(40).get("age") == 40
    assert notebook(41).get("age") == 41


def test_a_recording_replays_edits(tmp_path):
    state, simulation = edited(tmp_path / "journal")
    file = simulation.export(tmp_path / "edit.recording.jsonl.gz")
    with Simulation.from_recording(file):
        person = TinyPersonFactory("Bakers", model="offline").generate_person()
        person.revise({"age": 35, "name": "Somebody Else"})
        person.revise({"style": "Dry."})
        person.undo()
        assert person.encode_complete_state() == state


class Editor(TinyPerson):
    @transactional
    def improve(self, fail: bool) -> None:
        self.revise({"age": 40, "name": "Ana Lima"})
        self.undo()
        self.revise({"age": 41, "name": "Ana Dias"})
        if fail:
            raise ValueError("no")


@pytest.mark.parametrize("kept", [True, False])
def test_within_a_users_own_step_an_edit_goes_back_with_it(tmp_path, kept):
    simulation = Simulation(tmp_path, "edit").begin() if kept else None
    person = Editor("Ana Souza", PERSONA)
    before = person.encode_complete_state()
    with pytest.raises(ValueError, match="no"):
        person.improve(fail=True)
    assert person.encode_complete_state() == before
    assert TinyPerson.all_people()[0] is person
    person.improve(fail=False)
    assert (person.name, person.get("age")) == ("Ana Dias", 41)
    if simulation is not None:
        after = person.encode_complete_state()
        simulation.begin()
        person = Editor("Ana Souza", PERSONA)
        person.improve(fail=False)
        assert person.encode_complete_state() == after and simulation.misses == 0
        simulation.end()


def test_edits_from_threads_are_all_there():
    person = ana()
    threads = [
        threading.Thread(target=person.revise, args=({f"note {n}": "x"},)) for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [revision.number for revision in person.revisions] == list(range(1, 17))
    assert sum(key.startswith("note ") for key in person.persona) == 16


def test_edits_are_part_of_the_state_and_leave_the_description_alone():
    person = ana()
    assert "revisions" not in person.encode_complete_state()
    person.revise({"age": 35})
    for other in (decode(encode(person)), copy.deepcopy(person)):
        assert other.revisions == person.revisions
        other.undo()
        assert other == ana() and person.get("age") == 35
    assert person == TinyPerson("Ana Souza", PERSONA | {"age": 35}, register=False)


# -- where fields came from -------------------------------------------------------------------


def test_words_and_fields_that_were_asked_for():
    factory = TinyPersonFactory("Bakers in Vienna", model="offline")
    told = factory.generate_person("a 34-year-old nurse named Ana Souza").origins()
    # The occupation is read out of the words, but not for certain, and so not held to.
    assert [told[k] for k in ("name", "age", "occupation.title")] == ["asked", "asked", "offline"]
    assert told["beliefs"] == told["occupation.description"] == "offline"
    fields = factory.generate_person({"sex": "female", "country": "Kenya"}).origins()
    assert fields["gender"] == fields["residence"] == "asked" and fields["age"] == "offline"


def test_what_a_demography_decided_was_sampled():
    factory = TinyPersonFactory.from_demography(
        {"sex": {"female": 1}, "age": {"20-29": 1}, "household": {"alone": 1}}, model="offline"
    )
    person = factory.generate_people(1)[0]
    found = person.origins()
    assert found["gender"] == found["age"] == found["demographics.household"] == "sampled"
    assert found["style"] == "offline"


def test_what_a_model_wrote_and_an_edit_of_it(serve):
    serve()
    person = TinyPersonFactory("Bakers", model="test").generate_person()
    found = person.origins()
    assert set(found.values()) == {"model"}
    person.revise({"occupation.title": "judge"})
    assert {path for path, origin in person.origins().items() if origin == "edited"} == {
        "occupation.title"
    }
    again = TinyPerson.from_dict(person.to_dict())
    assert again.origins() == person.origins()
    person.revise({"occupation": None})
    person.undo()
    person.undo()
    assert person.origins() == found


def test_a_twins_profile_was_asked_for():
    factory = TinyPersonFactory("Nurses in Porto, Portugal", model="offline")
    twin = factory.generate_person({"sex": "female", "age": 40}).twin(age=60).twin
    assert twin.origins()["age"] == "asked"


def test_what_is_not_recorded_is_left_out():
    assert ana().origins() == {}
    person = ana()
    person.revise({"age": 35})
    assert person.origins() == {"age": "edited"}


def test_the_origin_of_a_part_is_that_of_its_fields():
    persona = {"name": "Ana", "occupation": {"title": "nurse", "description": "Nights."}}
    assert origins_of(persona, {"source": "model", "origins": {"occupation": "edited"}}) == {
        "name": "model",
        "occupation.title": "edited",
        "occupation.description": "edited",
    }
