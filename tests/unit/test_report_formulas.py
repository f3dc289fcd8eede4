"""Each formula against values worked out by hand or by scipy."""

from __future__ import annotations

import math

import pytest

from tinyfactory.populations.reporting.big_five import big_five_row, spread_and_skew
from tinyfactory.populations.reporting.evidence import Sentence
from tinyfactory.populations.reporting.margins import (
    chi_squared_p,
    cramers_v,
    pielou,
    total_variation,
)
from tinyfactory.populations.reporting.repetition import (
    least_distinct,
    near_duplicates,
    repeated_sentences,
    sentences_row,
)
from tinyfactory.populations.reporting.word_choice import (
    compression_ratio,
    distinct,
    log_odds,
    positivity_row,
)


def said(*texts: str) -> list[Sentence]:
    return [Sentence("beliefs", text, tuple(text.lower().split())) for text in texts]


def test_total_variation_by_hand():
    assert total_variation({"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.2, "b": 0.3, "d": 0.5}) == 0.5


def test_chi_squared_agrees_with_scipy():
    from scipy.stats import chisquare

    asked, got = {"a": 0.2, "b": 0.5, "c": 0.3}, {"a": 30, "b": 45, "c": 25}
    assert chi_squared_p(asked, got) == pytest.approx(
        float(chisquare([30, 45, 25], [20, 50, 30]).pvalue)
    )


def test_chi_squared_pools_small_categories():
    from scipy.stats import chisquare

    asked = {"a": 0.02, "b": 0.03, "c": 0.45, "d": 0.5}
    got = {"a": 6, "b": 4, "c": 40, "d": 50}
    # 2 + 3 people are expected in a and b: together just five
    assert chi_squared_p(asked, got) == pytest.approx(
        float(chisquare([10, 40, 50], [5, 45, 50]).pvalue)
    )
    assert chi_squared_p({"a": 0.01, "b": 0.99}, {"a": 1, "b": 99}) is None
    assert chi_squared_p(asked, {}) is None


def test_pielou_by_hand():
    # H = -(3/4 ln 3/4 + 1/4 ln 1/4) = 0.562335, over ln 3
    assert pielou({"a": 3, "b": 1, "c": 0}) == pytest.approx(0.562335 / math.log(3), abs=1e-6)


TABLE = {
    ("a", "x"): 30,
    ("a", "y"): 10,
    ("a", "z"): 5,
    ("b", "x"): 5,
    ("b", "y"): 20,
    ("b", "z"): 30,
}


def test_cramers_v_without_correction_agrees_with_scipy():
    from scipy.stats.contingency import association

    assert cramers_v(TABLE, corrected=False) == pytest.approx(
        float(association([[30, 10, 5], [5, 20, 30]], method="cramer"))
    )


def test_bergsmas_correction_by_hand():
    # 2 x 2 with n = 20: phi² = (8·8 - 2·2)² / 10⁴ = 0.36;
    # less 1/19: 0.307368; r' - 1 = c' - 1 = 1 - 1/19 = 0.947368; V = sqrt(0.324444)
    table = {("a", "x"): 8, ("a", "y"): 2, ("b", "x"): 2, ("b", "y"): 8}
    assert cramers_v(table) == pytest.approx(math.sqrt(0.307368421 / 0.947368421), abs=1e-8)
    assert cramers_v(table, corrected=False) == pytest.approx(0.6)
    shares = {cell: count / 20 for cell, count in table.items()}
    assert cramers_v(shares, corrected=False) == pytest.approx(0.6)


@pytest.mark.parametrize("table", [{}, {("a", "x"): 5}, {("a", "x"): 5, ("a", "y"): 5}])
def test_cramers_v_needs_two_categories_of_each(table):
    assert cramers_v(table) is None


def test_repeated_sentences_by_hand():
    one, two, short = "we walk to the sea", "they never walk in the rain", "so it is"
    people = [said(one, one, short), said(one, two), said(short, "nobody else says this here")]
    found = repeated_sentences(people)
    assert (found["repeated"], found["sentences"]) == (3, 5)
    assert found["most"] == [[one, 2]]
    assert repeated_sentences([said(one, one)])["repeated"] == 0


def test_repetition_is_marked_within_a_thousand_people_however_many_there_are():
    # Each sentence is said by two of 4,000 people: all of it twice in the whole, little in a part.
    def words(number):
        return "".join(chr(97 + int(digit)) for digit in f"{number % 2000:04}")

    people = [said(f"the {words(k)} of the {words(k)}s is best") for k in range(4000)]
    row = sentences_row(people, seed=0)
    assert row.details["share"] == 1
    assert row.value == pytest.approx(0.25, abs=0.06)
    assert row.passed is False
    assert "within 1,000 it is" in row.sentence
    part = sentences_row(people[:1000], seed=0)
    assert (part.value, part.details["share"], part.passed) == (0, 0, True)


def test_least_distinct_allows_what_chance_gives_from_a_hundred_names():
    import random

    dice = random.Random(1)
    for n in (5, 20, 100, 400):
        below = sum(
            len({dice.randrange(100) for _ in range(n)}) < least_distinct(n) for _ in range(500)
        )
        assert below < 25  # two standard deviations below: about 2 % of draws
    assert least_distinct(20) > 10  # ten first names among twenty people are too few


def test_near_duplicates_finds_halves_in_common_and_nothing_else():
    base = [f"w{k}" for k in range(200)]
    copy = " ".join(base[:180] + [f"x{k}" for k in range(20)])  # Jaccard 176/216 = 0.81
    some = " ".join(base[:40] + [f"y{k}" for k in range(160)])  # Jaccard 36/356 = 0.10
    people = [said(" ".join(base)), said(some), said(copy), said("")]
    assert near_duplicates(people, seed=1) == ({0, 2}, 3)


def test_distinct_n_by_hand():
    words = "the cat and the dog and the cat".split()
    assert distinct(words, 1) == 4 / 8
    # the-cat twice, and-the twice: 5 pairs of 7
    assert distinct(words, 2) == 5 / 7
    assert distinct([], 1) is None and distinct(["one"], 2) is None


def test_compression_ratio_is_bytes_over_compressed_bytes():
    import zlib

    text = "é repeated " * 200
    squeezed = len(zlib.compress(text.encode(), 9)) + 12  # gzip's frame: 18 bytes for zlib's 6
    assert compression_ratio(text) == pytest.approx(len(text.encode()) / squeezed)
    assert compression_ratio("") is None


def test_spread_and_skew_agree_with_scipy():
    from statistics import stdev

    from scipy.stats import skew

    scores = [10, 20, 20, 30, 90]
    spread, lean = spread_and_skew(scores)
    assert spread == pytest.approx(stdev(scores))
    assert lean == pytest.approx(float(skew(scores, bias=False)))
    assert spread_and_skew([5]) == (None, None)
    assert spread_and_skew([5, 5, 5]) == (0.0, None)


def test_big_five_counts_only_scores_on_the_scale():
    scores = [10, 90, 100, 101, "70", True, None]
    row = big_five_row([{"personality": {"big_five": {"openness": s}}} for s in scores])
    openness = row.details["traits"]["openness"]
    assert openness["people"] == 3 and openness["mean"] == pytest.approx(200 / 3)
    assert openness["tenths"] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 2]


def test_log_odds_by_hand():
    # kind: 3 of 10 against 1 of 10, prior 4 of 20: odds 7/23 and 5/25
    z = log_odds({"kind": 3, "tall": 7}, {"kind": 1, "tall": 9})
    delta = math.log(7 / 23) - math.log(5 / 25)
    assert z["kind"] == pytest.approx(delta / math.sqrt(1 / 7 + 1 / 5))
    assert z["tall"] < 0


def test_log_odds_change_sign_with_the_groups():
    a, b = {"x": 5, "y": 1, "z": 3}, {"x": 2, "z": 8}
    there, back = log_odds(a, b), log_odds(b, a)
    assert {word: pytest.approx(-z) for word, z in there.items()} == back


def test_positivity_tells_praise_from_blame():
    praise = positivity_row([said("A wonderful and kind friend")], 0)
    blame = positivity_row([said("A horrible and cruel liar")], 0)
    plain = positivity_row([said("A table with four legs")], 0)
    assert praise.value > 0.5 and blame.value < -0.5 and plain.value == 0
    assert praise.details["positive"] == blame.details["negative"] == 1
    assert sum(praise.details["tenths"]) == 1
    assert positivity_row([[]], 0).value is None
