from __future__ import annotations

import json
import time

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import ReplyRejected
from tinyfactory.people import read_contexts, read_persona

ANA = {"name": "Ana", "age": 34}
PLAIN = json.dumps(ANA)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "\ufeff  " + PLAIN + "\n",
        f"```json\n{PLAIN}\n```",
        f"Sure! Here is {{the}} person you asked for:\n\n```\n{PLAIN}\n```\nTell me [if] more.",
        f"Here you are: {PLAIN} Anything else?",
        '{"name": "Ana", "age": 34,}',
        "{'name': 'Ana', 'age': 34}",
        '{name: "Ana", age: 34}',
        f"Here is {{the}} person: {PLAIN[:-1]},}}",
        f"[{PLAIN}]",
        json.dumps({"person": ANA}),
        json.dumps({"personas": [ANA]}),
        json.dumps({"type": "TinyPerson", "persona": ANA}),
        json.dumps({"name": "Ana", "_configuration": {"age": "34"}}),
        json.dumps(PLAIN),
    ],
)
def test_json_is_found_in_what_is_around_it(text):
    assert read_persona(text) == ANA


def test_a_full_reply_is_read_as_it_is():
    assert read_persona(json.dumps(full_person(2))) == full_person(2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "empty"),
        ("", "empty"),
        (" \n ", "empty"),
        ("I would rather not.", "no JSON"),
        ("null", "no JSON"),
        ("[]", "was not"),
        ("{}", "was not"),
        ('["Ana", "Bo"]', "not an object"),
        (f"[{PLAIN}, {PLAIN}]", "2 people"),
        (f"{PLAIN}\n{PLAIN}", "2 people"),
        (json.dumps({"personas": [ANA, ANA]}), "2 people"),
        ('{"name": "", "age": 34}', "name"),
        ('{"name": "Ana", "age": 190}', "age: 190"),
        ('{"name": "Ana", "age": Infinity}', "infinite"),
        ('{"relationships": [{"name": "Bia"}]}', "name: missing"),
    ],
)
def test_what_cannot_be_used_is_rejected_with_a_reason(text, reason):
    with pytest.raises(ReplyRejected, match=reason):
        read_persona(text)


def test_a_refusal_says_so():
    with pytest.raises(ReplyRejected, match="refused: I cannot"):
        read_persona("", refusal="I cannot do that.")


def test_a_content_filter_says_so():
    with pytest.raises(ReplyRejected, match="content filter"):
        read_persona(PLAIN, "content_filter")


def test_what_was_cut_off_is_not_mended():
    text = json.dumps(full_person(1))
    for end in (40, 300, 700, len(text) - 1):
        with pytest.raises(ReplyRejected, match="shorter"):
            read_persona(text[:end], "length")
        with pytest.raises(ReplyRejected, match="shorter"):
            read_persona("Here:\n```json\n" + text[:end], "length")


def test_what_is_complete_although_cut_off_is_used():
    assert read_persona(PLAIN + "\n\nI also", "length") == ANA


def test_half_characters_and_nul_are_cleaned():
    found = read_persona('{"name": "An\\u0000a", "motto": "\\ud800!"}')
    assert found == {"name": "Ana", "motto": "\ufffd!"}


@pytest.mark.parametrize(
    "text",
    [
        "{" * 200_000,
        "[" * 900_000,
        '{"a":' * 150_000,
        '{"a": ' + "(" * 150_000,
        '{"name": "' + 'x" y' * 40_000,
        '{"a": ' + '"' * 190_000,
        "{" + "word " * 39_000,
        "x" * 2_000_000,
        '{"name": "Ana", "motto": "' + "y" * 2_000_000 + '"}',
    ],
    ids=range(9),
)
def test_no_text_holds_the_reader_up(text):
    begin = time.process_time()
    with pytest.raises(ReplyRejected):
        read_persona(text)
    assert time.process_time() - begin < 20  # some tenths of a second; a hang would be minutes


def test_deep_but_valid_json_is_rejected():
    text = '{"name": "Ana", "a": ' + "[" * 50_000 + "]" * 50_000 + "}"
    with pytest.raises(ReplyRejected):
        read_persona(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"contexts": ["A harbour.", "A school."]}',
        '["A harbour.", "A school.", "a  HARBOUR."]',
        '```json\n["A harbour.", " ", "A school.",]\n```',
        '[{"context": "A harbour."}, {"context": "A school."}]',
        '{"contexts": {"1": "A harbour.", "2": "A school."}}',
        '{"result": {"contexts": ["A harbour.", "A school."]}}',
        "Here they are:\n\n1. A harbour.\n2. A school.\n",
        "- A harbour.\n- A school.",
    ],
)
def test_contexts_are_read(text):
    assert read_contexts(text, expected=3) == ["A harbour.", "A school."]


def test_more_contexts_than_expected_are_all_given():
    assert len(read_contexts('["a", "b", "c"]', expected=2)) == 3


@pytest.mark.parametrize("text", ["", "no list here", '{"contexts": []}', '["", " "]', "[1, 2]"])
def test_no_contexts_is_a_rejection(text):
    with pytest.raises(ReplyRejected, match="contexts"):
        read_contexts(text, expected=2)


def test_contexts_cut_off_are_rejected():
    with pytest.raises(ReplyRejected, match="shorter"):
        read_contexts('{"contexts": ["A harb', "length", expected=2)
