from __future__ import annotations

import copy
import json

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import InvalidPersona, NameTaken
from tinyfactory.journal.scopes import context
from tinyfactory.journal.simulation import Simulation
from tinyfactory.journal.values.serializer import decode, encode
from tinyfactory.people import People, TinyPerson


@pytest.fixture(autouse=True)
def no_names_taken():
    TinyPerson.clear_people()
    yield
    TinyPerson.clear_people()


def ana(**fields) -> TinyPerson:
    return TinyPerson("Ana Souza", fields, register=False)


def test_a_person_is_made_of_a_name_or_a_persona_or_both():
    assert TinyPerson("Ana", register=False).name == "Ana"
    assert TinyPerson(persona={"name": "Bo", "age": 3}, register=False).get("age") == 3
    both = TinyPerson("Ana", {"_configuration": {"name": "Bo", "age": "3"}}, register=False)
    assert both.persona == {"name": "Ana", "age": 3}


def test_a_person_without_a_name_is_refused_unless_it_is_yet_to_be_set_up():
    with pytest.raises(InvalidPersona):
        TinyPerson()
    with pytest.raises(InvalidPersona):
        TinyPerson(persona={"age": 3}, register=False)
    blank = TinyPerson(register=False)
    assert (blank.name, blank.persona, blank.minibio()) == ("", {}, ".")
    assert blank._repr_html_() and repr(blank) == "TinyPerson()"
    with pytest.raises(InvalidPersona):
        blank.register()
    blank.define("age", 34)
    with pytest.raises(InvalidPersona):
        blank.define("age", 190)
    blank.define("name", "Ana")
    blank.register()
    assert blank.persona == {"name": "Ana", "age": 34}


def test_what_is_read_is_a_copy():
    person = ana(skills=["chess"], occupation={"title": "nurse"})
    person.get("skills").append("x")
    person.get("occupation")["title"] = "x"
    person.persona["age"] = 190
    person.to_dict()["persona"]["skills"].clear()
    person.encode_complete_state()["persona"]["skills"].clear()
    assert person.persona == {
        "name": "Ana Souza",
        "occupation": {"title": "nurse"},
        "skills": ["chess"],
    }


def test_what_was_handed_over_is_a_copy():
    fields: dict = {"skills": ["chess"], "mood": {"now": ["calm"]}}
    person = ana(**fields)
    fields["skills"].append("x")
    fields["mood"]["now"].append("x")
    assert person.get("skills") == ["chess"]
    assert person.get("mood") == {"now": ["calm"]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "Ana Souza"),
        ("occupation.title", "nurse"),
        ("occupation", {"title": "nurse", "description": "works nights"}),
        ("occupation_description", "works nights"),
        ("personality.big_five.openness", 70),
        ("personality_traits", ["calm"]),
        ("country_of_residence", "Lima, Peru"),
        ("sex", "woman"),
        ("routines", ["tea", "nap"]),
        ("professional_interests", ["maps"]),
        ("personal_interests", ["maps"]),
        ("mood.now", "calm"),
        ("missing", None),
        ("occupation.missing", None),
        ("name.missing", None),
    ],
)
def test_fields_are_found_by_path_and_by_older_name(key, value):
    person = ana(
        gender="woman",
        residence="Lima, Peru",
        occupation={"title": "nurse", "description": "works nights"},
        personality={"traits": ["calm"], "big_five": {"openness": 70}},
        preferences={"interests": ["maps"]},
        behaviors={"routines": {"morning": ["tea"], "evening": ["nap"]}},
        mood={"now": "calm"},
    )
    assert person.get(key) == value


def test_get_has_a_default():
    assert ana().get("age", "unknown") == "unknown"


def test_define_sets_fields_by_any_name():
    person = ana()
    person.define("occupation_description", "works nights")
    person.define("occupation", "nurse")
    person.define("country_of_residence", "Peru")
    person.define("personality.big_five.openness", 70)
    person.define("skills", ["chess"])
    person.define("mood", {"now": "calm"})
    person.define("mood.later", "tired")
    assert person.persona == {
        "name": "Ana Souza",
        "residence": "Peru",
        "occupation": {"title": "nurse", "description": "works nights"},
        "personality": {"big_five": {"openness": 70}},
        "skills": ["chess"],
        "mood": {"now": "calm", "later": "tired"},
    }
    person.define("residence", None)
    person.define("mood", None)
    assert person.get("residence") is None and person.get("mood") is None


def test_define_within_a_group_appends_or_sets():
    person = ana(skills=["chess"])
    person.define("skill", "law", group="skills")
    person.define(None, "tact", group="skills")
    person.define("trait", "calm", group="personality_traits")
    person.define("traits", "slow", group="personality")
    person.define("openness", 70, group="personality.big_five")
    person.define("title", "nurse", group="occupation")
    person.define("routine", "tea at five", group="routines")
    person.define("morning", "runs", group="routines")
    person.define("Bia", "sister", group="relationships")
    person.define(None, "a note", group="notes")
    assert person.persona == {
        "name": "Ana Souza",
        "occupation": {"title": "nurse"},
        "personality": {"traits": ["calm", "slow"], "big_five": {"openness": 70}},
        "skills": ["chess", "law", "tact"],
        "behaviors": {"routines": {"morning": ["runs"], "daily": ["tea at five"]}},
        "relationships": [{"name": "Bia", "description": "sister"}],
        "notes": ["a note"],
    }


def test_define_several_adds_all_or_none():
    person = ana(skills=["chess"])
    person.define_several("skills", [{"skill": "law"}, "tact"])
    person.define_several("relationships", [{"name": "Bia", "description": "sister"}])
    before = person.persona
    assert before["skills"] == ["chess", "law", "tact"]
    with pytest.raises(InvalidPersona):
        person.define_several("skills", ["fine", True])
    assert person.persona == before


@pytest.mark.parametrize(
    ("key", "value", "group"),
    [
        ("age", 190, None),
        ("name", " ", None),
        ("name", None, None),
        ("mood", {1, 2}, None),
        ("persona", {"name": "Bo"}, None),
        ("", "x", None),
        ("age.years", 3, None),
        ("openness", 101, "personality.big_five"),
        (None, "x", "occupation"),
        (None, "x", "name"),
        (None, "x", "motto"),
    ],
)
def test_an_impossible_value_changes_nothing(key, value, group):
    person = TinyPerson("Ana", {"age": 34, "motto": "onwards"})
    before = person.persona
    with pytest.raises(InvalidPersona):
        person.define(key, value, group)
    assert person.persona == before
    assert TinyPerson.all_people() == [person]


def test_setting_up_field_by_field_gives_the_whole_person():
    person = TinyPerson(register=False)
    for key, value in full_person(4).items():
        if isinstance(value, list):
            person.define_several(key, value)
        else:
            person.define(key, value)
    assert person.persona == full_person(4)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {
                "age": 34,
                "nationality": "Brazilian",
                "occupation": "nurse",
                "residence": "São Paulo, Brazil.",
            },
            "Ana Souza is a 34-year-old Brazilian nurse who lives in São Paulo, Brazil.",
        ),
        ({"age": 8, "nationality": "Thai"}, "Ana Souza is an 8-year-old Thai person."),
        ({"age": 18, "occupation": "Student"}, "Ana Souza is an 18-year-old student."),
        ({"age": 80, "occupation": "Retired"}, "Ana Souza is an 80-year-old retired person."),
        ({"age": 1}, "Ana Souza is 1 year old."),
        ({"age": 0, "residence": "Lima"}, "Ana Souza is 0 years old and lives in Lima."),
        ({"nationality": "Italian"}, "Ana Souza is an Italian person."),
        ({"nationality": "Ukrainian"}, "Ana Souza is a Ukrainian person."),
        ({"occupation": "a university teacher"}, "Ana Souza is a university teacher."),
        ({"occupation": "English teacher"}, "Ana Souza is an English teacher."),
        ({"occupation": "HR officer"}, "Ana Souza is an HR officer."),
        ({"occupation": "CEO", "residence": "Lima"}, "Ana Souza is a CEO who lives in Lima."),
        ({"residence": "Lima"}, "Ana Souza lives in Lima."),
        ({}, "Ana Souza."),
    ],
)
def test_the_minibio_is_one_line_of_good_english(fields, line):
    assert ana(**fields).minibio() == line


def test_a_minibio_is_bounded():
    bio = ana(occupation="very " * 500 + "\nlong", residence="x" * 5000).minibio()
    assert len(bio) < 600 and "\n" not in bio


def test_people_are_equal_by_content():
    assert ana(age=34) == TinyPerson("Ana Souza", {"age": 34}, simulation_id="x", register=False)
    assert ana(age=34) != ana(age=35)
    assert ana() != "Ana Souza"
    with pytest.raises(TypeError):
        hash(ana())


def test_the_repr_is_short():
    person = ana(age=34, occupation="nurse")
    assert repr(person) == "TinyPerson(name='Ana Souza', age=34, occupation='nurse')"
    assert repr(ana()) == "TinyPerson(name='Ana Souza')"


def test_names_are_taken_without_case_accents_and_spacing():
    jose = TinyPerson("José  Núñez")
    with pytest.raises(NameTaken):
        TinyPerson("JOSE NUNEZ")
    assert TinyPerson.all_people() == [jose]
    jose.unregister()
    other = TinyPerson("JOSE NUNEZ")
    jose.unregister()  # does not take the other one's name away
    assert TinyPerson.all_people() == [other]
    TinyPerson.clear_people()
    assert TinyPerson.all_people() == []


def test_all_people_is_a_list_that_shows_itself():
    TinyPerson("Ana")
    assert isinstance(TinyPerson.all_people(), People)


def test_renaming_takes_the_new_name_and_frees_the_old():
    person = TinyPerson("Ana")
    person.define("name", "ANA")
    person.define("name", "Bia")
    assert person.is_registered and person.name == "Bia"
    TinyPerson("Ana")
    with pytest.raises(NameTaken):
        person.define("name", "Ána")
    assert person.name == "Bia" and person.is_registered


def test_renaming_someone_unregistered_takes_no_name():
    TinyPerson("Bia")
    person = ana()
    person.define("name", "Bia")
    assert not person.is_registered


def test_each_simulation_has_its_own_names(tmp_path):
    free = TinyPerson("Ana")
    with Simulation(tmp_path, "one"):
        one = TinyPerson("Ana", simulation_id="one")
        assert TinyPerson.all_people() == TinyPerson.all_people("one") == [one]
    assert TinyPerson.all_people()[0] is free


def test_changes_are_undone_with_the_transaction_around():
    person = TinyPerson("Ana", {"age": 34})
    steps: list = []
    with context.within(context.current_context()._replace(undo=steps)):
        person.define("age", 35)
        person.define("name", "Bia")
        newcomer = TinyPerson("Caio")
    while steps:
        steps.pop()()
    assert person.persona == {"name": "Ana", "age": 34}
    assert person.is_registered and not newcomer.is_registered
    assert len(TinyPerson.all_people()) == 1


def test_the_complete_state_is_json_and_restores_the_person():
    person = TinyPerson("Ana", full_person(1), provenance={"source": "offline"})
    state = json.loads(json.dumps(person.encode_complete_state()))
    person.define("name", "Bia")
    person.define("skills", [])
    assert person.decode_complete_state(state) is person
    assert person.encode_complete_state() == state
    assert person.is_registered
    with pytest.raises(InvalidPersona):
        person.decode_complete_state({"persona": {"name": "Ana", "age": 190}})
    assert person.encode_complete_state() == state


def test_a_person_goes_through_the_journal():
    person = TinyPerson("Ana", full_person(1), provenance={"source": "model", "model": "m"})
    back = decode(json.loads(json.dumps(encode(People([person])))))
    assert isinstance(back, People)
    assert back == [person] and back[0].provenance == person.provenance
    assert not back[0].is_registered
    person.unregister()
    back[0]._join_simulation("free")
    assert back[0].is_registered


def test_in_the_journal_a_person_is_the_same_in_any_simulation():
    here, there = (TinyPerson("Ana", simulation_id=i, register=False) for i in (None, "other"))
    assert encode(here) == encode(there)


def test_who_comes_out_of_a_journal_twice_is_one_person():
    person = TinyPerson("Ana", {"age": 34})
    twin = decode(encode(person))
    assert twin._join_simulation("free") is person
    person.define("age", 35)
    with pytest.raises(NameTaken):
        twin._join_simulation("free")


def test_who_was_not_registered_does_not_take_a_name_when_replayed():
    back = decode(encode(ana()))
    back._join_simulation("free")
    assert not back.is_registered


def test_an_agent_file_keeps_all_and_is_read_back():
    memory = {"episodic_memory": [{"content": "woke up"}], "mental_state": {"mood": None}}
    agent = {"type": "TinyPerson", "persona": full_person(1), **memory}
    person = TinyPerson.from_dict(agent)
    person.provenance = {"source": "offline"}
    written = person.to_dict()
    assert written == {
        **agent,
        "tinyfactory": {"version": 1, "provenance": {"source": "offline"}},
    }
    assert TinyPerson.from_dict(written) == person
    assert TinyPerson.from_dict(written).provenance == {"source": "offline"}


@pytest.mark.parametrize("state", [{"type": "x"}, {"name": "Bo"}, {"note": None}, {"age": {}}])
def test_a_state_that_would_be_misread_stays_in_the_persona(state):
    person = ana(agent_state=state)
    assert TinyPerson.from_dict(person.to_dict()) == person


def test_a_person_can_be_copied():
    person = ana(skills=["chess"])
    twin = copy.deepcopy(person)
    twin.define("skill", "law", "skills")
    assert person.get("skills") == ["chess"]


def test_a_person_shows_text_and_html():
    person = ana(age=34)
    bundle = person._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain", "text/html"}
    assert "34" in bundle["text/plain"] and "<" not in bundle["text/plain"]


def test_people_stay_people():
    people = People([ana(), ana(age=3)])
    assert isinstance(people[:1], People) and len(people[:1]) == 1
    assert isinstance(people[0], TinyPerson)
    assert isinstance(people + people, People) and len(people + people) == 4
    assert isinstance(people.copy(), People)
