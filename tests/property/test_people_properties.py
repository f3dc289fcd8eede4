"""What holds for any person, however written."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.people import person as full_person
from tinyfactory.errors import InvalidPersona, ReplyRejected
from tinyfactory.people import (
    People,
    TinyPerson,
    load_people,
    merge,
    normalise,
    read_contexts,
    read_persona,
    save_people,
)
from tinyfactory.people.render.html import escape
from tinyfactory.people.render.person import person_html
from tinyfactory.people.schema import normalise as normalise_module
from tinyfactory.people.schema.big_five import TRAITS
from tinyfactory.people.schema.layout import ALIASES, LISTS, PARTS, TEXTS, TOP
from tinyfactory.people.schema.persona import validated

FIELDS = sorted(
    {
        *TOP,
        *ALIASES,
        *(path.rpartition(".")[2] for path in (*TEXTS, *LISTS, *PARTS)),
        *TRAITS,
        *("Name", "Age", "type", "persona", "_configuration", "traits", "tinyfactory", "uuid"),
        *("agent_state", "big_five_notes", "city", "country", "first_name", "general", "score"),
    }
)
words = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["High", "low", "70%", "4/5", "0.5", "['a', 'b']", " ", "34", "Ana Souza, a"]),
)
scalars = st.one_of(
    words,
    st.integers(-5, 200),
    st.floats(allow_infinity=False),
    st.booleans(),
    st.none(),
)
keys = st.one_of(st.sampled_from(FIELDS), st.text(max_size=4))
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
shapes = st.dictionaries(keys, anything, max_size=6)
names = st.text(min_size=1, max_size=20).map(lambda text: f"A{text}")
own_fields = st.dictionaries(st.text(max_size=6), anything, max_size=3)


@settings(deadline=None, max_examples=400)
@given(shapes, names)
def test_normalising_again_changes_nothing(shape, name):
    with contextlib.suppress(InvalidPersona):
        once = normalise({"name": name, **shape})
        direct = normalise(once)
        again = validated(once)
        assert direct == again == once
        assert list(direct) == list(again) == list(once)
        assert json.loads(json.dumps(once, allow_nan=False)) == once


@settings(deadline=None, max_examples=300)
@given(shapes, shapes, names)
def test_a_merge_is_the_same_without_the_direct_reader(shape, other, name):
    with contextlib.suppress(InvalidPersona):
        person, fragment = (normalise({"name": name, **part}) for part in (shape, other))
        direct = merge(person, fragment)
        with mock.patch.object(normalise_module, "_in_layout", return_value=None):
            assert json.dumps(merge(person, fragment)) == json.dumps(direct)


texts = st.one_of(st.text(max_size=4), st.sampled_from([" two words ", "snake_case", "\x00", ""]))
scores = st.one_of(st.integers(-1, 101), st.none(), st.just(0.5))
empties = st.sampled_from([None, "", " ", [], {}])
more = st.dictionaries(keys, anything, max_size=1)


def part(**fields):
    """An object with some of the fields, perhaps others, in any order; or an empty value."""
    some = st.fixed_dictionaries({}, optional=fields)
    either = st.tuples(some, more, st.booleans()).map(
        lambda both: both[1] | both[0] if both[2] else both[0]
    )
    shuffled = either.flatmap(lambda one: st.permutations(list(one.items())).map(dict))
    return st.one_of(shuffled, shuffled, shuffled, empties)


lists = st.one_of(st.lists(texts, max_size=3), empties)
near_the_layout = part(
    name=st.one_of(names, texts),
    age=st.one_of(st.integers(-1, 121), empties),
    **dict.fromkeys(["gender", "nationality", "residence", "education", "style"], texts),
    occupation=part(title=texts, organization=texts, description=texts),
    personality=part(traits=lists, big_five=part(**dict.fromkeys(TRAITS, scores))),
    preferences=part(interests=lists, likes=lists, dislikes=lists),
    skills=lists,
    behaviors=part(general=lists, routines=part(morning=lists, workday=lists, weekend=lists)),
    relationships=st.one_of(st.lists(part(name=texts, description=texts), max_size=2), empties),
    other_facts=lists,
)


@settings(deadline=None, max_examples=600)
@given(near_the_layout, st.booleans())
def test_the_direct_reader_gives_what_pydantic_gives_or_nothing(data, partial):
    found = normalise_module._in_layout(data, partial=partial)
    if found is not None:
        assert json.dumps(found) == json.dumps(validated(data, partial=partial))


@settings(deadline=None, max_examples=150)
@given(shapes, names)
def test_the_order_of_keys_does_not_matter_to_known_fields(shape, name):
    """Only where two spellings of one field compete does the order decide."""
    shape = {key: value for key, value in shape.items() if key in TOP and key != "name"}
    with contextlib.suppress(InvalidPersona):
        there = normalise({"name": name, **shape})
        back = normalise(dict(reversed([("name", name), *shape.items()])))
        assert list(there) == list(back)
        assert there == back


@settings(deadline=None, max_examples=150)
@given(own_fields, names)
def test_no_text_of_an_unknown_field_is_lost(fields, name):
    fields = {f"own_{key}": value for key, value in fields.items()}
    with contextlib.suppress(InvalidPersona):
        found = normalise({"name": name, **fields})
        assert len(found) == len(fields) + 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(shapes, names), max_size=4), st.sampled_from(["p.jsonl", "p.json", "d"]))
def test_what_is_saved_is_loaded(described, target):
    people = People()
    for shape, name in described:
        with contextlib.suppress(InvalidPersona):
            people.append(TinyPerson(persona={"name": name, **shape}, register=False))
    if target == "d" and not people:
        return
    with tempfile.TemporaryDirectory() as folder:
        save_people(people, Path(folder) / target)
        assert load_people(Path(folder) / target) == people


@settings(deadline=None, max_examples=150)
@given(shapes, names)
def test_the_complete_state_restores_the_person(shape, name):
    with contextlib.suppress(InvalidPersona):
        person = TinyPerson(persona={"name": name, **shape}, register=False)
        other = TinyPerson("Someone", register=False)
        other.decode_complete_state(json.loads(json.dumps(person.encode_complete_state())))
        assert other == person


@settings(deadline=None, max_examples=150)
@given(keys, anything, st.one_of(st.none(), keys))
def test_define_changes_to_a_valid_person_or_not_at_all(key, value, group):
    person = TinyPerson("Ana", {"age": 34, "skills": ["chess"]}, register=False)
    before = person.persona
    try:
        person.define(key, value, group)
    except InvalidPersona:
        assert person.persona == before
    assert normalise(person.persona) == validated(person.persona) == person.persona


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=60), st.sampled_from(["stop", "length", "content_filter", "?"]))
def test_any_reply_is_read_or_rejected(text, finish_reason):
    for read in (read_persona, lambda *a: read_contexts(*a, expected=2)):
        with contextlib.suppress(ReplyRejected):
            read(text, finish_reason)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_full_reply_damaged_anywhere_is_read_or_rejected(data):
    text = json.dumps(full_person(1))
    begin = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 40))
    damaged = (
        text[:begin]
        + data.draw(st.sampled_from(["", '"', "}", "{", ",", "'"]))
        + (text[begin + length :])
    )
    with contextlib.suppress(ReplyRejected):
        assert read_persona(damaged)["name"]


@settings(deadline=None, max_examples=150)
@given(st.text())
def test_escaped_text_has_nothing_that_markup_is_made_of(text):
    assert not set("<>\"'{}`") & set(escape(text))


@settings(deadline=None, max_examples=100)
@given(shapes, names)
def test_any_person_can_be_shown(shape, name):
    with contextlib.suppress(InvalidPersona):
        person = TinyPerson(persona={"name": name, **shape}, register=False)
        assert person_html(person).count("<div") == person_html(person).count("</div>")
        assert repr(person) and person._repr_mimebundle_() and repr(People([person]))
        assert person.minibio().count("\n") == 0
