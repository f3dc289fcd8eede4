from __future__ import annotations

import copy
import json
from typing import get_args

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import InvalidPersona
from tinyfactory.people import PersonaSpec, check_generated, merge, normalise, reply_schema
from tinyfactory.people.schema.layout import schema_of_contexts
from tinyfactory.people.schema.persona import validated

OLDER = {
    "name": "Lisa Carter",
    "_configuration": {
        "age": "28",
        "nationality": "Canadian",
        "country_of_residence": "USA",
        "occupation": "Data Scientist",
        "occupation_description": "Analyses what people search for.",
        "routines": [{"routine": "Every morning she does yoga."}],
        "personality_traits": [{"trait": "You are curious."}, {"trait": "You are calm."}],
        "professional_interests": [{"interest": "Statistics."}],
        "personal_interests": [{"interest": "Cooking."}],
        "skills": [{"skill": "Python."}],
        "relationships": [{"name": "Oscar", "description": "a colleague"}],
        "current_location": "New York",
        "current_emotions": "content",
    },
}


def test_the_older_configuration_is_read():
    assert normalise(OLDER) == {
        "name": "Lisa Carter",
        "age": 28,
        "nationality": "Canadian",
        "residence": "USA",
        "occupation": {
            "title": "Data Scientist",
            "description": "Analyses what people search for.",
        },
        "personality": {"traits": ["You are curious.", "You are calm."]},
        "preferences": {
            "interests": ["Cooking."],
            "professional_interests": ["Statistics."],
        },
        "skills": ["Python."],
        "behaviors": {"routines": {"daily": ["Every morning she does yoga."]}},
        "relationships": [{"name": "Oscar", "description": "a colleague"}],
        "current_emotions": "content",
        "current_location": "New York",
    }


def test_todays_agent_file_is_already_canonical():
    persona = full_person(3)
    agent = {"type": "TinyPerson", "persona": persona}
    assert normalise(agent) == persona
    assert list(normalise(agent)) == list(PersonaSpec.model_fields)


def test_what_a_saved_agent_holds_beside_its_persona_is_kept():
    agent = {
        "type": "TinyPerson",
        "persona": {"name": "Ana", "country_of_residence": None},
        "episodic_memory": [{"content": "woke up"}],
        "mental_state": {"emotions": "calm"},
    }
    assert normalise(agent) == {
        "name": "Ana",
        "agent_state": {
            "episodic_memory": [{"content": "woke up"}],
            "mental_state": {"emotions": "calm"},
        },
    }


def test_an_edsl_agent_is_read():
    agent = {
        "name": None,
        "traits": {"name": "Bo", "age": 60, "occupation": "sailor", "mood": "dry"},
        "instruction": "Answer briefly.",
        "codebook": {},
    }
    assert normalise(agent) == {
        "name": "Bo",
        "age": 60,
        "occupation": {"title": "sailor"},
        "agent_state": {"instruction": "Answer briefly."},
        "mood": "dry",
    }


def test_a_nemotron_row_is_read():
    row = {
        "uuid": "df6b2b96a938",
        "persona": "Mary Alberti, a patient cashier, collects maps.",
        "sports_persona": "Mary Alberti walks.",
        "skills_and_expertise": "Mary counts fast.",
        "skills_and_expertise_list": "['counting', ['mental arithmetic']]",
        "hobbies_and_interests_list": "['maps', \"quilts\"]",
        "career_goals_and_ambitions": "To run the shop.",
        "sex": "Female",
        "age": 0,
        "education_level": "high_school",
        "occupation": "retail_salesperson",
        "city": "Reno",
        "state": "NV",
        "country": "USA",
    }
    found = normalise(row)
    assert found["name"] == "Mary Alberti"
    assert found["gender"] == "Female"
    assert found["age"] == 0
    assert found["residence"] == "Reno, NV, USA"
    assert found["education"] == "high_school"
    assert found["occupation"] == {"title": "retail salesperson"}
    assert found["skills"] == ["counting", "mental arithmetic"]
    assert found["preferences"] == {"interests": ["maps", "quilts"]}
    assert found["long_term_goals"] == ["To run the shop."]
    assert found["persona"] == row["persona"]
    assert found["sports_persona"] == row["sports_persona"]


def test_a_nemotron_row_without_a_name_is_named_by_its_uuid():
    assert normalise({"uuid": "df6b", "persona": "A cook."})["name"] == "Persona df6b"


def test_a_list_in_text_is_never_evaluated():
    row = {"name": "Ana", "skills_and_expertise_list": "[__import__('os').getpid()]"}
    assert normalise(row)["skills"] == ["[__import__('os').getpid()]"]


def test_a_fragment_is_merged_deeply_and_its_lists_appended():
    persona = normalise({"name": "Ana", "skills": ["chess"], "occupation": {"title": "nurse"}})
    before = copy.deepcopy(persona)
    fragment = {
        "type": "Fragment",
        "persona": {"skills": ["chess", "law"], "occupation": {"organization": "a ward"}, "age": 9},
    }
    assert merge(persona, fragment) == {
        "name": "Ana",
        "age": 9,
        "occupation": {"title": "nurse", "organization": "a ward"},
        "skills": ["chess", "law"],
    }
    assert persona == before
    with pytest.raises(InvalidPersona, match="name: missing"):
        normalise(fragment)
    assert normalise(fragment, partial=True)["age"] == 9


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"style": {"tone": "dry", "words": ["few"]}}, {"style": "tone: dry; words: few"}),
        ({"health": {"description": "well"}}, {"health": "well"}),
        ({"sex": "female"}, {"gender": "female"}),
        ({"Age": " 34 "}, {"age": 34}),
        ({"age": "34 years old"}, {"age": 34}),
        ({"Country of residence": "Peru"}, {"residence": "Peru"}),
        (
            {"relationships": [{"Name": "Bia", "Description": "sister"}]},
            {"relationships": [{"name": "Bia", "description": "sister"}]},
        ),
        (
            {"relationships": {"Bia": "sister"}},
            {"relationships": [{"name": "Bia", "description": "sister"}]},
        ),
        ({"skills": "chess"}, {"skills": ["chess"]}),
        ({"skills": {"hard": ["law"], "soft": ["tact"]}}, {"skills": ["hard: law", "soft: tact"]}),
        ({"skills": [{"chess": "expert"}]}, {"skills": ["chess: expert"]}),
        ({"personality": ["calm"]}, {"personality": {"traits": ["calm"]}}),
        ({"behaviours": ["hums"]}, {"behaviors": {"general": ["hums"]}}),
        ({"occupation": [{"job_title": "nurse"}]}, {"occupation": {"title": "nurse"}}),
        ({"type": "customer"}, {"kind": "customer"}),
        ({"health": None, "skills": [""], "mood": None}, {"mood": None}),
        ({"favourite": float("nan")}, {"favourite": None}),
        ({"motto": "a\x00b\ud800"}, {"motto": "ab\ufffd"}),
    ],
)
def test_drifting_shapes_have_one_layout(given, expected):
    assert normalise({"name": "Ana", **given}) == {"name": "Ana", **expected}


def test_two_different_values_for_one_field_are_both_kept():
    found = normalise({"name": "Ana", "residence": "Lima", "country_of_residence": "Peru"})
    assert found == {"name": "Ana", "residence": "Lima", "country_of_residence": "Peru"}
    assert normalise(found) == validated(found) == found


@pytest.mark.parametrize(
    ("given", "scores", "notes"),
    [
        ({"openness": "70", "neuroticism": "20%"}, {"openness": 70, "neuroticism": 20}, None),
        ({"openness": 0.7, "neuroticism": 1}, {"openness": 70, "neuroticism": 100}, None),
        ({"openness": 1, "neuroticism": 0}, {"openness": 1, "neuroticism": 0}, None),
        ({"openness": "4/5", "Extroversion": 55.0}, {"openness": 80, "extraversion": 55}, None),
        (
            {"openness": "High. Very curious", "neuroticism": "medium"},
            {"openness": 80, "neuroticism": 50},
            {"openness": "High. Very curious", "neuroticism": "medium"},
        ),
        (
            {"openness": {"score": 61, "description": "reads a lot"}},
            {"openness": 61},
            {"openness": "reads a lot"},
        ),
        ({"openness": "Curious"}, {}, {"openness": "Curious"}),
    ],
)
def test_big_five_values_are_numbers_and_their_words_stay(given, scores, notes):
    personality = normalise({"name": "Ana", "personality": {"big_five": given}})["personality"]
    assert personality.get("big_five", {}) == scores
    assert personality.get("big_five_notes") == notes


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"age": 190}, "age: 190 is not possible; expected a whole number from 0 to 120"),
        ({"age": -1}, "age: -1 is"),
        ({"age": "abc"}, 'age: "abc" is'),
        ({"age": 34.5}, "age: 34.5 is"),
        ({"age": True}, "age: true is"),
        ({"age": [34]}, "age: "),
        ({"name": " \u200b "}, "name: "),
        ({"name": "..."}, "name: "),
        ({"name": 7}, "name: 7 is"),
        ({"name": "x" * 201}, "1 to 200 characters"),
        ({"health": True}, "health: true is not possible; expected text"),
        ({"skills": [True]}, r"skills.0: true is not possible; expected text"),
        ({"skills": True}, "skills: true is not possible; expected a list of texts"),
        ({"occupation": 5}, "occupation: 5 is not possible; expected an object with title"),
        ({"relationships": [5]}, r"relationships.0: 5 .* an object with name, description"),
        ({"personality": {"big_five": {"openness": 101}}}, "openness: 101 .* from 0 to 100"),
        ({"personality": {"big_five": {"openness": "120%"}}}, "openness: 120 is"),
        ({"personality": {"big_five": {"openness": 0.5, "neuroticism": 60}}}, "openness: 0.5"),
        ({"personality": {"big_five": [1, 2]}}, "personality.big_five: .* with openness"),
        ({"mood": float("inf")}, "infinite"),
        ({"mood": {1, 2}}, "type set"),
        ({"mood": {"1": "a", 1: "b"}}, "both named '1'"),
    ],
)
def test_the_impossible_is_refused_with_a_reason(given, reason):
    with pytest.raises(InvalidPersona, match=reason):
        normalise({"name": "Ana", **given})


@pytest.mark.parametrize("given", [None, [], "Ana", 5, {}, {"age": 3}])
def test_what_is_no_person_is_refused(given):
    with pytest.raises(InvalidPersona, match="expected"):
        normalise(given)


def test_deep_nesting_is_refused():
    deep: dict = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(InvalidPersona, match="nested"):
        normalise({"name": "Ana", "mood": deep})


def test_the_argument_is_left_alone():
    given = copy.deepcopy(OLDER)
    normalise(given)
    assert given == OLDER


def test_a_generated_person_has_age_place_and_work():
    check_generated(full_person(1))
    check_generated({"name": "Ana", "age": 0, "nationality": "Thai", "occupation": {"title": "a"}})
    with pytest.raises(InvalidPersona) as error:
        check_generated({"name": "Ana"})
    for missing in ("age", "nationality or residence", "occupation.title"):
        assert missing in str(error.value)


def test_the_schema_that_is_sent_has_the_fields_of_the_spec():
    def compare(schema, model):
        assert list(schema["properties"]) == list(model.model_fields)
        for name, field in schema["properties"].items():
            inner = field.get("items", field)
            if inner["type"] != "object":
                continue
            annotation = model.model_fields[name].annotation
            parts = [annotation, *get_args(annotation)]
            compare(inner, next(part for part in parts if hasattr(part, "model_fields")))

    compare(reply_schema(), PersonaSpec)


@pytest.mark.parametrize("schema", [reply_schema(), schema_of_contexts(3)])
def test_the_schemas_are_strict_and_bound_all_lists_and_numbers(schema):
    # OpenAI's strict mode takes these, and refuses minLength and maxLength.
    allowed = {"type", "description", "properties", "required", "additionalProperties", "items"}
    allowed |= {"minItems", "maxItems", "minimum", "maximum"}

    def check(part):
        assert set(part) <= allowed
        if part["type"] == "object":
            assert part["required"] == list(part["properties"])
            assert part["additionalProperties"] is False
            for inner in part["properties"].values():
                check(inner)
        if part["type"] == "array":
            assert 0 < part["minItems"] <= part["maxItems"] <= 8
            check(part["items"])
        if part["type"] == "integer":
            assert part["minimum"] == 0 and part["maximum"] in (100, 120)

    check(schema)


def test_a_schema_is_a_copy():
    reply_schema()["properties"].clear()
    assert reply_schema()["properties"]
    assert json.dumps(reply_schema())


def test_whole_numbers_that_a_table_made_fractions_are_read():
    """No other field has to change for that."""
    scores = {"openness": 80.0, "neuroticism": 20.0}
    found = normalise({"name": "Ana", "age": 34.0, "personality": {"big_five": scores}})
    assert json.dumps(found["age"]) == "34"
    assert json.dumps(found["personality"]["big_five"]) == '{"openness": 80, "neuroticism": 20}'
