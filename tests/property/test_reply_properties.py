"""Replies cut anywhere, behind any reasoning, and in any number of pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.people import person
from tinyfactory.errors import ReplyRejected
from tinyfactory.generation.reasoning import answer_in
from tinyfactory.people.schema.normalise import normalise
from tinyfactory.people.schema.reply_parser import read_persona
from tinyfactory.people.schema.reply_quality import split_lists
from tinyfactory.utils.characters import restored
from tinyfactory.utils.json_text import end_of

people = st.integers(0, 40).map(person)
prose = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<>&◁▷[|"), max_size=60)
marks = st.sampled_from(
    [
        ("<think>", "</think>"),
        ("<Thinking x='1'>", "</thinking>"),
        ("", "</think>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    people, st.floats(0, 1), st.sampled_from([None, 1]), st.sampled_from(["", "```json\n", "So: "])
)
def test_a_person_cut_anywhere_is_never_accepted(made, where, indent, before):
    whole = json.dumps(made, indent=indent)
    cut = whole[: int(where * (len(whole) - 1))]
    with pytest.raises(ReplyRejected):
        read_persona(before + cut)
    assert read_persona(before + whole) == normalise(made)


@given(st.dictionaries(st.text(max_size=6), json_values, min_size=1), st.sampled_from([None, 2]))
@example({"a": '"}, ', "b": "\\"}, None)
def test_the_end_of_json_is_found_and_none_before_it(value, indent):
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    assert end_of(text + " and more }", 0) == len(text)
    assert all(end_of(text[:cut], 0) is None for cut in range(len(text)))


@given(people, st.lists(st.tuples(marks, prose), min_size=1, max_size=3), st.booleans())
def test_a_reply_behind_reasoning_reads_like_the_reply_alone(made, blocks, spaced):
    text = json.dumps(made)
    space = "\n\n" if spaced else ""
    before = "".join(f"{begin}{thought}{end}{space}" for (begin, end), thought in blocks)
    assert answer_in(before + text) == (text, True)


@given(
    st.text(max_size=80), st.lists(st.sampled_from(["<think>", "</think>", "{", '"']), max_size=4)
)
def test_cutting_twice_cuts_no_more(text, signs):
    mixed = "".join(signs) + text + "".join(reversed(signs))
    answer, is_whole = answer_in(mixed)
    if is_whole and "<" not in answer:
        assert answer_in(answer)[0].strip() == answer.strip()


@given(json_values)
def test_marks_within_the_texts_of_json_are_no_reasoning(value):
    text = json.dumps({"a": "says <think> aloud", "b": value, "c": "and </think> too"})
    assert answer_in(text) == (text, True)


words = st.sampled_from(
    "São SÃO IRMÃ É Łódź naïve François CAFÉ Ängste Ærø 00e9 R&D u Việt Привет 日本 20°C".split()
)
signs = st.sampled_from(
    [" ", " – ", "–", "—", ", ", "’", "’s ", "“", "”", "» ", "« ", "; ", "\n", "-"]
)


@given(st.lists(st.tuples(words, signs), max_size=12))
def test_a_text_whose_letters_are_whole_stays_as_it_is(pairs):
    text = "".join(word + sign for word, sign in pairs)
    assert restored(text) == text


@given(st.text("éèçãõñüßłńşđő", min_size=1, max_size=8), st.data())
def test_letters_damaged_in_one_of_many_ways_are_restored(letters, data):
    ways = [
        lambda c: c,
        lambda c: f"{chr(ord(c) >> 8)}{ord(c) & 255:02x}",
        lambda c: f"\\u{ord(c):04x}",
        lambda c: f"u{ord(c):04x}",
        lambda c: f"&#{ord(c)};",
        lambda c: c.encode().decode("cp1252", "replace") if c in "éèçñü" else c,
    ]
    damaged = "".join(f"z{data.draw(st.sampled_from(ways))(c)}z" for c in letters)
    assert restored(damaged) == "".join(f"z{c}z" for c in letters)


@given(people)
def test_a_person_who_is_written_well_is_not_split(made):
    assert split_lists(normalise(made)) == normalise(made)
