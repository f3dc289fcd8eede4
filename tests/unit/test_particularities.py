"""What a user's words fix about a person, and what they must not seem to fix."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfactory.prompts.particularities import (
    Constraints,
    contradiction,
    read_constraints,
    read_particularities,
)


@pytest.mark.parametrize(
    ("text", "name", "age", "occupation"),
    [
        ("A 34-year-old nurse named Ana Souza from Lisbon", "Ana Souza", 34, None),
        ("name: Kofi Mensah; age: 40", "Kofi Mensah", 40, None),
        ("Name: João da Silva, age: 52, occupation: principal", "João da Silva", 52, "principal"),
        ("- Name: Li Wei\n- Age: 27\n- Job: baker", "Li Wei", 27, "baker"),
        ("She is 34 years old.", None, 34, None),
        ("The person is 61.", None, 61, None),
        ("A woman aged 34, with two cats", None, 34, None),
        ("a nurse from Recife, aged 40", None, 40, None),
        ("A retired teacher in Rio de Janeiro, Brazil, aged 71", None, 71, None),
        ("34 years old, Brazilian", None, 34, None),
        ("A thirty-four-year-old Kenyan engineer named O'Brien Wafula", "O'Brien Wafula", 34, None),
        ("A 45 year old man called Jean-Pierre d'Arc", "Jean-Pierre d'Arc", 45, None),
        ("Create a person called Maria Clara de Souza who sells fish.", "Maria Clara de Souza",
         None, None),
        ("The person must be named Ángela Núñez", "Ángela Núñez", None, None),
        ("He is a carpenter by trade.", None, None, "carpenter"),
        ("She works as a marine biologist at the harbour", None, None, "marine biologist"),
        ("Works as a nurse and midwife", None, None, "nurse"),
        ("profession: taxi driver", None, None, "taxi driver"),
        ('{"name": "Zé Silva", "age": "41", "occupation": {"title": "Baker"}}', "Zé Silva", 41,
         "Baker"),
        ('{"name": "Ana", "_configuration": {"age": 30, "occupation": "chef"}}', "Ana", 30, "chef"),
    ],
)  # fmt: skip
def test_plain_statements_are_certain(text, name, age, occupation):
    fixed = read_constraints(text)
    assert (fixed.name, fixed.age, fixed.occupation) == (name, age, occupation)


@pytest.mark.parametrize(
    "text",
    [
        "a bar called Blue Moon",
        "A woman with a dog named Rex",
        "A dog named Rex follows him everywhere",
        "a company called Acme Ltd",
        "a fan of a band called Queen",
        "a manager of a restaurant called Sol",
        "A nurse whose husband is named Paulo",
        "a nurse not named Ana",
        "It must be called Kofi",
        "a student named after her grandmother Rosa",
        "a woman named Employee of the Year in 2020",
        "The dog's name: Rex",
        "a person with a dog (name: Rex, age: 4)",
        "The book's name is Ulysses",
        "a woman who has a 5-year-old son",
        "She has a daughter. She is 5 years old.",
        "Mother of a 12-year-old",
        "She has raised a 10 year old boy",
        "A 12-year-old dog lives with her",
        "He lives in a 100 year old house",
        "drives a 20-year-old car",
        "They run a 40-year-old bakery",
        "an actor playing a 50-year-old king",
        "A teacher who is 10 years older than her brother",
        "She met her husband when she was 34 years old",
        "She has worked there for 10 years",
        "A programmer with 34 years of experience",
        "a man who lives at number 34",
        "She is 34 weeks pregnant",
        "teaches children aged 6 to 10",
        "A teacher of children aged 6",
        "a nurse from Recife with a son, aged 7",
        "a nurse from Recife, whose dog, aged 7, is called Rex",
        "company age: 30",
        "age: 34 or 35",
        "in her sixties",
        "a retired teacher",
        "Her husband works as a plumber",
        "He no longer works as a teacher",
        "Works as part of a team",
        "A waiter who works as a DJ at night",
        "a person who dreams of working as a pilot's son",
        "",
        "   ",
    ],
)
def test_false_friends_fix_nothing(text):
    assert read_constraints(text) == Constraints()


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("a nurse in her sixties", "age_range", (60, 69)),
        ("someone in his late thirties", "age_range", (37, 39)),
        ("someone over 60", "age_range", (61, 88)),
        ("a teenager", "age_range", (13, 19)),
        ("a retired teacher", "occupation", "teacher"),
        ("a pregnant lawyer, 33, from Lyon", "age", 33),
        ("A young Dutch man", "nationality", "Dutch"),
        ("a nurse living in Porto, Portugal", "country", "Portugal"),
        ("She keeps bees", "gender", "female"),
        ("loves chess and old maps", "interests", ("chess", "old maps")),
    ],
)
def test_looser_readings_are_hints(text, field, value):
    wishes = read_particularities(text)
    assert getattr(wishes, field) == value
    assert field not in wishes.certain


def test_a_range_that_is_stated_is_certain():
    assert read_constraints("aged 30 to 40").age_range == (30, 40)
    assert read_constraints("age: 30-40").age_range == (30, 40)


def test_none_and_nothing_wish_nothing():
    assert read_particularities(None) == read_particularities("") == Constraints()


def test_a_stated_key_wins_over_prose():
    wishes = read_particularities("A 20-year-old cook.\nage: 44\noccupation: welder")
    assert (wishes.age, wishes.occupation) == (44, "welder")


@pytest.mark.parametrize("age", ["0", "-3", "190", "true", "thirty", "[1]"])
def test_impossible_ages_are_not_taken(age):
    assert read_constraints(f'{{"age": "{age}"}}').age is None


FIXED = read_constraints("name: Ana Souza; age: 34; occupation: primary school teacher")
FITS = {"name": "Ana Souza", "age": 34, "occupation": {"title": "Teacher", "description": "x"}}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"name": "ANA Maria SOUZA"},
        {"name": "Aña Sóuza"},
        {"occupation": "teaching assistant"},
        {"occupation": {"title": "Pedagogue", "description": "Runs a school."}},
        {"age": None},
    ],
)
def test_what_agrees_is_no_contradiction(change):
    assert contradiction(FIXED, FITS | change) is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": "Ana Lima"}, "Ana Souza"),
        ({"age": 43}, "34"),
        ({"occupation": {"title": "Surgeon", "description": "Operates."}}, "teacher"),
        ({"occupation": "surgeon"}, "teacher"),
    ],
)
def test_a_contradiction_is_told_with_what_was_asked(change, word):
    reason = contradiction(FIXED, FITS | change)
    assert reason is not None and word in reason


def test_a_range_is_held():
    fixed = read_constraints("aged 30 to 40")
    assert contradiction(fixed, {"age": 40}) is None
    assert "30" in str(contradiction(fixed, {"age": 41}))


def test_hints_contradict_nothing():
    fixed = read_constraints("a retired nurse in her sixties")
    assert contradiction(fixed, {"name": "X", "age": 20, "occupation": "pilot"}) is None


@given(st.text(max_size=400))
def test_any_text_is_read(text):
    fixed = read_constraints(text)
    assert fixed.age is None or 0 < fixed.age <= 120


@pytest.mark.parametrize(
    "piece",
    ["\n", "is ", "a ", "name ", "A man ", "7 ", "works as a ", "I want ", "{", "old ", "É "],
)
def test_long_hostile_text_is_read_quickly(piece):
    started = time.process_time()  # others on the machine do not count
    read_particularities(piece * 60_000)
    assert time.process_time() - started < 10  # some tenths here; what is not linear takes minutes
