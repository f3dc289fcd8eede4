from __future__ import annotations

import json
import time

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import ReplyRejected
from tinyfactory.people import read_contexts, read_persona
from tinyfactory.people.schema.reply_parser import read_part

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


@pytest.mark.parametrize("finish", ["stop", None, "", "eos", "max_tokens", "MAX_TOKENS", "abort"])
def test_json_without_its_end_is_cut_off_whatever_the_server_says(finish):
    text = json.dumps(full_person(1))
    for end in (40, 300, 700, len(text) - 1):
        for prefix in ("", "```json\n", "Here she is: "):
            with pytest.raises(ReplyRejected, match=r"cut off.*shorter"):
                read_persona(prefix + text[:end], finish)
    with pytest.raises(ReplyRejected, match="cut off"):
        read_persona(text + '\nOn second thought:\n{"name": "B', finish)
    with pytest.raises(ReplyRejected, match="cut off"):
        read_contexts('["A harbour.", "A sch', finish, expected=2)
    with pytest.raises(ReplyRejected, match="cut off"):
        read_part('{"beliefs": ["Rain is', finish, None, "beliefs")


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "model_length"])
def test_a_reply_without_json_that_ran_out_of_tokens_is_cut_off(finish):
    with pytest.raises(ReplyRejected, match="cut off"):
        read_persona("Let me think about who this could be", finish)


@pytest.mark.parametrize("finish", ["error", "ERROR", "insufficient_system_resource"])
def test_an_error_of_the_server_is_asked_again(finish):
    with pytest.raises(ReplyRejected, match="error of the server"):
        read_persona(PLAIN, finish)


def test_faults_within_complete_json_are_mended():
    assert read_persona('{"name": "Ana", "age": 34, "skills": ["a", "b"}')["skills"] == ["a", "b"]
    assert read_persona('{"name": "Ana "the cook"", "age": 34}')["name"] == 'Ana "the cook"'
    assert read_persona('{"name": "Ana", "age": 34} }') == ANA


DRAFT = json.dumps({"name": "Draft P", "age": 99})


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{DRAFT}\n```\nLet me fix that.\n```json\n{PLAIN}\n```",
        f"Draft:\n{DRAFT}\n\nNow:\n{PLAIN}",
        f"{DRAFT}\nWait, she is younger.\n{PLAIN}",
        f"First version: {DRAFT} Revised version: {PLAIN}",
        f"[{DRAFT}] Final: [{PLAIN}]",
        f"```json\n{DRAFT}\n```\n\n{PLAIN}",
        f"{DRAFT}\n\n```json\n{PLAIN}\n```",
        f"Attempt 1: {DRAFT}\nAttempt 2: {PLAIN}",
        json.dumps({"thoughts": "A cook.", "person": ANA}),
        json.dumps(ANA | {"age": 99}) + "\n" + PLAIN,
        json.dumps({"name": "Ana", "age": 43}) + "\n\n---\n\n" + PLAIN,
        f'The form is {{"type": "object", "properties": {{}}}}. So: {PLAIN}',
        f"{{name}} is {{age}} years old. {PLAIN}",
        f"{{name: who}} is the form. {PLAIN}",
        json.dumps({"reasoning": "A cook.", "answer": ANA}),
        json.dumps({"draft": {"name": "Draft P"}, "final": ANA}),
    ],
)
def test_the_final_answer_is_read_and_not_the_draft(text):
    assert read_persona(text) == ANA


@pytest.mark.parametrize("between", ["\n", "\n```\n```json\n", " → ", "\n\nor\n\n"])
def test_a_whole_person_is_read_and_not_a_sketch_beside(between):
    whole = full_person(3)
    assert read_persona(DRAFT + between + json.dumps(whole)) == whole
    assert read_persona(json.dumps(whole) + between + '{"name": "string"}') == whole
    with pytest.raises(ReplyRejected, match="2 people"):
        read_persona(json.dumps(whole) + between + json.dumps(full_person(4)))


BO = json.dumps({"name": "Bo", "age": 40})


@pytest.mark.parametrize(
    "text",
    [
        f"{PLAIN}\n{BO}",
        f"One: {PLAIN} And another: {BO}",
        f"Person 1: {PLAIN}\nPerson 2: {BO}",
        f"{PLAIN}\nFinally, one more:\n{BO}",
    ],
)
def test_several_people_are_no_drafts(text):
    with pytest.raises(ReplyRejected, match="2 people"):
        read_persona(text)


def test_a_final_list_and_a_final_field_are_read():
    assert read_contexts('Draft: ["x"]\nFinal: ["A harbour.", "A school."]', expected=2) == [
        "A harbour.",
        "A school.",
    ]
    text = '{"beliefs": ["x"]} Better: {"beliefs": ["Rain is fair."]}'
    assert read_part(text, "stop", None, "beliefs") == ["Rain is fair."]


@pytest.mark.parametrize(
    "name",
    [
        r"Jos\u0000e9 Lima",
        "Jos\x00e9 Lima",
        r"Jos\u000e9 Lima",
        r"Jos\u0001e9 Lima",
        r"Jos\xe9 Lima",
        r"Jos\351 Lima",
        r"Jos\u{e9} Lima",
        r"Jos\\u00e9 Lima",
        r"Jos\\xe9 Lima",
        "Josu00e9 Lima",
        "JosÃ© Lima",
        "Jos&eacute; Lima",
        r"Jos\u0000\u00e9 Lima",
    ],
)
def test_a_damaged_letter_is_restored_in_all_texts(name):
    text = f'{{"name": "{name}", "skills": ["{name}"], "motto": {{"of": "{name}"}}}}'
    told = "José Lima"
    assert read_persona(text) == {"name": told, "skills": [told], "motto": {"of": told}}


@pytest.mark.parametrize(
    "name", [r"Jos\u0000", r"An\u0000a", r"Ana\ud800", r"A\u0001b", "Jos\ufffd", r"Jos\u0000zz"]
)
def test_a_lost_letter_is_rejected_with_a_reason(name):
    for text in (f'{{"name": "{name}"}}', f'{{"name": "Ana", "other_facts": ["{name}"]}}'):
        with pytest.raises(ReplyRejected, match=r"control character.*without escapes"):
            read_persona(text)


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


def test_a_list_in_plain_text_that_was_cut_off_has_no_half_context():
    text = "1. A harbour.\n2. A school.\n3. A ba"
    assert read_contexts(text, "length", expected=3) == ["A harbour.", "A school."]


def test_placeholders_are_no_contexts():
    text = '{"contexts": ["first context", "A harbour.", "...", "string"]}'
    assert read_contexts(text, expected=4) == ["A harbour."]
