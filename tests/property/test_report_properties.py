"""What holds of the measures for any input."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfactory.populations.reporting import report
from tinyfactory.populations.reporting.margins import (
    chi_squared_p,
    cramers_v,
    pielou,
    total_variation,
)

COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 500), min_size=1).filter(
    lambda counts: sum(counts.values()) > 0
)


def shares(counts):
    return {key: count / sum(counts.values()) for key, count in counts.items()}


@given(COUNTS, COUNTS)
def test_total_variation_is_a_distance_from_0_to_1(a, b):
    there = total_variation(shares(a), shares(b))
    assert 0 <= there <= 1 + 1e-9
    assert abs(there - total_variation(shares(b), shares(a))) < 1e-12
    assert total_variation(shares(a), shares(a)) == 0


@given(COUNTS, COUNTS)
def test_a_p_value_is_one_and_is_1_for_what_was_asked(a, b):
    asked = {key: share for key, share in shares(a).items() if share}
    p = chi_squared_p(asked, b)
    assert p is None or 0 <= p <= 1
    same = chi_squared_p(asked, a)
    assert same is None or same > 1 - 1e-9


@given(COUNTS)
def test_evenness_is_from_0_to_1_and_1_for_equal_counts(counts):
    value = pielou(counts)
    assert value is None or -1e-12 <= value <= 1 + 1e-12
    equal = pielou(dict.fromkeys(counts, 3))
    assert equal is None or abs(equal - 1) < 1e-12


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), st.integers(0, 60), min_size=1
    )
)
def test_cramers_v_is_from_0_to_1_whichever_field_comes_first(table):
    turned = {(y, x): count for (x, y), count in table.items()}
    for corrected in (True, False):
        v, w = cramers_v(table, corrected=corrected), cramers_v(turned, corrected=corrected)
        assert (v is None) == (w is None)
        assert v is None or (0 <= v <= 1 and abs(v - w) < 1e-9)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 500) | st.text(max_size=30),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "title", "description", "big_five", "x"]), part)
    ),
    max_leaves=6,
)
FIELDS = ["name", "age", "gender", "occupation", "personality", "beliefs", "relationships", "own"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON), min_size=1, max_size=4))
def test_any_personas_have_a_card_that_is_json_text_and_html(personas):
    card = report(personas)
    assert json.loads(card.to_json())["number_of_people"] == len(personas)
    assert card.to_text() and card.to_html().startswith("<div")
