"""Fields of a person as text that is typed: nothing is lost on the way there and back."""

from __future__ import annotations

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import InvalidPersona
from tinyfactory.people import TinyPerson
from tinyfactory.people.schema.fields import Field, as_text, check, fields, from_text, parts


def leaf(persona, path):
    return TinyPerson(persona=persona, register=False).get(path)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"cats": 7, "vegan": False, "motto": "Onwards", "pets": ["a cat", "a newt"], "flat": None},
        {"relationships": [{"name": "Bo: the elder", "description": "a friend"}, {"name": "Al"}]},
        {"relationships": [{"name": "Bo", "description": "x: y", "age": 3}]},
        {"skills": ["one\ntwo", "three"], "gender": "a\nb", "deep": {"a.b": {"c": [1]}}},
        {"occupation": {"title": "nurse", "odd.key": "x"}},
    ],
)
def test_the_text_of_every_field_gives_its_value_again(extra):
    persona = TinyPerson(persona=full_person(1) | extra, register=False).persona
    for field in fields(persona):
        value = leaf(persona, field.path)
        assert from_text(field, as_text(field.kind, value)) == value


def test_every_value_of_a_person_is_in_some_field():
    persona = full_person(2) | {"own": {"x.y": [1]}, "x.y": "dotted"}
    persona["personality"]["big_five"]["honesty"] = "rare"
    texts = "\n".join(as_text(f.kind, leaf(persona, f.path)) for f in fields(persona))
    for told in ("rare", "dotted", "x.y", "old maps", "walks along the river", "Noor 2"):
        assert told in texts


def test_fields_that_are_missing_are_offered_and_foreign_ones_are_not():
    paths = [field.path for field in fields({"name": "Ana"})]
    assert {"age", "occupation.title", "personality.big_five.openness", "relationships"} < {*paths}
    assert "behaviors.routines.daily" not in paths
    assert len(paths) == len({*paths})


def test_empty_text_takes_a_field_away():
    persona = full_person(1)
    for field in fields(persona):
        if field.path != "name":
            assert check(persona, field, " \n ") is None


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("age", "190", "age: 190 is not possible; expected a whole number from 0 to 120."),
        ("age", "old", '"old" is not possible; expected a whole number from 0 to 120.'),
        ("personality.big_five.openness", "101", "expected a whole number from 0 to 100"),
        ("personality.big_five.openness", "0.5", "expected a whole number from 0 to 100"),
        ("name", " ", "name: missing; expected a name"),
        ("name", "---", "expected a name of 1 to 200 characters"),
        ("cats", "{", "This is not JSON"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_words_about_that_field(path, text, words):
    persona = full_person(1) | {"cats": 7}
    field = next(field for field in fields(persona) if field.path == path)
    with pytest.raises(InvalidPersona) as caught:
        check(persona, field, text)
    assert words in str(caught.value)
    assert "This description" not in str(caught.value)


def test_people_are_typed_one_a_line():
    field = Field("relationships", "people", "Life")
    typed = "Noor Haddad: a friend from school: since 1999\na neighbour's dog\n\n"
    assert from_text(field, typed) == [
        {"name": "Noor Haddad", "description": "a friend from school: since 1999"},
        {"description": "a neighbour's dog"},
    ]


def test_what_can_be_asked_again_are_fields_and_whole_parts():
    found = dict(parts(full_person(1) | {"cats": 7}))
    assert found["occupation"] == "Occupation, the whole part"
    assert found["occupation.title"] == "Occupation: title"
    assert found["cats"] == "Cats" and "name" not in found
