from __future__ import annotations

import json
import keyword

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import InvalidInput
from tinyfactory.people import People, TinyPerson, from_edsl, load_people, to_edsl

PROVENANCE = {"source": "model", "model": "m-1", "profile": {"sex": "female"}}


def odd() -> TinyPerson:
    fields = {
        "favourite dish": "soup",
        "favourite_dish": "stew",
        "class": "of 1990",
        "1st": "a",
        "ключ": "b",
        "-": "c",
        "": "d",
        "!": "e",
        "m²": "f",
        "-name": "g",
    }
    return TinyPerson("Ana", fields | {"age": 34}, provenance=PROVENANCE, register=False)


def test_an_agent_has_a_name_and_traits_whose_keys_are_identifiers():
    agent = to_edsl([odd()])[0]
    assert agent["name"] == "Ana"
    assert agent["traits"]["favourite_dish"] == "stew"
    assert agent["traits"]["favourite_dish_"] == "soup"
    assert len(agent["traits"]) == 11
    assert all(key.isidentifier() and not keyword.iskeyword(key) for key in agent["traits"])
    assert "tinyfactory" not in agent["traits"] and "name" not in agent["traits"]


def test_agents_and_back_keep_everything():
    people = People([odd(), TinyPerson(persona=full_person(1), register=False)])
    agents = json.loads(json.dumps(people.to_edsl()))
    for form in (agents, {"agent_list": agents, "edsl_version": "1"}):
        loaded = People.from_edsl(form)
        assert loaded == people
        assert [p.provenance for p in loaded] == [PROVENANCE, {}]


def test_a_file_of_agents_is_loaded(tmp_path):
    path = tmp_path / "agents.json"
    path.write_text(json.dumps(to_edsl([odd()])), encoding="utf-8")
    assert load_people(path) == [odd()]


def test_instruction_and_codebook_of_others_come_back():
    agent = {
        "name": "Bo",
        "traits": {"age": 60, "home": "a boat"},
        "instruction": "Answer briefly.",
        "codebook": {"age": "Age in years"},
    }
    person = from_edsl([agent])[0]
    assert person.persona["age"] == 60
    person.define("favourite dish", "soup")
    again = to_edsl([person])[0]
    assert again["instruction"] == "Answer briefly."
    assert again["codebook"] == {"age": "Age in years", "favourite_dish": "favourite dish"}
    assert from_edsl([again])[0] == person


@pytest.mark.parametrize("value", [None, 5, {"name": "Bo"}, "agents"])
def test_what_is_no_list_of_agents_is_said(value):
    with pytest.raises(InvalidInput, match="AgentList"):
        from_edsl(value)


@pytest.mark.parametrize("agent", [5, {"age": 60}, {"name": "Cy", "traits": {"age": 190}}])
def test_an_agent_that_is_no_person_is_named_by_its_number(agent):
    with pytest.raises(InvalidInput, match="Agent 2: "):
        from_edsl([{"name": "Bo", "traits": {}}, agent])


def test_the_version_of_the_writer_is_no_part_of_an_agent():
    agent = {"name": "Bo", "traits": {}, "edsl_version": "1.0.9", "edsl_class_name": "Agent"}
    assert from_edsl([agent])[0].persona == {"name": "Bo"}
