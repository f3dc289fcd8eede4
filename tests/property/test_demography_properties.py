"""Margins within one person, whatever the tables, zeros and rules, and however many people."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinyfactory.errors import DemographyError
from tinyfactory.populations import Demography
from tinyfactory.populations.sampling import draw_codes

_people = st.one_of(st.integers(1, 60), st.integers(1, 1000))
_seeds = st.integers(0, 2**63)


def _kinds(field, size):
    return [f"{field}{chr(97 + i)}" for i in range(size)]


@st.composite
def shares(draw, field, size):
    """Counts, some of nobody."""
    counts = draw(st.lists(st.integers(0, 50), min_size=size, max_size=size))
    return dict(zip(_kinds(field, size), [counts[0] + 1, *counts[1:]], strict=True))


@st.composite
def chains(draw):
    """Independent fields, or ones of which each depends on the one or two before; and rules."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    fields = [f"f{i}" for i in range(len(sizes))]
    data: dict[str, Any] = {"conditional": [], "impossible": []}
    for i, (field, size) in enumerate(zip(fields, sizes, strict=True)):
        given_ = draw(st.integers(0, min(i, 2)))
        if not given_:
            data[field] = draw(shares(field, size))
            continue
        before = fields[i - given_ : i]

        def nested(left, field=field, size=size):
            if not left:
                return draw(shares(field, size))
            kinds = _kinds(left[0], sizes[fields.index(left[0])])
            return {category: nested(left[1:]) for category in kinds}

        data["conditional"].append({"field": field, "given": before, "table": nested(before)})
    if len(fields) > 1 and draw(st.booleans()):
        one, other = draw(st.permutations(fields))[:2]
        rule = {f: draw(st.sampled_from(_kinds(f, sizes[fields.index(f)]))) for f in (one, other)}
        data["impossible"].append(rule)
    return data


def _read(data):
    try:
        town = Demography.from_dict(data).check()
    except DemographyError:  # a rule can rule out a whole row, or more than the shares leave
        assume(False)
    return town


@settings(deadline=None, max_examples=50)
@given(chains(), _people, _seeds)
def test_margins_and_tables_are_within_one_person_and_nobody_is_impossible(data, n, seed):
    town = _read(data)
    people = town.sample(n, seed)
    assert len(people) == n and people["name"].is_unique
    for field, margin in town.margins().items():
        counts = Counter(people[field])
        assert set(counts) <= {k for k, share in margin.items() if share > 0}
        assert max(abs(counts[k] - share * n) for k, share in margin.items()) <= 1 + 1e-6
    for fields, cells in town.joints():
        counts = Counter(zip(*(people[field] for field in fields), strict=True))
        assert max(abs(counts[k] - share * n) for k, share in cells.items()) <= 1 + 1e-6
    for rule in town.impossible:
        assert not (people[list(rule)] == list(rule.values())).all(axis=1).any()


@settings(deadline=None, max_examples=25)
@given(chains(), st.integers(1, 1_000_000), _seeds)
def test_margins_are_within_one_person_of_up_to_a_million(data, n, seed):
    town = _read(data)
    codes = draw_codes(town._blocks, n, seed)
    for field, margin in town.margins().items():
        counts = np.bincount(codes[field], minlength=len(margin))
        assert abs(counts - np.array(list(margin.values())) * n).max() <= 1 + 1e-6


@settings(deadline=None, max_examples=40)
@given(chains(), st.integers(1, 200), _seeds, shares("beside", 4))
def test_a_field_beside_does_not_change_the_others(data, n, seed, beside):
    town = _read(data)
    more = Demography.from_dict({"beside": beside} | data)
    people = town.sample(n, seed)
    assert more.sample(n, seed)[people.columns].equals(people)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 300), _seeds)
def test_numbers_are_in_the_band_beside_them(data, n, seed):
    ends = sorted(data.draw(st.sets(st.integers(0, 500), min_size=2, max_size=9)))
    continuous = data.draw(st.booleans())
    form = "{}.0-{}.0" if continuous else "{}-{}"
    bands = {form.format(low, high if continuous else high - 1): 1 for low, high in pairwise(ends)}
    town = Demography.from_dict({"size": bands})
    people = town.sample(n, seed)
    for value, band in zip(people["size"], people["size_band"], strict=True):
        assert town.bands("size")[band].holds(value)
        assert continuous or value == int(value)
