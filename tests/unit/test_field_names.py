"""A misspelt field is refused with the right name before anything is sent; own fields pass."""

from __future__ import annotations

import pytest

from tests.support.chat_server import ChatServer
from tinyfactory import Demography, TinyPerson, TinyPersonFactory
from tinyfactory.errors import InvalidInput
from tinyfactory.models.openai import OpenAIModel
from tinyfactory.people.index import PeopleIndex
from tinyfactory.people.schema.field_names import check_names, nearest

SLIPS = {
    "agee": "age", "aeg": "age", "gae": "age", "Agee": "age", "nmae": "name", "gendr": "gender",
    "gneder": "gender", "nationalty": "nationality", "residense": "residence", "sexe": "sex",
    "ocupasion": "occupation", "occupaton": "occupation", "job titel": "job_title",
    "hobies": "hobbies", "skils": "skills", "skill": "skills", "belifs": "beliefs",
    "occupation.titel": "occupation.title", "ocupation.title": "occupation.title",
    "big_five.openes": "big_five.openness", "behaviors.routines.mornng":
    "behaviors.routines.morning", "preferences.lieks": "preferences.likes", "contry": "country",
}  # fmt: skip
OWN = (
    *("clearance", "wage", "stage", "wealth", "income", "religion", "references", "race", "page"),
    *("household", "district", "canton", "borough", "county", "state", "ward", "pets", "ace"),
    *(
        "age_band",
        "age_range",
        "age_group",
        "household_size",
        "relationship",
        "residency",
        "hobby",
        "name2",
    ),
    *("occupation.salary", "demographics.agee", "favourite.book", "Département", "my_agee"),
)
KNOWN = (
    *("age", "Age", "Job Title", "jobTitle", "country_of_residence", "big5", "occupation.role"),
    *("big_five.extroversion", "personality.openness", "surname", "behaviours", "routines.morning"),
)


@pytest.mark.parametrize(("said", "meant"), SLIPS.items())
def test_a_slip_is_known_by_the_nearest_field(said, meant):
    assert nearest(said) == meant


@pytest.mark.parametrize("name", [*OWN, *KNOWN])
def test_own_and_known_fields_pass(name):
    assert nearest(name) is None


def test_slips_within_objects_are_found():
    with pytest.raises(
        InvalidInput, match=r"'occupation\.titel'; did you mean 'occupation\.title'"
    ):
        check_names({"age": 34, "occupation": {"titel": "nurse"}})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"agee": 34}, "did you mean 'age'.*'my_agee'"),
        ({"occupation": {"titel": "nurse"}}, r"did you mean 'occupation\.title'"),
        ({"age": "thirty"}, 'age: "thirty" is not possible; expected a whole number'),
        ({"age": 190}, "age: 190 is not possible"),
        ({"age": [30, 40]}, "age: .*such as '30-40'"),
        ({"relationships": 3}, "relationships: 3 is not possible; expected a list of people"),
        ({"big_five": {"openness": 500}}, r"big_five\.openness: 500 is not possible"),
    ],
)
def test_a_wrong_particularity_costs_nothing(given, said):
    with ChatServer() as server:
        factory = TinyPersonFactory(
            "Nurses in Recife", model=OpenAIModel("m", base_url=server.base_url)
        )
        with pytest.raises(InvalidInput, match=said) as caught:
            factory.generate_person(given)
        with pytest.raises(InvalidInput, match=said):
            factory.generate_people(3, given, concurrency=2)
        with pytest.raises(InvalidInput, match=said):
            factory.estimate(3, given)
        assert "Nothing was sent" in str(caught.value)
        assert server.requests == []


@pytest.mark.parametrize("age", [34, "34", "30-40", "34 years", 34.0, None, ""])
def test_an_age_that_can_be_read_passes(age):
    factory = TinyPersonFactory("Nurses in Recife", model="offline")
    assert factory.generate_person({"age": age, "clearance": "secret", "name": "Ana Melo"})


def test_an_overriding_factory_checks_them_too():
    class Own(TinyPersonFactory):
        def _aux_model_call(self, messages, temperature):
            raise AssertionError

    with pytest.raises(InvalidInput, match="did you mean 'age'"):
        Own("Nurses", model="offline").generate_person({"agee": 34})


def test_edits_are_checked():
    ana = TinyPerson("Ana", {"age": 34, "agge": 1}, register=False)
    for change in (
        lambda: ana.revise({"agee": 35}),
        lambda: ana.define("agee", 35),
        lambda: ana.define("sewing", 1, group="skils"),
        lambda: ana.define("likess", ["tea"], group="preferences"),
        lambda: ana.define_several("skils", ["sewing"]),
        lambda: ana.rewrite("beleifs"),
    ):
        before = ana.persona
        with pytest.raises(InvalidInput, match="did you mean"):
            change()
        assert ana.persona == before
    ana.revise({"agge": 2, "clearance": "secret", "my_agee": 3})  # one that is there may change
    ana.define("occupation_title", "nurse")
    assert ana.get("agge") == 2


def test_twins_tables_and_filters_are_checked():
    town = {"age": {"20-29": 1, "60-69": 1}, "household": {"one": 1, "more": 1}}
    factory = TinyPersonFactory.from_demography(town, "Residents of Porto", model="offline")
    [ana] = factory.generate_people(1)
    for wrong, right in ({"agee": 20}, "age"), ({"houshold": "one"}, "household"):
        with pytest.raises(InvalidInput, match=f"did you mean '{right}'"):
            ana.twin(**wrong)
    with pytest.raises(InvalidInput, match="did you mean 'age'"):
        Demography.from_dict({"agee": {"20-29": 1, "60-69": 1}})
    Demography.from_dict({"relationship": {"head": 1, "child": 2}, "skill": {"low": 1, "high": 1}})
    with pytest.raises(InvalidInput, match="did you mean 'gender'"):
        PeopleIndex([ana]).checked({"gendre": ["female"]})
