"""Names for whole populations: unique, fitting, spread out, the same on every machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

from tinyfactory.errors import InvalidInput
from tinyfactory.gazetteer import read_table
from tinyfactory.gazetteer.countries import countries, country_of
from tinyfactory.gazetteer.names import decade_of, draw_names, first_names, gender_of, name_table
from tinyfactory.utils.text import normalise_name

ALL = [country.name for country in countries()]


def given(country: str, sex: str) -> set[str]:
    return {
        word
        for found in countries()
        if found.name == country
        for source in found.names
        for name in name_table(source).given[sex]
        for word in name.split()
    }


def distinct(names: list[str]) -> int:
    return len({normalise_name(name) for name in names})


def test_one_name_for_each_row_and_no_two_alike():
    where = ALL * 100
    sexes = ["female", "male", None] * len(where)
    names = draw_names(where, sexes[: len(where)], seed=1)
    assert len(names) == distinct(names) == len(where)


@pytest.mark.parametrize("country", ALL)
def test_names_fit_country_and_sex(country):
    women, men = (draw_names([country] * 40, [sex] * 40, seed=2) for sex in ("female", "male"))
    first = -1 if country in {"South Korea", "China", "Vietnam"} else 0
    assert all(name.split()[first] in given(country, "female") for name in women)
    assert all(name.split()[first] in given(country, "male") for name in men)


def test_the_seed_decides_and_nothing_else():
    rows = ALL * 5, ["f", "m", None, "x", "woman"] * len(ALL)
    assert draw_names(*rows, seed=4) == draw_names(*rows, seed=4)
    assert draw_names(*rows, seed=4) != draw_names(*rows, seed=5)


def test_the_same_in_a_process_with_another_hash_seed():
    code = (
        "from tinyfactory.gazetteer.names import draw_names\n"
        "print(ascii(draw_names(['Peru', None, 'Mars', 'Lyon'] * 20, ['f', None, 'm', 'x'] * 20,"
        " seed=9, taken={'Ana Lima', 'Li Wei'})))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1
    assert len(told.pop()) > 500


def test_more_rows_leave_the_names_before_them_as_they_are():
    where, sexes = ["Kenya", None, "Japan"] * 50, [None, "f", "m"] * 50
    assert draw_names(where, sexes, seed=3)[:40] == draw_names(where[:40], sexes[:40], seed=3)


def test_names_that_are_taken_are_not_given_however_they_are_written():
    names = draw_names(["Brazil"] * 50, ["f"] * 50, seed=1)
    taken = [f"  {name.upper()} " for name in names[:25]]
    others = draw_names(["Brazil"] * 50, ["f"] * 50, seed=1, taken=iter(taken))
    assert not {normalise_name(name) for name in taken} & {normalise_name(n) for n in others}
    assert distinct(others) == 50


def test_countries_that_share_a_table_share_no_name():
    where = ["Colombia", "Ecuador", "Venezuela", "Peru", "Argentina", "Uruguay"] * 2000
    names = draw_names(where, ["f"] * len(where), seed=6)
    assert distinct(names) == len(where)


@pytest.mark.parametrize("country", ["Japan", "China", "Vietnam", "Pakistan", "Israel"])
def test_longer_forms_follow_when_the_usual_one_is_used_up(country):
    names = draw_names([country] * 60_000, ["m"] * 60_000, seed=1)
    assert distinct(names) == 60_000
    assert {len(name.split()) for name in names[:500]} <= {2, 3}
    assert max(len(name.split()) for name in names) >= 3


def test_no_name_holds_the_same_word_twice():
    names = draw_names(["Spain"] * 20_000, ["f"] * 20_000, seed=1)
    for name in names:
        words = normalise_name(name).split()
        assert not any(a == b for a, b in pairwise(words)), name


@pytest.mark.parametrize("country", ["Brazil", "United States", "Germany", "Italy", "India"])
def test_first_names_are_spread_and_family_names_do_not_run(country):
    names = draw_names([country] * 1000, ["female", "male"] * 500, seed=8)
    families = [name.split()[-1] for name in names]
    for sex in (families[::2], families[1::2]):
        assert not any(a == b for a, b in pairwise(sex))
    # A woman and the man after her may meet by chance, one time in as many as there are names.
    assert sum(a == b for a, b in pairwise(families)) < 30
    for start in range(0, 800, 50):
        firsts = [" ".join(name.split()[:-1]) for name in names[start : start + 200]]
        assert len(set(firsts)) >= 150


def test_thirty_people_from_anywhere_look_different():
    names = draw_names([None] * 30, [None] * 30, seed=1)
    assert len({name.split()[0] for name in names}) >= 28


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("brazil", "Brazil"), ("BRASIL", "Brazil"), ("Dutch", "Netherlands"),
        ("USA", "United States"),
        ("São Paulo", "Brazil"), ("sao paulo", "Brazil"), ("Mendoza", "Argentina"),
        ("Recife, PE, Brazil", "Brazil"), ("Valencia, Venezuela", "Venezuela"),
        ("north", None), ("Region 3", None), ("", None),
    ],
)  # fmt: skip
def test_a_region_may_be_a_country_a_people_or_a_city(text, country):
    found = country_of(text)
    assert (found and found.name) == country


@pytest.mark.parametrize(
    ("word", "sex"),
    [("Female", "female"), ("F", "female"), ("woman", "female"), ("male", "male"), ("MAN", "male"),
     (" m ", "male"), ("other", None), ("non-binary", None), ("", None)],
)  # fmt: skip
def test_words_for_the_sexes(word, sex):
    assert gender_of(word) == sex


def test_unknown_countries_and_sexes_are_mixed():
    names = draw_names(["region 1", None, ""] * 200, [None] * 600, seed=1)
    firsts = {name.split()[0] for name in names}
    women = set().union(*(given(c, "female") for c in ALL))
    men = set().union(*(given(c, "male") for c in ALL))
    assert len(firsts) > 400
    assert len(firsts & (women - men)) > 100
    assert len(firsts & (men - women)) > 100


def test_arrays_and_their_empty_cells_are_read():
    where = np.array(["Brazil", None, np.nan, "Kenya"], dtype=object)
    sexes = np.array(["f", "m", "f", "m"])
    told = draw_names(where, sexes, seed=1)
    assert told == draw_names(["Brazil", None, None, "Kenya"], list("fmfm"), seed=1)
    assert all(type(name) is str for name in told)


@pytest.mark.parametrize(
    ("where", "sexes", "said"),
    [
        (["Brazil"], [], "There are 1 countries and 0 genders"),
        (["Brazil", 76], ["f", "f"], "The country in row 2 is 76"),
        (["Brazil"], [1], "The gender in row 1 is 1"),
    ],
)
def test_what_cannot_be_read_is_refused(where, sexes, said):
    with pytest.raises(InvalidInput, match=said):
        draw_names(where, sexes, seed=1)


def test_first_names_are_those_of_the_decade_of_birth():
    years = [1912, 1938, 1957, 1984, 2016] * 60
    sexes = ["f", "m"] * 150
    names = draw_names(["Boston"] * 300, sexes, seed=2, births=years)
    assert distinct(names) == 300
    for name, sex, year in zip(names, sexes, years, strict=True):
        key = {"f": "female", "m": "male"}[sex]
        assert name.split()[0] in first_names("United States", str(year // 10 * 10), key)
    old, young = ({n.split()[0] for n in names[start::5]} for start in (0, 4))
    assert len(old & young) < len(old) / 4  # fashions pass


def test_within_a_decade_first_names_are_gone_through_evenly():
    names = draw_names(["United States"] * 1500, ["f"] * 1500, seed=8, births=[1950] * 1500)
    firsts = [name.split()[0] for name in names]
    assert all(8 <= firsts.count(first) <= 12 for first in set(firsts))  # 10 each
    assert len(set(firsts)) == 150
    assert not any(a == b for a, b in pairwise(name.split()[-1] for name in names))


def test_years_change_nothing_where_nobody_has_counted_or_none_is_known():
    where, sexes = ["Brazil", "Kenya", None] * 30, ["f", "m", None] * 30
    plain = draw_names(where, sexes, seed=5)
    assert draw_names(where, sexes, seed=5, births=[1950, None, np.nan] * 30) == plain
    us = ["United States"] * 20, ["m"] * 20
    assert draw_names(*us, seed=5, births=[None] * 20) == draw_names(*us, seed=5)
    assert draw_names(*us, seed=5, births=[1950] * 20) != draw_names(*us, seed=5)


def test_years_are_read_out_of_an_array_with_gaps():
    where, sexes = ["United States"] * 3, ["f"] * 3
    told = draw_names(where, sexes, seed=1, births=np.array([1950, np.nan, 1984]))
    assert told == draw_names(where, sexes, seed=1, births=[1950, None, 1984])


def test_a_decade_nobody_counted_takes_the_nearest():
    assert [decade_of("United States", year) for year in (1850, 1909, 2031)] == [
        "1900", "1900", "2010",
    ]  # fmt: skip


def test_the_table_of_births_says_whose_it_is_and_is_whole():
    for row in read_table("births").values():
        assert {"source", "licence", "changes", "says"} <= set(row["about"])
        assert sorted(row["decades"]) == [str(year) for year in range(1900, 2020, 10)]
        for pools in row["decades"].values():
            for names in pools.values():
                assert len(names.split()) == len(set(names.split())) == 150
                assert all(name.isalpha() and name.istitle() for name in names.split())


@pytest.mark.parametrize(
    ("births", "said"),
    [
        ([1950], "There are 2 countries and 1 years of birth"),
        ([1950, "1950"], "The year of birth in row 2 is '1950'"),
        ([1950.5, 1950], "The year of birth in row 1 is 1950.5"),
        ([True, 1950], "The year of birth in row 1 is True"),
    ],
)
def test_years_that_cannot_be_are_refused(births, said):
    with pytest.raises(InvalidInput, match=said):
        draw_names(["Kenya"] * 2, ["f"] * 2, seed=1, births=births)


def test_nobody_needs_no_name():
    assert draw_names([], [], seed=1) == []


def test_a_hundred_thousand_names_take_seconds():
    start = time.perf_counter()
    years = [None, 1950, 1984, 2001] * 25_000
    names = draw_names(
        ["Mexico", "United States"] * 50_000, ["f", "m", None, "x"] * 25_000, seed=1, births=years
    )
    assert len(set(names)) == 100_000
    assert time.perf_counter() - start < 100  # about half a second here


@pytest.mark.parametrize("taken", [None, "Ana Souza", [1], 7])
def test_taken_names_that_are_none_are_refused(taken):
    with pytest.raises(InvalidInput, match="taken must be a list of names such as"):
        draw_names(["Brazil"], ["f"], seed=1, taken=taken)
