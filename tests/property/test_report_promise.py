"""A thousand people from a shipped demography pass their own report card; skewed ones do not.

They are written by the offline model, as anyone's first ones are, and read as anyone's are.
"""

from __future__ import annotations

import copy
import random

import pytest

from tinyfactory import TinyPersonFactory
from tinyfactory.populations import Demography
from tinyfactory.populations.reporting import report

TOWN = "illustrative_town"
N = 1000
SEX = {"margin:sex", "joint:sex,age", "joint:sex,age,employment", "evenness:sex"}


def made(name, n=N, seed=0):
    factory = TinyPersonFactory.from_demography(name, model="offline", seed=seed)
    return [person.persona for person in factory.generate_people(n, concurrency=16)]


def failed(people, target):
    return {row.key for row in report(people, target=target).failed}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("town"))
        return made(TOWN, 400)


@pytest.fixture
def people(few):
    return copy.deepcopy(few)


@pytest.fixture(scope="module")
def target():
    return Demography.shipped(TOWN)


def test_a_thousand_people_of_the_town_pass_every_mark(target):
    card = report(made(TOWN), target=target)
    assert card.number_of_people == N
    assert card.failed == []
    assert card.passed
    marked = {row.key for row in card if row.passed is not None}
    assert {f"margin:{field}" for field in target.fields} <= marked
    assert {"impossible", "names:full", "names:first", "occupations", "big_five"} <= marked
    assert {"sentences", "near_duplicates", "distinct_1", "distinct_2", "compression"} <= marked
    assert "positivity" in marked


@pytest.mark.parametrize(
    ("name", "n"), [("united_states_2020", N), ("world_2020", 400), ("us_earners_1994", 300)]
)
def test_people_of_real_tables_pass_every_mark(name, n):
    assert failed(made(name, n, seed=2), Demography.shipped(name)) == set()


def test_people_meet_the_marks_before_they_are_skewed(people, target):
    assert failed(people, target) == set()


def test_people_of_another_table_fail_the_rows_in_which_it_differs():
    # As a model left to itself: no one of 70 or over, three women to a man.
    asked = Demography.shipped("germany_2020").to_dict()
    given = copy.deepcopy(asked)
    (joint,) = given["joint"]
    for row in joint["table"]:
        row["share"] *= (3 if row["sex"] == "female" else 1) * (row["age"] < "70")
    whole = sum(row["share"] for row in joint["table"])
    for row in joint["table"]:
        row["share"] /= whole
    rows = {"margin:sex", "margin:age", "joint:sex,age", "coverage:age"}
    rows |= {"evenness:sex", "evenness:age"}
    assert failed(made(given, 400), Demography.from_dict(asked)) == rows


def test_women_only_fail_the_rows_of_sex_and_no_other(people, target):
    for person in people:
        person["gender"] = "female"
    assert failed(people, target) == SEX | {"coverage:sex"}


def test_sixteen_women_to_four_men_fail_the_rows_of_sex_and_no_other(people, target):
    for number, person in enumerate(people):
        person["gender"] = "male" if number % 5 == 0 else "female"
    assert failed(people, target) == SEX | {"association:sex,employment"}


def test_nobody_of_65_or_over_fails_the_rows_of_age_and_no_other(people, target):
    chance = random.Random(1)
    for person in people:
        if person["age"] >= 65:
            person["age"] = chance.randint(18, 64)
    ages = {"margin:age", "joint:sex,age", "joint:age,education", "joint:age,household"}
    ages |= {"joint:sex,age,employment", "coverage:age", "evenness:age", "impossible"}
    assert failed(people, target) == ages | {"association:age,employment"}


def test_the_retired_of_18_are_told_as_impossible(people, target):
    young = [person for person in people if person["age"] < 25][:3]
    for person in young:
        person["demographics"]["employment"] = "retired"
    card = report(people, target=target)
    assert card["impossible"].value == 3
    assert card["impossible"].passed is False


def test_one_town_for_all_fails_the_rows_of_region_and_no_other(people, target):
    for person in people:
        person["residence"] = "Riverside, United States"
    assert failed(people, target) == {"margin:region", "coverage:region", "evenness:region"}


@pytest.mark.parametrize(
    ("many", "rows"), [(10, {"sentences"}), (37, {"sentences", "compression", "distinct_2"})]
)
def test_the_same_words_in_everyone_fail_the_rows_of_repetition_and_no_other(
    people, target, many, rows
):
    things = "rain bread music silence patience work sleep laughter walking reading".split()
    said = [
        f"Good {a} is worth more than what {b} brings along."
        for a, b in zip(things * 4, [*things, *things[1:], *things[2:], *things], strict=False)
    ]
    for person in people:
        person["beliefs"] = [*said[:many], *person["beliefs"]]
    assert failed(people, target) == rows


def test_one_kind_of_person_fails_the_rows_of_work_and_traits_and_no_other(people, target):
    for number, person in enumerate(people):
        person["occupation"]["title"] = ("Software engineer", "Barista", "Teacher")[number % 3]
        person["personality"]["big_five"]["openness"] = 80 + number % 7
    assert failed(people, target) == {"occupations", "big_five"}


def test_one_person_under_many_names_fails_near_duplicates_and_sentences(people, target):
    kept = {"name", "age", "gender", "residence", "demographics", "nationality"}
    for person in people[1:31]:
        person.update({k: v for k, v in people[0].items() if k not in kept})
    assert "near_duplicates" in failed(people, target)


def test_ten_first_names_for_all_fail_the_row_of_first_names_and_no_other(people, target):
    firsts = "Ana Bo Cy Dee Eva Flo Gus Hal Ida Jo".split()
    for number, person in enumerate(people):
        person["name"] = f"{firsts[number % 10]} {person['name'].split()[-1]}{number}"
    assert failed(people, target) == {"names:first"}


def test_a_name_twice_fails_the_row_of_names_and_no_other(people, target):
    people[1]["name"] = people[0]["name"].upper()
    assert failed(people, target) == {"names:full"}
