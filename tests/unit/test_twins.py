"""Counterfactual twins: the same request with one attribute changed, and what differs."""

from __future__ import annotations

import json

import pytest

from tests.support.chat_server import answer, empty
from tests.support.people import person as persona
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import InvalidInput, ReplyRejected

TOWN = {
    "sex": {"female": 1, "male": 0},
    "age": {"40-49": 1, "70-79": 0},
    "occupation": {"nurse": 1},
    "about": {"country": "Italy"},
}


def profile_in(request):
    text = request.last_message.partition("<particularities>")[2].partition("</particularities>")[0]
    return json.loads(text)


def fitting(request):
    asked = profile_in(request)
    fits = {
        "age": int(asked["age"]),
        "gender": asked["sex"],
        "residence": "Parma, Italy",
        "occupation": {"title": asked["occupation"], "organization": "-", "description": "Works."},
    }
    fits |= {"name": asked["name"]} if "name" in asked else {}
    return answer(persona(1) | fits)


def test_a_twin_has_the_same_profile_but_for_what_was_changed(serve):
    server = serve(rules=[fitting])
    (person,) = TinyPersonFactory.from_demography(TOWN, "Neighbours").generate_people(1)
    twins = person.twin(sex="male")
    one, other = (profile_in(request) for request in server.requests)
    assert one.pop("sex") == "female" and other.pop("sex") == "male"
    assert one.pop("name") == person.name != other.pop("name")  # a name goes with sex
    assert one == other
    before, after = server.bodies
    assert before["messages"][0] == after["messages"][0]
    assert before["temperature"] == after["temperature"]
    assert twins.original is person and twins.twin.get("gender") == "male"
    assert twins.asked == {"sex": ["female", "male"]}


def test_what_has_no_bearing_on_a_name_leaves_it(serve):
    server = serve(rules=[fitting])
    (person,) = TinyPersonFactory.from_demography(TOWN, "Neighbours").generate_people(1)
    twin = person.twin(age=71).twin
    assert profile_in(server.requests[1])["name"] == person.name
    assert (twin.name, twin.get("age")) == (person.name, 71)


def test_both_texts_and_what_differs_are_shown(serve):
    serve(rules=[fitting])
    (person,) = TinyPersonFactory.from_demography(TOWN, "Neighbours").generate_people(1)
    twins = person.twin(sex="male")
    for shown in (str(twins), twins._repr_html_()):
        assert person.name in shown and twins.twin.name in shown
        assert "female" in shown and "male" in shown


def test_a_twin_replays_and_changes_nothing_else(serve, tmp_path):
    server = serve(rules=[fitting])

    def run():
        control.begin(tmp_path / "j")
        factory = TinyPersonFactory.from_demography(TOWN, "Neighbours")
        (person,) = factory.generate_people(1)
        twin = person.twin(sex="male").twin
        assert factory.generated_names == [person.name]
        assert [p.name for p in TinyPerson.all_people()] == [person.name]
        return twin.persona

    first = run()
    assert len(server.requests) == 2
    assert run() == first
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "differs in something"),
        ({"sex": "female"}, "sex is 'female' already"),
        ({"sex": None}, "sex: a twin has something else"),
        ({"age": float("nan")}, "age: a twin has something else"),
        ({"sex": "male", "factory": "Neighbours"}, "factory must be a TinyPersonFactory, not str"),
        ({"occupation": " "}, "occupation: a twin has something else"),
        ({"age": -3}, "age: -3 is not possible"),
        ({"age": "old"}, 'age: "old" is not possible'),
        ({"sex": "male", "attempts": 0}, "attempts must be a whole number"),
    ],
)
def test_what_makes_no_twin_is_refused_before_anything_is_sent(serve, changes, told):
    server = serve(rules=[fitting])
    (person,) = TinyPersonFactory.from_demography(TOWN, "Neighbours").generate_people(1)
    with pytest.raises(InvalidInput, match=told):
        person.twin(**changes)
    assert len(server.requests) == 1


MARRIED = TOWN | {
    "home": {"alone": 1, "with family": 0},
    "impossible": [{"age": "70-79", "home": "alone"}],
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sex": "martian"}, r"sex: .* has no 'martian'; it has female, male\. Nothing was sent"),
        ({"gender": "martian"}, "sex: .* has no 'martian'; it has female, male"),
        ({"age": 12}, "age: .* has no 12; it has 40-49, 70-79"),
        ({"occupation": "pilot", "sex": "male"}, "occupation: .* has no 'pilot'; it has nurse"),
        ({"home": "in a tent"}, "it has alone, with family"),
        ({"age_band": "70-79"}, r"age_band follows from age.*twin\(age=\.\.\.\)"),
        ({"age": 71}, r"age 71 and home 'alone' are impossible together.*age=\.\.\., home="),
    ],
)
def test_a_twin_whom_the_demography_does_not_know_is_refused_before_anything_is_sent(
    serve, changes, told
):
    server = serve(rules=[fitting])
    (person,) = TinyPersonFactory.from_demography(MARRIED, "Neighbours").generate_people(1)
    with pytest.raises(InvalidInput, match=told):
        person.twin(**changes)
    assert len(server.requests) == 1


def test_a_twin_changed_in_both_fields_of_a_rule_is_made(serve):
    serve(rules=[fitting])
    (person,) = TinyPersonFactory.from_demography(MARRIED, "Neighbours").generate_people(1)
    twins = person.twin(age=71, home="with family")
    assert twins.twin.get("demographics.home") == "with family" and twins.twin.get("age") == 71


def test_what_no_demography_decides_may_be_anything(serve):
    server = serve(rules=[fitting])
    (person,) = TinyPersonFactory.from_demography(TOWN, "Neighbours").generate_people(1)
    person.twin(religion="of the sun")
    assert profile_in(server.requests[1])["religion"] == "of the sun"
    free = TinyPersonFactory("Neighbours")
    with pytest.raises(InvalidInput):
        person.twin(sex="martian")
    person.twin(sex="martian", factory=free)
    assert profile_in(server.requests[2])["sex"] == "martian"


def test_a_person_of_no_factory_says_what_to_do():
    with pytest.raises(InvalidInput, match="factory=factory"):
        TinyPerson("Ada").twin(age=30)


def test_no_usable_twin_is_an_error_that_says_what_to_do(serve):
    server = serve(rules=[fitting])
    (person,) = TinyPersonFactory.from_demography(TOWN, "Neighbours").generate_people(1)
    server.rules.insert(0, empty())
    with pytest.raises(ReplyRejected, match=r"no usable twin of .* in 3 attempts"):
        person.twin(sex="male", attempts=3)
    assert len(server.requests) == 4
