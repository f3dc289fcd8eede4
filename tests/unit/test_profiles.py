"""People by numbers: what a demography decided is asked for, checked, and kept."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter

import pytest

from tests.support.chat_server import answer, wrong_key
from tests.support.people import person as persona
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import AuthenticationFailed, DemographyError, InvalidInput, NobodyMade
from tinyfactory.populations import Demography

TOWN = {
    "sex": {"female": 1, "male": 1},
    "age": {"20-29": 1, "60-69": 1},
    "region": {"Tuscany": 1, "Lazio": 1},
    "occupation": {"nurse": 1, "baker": 1},
    "about": {"country": "Italy"},
}
UNREACHABLE = {
    "age": {"18-64": 0.8, "65-90": 0.2},
    "work": {"employed": 0.7, "retired": 0.3},
    "impossible": [{"age": "18-64", "work": "retired"}],
}


def profile_in(request):
    text = request.last_message.partition("<particularities>")[2].partition("</particularities>")[0]
    return json.loads(text)


def fitting(request, **other):
    """Someone who fits the profile in the request, but for `other`."""
    asked = profile_in(request)
    fits = {
        "name": asked["name"],
        "age": int(asked["age"]),
        "gender": asked["sex"],
        "residence": f"A town, {asked['region']}, Italy",
        "occupation": {"title": asked["occupation"], "organization": "-", "description": "Works."},
    }
    ordinal = int(request.last_message.partition("<ordinal>")[2].partition("</ordinal>")[0])
    return answer(persona(ordinal) | fits | other)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_numbers_are_met_exactly_and_names_were_drawn_before(serve, concurrency):
    server = serve(rules=[fitting])
    factory = TinyPersonFactory.from_demography(TOWN, "Neighbours", seed=3)
    people = factory.generate_people(8, concurrency=concurrency)
    assert Counter(p.get("gender") for p in people) == {"female": 4, "male": 4}
    assert Counter(p.get("age") < 40 for p in people) == {True: 4, False: 4}
    assert Counter(p.get("occupation.title") for p in people) == {"nurse": 4, "baker": 4}
    expected = Demography.from_dict(TOWN).profiles(8, seed=3)
    assert [p.name for p in people] == [profile["name"] for profile in expected]
    told = {profile_in(request)["name"] for request in server.requests}
    assert told == {p.name for p in people} and len(server.requests) == 8


def strays(request):
    asked = profile_in(request)
    return {
        "name": "Somebody Else",
        "age": int(asked["age"]) + 30,
        "gender": {"female": "male", "male": "female"}[asked["sex"]],
        "residence": "Oslo, Norway",
        "occupation": {"title": "pilot", "organization": "-", "description": "Flies."},
    }


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("name", "name"),
        ("age", "age"),
        ("gender", "gender must be '(fe)?male'"),
        ("residence", "residence must name '(Tuscany|Lazio)'"),
        ("occupation", "nurse|baker"),
    ],
)
def test_whoever_strays_from_the_profile_is_asked_again_with_the_reason(serve, field, told):
    def once(request):
        first = len(server.requests) == 1
        return fitting(request, **({field: strays(request)[field]} if first else {}))

    server = serve(rules=[once])
    factory = TinyPersonFactory.from_demography(TOWN, "Neighbours")
    (person,) = factory.generate_people(1)
    assert len(server.requests) == 2
    first, second = (request.last_message for request in server.requests)
    asked = profile_in(server.requests[0])
    assert "<rejected>" not in first
    assert re.search(told, second.partition("<rejected>")[2])
    assert (person.name, person.get("age")) == (asked["name"], int(asked["age"]))
    assert person.get("gender") == asked["sex"] and asked["region"] in person.get("residence")


def test_who_never_fits_is_missing_with_the_profile(serve):
    serve(rules=[lambda request: fitting(request, **strays(request))])
    factory = TinyPersonFactory.from_demography(TOWN, "Neighbours")
    with pytest.raises(NobodyMade, match="no usable reply in 2"):
        factory.generate_people(2, attempts=2)
    expected = Demography.from_dict(TOWN).profiles(2)
    assert [one.profile for one in factory.last_job.missing] == expected


def test_stopped_in_the_middle_the_rest_of_the_profiles_follow(serve, tmp_path):
    mended = threading.Event()

    def rule(request):
        third = "<ordinal>3<" in re.sub(r"\s", "", request.last_message)
        return wrong_key()(request) if third and not mended.is_set() else fitting(request)

    server = serve(rules=[rule])
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory.from_demography(TOWN, "Neighbours")
    with pytest.raises(AuthenticationFailed):
        factory.generate_people(4)
    mended.set()
    control.begin(tmp_path / "j")  # as another kernel would
    TinyPerson.clear_people()
    people = TinyPersonFactory.from_demography(TOWN, "Neighbours").generate_people(4)
    expected = Demography.from_dict(TOWN).profiles(4)
    assert [p.name for p in people] == [profile["name"] for profile in expected]
    assert len(server.requests) == 5  # four people, and the one that was refused


def test_a_name_that_someone_has_is_given_to_nobody(serve):
    serve(rules=[fitting])
    first = Demography.from_dict(TOWN).profiles(3)[0]["name"]
    TinyPerson(first)
    people = TinyPersonFactory.from_demography(TOWN, "Neighbours").generate_people(3)
    assert first not in [person.name for person in people]


def test_further_people_are_others_who_meet_the_numbers_too():
    factory = TinyPersonFactory.from_demography(TOWN, "Neighbours", model="offline")
    people = [*factory.generate_people(4), *factory.generate_people(4)]
    assert len({person.name for person in people}) == 8
    assert Counter(p.get("gender") for p in people[4:]) == {"female": 2, "male": 2}


def test_what_the_schema_does_not_know_stands_under_demographics():
    town = {"sex": {"female": 1}, "household": {"alone": 1}, "income": {"1000-1999": 1}}
    (person,) = TinyPersonFactory.from_demography(
        town, "Neighbours", model="offline"
    ).generate_people(1)
    assert person.get("demographics.household") == "alone"
    assert 1000 <= person.get("demographics.income") <= 1999


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (UNREACHABLE, r"(18-64: the target is 0\.8|retired: the target is 0\.3), and"),
        ({"sex": {"female": 0.5, "male": 0.2}}, "sex: the shares add up to 0.7"),
        ("no_such_town", "it has .*illustrative_town"),
        ("no_such_file.csv", "no_such_file.csv cannot be read"),
        (["sex"], "dictionary, the path of a file.*not list"),
        (None, "not NoneType"),
    ],
)
def test_a_demography_that_cannot_be_is_refused_before_there_is_a_factory(given, told):
    before = len(TinyPersonFactory.all_factories)
    with pytest.raises(InvalidInput, match=told):
        TinyPersonFactory.from_demography(given, "Neighbours", model="offline")
    assert len(TinyPersonFactory.all_factories) == before


@pytest.mark.parametrize("seed", ["1", 1.5, None, True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(InvalidInput, match="seed is a whole number"):
        TinyPersonFactory.from_demography(TOWN, "Neighbours", seed=seed)


def test_words_of_the_user_stand_beside_the_profile_and_may_not_contradict_it(serve):
    server = serve(rules=[fitting])
    factory = TinyPersonFactory.from_demography(TOWN, "Neighbours")
    with pytest.raises(InvalidInput, match="sex: the demography decides this"):
        factory.generate_people(2, {"sex": "neither"})
    assert server.requests == []
    factory.generate_people(2, "keeps bees")
    assert all("keeps bees" in request.last_message for request in server.requests)


def test_a_file_is_read_as_the_dictionary_in_it_is(tmp_path):
    (tmp_path / "town.json").write_text(json.dumps(TOWN))
    made = [
        TinyPersonFactory.from_demography(source, "Neighbours", model="offline").demography
        for source in (TOWN, tmp_path / "town.json", Demography.from_dict(TOWN))
    ]
    assert made[0] == made[1] == made[2]


def test_a_demography_that_is_no_json_is_refused_with_what_it_is():
    with pytest.raises(DemographyError, match=r"about / when: \{1\} must be text"):
        Demography.from_dict({"sex": {"female": 1}, "about": {"when": {1}}})


def test_the_fixed_part_is_the_same_for_all_and_the_varying_part_stays_short(serve):
    strayed = iter([{"age": 99}])
    server = serve(rules=[lambda request: fitting(request, **next(strayed, {}))])
    factory = TinyPersonFactory.from_demography(TOWN, "Neighbours")
    factory.generate_people(40, concurrency=8)
    assert len(server.requests) == 41
    fixed = {
        json.dumps([body["messages"][:-1], body.get("response_format")]) for body in server.bodies
    }
    assert len(fixed) == 1 and len(fixed.pop()) > 1_000
    asked = [request.last_message for request in server.requests]
    assert max(map(len, asked)) < 600
    # Nobody is told of others: whoever comes last costs what the first did.
    told = [len(text) for text in asked if "<rejected>" not in text]
    assert sum(told[-10:]) == pytest.approx(sum(told[:10]), rel=0.03)
