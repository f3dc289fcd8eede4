"""What holds for any people in a table, and for any two of them compared."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.test_people_properties import anything, names, shapes
from tinyfactory.errors import InvalidPersona
from tinyfactory.people import People, TinyPerson, compare, from_edsl, load_people, to_edsl
from tinyfactory.people.formats.csv_file import guarded, unguarded

# Lone surrogates come from JSON escapes of models; a person keeps none, whatever the way in.
any_text = st.text(st.characters(), max_size=12)
tricky = st.text(st.sampled_from("=+-@;'\" \t\r\n,a\ud800\u2028"), max_size=8)
own = st.dictionaries(st.one_of(any_text, tricky), st.one_of(anything, any_text, tricky))
others = st.fixed_dictionaries({"name": names}, optional={"description": tricky, "since": anything})


@st.composite
def people(draw, most=4):
    found = People()
    for _ in range(draw(st.integers(0, most))):
        fields = draw(shapes) | draw(own) | {"style": draw(tricky), "health": draw(any_text)}
        fields |= {"skills": draw(st.lists(tricky, max_size=3)), "name": draw(names)}
        if draw(st.booleans()):
            fields["relationships"] = draw(st.lists(others, max_size=2))
        provenance = {"source": draw(tricky), "profile": draw(st.one_of(st.none(), own))}
        with contextlib.suppress(InvalidPersona):
            found.append(TinyPerson(persona=fields, provenance=provenance, register=False))
    return found


@settings(deadline=None, max_examples=200)
@given(people(), st.sampled_from(["csv", "parquet", "jsonl"]))
def test_what_is_saved_is_loaded_whole(everyone, kind):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"people.{kind}"
        everyone.save(path)
        loaded = load_people(path)
    assert loaded == everyone
    assert [p.provenance for p in loaded] == [p.provenance for p in everyone]


@settings(deadline=None, max_examples=100)
@given(people(most=2), st.sampled_from(["csv", "parquet", "jsonl"]))
def test_what_was_loaded_is_written_the_same(everyone, kind):
    """A second time nothing changes any more, and nothing is noted."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (Path(folder) / f"{name}.{kind}" for name in ("a", "b"))
        everyone.save(first)
        loaded = load_people(first)
        loaded.save(second)
        assert first.read_bytes() == second.read_bytes()
        assert loaded.notes == []


@settings(deadline=None, max_examples=200)
@given(people(most=2))
def test_agents_and_back(everyone):
    assert from_edsl(to_edsl(everyone)) == everyone


@settings(deadline=None, max_examples=500)
@given(st.one_of(any_text, tricky))
def test_a_guard_is_taken_away_exactly(text):
    assert unguarded(guarded(text)) == text
    assert guarded(text).lstrip(" \t\r\n'\"")[:1] not in tuple("=+-@") or "'" in guarded(text)


def told(value):
    if not isinstance(value, dict):
        return value
    return {key: told(item) for key, item in value.items() if item is not None}


@settings(deadline=None, max_examples=150)
@given(people(most=2).filter(lambda found: len(found) == 2))
def test_two_people_compared(pair):
    a, b = pair
    comparison = compare(a, b)
    assert 0 <= comparison.share <= 1
    assert compare(a, a).share == 0 and compare(a, a).differences == ()
    # A field without a value is no difference from a field that is not there.
    assert (comparison.differences == ()) == (told(a.persona) == told(b.persona))
    assert comparison._repr_html_() and repr(comparison)
