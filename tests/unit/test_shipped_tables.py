"""The demographies of the package: where they are from, and that they can be drawn from."""

from __future__ import annotations

import json
import math
from importlib.resources import files

import pytest

from tests.support.build_tables import written
from tinyfactory.errors import DemographyError
from tinyfactory.factory.profiles import context_of
from tinyfactory.gazetteer.countries import country_of
from tinyfactory.models.offline.lines import occupations_of
from tinyfactory.people import TinyPerson
from tinyfactory.populations import Demography
from tinyfactory.populations.reporting import report
from tinyfactory.populations.reporting.evidence import read_field

FOLDER = files("tinyfactory.populations") / "tables"
SHIPPED = Demography.shipped_names()
LICENCES = ("CC BY", "MIT")


def raw(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_there_are_real_tables_and_one_to_play_with():
    assert {"illustrative_town", "united_states_2020", "us_earners_1994", "world_2020"} <= set(
        SHIPPED
    )
    invented = [name for name in SHIPPED if Demography.shipped(name).about.get("illustrative")]
    assert invented == ["illustrative_town"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_table_says_whose_numbers_it_has_and_who_is_in_it(name):
    about = Demography.shipped(name).about
    assert len(about["name"]) > 10
    assert len(about["source"]) > 10
    assert 1990 <= about["year"] <= 2026
    assert any(licence in about["licence"] for licence in LICENCES)
    assert about.get("illustrative") or "changes" in about
    assert "not" in about["description"]
    assert f"`{name}`" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_shares_add_up_and_no_cell_is_empty_by_mistake(name):
    town = Demography.shipped(name)
    for field, margin in town.margins().items():
        assert math.isclose(sum(margin.values()), 1, abs_tol=1e-9)
        assert all(share > 0 for share in margin.values()), field
    for fields, cells in town.joints():
        assert math.isclose(sum(cells.values()), 1, abs_tol=1e-6), fields


@pytest.mark.parametrize("name", SHIPPED)
def test_people_can_be_drawn_and_meet_the_table(name):
    town = Demography.shipped(name)
    people = town.sample(500, seed=3)
    assert people["name"].is_unique
    for field, margin in town.margins().items():
        column = f"{field}_band" if town.bands(field) else field
        counts = people[column].value_counts()
        assert all(abs(counts.get(k, 0) - 500 * share) <= 1 for k, share in margin.items()), field


@pytest.mark.parametrize("name", [name for name in SHIPPED if "region" in raw(name)])
def test_a_region_is_read_from_an_address_in_it(name):
    # No region is called like the country, or like a part of another one's name alone.
    town = Demography.shipped(name)
    regions = list(town.margins()["region"])
    homes = [{"residence": f"{region}, {town.about['country']}"} for region in regions]
    assert list(read_field("region", homes, town).values) == regions


@pytest.mark.parametrize("name", SHIPPED)
def test_countries_are_ones_that_have_names_here(name):
    town = Demography.shipped(name)
    known = town.margins().get("country") or [town.about["country"]]
    assert all(country_of(country).name == country for country in known)
    assert town.about["name"] in context_of(town)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name[-4:].isdigit()])
def test_the_files_are_as_the_script_writes_them(name):
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert text == written(json.loads(text)) + "\n"


def test_some_numbers_as_the_united_nations_have_them():
    # World Population Prospects 2024, thousands on 1 July 2020; Japan is old and Nigeria young.
    (joint,) = raw("germany_2020")["joint"]
    assert sum(sum(row.values()) for row in joint["table"].values()) == pytest.approx(
        67_900, rel=0.01
    )
    old = {
        name: sum(Demography.shipped(name).margins()["age"][band] for band in ("80-89", "90+"))
        for name in ("japan_2020", "nigeria_2020")
    }
    assert old["japan_2020"] > 0.1 > 0.01 > old["nigeria_2020"]


def test_earners_are_not_passed_off_as_the_population():
    earners = Demography.shipped("us_earners_1994")
    assert earners.margins()["sex"]["female"] == pytest.approx(1 / 3, abs=0.03)
    said = earners.about["description"]
    assert "not the population" in said
    assert "only a third are women" in said
    lines = earners.margins()["line_of_work"]
    assert all(occupations_of(line) for line in lines)


def test_what_cannot_be_in_the_town_is_in_nobody():
    town = Demography.shipped("illustrative_town")
    assert len(town.impossible) >= 4
    people = town.sample(5000, seed=2)
    for rule in town.impossible:
        columns = {f"{k}_band" if town.bands(k) else k: v for k, v in rule.items()}
        assert not (people[list(columns)] == list(columns.values())).all(axis=1).any(), rule


def test_a_report_reads_what_the_profile_said_from_the_person():
    town = Demography.shipped("illustrative_town")
    told = {"household": "shared flat", "employment": "student", "education": "vocational training"}
    person = TinyPerson("Ana Lima", {"age": 30, "demographics": told}, register=False)
    card = report([person], target=town)
    assert card["margin:household"].details["not_stated"] == 0
    assert card["margin:employment"].details["read_from"] == {"employment, set from the profile": 1}


def test_a_table_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(DemographyError, match="illustrative_town, india_2020"):
        Demography.shipped("atlantis")
