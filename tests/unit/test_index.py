"""Searching, filtering, counting and sorting, against the plainest way to do the same."""

from __future__ import annotations

import random
import threading

import pytest

from tests.support.people import person
from tinyfactory import TinyPerson
from tinyfactory.errors import InvalidInput
from tinyfactory.people import index as index_module
from tinyfactory.people.index import (
    AGE_BANDS,
    PIECE,
    PeopleIndex,
    category,
    facet_of,
    text_of,
    words_of,
)
from tinyfactory.utils.text import fold_for_search

NUMBER = 1_300  # more than two pieces


@pytest.fixture(scope="module")
def people():
    drawn = random.Random(7)
    made = []
    for number in range(NUMBER):
        data = person(number)
        data["health"] = " ".join(drawn.choices("amber birch cédar dune Ember fjørd".split(), k=3))
        if number % 7 == 0:
            del data["nationality"], data["age"]
        made.append(TinyPerson(persona=data, register=False))
    return made


@pytest.fixture
def index(people):
    return PeopleIndex(people)


def plainly(people, query):
    """Every word, in the whole text, one person after the other."""
    texts = [text_of(p.persona) for p in people]
    words = fold_for_search(query).split()
    return [n for n, text in enumerate(texts) if all(w in text for w in words)]


@pytest.mark.parametrize(
    "query",
    ["ember", "cedar fjord", "CÉDAR", "e", "carpenter harbour", "nurse amber dune", "zz", "",
     "   ", "portuguese 3", "a a a", "'s name", "\x00", "carpenter\x00"],
)  # fmt: skip
def test_a_search_finds_who_has_every_word(index, people, query):
    assert index.select(query).rows == plainly(people, query)


def test_typing_on_and_back_finds_the_same_as_typing_at_once(index, people):
    for query in ("e", "em", "emb", "emb d", "emb du", "emb", "dune", "dune e", "ne", ""):
        assert index.select(query).rows == plainly(people, query), query


def test_a_word_is_never_found_across_two_values_or_two_people():
    index = PeopleIndex(
        TinyPerson(persona={"name": name, "skills": ["sew", "ing"]}, register=False)
        for name in ("Ana", "Bo")
    )
    assert index.select("sewing").rows == index.select("ingbo").rows == []


def test_every_script_is_searched():
    names = [
        "Łukasz Żółć",
        "Zoë Ångström",
        "Дмитрий Ёлкин",
        "山田 太郎",
        "محمد",
        "Ø. O’Brien",
        "Bo 😀",
    ]
    index = PeopleIndex(TinyPerson(name, register=False) for name in names)
    queries = ["lukasz zolc", "angstrom", "елкин", "太郎", "محمد", "o'brien", "😀"]
    assert [index.select(query).rows for query in queries] == [[n] for n in range(len(names))]


def test_the_words_that_decide_are_kept_longest_first():
    assert words_of("an Ana banana x") == ["banana", "x"]


def test_who_has_changed_is_found_by_what_they_are_now(people):
    own = [TinyPerson(persona=p.persona, register=False) for p in people]
    index = PeopleIndex(own)
    index.select("xylophone")
    index.facet("gender"), index.ordered(list(range(NUMBER)), ("age", False))
    own[700].define_all({"skills": ["the xylophone"], "gender": "else", "age": 119})
    found = index.select("xylophone", {"gender": ["else"]})
    assert found.rows == [700]
    assert index.ordered(list(range(NUMBER)), ("age", True))[0] == 700
    assert index.refresh() == []


def test_filters_and_counts_are_those_of_the_plainest_way(index, people):
    filters = {"age": ["18-29", "30-44"], "nationality": ["Kenyan", ""], "gender": ["woman"]}

    def passes(row, but=None):
        return all(
            category(people[row].persona, field) in categories
            for field, categories in filters.items()
            if field != but
        )

    base = plainly(people, "amber")
    found = index.select("amber", filters)
    assert found.rows == [row for row in base if passes(row)]
    assert 0 < len(found.rows) < len(base)
    for field in (*filters, "occupation.title"):
        counts: dict[str, int] = {}
        for row in base:
            if passes(row, but=field):
                name = category(people[row].persona, field)
                counts[name] = counts.get(name, 0) + 1
        assert dict(found.count(index.facet(field))) == counts


def test_a_field_of_more_than_255_categories_is_counted_the_same(index, people):
    names = index.facet("name")
    assert len(names.labels) == NUMBER and isinstance(names.codes, list)
    found = index.select("", {"name": [people[5].name, people[900].name.upper()]})
    assert found.rows == [5, 900]
    assert sum(number for _, number in index.select("ember").count(names)) == len(
        plainly(people, "ember")
    )


def test_within_narrows_like_one_more_filter(index):
    found = index.select("", {"gender": ["woman"]}, within=range(10))
    assert found.rows == [0, 2, 4, 6, 8]
    assert dict(found.count(index.facet("gender"))) == {"woman": 5, "man": 5}


def test_spellings_of_a_category_are_one():
    personas = [{"nationality": name} for name in ("Perúvian", "peruvian", " PERUVIAN ", "Kenyan")]
    facet = facet_of(personas, "nationality")
    assert facet.count(b"\1" * 4) == [("Perúvian", 3), ("Kenyan", 1)]
    assert facet.passing(["PERUVIAN", "nobody"]) == bytes([1, 1, 1, 0])


def test_bands_stand_in_their_order_and_nothing_said_comes_last():
    ages = [None, 80, 3, 17, 18, 29, 30, 44, 45, 59, 60, 74, 75, 120]
    facet = facet_of([{"age": age} for age in ages], "age")
    assert facet.count(b"\1" * len(ages)) == [
        *zip(AGE_BANDS, (2, 2, 2, 2, 2, 3), strict=True),
        ("", 1),
    ]


def test_a_field_of_lists_cannot_be_filtered_by(index):
    with pytest.raises(InvalidInput, match=r"skills holds several values.*Search"):
        index.select("", {"skills": ["sewing"]})


def test_an_order_puts_nothing_last_and_leaves_ties(index, people):
    rows = list(range(NUMBER))
    for descending in (False, True):
        ordered = index.ordered(rows, ("age", descending))
        ages = [people[row].get("age") for row in ordered]
        known = [age for age in ages if age is not None]
        assert ages == known + [None] * (len(ages) - len(known))
        assert known == sorted(known, reverse=descending)
        ties = [row for row, age in zip(ordered, ages, strict=True) if age == known[0]]
        assert ties == sorted(ties)
    few = [900, 3, 17]
    assert index.ordered(few, ("name", False)) == sorted(
        few, key=lambda row: fold_for_search(people[row].name)
    )
    assert index.ordered(few, None) == few


def test_reading_ahead_reads_all_and_stops_when_told(index):
    stop = threading.Event()
    stop.set()
    index.read_ahead(stop)
    assert index.unread == -(-NUMBER // PIECE)
    index.read_ahead(threading.Event(), pause=0)
    assert index.unread == 0


def test_threads_that_search_at_once_find_the_same(people):
    index = PeopleIndex(people)
    found: list[list[int]] = []

    def look(query):
        found.append(index.select(query).rows)

    threads = [threading.Thread(target=look, args=("ember dune",)) for _ in range(8)]
    threads.append(threading.Thread(target=index.read_ahead, args=(threading.Event(), 0)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [plainly(people, "ember dune")] * 8


def test_only_what_is_needed_is_read(people, monkeypatch):
    """Opening 100,000 people must not wait for the text of all of them."""
    read: list[object] = []
    original = index_module.text_of

    def counted(persona):
        read.append(persona)
        return original(persona)

    monkeypatch.setattr(index_module, "text_of", counted)
    index = PeopleIndex(people)
    index.select("", {"gender": ["woman"]})
    index.ordered(list(range(NUMBER)), ("name", False))
    assert read == []
    index.select("ember")
    assert len(read) == NUMBER
    index.select("dune")
    assert len(read) == NUMBER


def test_nobody_is_no_special_case():
    index = PeopleIndex(())
    found = index.select("anything", {"gender": ["woman"]})
    assert found.rows == [] and found.count(index.facet("gender")) == []
    assert index.ordered([], ("age", True)) == []
