"""One joint distribution: margins are met, tables say how fields go together."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from tinyfactory.errors import DemographyError
from tinyfactory.populations import Demography
from tinyfactory.populations.joint import Block, ipf, met, missed
from tinyfactory.populations.schema import read_tables


def test_a_fit_meets_its_margins_and_keeps_the_odds_ratios():
    seed = np.array([[4.0, 1.0, 2.0], [1.0, 3.0, 5.0]])
    ends = [(np.array([0.3, 0.7]), (0,)), (np.array([0.2, 0.5, 0.3]), (1,))]
    found = ipf(seed, ends)
    assert missed(found, ends) < 1e-12

    def odds(t):
        return t[0, 0] * t[1, 1] / (t[0, 1] * t[1, 0])

    assert odds(found) == pytest.approx(odds(seed))


def test_axes_are_taken_in_the_order_given():
    target = np.arange(1.0, 7.0).reshape(3, 2) / 21  # over axes 2 and 0
    found = ipf(np.ones((2, 4, 3)), [(target, (2, 0))])
    assert np.allclose(found.sum(axis=1).T, target)


def test_distributions_come_in_the_order_of_the_fields_asked_for():
    cells = np.random.default_rng(0).random((2, 3, 4))
    block = Block(("a", "b", "c"), cells, {}, (), ())
    assert np.allclose(block.over(("c", "a", "b")), cells.transpose(2, 0, 1))
    assert np.allclose(block.over(("b", "c", "a")), cells.transpose(1, 2, 0))
    assert np.allclose(block.over(("c", "a")), cells.sum(axis=1).T)


def test_a_cell_that_has_to_be_zero_is_zero():
    # All of 0.2 in the second row must be in the second column, since the first row cannot.
    seed = np.array([[1.0, 0.0], [1.0, 1.0]])
    ends = [(np.array([0.8, 0.2]), (0,)), (np.array([0.8, 0.2]), (1,))]
    assert missed(ipf(seed, ends), ends) > 1e-5  # slower and slower
    found = met(seed, ends)
    assert missed(found, ends) < 1e-12 and found[1, 0] == 0


def test_rules_that_leave_just_one_way_are_met():
    town = Demography.from_dict(
        {
            "age": {"18-64": 0.8, "65-90": 0.2},
            "work": {"employed": 0.8, "retired": 0.2},
            "impossible": [{"age": "18-64", "work": "retired"}],
        }
    )
    people = town.sample(1000)
    assert (people["work"][people["age_band"] == "65-90"] == "retired").all()
    assert (people["work"] == "retired").sum() == 200


UNREACHABLE = {
    "age": {"18-64": 0.8, "65-90": 0.2},
    "work": {"employed": 0.7, "retired": 0.3},
    "impossible": [{"age": "18-64", "work": "retired"}],
}


@pytest.mark.parametrize(
    "read",
    [
        Demography.from_dict,
        lambda data: Demography.from_json(json.dumps(data)),
        lambda data: Demography(read_tables(data)),
    ],
)
def test_margins_that_cannot_be_met_are_refused_as_they_are_read_with_the_cell(read):
    with pytest.raises(
        DemographyError, match=r"retired: the target is 0\.3|18-64: the target is 0\.8"
    ):
        read(UNREACHABLE)


def test_of_very_many_combinations_the_fit_is_left_to_who_needs_it():
    many = {f"c{i}": 1 for i in range(101)}
    town = Demography.from_dict(UNREACHABLE | {"a": many, "b": many} | {
        "impossible": [*UNREACHABLE["impossible"], {"age": "18-64", "a": "c0"},
                       {"a": "c1", "b": "c1"}],
    })  # fmt: skip
    for asks in (town.check, lambda: town.sample(10)):
        with pytest.raises(
            DemographyError, match=r"the target is .*, and the nearest possible share is"
        ):
            asks()


@pytest.mark.parametrize(
    ("tables", "without", "loaded"),
    [
        ({"sex": {"f": 1, "m": 1}, "age": {"20-29": 1, "30-39": 2}}, [], []),  # nothing to fit
        (UNREACHABLE, ["numpy"], []),
    ],
)
def test_what_there_is_nothing_to_fit_of_or_with_is_read_all_the_same(tables, without, loaded):
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({without!r})); "
        "from tinyfactory.populations import Demography; "
        f"print(Demography.from_dict({tables!r}).fields); "
        "print([m for m in ('numpy', 'pandas', 'scipy') if sys.modules.get(m)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    fields, found = done.stdout.splitlines()
    assert fields == str(tuple(key for key in tables if key != "impossible"))
    assert found == str(loaded)


def test_fields_own_shares_win_over_a_table_which_says_how_they_go_together():
    town = Demography.from_dict(
        {
            "sex": {"f": 0.5, "m": 0.5},
            "smokes": {"yes": 0.3, "no": 0.7},
            "joint": {
                "fields": ["sex", "smokes"],
                "table": {"f": {"yes": 1, "no": 9}, "m": {"yes": 4, "no": 6}},
            },
        }
    )
    ((_, cells),) = town.joints()
    assert cells["f", "yes"] + cells["m", "yes"] == pytest.approx(0.3)
    assert cells["f", "yes"] + cells["f", "no"] == pytest.approx(0.5)
    odds = cells["f", "yes"] * cells["m", "no"] / (cells["f", "no"] * cells["m", "yes"])
    assert odds == pytest.approx(1 * 6 / (9 * 4))


def test_a_field_that_depends_on_two_tied_ones_is_weighed_by_how_many_have_both():
    # All women are young, all men old: what old women would be is nobody's share.
    town = Demography.from_dict(
        {
            "joint": {
                "fields": ["sex", "age"],
                "table": {"f": {"18-40": 50, "41-80": 0}, "m": {"18-40": 0, "41-80": 50}},
            },
            "conditional": {
                "field": "pet",
                "given": ["sex", "age"],
                "table": {
                    "f": {"18-40": {"cat": 1}, "41-80": {"dog": 1}},
                    "m": {"18-40": {"dog": 1}, "41-80": {"cat": 0.5, "dog": 0.5}},
                },
            },
        }
    )
    assert town.margins()["pet"] == pytest.approx({"cat": 0.75, "dog": 0.25})
    assert town.sample(100)["pet"].value_counts().to_dict() == {"cat": 75, "dog": 25}


def test_shares_within_a_row_are_kept_where_the_field_has_none_of_its_own():
    rows = {"18-29": {"student": 0.6, "worker": 0.4}, "30-64": {"student": 0.05, "worker": 0.95}}
    town = Demography.from_dict(
        {
            "age": {"18-29": 0.25, "30-64": 0.75},
            "work": {"student": 0.1875, "worker": 0.8125},
            "conditional": [{"field": "work", "given": "age", "table": rows}],
        }
    )
    people = town.sample(10_000)
    young = people[people["age_band"] == "18-29"]
    assert (young["work"] == "student").mean() == pytest.approx(0.6, abs=1e-3)


def test_tables_that_contradict_each_other_still_leave_the_margins_and_it_is_said(caplog):
    def joint(a, b, equal):
        cells = {x: {y: equal / 2 if x == y else (1 - equal) / 2 for y in "01"} for x in "01"}
        return {"fields": [a, b], "table": cells}

    # Like each other, like each other, and not like each other.
    start = time.perf_counter()
    town = Demography.from_dict(
        {"joint": [joint("a", "b", 0.9), joint("b", "c", 0.9), joint("a", "c", 0.1)]}
    )
    people = town.sample(501)
    assert time.perf_counter() - start < 60  # about a second here; a hang would be minutes
    assert all(abs((people[f] == 0).sum() - 250.5) <= 1 for f in "abc")
    assert re.search(
        r"[abc] by [abc] / [01] / [01]: the target is 0\.\d+, the actual share is 0\.\d+",
        caplog.text,
    )
    assert caplog.text.count("contradict each other") == 1


def test_a_rule_that_contradicts_a_table_is_told(caplog):
    table = {"f": {"x": 0.25, "y": 0.25}, "m": {"x": 0.25, "y": 0.25}}
    town = Demography.from_dict(
        {
            "joint": {"fields": ["sex", "pet"], "table": table},
            "impossible": [{"sex": "f", "pet": "x"}, {"sex": "m", "pet": "y"}],
        }
    )
    assert town.check() is town
    assert "sex by pet / f / x: the target is 0.25, the actual share is 0." in caplog.text


def test_tables_that_agree_are_met_without_a_word(caplog):
    for name in ("illustrative_town", "us_earners_1994", "world_2020"):
        Demography.shipped(name).check()
    assert caplog.text == ""


def test_too_many_combinations_are_refused():
    many = {f"c{i}": 1 for i in range(200)}
    rules = [{"a": "c0", "b": "c0"}, {"b": "c1", "c": "c1"}]
    with pytest.raises(DemographyError, match="more than 1,000,000 combinations"):
        Demography.from_dict({"a": many, "b": many, "c": many, "impossible": rules})
    assert Demography.from_dict({"a": many, "b": many, "c": many}).sample(1) is not None
