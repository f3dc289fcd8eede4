"""Replies as models write them, over HTTP: reasoning, drafts, cut-off JSON, odd letters, lists."""

from __future__ import annotations

import json

import pytest

from tests.support.chat_server import answer
from tests.support.people import person as persona
from tinyfactory import TinyFactory, TinyPerson, TinyPersonFactory, control
from tinyfactory.generation.reasoning import answer_in
from tinyfactory.journal.simulation import scope_of
from tinyfactory.models.chat import ChatReply

ANA = persona(0) | {"name": "Ana Souza", "age": 34}
JSON = json.dumps(ANA, ensure_ascii=False)
DRAFT = '{"name": "Draft P", "age": 99}'

REASONING = [
    f"<think>{DRAFT}</think>",
    f"<think>\nA cook? {DRAFT}\n</think>\n\n",
    '<THINK level="high">Hm.</THINK>',
    "< think >Hm.</ think >",
    "<thinking>Hm.</thinking>\n",
    "<reasoning>Hm.</reasoning>\n",
    "<reflection>Hm.</reflection>\n",
    "<thought>Hm.</thought>\n",
    "<seed:think>Hm.</seed:think>",
    f"Hm, {DRAFT} perhaps. No.\n</think>\n",
    'Hm, {"name": "Draft </think>',
    "<think>One.</think>Or no. <think>Two.</think>",
    "<think>One <think>within</think> another.</think>",
    "<think>The end is `</think>`, I know.</think>",
    "<think></think>\n\n",
    "<think/>",
    "Sure!\n<think>Hm.</think>\n",
    "[THINK]Hm.[/THINK]",
    "◁think▷Hm.◁/think▷",
    "<|channel|>analysis Hm. <|channel|>final ",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|channel|>analysis<|message|>Hm.<|channel|>final <|constrain|>json<|message|>",
    "<|channel>thought\nHm.<channel|>",
    "<|begin_of_thought|>Hm.<|end_of_thought|>",
    "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>",
    "<|thinking_start|>Hm.<|thinking_end|>",
    "<thinking_process>Hm.</thinking_process>",
    "<longcat_think>Hm.</longcat_think>",
    "<analysis>Hm.</analysis>",
    f"<draft>{DRAFT}</draft>",
    "analysisThe user wants a person.assistantfinal",
    "Here is my thought process:\nHm.\n\nHere is my response:\n",
    "**Here is my thought process:** Hm.\n\n**Here is my response:**\n",
    "Thinking...\nHm.\n...done thinking.\n\n",
    "&lt;think&gt;Hm.&lt;/think&gt;",
    f"<cot>{DRAFT}</cot>\n",
    "<plan>Hm.</plan>",
    "<rationale>Hm.</rationale>",
    "<inner_voice>Hm.</inner_voice>",
    f"```thinking\n{DRAFT}\n```\n",
    "<!-- thinking: Hm. -->\n",
    "<details>\n<summary>Thinking</summary>\nHm.\n</details>\n",
    f"**Thinking:** {DRAFT}\n\n**Answer:** ",
    "### Reasoning\nHm.\n\n### Response\n",
    "Thought: Hm.\nFinal Answer: ",
    "Here is my thought process: Hm. Here is my response: ",
    "<think>Hm.</think>\n<|begin_of_box|>",
]
UNFINISHED = [
    f"<think>Hm. {JSON}",
    "<think>Hm.",
    f"<|channel|>analysis<|message|>Hm. {JSON}",
    f"[THINK]Hm. {JSON}",
    f"◁think▷Hm. {JSON}",
    f"Here is my thought process:\nHm. {JSON}",
    f"<think>One.</think>Wait.<thinking>{JSON}",
]


@pytest.fixture(autouse=True)
def clean():
    TinyFactory.clear_factories()
    TinyPerson.clear_people()
    yield
    control.reset()


def factory() -> TinyPersonFactory:
    return TinyPersonFactory("Nurses of a night shift")


# -- reasoning ----------------------------------------------------------------------------


@pytest.mark.parametrize("reasoning", REASONING)
def test_the_person_is_read_from_behind_the_reasoning(serve, reasoning):
    server = serve([answer(reasoning + JSON)])
    person = factory().generate_person()
    assert (person.name, person.get("age")) == ("Ana Souza", 34)
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", UNFINISHED)
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_unfinished_reasoning_is_asked_again(serve, text, finish):
    server = serve([answer(text, finish), answer(JSON)])
    assert factory().generate_person().name == "Ana Souza"
    assert len(server.requests) == 2
    # After "length" the transport may have asked for more room already.
    reason = "cut off within its reasoning" in server.requests[1].last_message
    assert reason or finish == "length"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"name": "Ana", "style": "Writes <think> and </think> in her mails."}),
        '{"style": "Says </think>"} and so on',
        "I close it with `</think>`, as one does.",
        'The tag is "<think>".',
        "[thinking] Well, no.",
        "In my analysis, the final channel is the sea.",
        "I think so; thinking is hard.",
        "a < b and think > so",
    ],
)
def test_a_text_about_reasoning_stays_as_it_is(text):
    assert answer_in(text) == (text, True)


def test_reasoning_behind_an_answer_is_cut_as_well():
    assert answer_in(f"{JSON}\n<think>Good.</think>") == (JSON, True)
    assert answer_in(f"<think>Hm.</think><answer>\n{JSON}\n</answer>") == (JSON, True)


class Unlucky(TinyPersonFactory):
    """Fails when the reply is saved and the person is not."""

    failures = 1

    def _setup_agent(self, agent, configuration):
        if Unlucky.failures:
            Unlucky.failures -= 1
            raise RuntimeError("no person yet")
        super()._setup_agent(agent, configuration)


def test_a_saved_reply_is_read_in_the_same_way_and_stays_as_it_came(serve, tmp_path):
    whole = f"<think>{DRAFT}</think>{JSON}"
    server = serve([answer("<think>Hm."), answer(whole)])
    Unlucky.failures = 1
    for run in range(3):
        simulation = control.begin(tmp_path / "journal")
        made = Unlucky("Nurses")
        if run == 0:
            with pytest.raises(RuntimeError):
                made.generate_person()
        else:
            assert made.generate_person().name == "Ana Souza"
            store = scope_of(simulation).store
            replies = store.get("event:" + made.history()[0].key)["meta"]["replies"]
            texts = [store.get(each["key"])["reply"]["text"] for each in replies]
            assert texts == ["<think>Hm.", whole]
        control.end()
        TinyFactory.clear_factories()
        TinyPerson.clear_people()
    assert len(server.requests) == 2


def test_contexts_twins_rewrites_and_answers_are_read_from_behind_the_reasoning(serve):
    think = "<think>Hm. {} [draft] </think>"
    serve(
        [
            answer(think + '{"contexts": ["A harbour.", "A school."]}'),
            answer(think + JSON),
            answer(think + json.dumps(ANA | {"name": "Ana Sousa", "gender": "man"})),
            answer(think + '{"beliefs": ["Rain is fair."]}'),
            answer("<think>What would she say?</think>\n\nFine, thanks."),
            answer("Hm.</think>Still fine."),
        ]
    )
    contexts = TinyPersonFactory.generate_person_factories(2, "A town")
    assert [each.context_text for each in contexts] == ["A harbour.", "A school."]
    person = contexts[0].generate_person()
    assert person.twin(gender="man", name="Ana Sousa").twin.get("gender") == "man"
    assert person.rewrite("beliefs").after == ["Rain is fair."]
    assert person.ask("How are you?") == "Fine, thanks."
    assert person.ask("And now?") == "Still fine."
    assert [line["content"] for line in person.conversation[1::2]] == [
        "Fine, thanks.",
        "Still fine.",
    ]


def test_unfinished_reasoning_is_no_answer(serve):
    server = serve([answer("<think>What would she", "length"), answer("Fine.")])
    person = TinyPerson("Ana Souza", register=False)
    assert person.ask("How are you?", model="test") == "Fine."
    assert len(server.requests) == 2


def test_users_own_models_and_methods_are_read_in_the_same_way():
    class Own:
        identity = {"kind": "own"}  # noqa: RUF012 - a model as a user writes it

        def complete(self, request):
            return ChatReply(f"<think>{DRAFT}</think>{JSON}", finish_reason=None)

    class Factory(TinyPersonFactory):
        def _aux_model_call(self, messages, temperature):
            return {
                "role": "assistant",
                "content": "Hm.</think>" + json.dumps(persona(1)),
                "finish_reason": "stop",
                "refusal": None,
                "provenance": {"source": "model", "model": "own"},
            }

    assert TinyPersonFactory("Nurses", model=Own()).generate_person().name == "Ana Souza"
    assert Factory("Nurses").generate_person().name == persona(1)["name"]


def test_the_message_of_a_model_call_has_no_reasoning(serve):
    serve([answer(f"<think>{DRAFT}</think>{JSON}")])
    message = factory()._aux_model_call([{"role": "user", "content": "Write one."}], 1.0)
    assert message["content"] == JSON


# -- cut off ------------------------------------------------------------------------------


@pytest.mark.parametrize("finish", ["stop", "", None, "eos", "max_tokens", "abort", "length"])
def test_json_without_its_end_is_asked_again(serve, finish):
    server = serve([answer(JSON[: len(JSON) // 2], finish), answer(JSON)])
    person = factory().generate_person()
    assert person.get("other_facts") == ANA["other_facts"]
    assert "cut off" in server.requests[1].last_message


def test_a_reply_that_ended_with_an_error_is_asked_again(serve):
    server = serve([answer(JSON, "error"), answer(JSON)])
    assert factory().generate_person().name == "Ana Souza"
    assert len(server.requests) == 2


def test_complete_json_is_read_although_the_tokens_ran_out(serve):
    server = serve([answer(JSON + "\n\nI also", "length")])
    assert factory().generate_person().name == "Ana Souza"
    assert len(server.requests) == 1


# -- letters ------------------------------------------------------------------------------


def test_damaged_letters_are_restored_in_all_texts_and_lost_ones_asked_again(serve):
    damaged = JSON.replace("Ana Souza", "Jos\\u0000e9 Souza").replace(
        "Porto", "S\\u0000e3o Jo\\u00c3\\u00a3o"
    )
    server = serve([answer(JSON.replace("Ana Souza", "Jos\\u0000 Souza")), answer(damaged)])
    person = factory().generate_person()
    assert (person.name, person.get("residence")) == ("José Souza", "São João, Portugal")
    assert "control character" in server.requests[1].last_message


@pytest.mark.parametrize("written", ["Jos\\0e9 Souza", "Jos\\u0007 Souza", "Jos\x06 Souza"])
def test_a_control_character_in_a_name_is_no_name(serve, written):
    server = serve([answer(JSON.replace("Ana Souza", written)), answer(JSON)])
    name = factory().generate_person().name
    assert (name, len(server.requests)) in (("José Souza", 1), ("Ana Souza", 2))


# -- names, lists, placeholders, ages ---------------------------------------------------------


def asked_for(serve, *people, context="Nurses of a night shift", **arguments):
    """The person that is made of these replies, and the reasons in the requests."""
    server = serve([answer(each) for each in people])
    person = TinyPersonFactory(context).generate_person(**arguments)
    return person, [request.last_message for request in server.requests]


def test_a_one_word_name_is_asked_again_once(serve):
    person, asked = asked_for(serve, ANA | {"name": "Ana"}, ANA)
    assert person.name == "Ana Souza" and "first and last name" in asked[1]


def test_a_one_word_name_is_accepted_the_second_time(serve):
    person, asked = asked_for(serve, ANA | {"name": "Ana"}, ANA | {"name": "Bia"})
    assert person.name == "Bia" and len(asked) == 2


def test_a_one_word_name_is_used_if_nothing_better_comes(serve):
    person, asked = asked_for(serve, ANA | {"name": "Ana"}, "no", "no", attempts=3)
    assert person.name == "Ana" and len(asked) == 3
    person, asked = asked_for(serve, ANA | {"name": "Bia"}, attempts=1)
    assert person.name == "Bia" and len(asked) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Ana", {"agent_particularities": {"name": "Ana"}}),
        ("Ana", {"agent_particularities": "a nurse named Ana"}),
        ("Rex", {"context": "Dogs of a night shift, each with a nickname"}),
        ("佐藤健", {}),
        ("김민준", {}),
    ],
)
def test_a_name_that_was_asked_for_or_is_whole_is_not_asked_again(serve, name, options):
    person, asked = asked_for(serve, ANA | {"name": name}, **options)
    assert person.name == name and len(asked) == 1


def test_lists_in_one_text_are_split(serve):
    written = ANA | {
        "preferences": {
            "interests": "fishing, camping, and hiking",
            "likes": ["tea; rain; old maps"],
            "dislikes": ["I like tea, but not milk, or sugar"],
        },
        "skills": ["1. sewing\n2. chess\n3. first aid"],
        "beliefs": ["Rain, I say, is fair, and so is sun."],
    }
    person, asked = asked_for(serve, written)
    assert len(asked) == 1
    assert person.get("preferences") == {
        "interests": ["fishing", "camping", "hiking"],
        "likes": ["tea", "rain", "old maps"],
        "dislikes": ["I like tea, but not milk, or sugar"],
    }
    assert person.get("skills") == ["sewing", "chess", "first aid"]
    assert person.get("beliefs") == written["beliefs"]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Full name"},
        {"name": "<name>"},
        {"skills": ["string"]},
        {"skills": ["..."]},
        {"health": "…"},
        {"education": "e.g. a degree"},
        {"style": "How the person speaks and appears."},
        {"residence": "City, country"},
        {"relationships": [{"name": "string", "description": "string"}]},
        {"beliefs": ["I say so at each meal."] * 8},
        {"preferences": dict.fromkeys(("interests", "likes", "dislikes"), ["tea"] * 9)},
    ],
)
def test_placeholders_and_repetitions_are_asked_again(serve, fields):
    person, asked = asked_for(serve, ANA | fields, ANA)
    assert person.name == "Ana Souza" and len(asked) == 2
    assert "placeholder" in asked[1] or "something of its own" in asked[1]


def at(age, title, **more):
    work = {"title": title, "organization": "Harbour Bank", "description": "Leads twelve people."}
    return ANA | {"age": age, "occupation": work | more}


@pytest.mark.parametrize(
    "odd", [at(90, "Senior Bank Manager"), at(12, "surgeon"), at(25, "Retired")], ids=str
)
def test_an_age_that_contradicts_the_work_is_asked_again_once(serve, odd):
    person, asked = asked_for(serve, odd, ANA)
    assert person.get("age") == 34 and "Change the age or the occupation" in asked[1]
    TinyPerson.clear_people()
    person, asked = asked_for(serve, odd, odd)
    assert person.get("age") == odd["age"] and len(asked) == 2


@pytest.mark.parametrize(
    ("right", "wanted"),
    [
        (at(90, "Senior Bank Manager"), {"age": 90, "occupation": "bank manager"}),
        (at(90, "bank manager"), "a 90-year-old bank manager"),
        (at(90, "Retired bank manager"), None),
        (at(90, "bank manager", description="Retired in 1995."), None),
        (at(84, "farmer"), None),
        (at(12, "pupil"), None),
        (at(15, "captain of the school team"), None),
        (at(25, "Retired footballer", description="Ended by an injury."), None),
        (at(79, "bank manager"), None),
    ],
    ids=str,
)
def test_an_age_that_may_be_right_is_accepted(serve, right, wanted):
    person, asked = asked_for(serve, right, agent_particularities=wanted)
    assert person.get("age") == right["age"] and len(asked) == 1
