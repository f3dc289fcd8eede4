"""Copies and pickles of factories, people, lists and report cards."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from tests.support.people import person as full_person
from tinyfactory import Demography, TinyFactory, TinyPersonFactory, configure, control
from tinyfactory.errors import NameTaken
from tinyfactory.people import People, TinyPerson, load_people
from tinyfactory.populations import report

WAYS = [copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))]


def state(factory):
    return {k: v for k, v in factory.encode_complete_state().items() if k != "name"}


def used() -> TinyPersonFactory:
    factory = TinyPersonFactory("Bakers in Vienna", model="offline")
    factory.generate_people(3)
    return factory


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_of_a_factory_has_the_state_and_shares_nothing(way):
    factory = used()
    twin = way(factory)
    assert type(twin) is TinyPersonFactory
    assert state(twin) == state(factory)
    assert twin.last_job is None
    before = state(factory)
    twin.generated_names.append("Ana")
    twin.generate_person()
    assert state(factory) == before


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_of_a_factory_has_a_name_of_its_own(way):
    factory = used()
    twin = way(factory)
    assert twin.name != factory.name
    assert TinyFactory.all_factories[twin.name] is twin
    assert TinyFactory.all_factories[factory.name] is factory


class Shop(TinyFactory):
    def __init__(self):
        super().__init__()
        self.friends = []


@pytest.mark.parametrize("way", WAYS)
def test_factories_that_know_each_other_are_copied_together(way):
    first, second = Shop(), Shop()
    first.friends.append(second)
    second.friends.append(first)
    twin = way(first)
    assert twin.friends[0].friends[0] is twin
    assert len({first.name, second.name, twin.name, twin.friends[0].name}) == 4


def test_a_factory_that_is_gone_comes_back_under_its_name():
    factory = used()
    stored = pickle.dumps(factory)
    TinyFactory.clear_factories()
    assert pickle.loads(stored).name == factory.name


def test_a_copy_belongs_to_the_simulation_if_that_is_open(tmp_path):
    with control.begin(tmp_path, "one"):
        factory = used()
        stored = pickle.dumps(factory)
        assert copy.deepcopy(factory).simulation_id == "one"
    assert pickle.loads(stored).simulation_id is None
    with control.begin(tmp_path, "two"):
        assert pickle.loads(stored).simulation_id == "two"


def test_a_copy_uses_the_same_model_object_and_a_pickle_has_none():
    class Model:
        def __init__(self):
            self.identity = {"model": "mine"}
            self.api_key = "sk-secret-of-the-model"

        def complete(self, *_, **__):
            raise AssertionError

    factory = TinyPersonFactory("Bakers in Vienna", model=Model())
    assert copy.deepcopy(factory).model is factory.model
    stored = pickle.dumps(factory)
    assert b"sk-secret" not in stored
    assert pickle.loads(stored).model is None


def test_a_configured_key_is_in_no_pickle():
    configure(api_key="sk-configured-secret")
    try:
        factory = used()
        things = [factory, factory.last_job.people, factory.last_job.people[0]]
        assert not any(b"sk-configured" in pickle.dumps(thing) for thing in things)
    finally:
        configure(api_key=None)


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_of_a_person_shares_nothing_and_is_not_registered(way):
    person = TinyPerson("Ana", {"skills": ["sewing"]}, provenance={"profile": {"age": 3}})
    person.ask("What are your skills?", model="offline")
    twin = way(person)
    assert twin == person
    assert twin.conversation == person.conversation
    assert person.is_registered and not twin.is_registered
    with pytest.raises(NameTaken):
        twin.register()
    twin.define("skill", "chess", group="skills")
    twin.provenance["profile"]["age"] = 4
    twin.ask("And more?", model="offline")
    assert person.get("skills") == ["sewing"]
    assert person.provenance["profile"]["age"] == 3
    assert len(person.conversation) == 2


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_copy_of_a_list_keeps_its_notes_and_shares_nobody(way, tmp_path):
    (tmp_path / "a.csv").write_text("First name,Last name\nAna,Souza\n")
    people = load_people(tmp_path / "a.csv")
    twins = way(people)
    assert isinstance(twins, People) and twins == people
    assert twins.notes == people.notes != []
    twins[0].define("age", 3)
    assert people[0].get("age") is None


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_report_card_is_copied(way):
    people = People(TinyPerson(persona=full_person(n), register=False) for n in range(20))
    town = Demography.from_dict({"gender": {"woman": 0.5, "man": 0.5}})
    card = report(people, town)
    assert repr(way(card)) == repr(card)


READER = """
import pickle, sys
factory = pickle.loads(sys.stdin.buffer.read())
print(factory.name, len(factory.generated_names), factory.generate_person() is not None)
"""


def test_another_process_goes_on_with_a_pickled_factory():
    factory = used()
    ended = subprocess.run(
        [sys.executable, "-c", READER], input=pickle.dumps(factory), capture_output=True, check=True
    )
    assert ended.stdout.decode().split() == [*factory.name.split(), "3", "True"]
