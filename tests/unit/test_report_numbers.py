"""The numbers of a report card as they are read: few digits, and a mark that follows from them."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.populations import Asked, people, target
from tinyfactory.populations.reporting import ReportCard, Row, report
from tinyfactory.populations.reporting.card import decimals
from tinyfactory.populations.reporting.evidence import Sentence
from tinyfactory.populations.reporting.repetition import sentences_row


def card_missing(miss: float) -> ReportCard:
    """Of a hundred people, of whom fifty are women, so many more having been asked for."""
    everyone = [{"name": f"P{n}", "gender": ("woman", "man")[n % 2]} for n in range(100)]
    share = (50 + miss) / 100
    return report(everyone, Asked({"sex": {"female": share, "male": 1 - share}}))


@pytest.mark.parametrize(
    ("miss", "shown", "asked", "mark"),
    [
        (0, "0 people", "50", "pass"),
        (0.02, "less than 0.1 people", "50", "pass"),
        (0.7541, "0.8 people", "50.8", "pass"),
        (0.9987, "1 person", "51", "pass"),
        (1, "1 person", "51", "pass"),
        (1.04, "1.04 people", "51.04", "FAIL"),
        (1.0004, "1.0004 people", "51.0004", "FAIL"),
        (1.3333, "1.3 people", "51.3", "FAIL"),
        (12.3456, "12.3 people", "62.3", "FAIL"),
    ],
)
def test_a_miss_is_said_in_few_digits_and_its_mark_follows_from_them(miss, shown, asked, mark):
    card = card_missing(miss)
    row = card["margin:sex"]
    assert (row.shown, row.mark) == (shown, mark)
    said = shown[:1].upper() + shown[1:]
    if miss:  # else either category is one that is off at most
        assert row.sentence.startswith(
            f"{said} off at most, in 'female': target {asked}, actual 50."
        )
    for text in (repr(card), card.to_text(), card.to_html()):
        assert shown in text
    assert row.value == pytest.approx(miss, abs=1e-6)
    (kept,) = (r for r in json.loads(card.to_json())["rows"] if r["key"] == "margin:sex")
    assert kept["value"] == row.value and "decimals" not in kept


@pytest.mark.parametrize("several", [people(), people()[:1], people()[:3], people(160)[::2]])
def test_no_number_is_long_or_in_powers_of_ten(several):
    card = report(several, target(impossible=[{"region": "North", "income": "high"}]))
    for text in (repr(card), card.to_text()):
        told = re.sub(r"\bp (below|above) 0\.\d{3}", "", text)
        assert not re.search(r"\d\.\d{4,}|\d\.?\d*e[-+]?\d|-0(\.0+)?\b(?! to)|\bnan\b", told), told


def test_a_strong_miss_has_no_p_value_of_seventeen_zeros():
    assert "chi-squared p below 0.001" in card_missing(40)["margin:sex"].sentence


def test_one_is_one_and_many_have_commas():
    card = report([{"name": "Ana Lima", "occupation": "Nurse", "beliefs": ["So it is."]}])
    text = card.to_text()
    assert "1 first name for 1 person" in text and "1 occupation for 1 person" in text
    assert "1 sentence of 1 person" in text
    assert not re.search(r"\b1 (people|words|names|sentences|occupations|categories)\b", text)
    assert Row("k", "t", 12345, "people", "", "").shown == "12,345 people"
    assert Row("k", "t", 1, "words", "", "").shown == "1 word"


def test_a_threshold_that_is_no_share_says_of_what_it_is():
    card = report(people(), target())
    assert card["names:first"].shown.endswith(" %")
    assert re.match(r"at least \d+ first names for 80 people: ", card["names:first"].threshold)
    assert re.match(r"at least \d+ occupations for 80 people: ", card["occupations"].threshold)


def test_a_share_just_beyond_its_threshold_is_not_shown_as_the_threshold():
    def everyone(repeated):
        said = [
            [f"{word}{k}" for word in ("one", "two", "three", "four", "five")] for k in range(2500)
        ]
        said[: repeated // 2] = said[repeated // 2 : repeated]
        return [
            [Sentence("beliefs", " ".join(words), tuple(words)) for words in said[n::20]]
            for n in range(20)
        ]

    row = sentences_row(everyone(382), seed=0)
    assert (row.shown, row.passed) == ("15.3 %", False)
    row = sentences_row(everyone(376), seed=0)
    assert (row.shown, row.passed) == ("15.04 %", False)
    row = sentences_row(everyone(374), seed=0)
    assert (row.shown, row.passed) == ("15.0 %", True)


def test_decimals_end_somewhere():
    assert decimals(1, lambda x: x <= 1, 1 + 1e-9) == 6
