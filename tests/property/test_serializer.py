"""What holds for any value on its way into the journal and back, and for any change of state."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinyfactory.errors import NotSerialisable
from tinyfactory.journal.values.changes import apply, difference, inverse, same, without_run
from tinyfactory.journal.values.parts import objects_in
from tinyfactory.journal.values.serializer import decode, encode, journaled
from tinyfactory.journal.values.stored_text import MARK, digest, to_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.sampled_from(["tuple", "dict", "object", MARK]),
)
hashable = st.recursive(leaves, lambda inner: st.tuples(inner, inner), max_leaves=4)
keys = st.one_of(texts, st.sampled_from([MARK, "items", "type", "state"]))


def containers(inner):
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(hashable, inner, max_size=3),
    )


values = st.recursive(leaves, containers, max_leaves=15)
refused = st.sampled_from([math.nan, math.inf, -math.inf, {1}, b"x", "\ud800", object(), 1j])
# Few names and few values, so that two states share much.
items = st.one_of(st.integers(0, 2), st.booleans(), st.sampled_from([1.0, "a", (1,), [1]]))
states = st.dictionaries(st.sampled_from("abcd"), st.one_of(items, st.lists(items, max_size=4)))


@journaled
class Box:
    """An object with a state of its own in the journal."""

    def __init__(self, held):
        self.held = held

    def encode_complete_state(self):
        return {"held": self.held}

    def decode_complete_state(self, state):
        self.held = state["held"]
        return self


@settings(deadline=None, max_examples=200)
@given(values)
def test_what_is_encoded_is_decoded_to_the_letter(value):
    back = decode(json.loads(to_text(encode(value))))
    assert same(back, value)
    assert repr(back) == repr(value)  # the order of keys, and -0.0, too


@settings(deadline=None, max_examples=200)
@given(values)
def test_encoding_leaves_the_value_and_shares_nothing_with_it(value):
    before = repr(value)
    encoded = encode(value)
    text = to_text(encoded)
    if isinstance(value, list):
        value.append("more")
        assert to_text(encoded) == text
        value.pop()
    assert repr(value) == before


@settings(deadline=None, max_examples=150)
@given(values, values)
def test_digests_are_equal_for_equal_values_alone(one, other):
    assert (digest(encode(one)) == digest(encode(other))) == (
        to_text_sorted(one) == to_text_sorted(other)
    )


def to_text_sorted(value):
    """The same whatever the order of keys, in dictionaries that are kept as pairs, too."""

    def plain(part):
        if isinstance(part, list):
            return [plain(item) for item in part]
        if not isinstance(part, dict):
            return part
        part = {key: plain(item) for key, item in part.items()}
        if part.get(MARK) == "dict":
            part["items"] = sorted(part["items"], key=json.dumps)
        return part

    return json.dumps(plain(encode(value)), sort_keys=True)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(texts, values, max_size=5), st.randoms(use_true_random=False))
@example({"": None, "0": None, "$": None}, random.Random(1))
@example({2: "b", 10: "a", (1, "x"): {"$": 1, "a": 2}}, random.Random(3))
def test_digest_does_not_depend_on_the_order_of_keys(value, dice):
    pairs = list(value.items())
    dice.shuffle(pairs)
    assert digest(encode(dict(pairs))) == digest(encode(value))


@settings(deadline=None, max_examples=100)
@given(values)
def test_digest_tells_parts_from_one_value(value):
    encoded = encode(value)
    assert digest(encoded, encoded) != digest([encoded, encoded])
    assert digest(encoded) != digest(encoded, None)


@pytest.mark.parametrize("kind", [list, tuple, "value", "key"])
@settings(deadline=None, max_examples=60)
@given(values, refused)
def test_what_json_cannot_hold_is_refused_however_deep(kind, value, bad):
    if kind == "key" and isinstance(bad, set):
        return  # cannot be a key in the first place
    holder = {"value": lambda: {"x": bad}, "key": lambda: {bad: 1}}.get(kind)
    whole = [value, holder() if holder else kind([bad])]
    with pytest.raises(NotSerialisable, match=r"here\[1\]"):
        encode(whole, "here")


@settings(deadline=None, max_examples=150)
@given(values)
def test_objects_come_back_with_their_state(value):
    box = Box([value, Box(value)])
    there = {"first": box, "rest": [1, (box,)], 7: "not text"}
    back = decode(json.loads(to_text(encode(there))))
    assert same(back["first"].held[0], value)
    assert same(back["rest"][1][0].held[1].held, value)
    assert len(list(objects_in(back))) == 2  # the outermost ones alone


@settings(deadline=None, max_examples=150)
@given(values)
def test_swapping_on_the_way_out_meets_the_outermost_objects_alone(value):
    met = []

    def swap(thing):
        met.append(thing)
        return len(met)

    there = [Box(Box(value)), {"x": Box(value)}, (Box(1), value)]
    back = decode(json.loads(to_text(encode(there))), swap)
    assert same(back, [1, {"x": 2}, (3, value)])
    assert isinstance(met[0].held, Box)


# -- changes -----------------------------------------------------------------------------------


def equal(a, b):
    """Whether two states are equal; the order of attributes, unlike that of keys, may differ."""
    return same(dict(sorted(a.items())), dict(sorted(b.items())))


@settings(deadline=None, max_examples=200)
@given(states, states)
def test_applying_the_difference_gives_the_state_after(before, after):
    untouched = repr(before)
    change = difference(before, after)
    assert equal(apply(before, change), after)
    assert repr(before) == untouched
    assert (change == {}) == equal(before, after)


@settings(deadline=None, max_examples=200)
@given(states, states)
def test_the_inverse_undoes_the_difference(before, after):
    change = difference(before, after)
    assert equal(apply(apply(before, change), inverse(before, change)), before)


@settings(deadline=None, max_examples=150)
@given(states, states)
def test_a_change_survives_the_journal(before, after):
    change = difference(before, after)
    assert same(decode(json.loads(to_text(encode(change)))), change)


@settings(deadline=None, max_examples=200)
@given(st.lists(items, max_size=5), st.lists(items, min_size=1, max_size=3), st.lists(items))
def test_undoing_an_append_keeps_what_others_appended_since(base, mine, theirs):
    before = {"names": base}
    change = {"append": {"names": mine}}
    back = inverse(before, change)
    since = apply(apply(before, change), {"append": {"names": theirs}})
    undone = apply(since, back)["names"]
    # Of equal runs the last is taken out, so what is left has the same items.
    assert sorted(map(repr, undone)) == sorted(map(repr, base + theirs)) or any(
        a == b and not same(a, b) for a in mine for b in base + theirs
    )


@settings(deadline=None, max_examples=150)
@given(st.lists(items, max_size=5), st.lists(items, min_size=1, max_size=3))
def test_a_run_at_the_end_is_taken_out_whole(base, run):
    assert without_run(base + run, run) == base
