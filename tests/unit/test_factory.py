"""`TinyFactory` and `TinyPersonFactory`, against a real server over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

import tinyfactory
from tests.support.chat_server import (
    answer,
    choices_null,
    empty,
    fenced,
    html_page,
    huge,
    llama_cpp_500_on_json_schema,
    prefixed,
    quota_exhausted,
    refusal,
    rejects_json_schema_400,
    rejects_parameter,
    trailing_comma,
    truncated,
    unknown_model,
    wrong_key,
)
from tests.support.people import person as persona
from tinyfactory import Simulation, TinyFactory, TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import (
    AuthenticationFailed,
    EndpointUnreachable,
    InvalidInput,
    NameTaken,
    NotConfigured,
    QuotaExhausted,
    ReplyRejected,
    UnknownModel,
)
from tinyfactory.journal.simulation import scope_of

CONTEXT = "A group of friends are on a camping trip."


@pytest.fixture(autouse=True)
def clean():
    TinyFactory.clear_factories()
    TinyPerson.clear_people()
    yield
    control.reset()


# -- TinyFactory ---------------------------------------------------------------------------


def test_every_factory_has_a_name_of_its_own():
    factories = [TinyFactory() for _ in range(3)] + [TinyPersonFactory("x")]
    assert len({f.name for f in factories}) == 4
    assert {f.name: f for f in factories} == TinyFactory.all_factories


def test_add_factory_names_the_clash():
    one, two = TinyFactory(), TinyFactory()
    two.name = one.name
    with pytest.raises(ValueError, match=one.name):
        TinyFactory.add_factory(two)
    assert TinyFactory.all_factories[one.name] is one


def test_repr_names_its_own_class():
    class ShopFactory(TinyFactory):
        pass

    assert repr(ShopFactory()).startswith("ShopFactory(name='ShopFactory 1'")
    factory = TinyPersonFactory("Bakers  in Vienna", model="offline")
    assert repr(factory) == (
        "TinyPersonFactory('Bakers in Vienna', name='TinyPersonFactory 1', 0 people made)"
    )
    factory.generate_people(1)
    assert repr(factory).endswith("1 person made)")
    assert repr(factory.last_job) == "PeopleJob(1 of 1 people made, done)"


def test_complete_state_goes_out_and_comes_back():
    factory = TinyPersonFactory("Bakers in Vienna", model="offline", language="English")
    factory.generate_people(2)
    state = factory.encode_complete_state()
    saved = json.loads(json.dumps(state))
    other = TinyPersonFactory("else")
    assert other.decode_complete_state(saved) is other
    again = other.encode_complete_state()
    assert {k: v for k, v in again.items() if k != "name"} == {
        k: v for k, v in state.items() if k != "name"
    }
    saved["generated_names"].append("changed afterwards")
    state["generated_names"].append("changed afterwards")
    assert len(other.generated_names) == len(factory.generated_names) == 2


def test_saved_name_is_taken_on_when_it_is_free():
    factory = TinyPersonFactory("x")
    factory.name = "Kept"
    state = factory.encode_complete_state()
    TinyFactory.clear_factories()
    other = TinyPersonFactory("y").decode_complete_state(state)
    assert other.name == "Kept" and TinyFactory.all_factories == {"Kept": other}


# -- refused before anything is sent -------------------------------------------------------


@pytest.mark.parametrize("number", [0, -1, True, 1.5, "3", None])
def test_number_below_one_is_refused_before_anything_is_sent(serve, number):
    server = serve()
    with pytest.raises(ValueError, match="number_of_factories"):
        TinyPersonFactory.generate_person_factories(number, CONTEXT)
    with pytest.raises(ValueError, match="number_of_people"):
        TinyPersonFactory(CONTEXT).generate_people(number)
    assert server.requests == []


@pytest.mark.parametrize("context", ["", "  \n", None, 3])
def test_blank_context_is_refused_before_anything_is_sent(serve, context):
    server = serve()
    with pytest.raises(ValueError, match="context"):
        TinyPersonFactory.generate_person_factories(3, context)
    with pytest.raises(ValueError, match="context"):
        TinyPersonFactory(context)
    assert server.requests == []


@pytest.mark.parametrize(
    "arguments",
    [{"temperature": 3}, {"temperature": "hot"}, {"attempts": 0}, {"agent_particularities": 5}],
)
@pytest.mark.parametrize("inside", [False, True])
def test_bad_arguments_are_refused_before_anything_is_sent(serve, tmp_path, arguments, inside):
    server = serve()
    if inside:
        control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(InvalidInput, match=next(iter(arguments))):
        factory.generate_person(**arguments)
    assert server.requests == []


# -- the main job --------------------------------------------------------------------------


def test_the_program_makes_three_people_with_four_requests(serve):
    server = serve()
    factories = TinyPersonFactory.generate_person_factories(3, CONTEXT)
    people = [factory.generate_person() for factory in factories]
    assert len({person.name for person in people}) == 3
    assert len({factory.context_text for factory in factories}) == 3
    assert len(server.requests) == 4  # one for the contexts, exactly one for each person
    for factory, person in zip(factories, people, strict=True):
        assert factory.generated_names == [person.name]
        assert factory.generated_minibios == [person.minibio()]
        assert person.provenance["source"] == "model"


def test_generate_people_costs_one_request_each(serve):
    server = serve()
    seen: list[TinyPerson] = []
    people = TinyPersonFactory(CONTEXT).generate_people(10, on_person=seen.append)
    assert len(people) == 10 and list(people) == seen
    assert len(server.requests) == 10


def test_prompt_is_short_and_does_not_grow(serve):
    server = serve()
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_people(120)
    sizes = [sum(len(m["content"]) for m in body["messages"]) for body in server.bodies]
    assert max(sizes) / 4 < 2000
    # After the first forty, only the length of names and of bios moves it.
    assert max(sizes[100:]) <= 1.03 * max(sizes[40:60])
    fixed = {body["messages"][0]["content"] for body in server.bodies}
    assert len(fixed) == 1 and server.bodies[0]["messages"][0]["role"] == "system"


def test_temperature_and_schema_are_sent(serve):
    server = serve()
    TinyPersonFactory(CONTEXT).generate_person(temperature=0.7)
    body = server.bodies[0]
    assert body["temperature"] == 0.7
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["response_format"]["json_schema"]["name"] == "persona"


BAD_REPLIES = {
    "fenced": (lambda: fenced(persona(1)), 1),
    "prefixed": (lambda: prefixed(persona(1)), 1),
    "trailing comma": (lambda: trailing_comma(persona(1)), 1),
    "a list of one": (lambda: answer(json.dumps([persona(1)])), 1),
    "the older shape": (
        lambda: answer({"name": "Ana Sá", "_configuration": {"age": 30, "occupation": "nurse",
                        "nationality": "Portuguese"}}), 1),
    "truncated": (truncated, 2),
    "empty": (empty, 2),
    "refusal": (refusal, 2),
    "age 190": (lambda: answer(persona(1) | {"age": 190}), 2),
    "no name": (lambda: answer(persona(1) | {"name": " "}), 2),
    "a list of two": (lambda: answer(json.dumps([persona(1), persona(2)])), 2),
    "wrong types": (lambda: answer(persona(1) | {"age": ["x"], "occupation": 5}), 2),
    "words": (lambda: answer("I would rather not."), 2),
    "huge": (huge, 2),
    "no choices": (choices_null, 2),
    "a page": (html_page, 2),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_REPLIES)
def test_bad_reply_is_handled_or_asked_again_with_the_reason(serve, kind):
    make, requests = BAD_REPLIES[kind]
    server = serve([make()])
    factory = TinyPersonFactory(CONTEXT)
    person = factory.generate_person()
    assert isinstance(person, TinyPerson)
    assert len(server.requests) == requests
    told = "<rejected>" in server.bodies[-1]["messages"][-1]["content"]
    answered = requests == 2 and kind not in ("no choices", "a page")
    assert told == answered


def test_clash_of_names_is_told_to_the_model_and_asked_again(serve):
    server = serve([answer(persona(1) | {"name": "José Núñez"}),
                    answer(persona(2) | {"name": "  JOSE  NUNEZ "})])  # fmt: skip
    first = TinyPersonFactory(CONTEXT).generate_person()
    second = TinyPersonFactory("Somewhere else").generate_person()
    assert first.name == "José Núñez" and second.name not in ("José Núñez", "JOSE NUNEZ")
    assert len(server.requests) == 3
    assert "JOSE NUNEZ" in server.bodies[-1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("wish", "stray"),
    [
        ({"name": "Ana Souza"}, {"name": "Eva Lima"}),
        ("a 34-year-old nurse", {"age": 35}),
        ({"occupation": "nurse"}, {"occupation": {"title": "Pilot", "organization": "Air",
                                                 "description": "Flies."}}),
    ],
)  # fmt: skip
def test_what_the_user_fixed_is_respected(serve, wish, stray):
    fits = {
        "name": "Ana Souza",
        "age": 34,
        "occupation": {"title": "Nurse", "organization": "A clinic", "description": "Cares."},
    }
    server = serve([answer(persona(1) | fits | stray), answer(persona(1) | fits)])
    person = TinyPersonFactory(CONTEXT).generate_person(wish)
    assert (person.name, person.get("age")) == ("Ana Souza", 34)
    assert len(server.requests) == 2
    assert "<particularities>" in server.bodies[0]["messages"][-1]["content"]


def test_fixed_name_that_is_taken_is_refused_before_anything_is_sent(serve):
    server = serve()
    TinyPerson("Ana Souza")
    with pytest.raises(NameTaken, match="ana souza"):
        TinyPersonFactory(CONTEXT).generate_person({"name": "ana souza"})
    assert server.requests == []


def test_none_after_the_attempts_with_the_reason_logged(serve, caplog):
    server = serve(rules=[lambda request: empty()])
    factory = TinyPersonFactory(CONTEXT)
    with caplog.at_level(logging.ERROR):
        assert factory.generate_person(attempts=3) is None
    assert len(server.requests) == 3
    assert factory.last_failure in caplog.text and "3 attempts" in factory.last_failure
    assert factory.generated_names == [] and len(TinyPerson.all_people()) == 0


def test_too_few_contexts_are_asked_for_again(serve):
    server = serve([answer({"contexts": ["one of them", "One of them"]}), answer("nothing"),
                    answer({"contexts": ["another", "a third", "a fourth"]})])  # fmt: skip
    factories = TinyPersonFactory.generate_person_factories(3, CONTEXT)
    assert [f.context_text for f in factories] == ["one of them", "another", "a third"]
    assert "<number>2</number>" in server.bodies[1]["messages"][-1]["content"]


def test_no_factories_when_the_model_cannot_be_brought_to_it(serve, caplog):
    server = serve(rules=[lambda request: answer({"contexts": ["always the same"]})])
    before = dict(TinyFactory.all_factories)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(ReplyRejected, match="did not give 2 different contexts; the log says why"),
    ):
        TinyPersonFactory.generate_person_factories(2, CONTEXT)
    assert "No factories were made" in caplog.text
    assert len(server.requests) == 5
    assert TinyFactory.all_factories == before


def test_in_a_simulation_no_factories_are_the_same_error_again_until_failures_are_retried(
    serve, tmp_path
):
    serve(rules=[lambda request: answer({"contexts": ["always the same"]})])
    for _ in range(2):
        with Simulation(tmp_path / "journal") as simulation, pytest.raises(ReplyRejected):
            TinyPersonFactory.generate_person_factories(2, CONTEXT)
    assert (simulation.hits, simulation.misses) == (1, 0)
    path = simulation.export(tmp_path / "lesson.recording.jsonl.gz")
    serve()
    with Simulation(tmp_path / "journal", retry_failures=True):
        assert len(TinyPersonFactory.generate_person_factories(2, CONTEXT)) == 2
    with Simulation.from_recording(path):  # recorded when the result was None
        assert TinyPersonFactory.generate_person_factories(2, CONTEXT) == []


# -- what asking again cannot mend ---------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "error", "advice"),
    [
        (wrong_key(), AuthenticationFailed, "key"),
        (unknown_model(), UnknownModel, "model"),
        (quota_exhausted(), QuotaExhausted, "quota"),
    ],
)
def test_hopeless_answers_raise_at_once_and_leave_nothing(serve, behaviour, error, advice):
    server = serve(rules=[behaviour if callable(behaviour) else (lambda request: behaviour)])
    factory = TinyPersonFactory(CONTEXT)
    before = factory.encode_complete_state()
    with pytest.raises(error, match=advice) as caught:
        factory.generate_person()
    assert len(server.requests) == 1
    assert "canary" not in str(caught.value)
    assert factory.encode_complete_state() == before
    assert len(TinyPerson.all_people()) == 0


def test_no_endpoint_raises_at_once(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(EndpointUnreachable, match=r"127\.0\.0\.1:9"):
        TinyPersonFactory(CONTEXT).generate_person()


def test_no_key_and_no_model_names_both_ways():
    with pytest.raises(NotConfigured, match=r"(?s)OPENAI_API_KEY.*offline"):
        TinyPersonFactory.generate_person_factories(3, CONTEXT)


@pytest.mark.parametrize(
    ("rule", "extra"),
    [
        (rejects_parameter("temperature"), 1),
        (rejects_json_schema_400(), 1),
        (rejects_json_schema_400(json_object_too=True), 2),
        (llama_cpp_500_on_json_schema(), 1),
    ],
)
def test_refused_parameter_costs_once_and_not_for_each_person(serve, rule, extra):
    server = serve(rules=[rule])
    assert len(TinyPersonFactory(CONTEXT).generate_people(5)) == 5
    assert len(server.requests) == 5 + extra


# -- in a simulation -----------------------------------------------------------------------


def notebook(folder):
    control.begin(folder)
    factories = TinyPersonFactory.generate_person_factories(3, CONTEXT)
    people = [factory.generate_person() for factory in factories]
    people += factories[0].generate_people(2, "a quiet one")
    return factories, people


def test_run_again_makes_no_request_and_gives_the_same(serve, tmp_path):
    server = serve()
    factories, people = notebook(tmp_path / "j")
    asked = len(server.requests)
    assert asked == 6
    states = [f.encode_complete_state() for f in factories]
    html = [p._repr_html_() for p in people]
    factories, again = notebook(tmp_path / "j")
    assert len(server.requests) == asked
    assert again == people and [p._repr_html_() for p in again] == html
    assert [f.encode_complete_state() for f in factories] == states
    assert list(TinyPerson.all_people()) == again
    assert control.cache_misses() == 0


def test_run_again_in_another_process_needs_no_key_and_no_server(serve, tmp_path):
    server = serve()
    program = tmp_path / "program.py"
    program.write_text(
        "from tinyfactory import TinyPersonFactory, control\n"
        "control.begin('journal')\n"
        f"for f in TinyPersonFactory.generate_person_factories(3, {CONTEXT!r}):\n"
        "    print(f.generate_person().to_dict())\n"
    )

    def run(**env):
        import os

        environment = {**os.environ, **env}
        if not env:
            environment.pop("OPENAI_API_KEY")
        return subprocess.run(
            [sys.executable, program], capture_output=True, text=True, check=True, cwd=tmp_path,
            env=environment,
        ).stdout  # fmt: skip

    first = run(OPENAI_API_KEY="sk-test-canary-0123456789abcdef")
    asked = len(server.requests)
    server.close()
    assert run() == first
    assert asked == len(server.requests) == 4
    stored = (tmp_path / "journal" / "cache.db").read_bytes()
    assert b"canary" not in stored and b"Bearer" not in stored


@pytest.mark.parametrize(
    "change",
    ["temperature", "particularities", "context", "model", "base_url", "language", "template"],
)
def test_any_change_of_the_request_is_a_miss(serve, tmp_path, monkeypatch, change):
    server = serve()
    control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person()
    control.begin(tmp_path / "j")
    options: dict[str, Any] = {}
    arguments: dict = {}
    context = CONTEXT
    if change == "temperature":
        arguments = {"temperature": 1.4}
    elif change == "particularities":
        arguments = {"agent_particularities": "tall"}
    elif change == "context":
        context += " "
    elif change == "model":
        options = {"model": "another-model"}
    elif change == "base_url":
        monkeypatch.setenv("OPENAI_BASE_URL", serve().base_url)
    elif change == "language":
        options = {"language": "Portuguese"}
    else:
        options = {"template": "{{context}} {{ordinal}}"}
    TinyPersonFactory(context, **options).generate_person(**arguments)
    assert control.cache_misses() == 1
    # With nothing changed, it is still there.
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person()
    assert control.cache_hits() == 1


def test_failure_replays_and_is_asked_again_on_request(serve, tmp_path):
    server = serve([empty()] * 3)
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_person(attempts=3) is None
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    assert factory.generate_person(attempts=3) is None
    assert "3 attempts" in factory.last_failure and len(server.requests) == 3
    control.begin(tmp_path / "j", retry_failures=True)
    person = TinyPersonFactory(CONTEXT).generate_person(attempts=3)
    assert person is not None and len(server.requests) == 4
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_person(attempts=3) == person
    assert len(server.requests) == 4


def test_failure_of_the_endpoint_is_not_kept(serve, tmp_path):
    server = serve()
    TinyPersonFactory(CONTEXT).generate_person()  # not the first response of the endpoint
    server._script = [html_page()] * 4
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_person(attempts=1) is None
    asked = len(server.requests)
    control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person(attempts=1)
    assert len(server.requests) > asked


def test_rejected_reply_is_kept_but_never_handed_to_the_retry(serve, tmp_path):
    server = serve([answer(persona(1) | {"age": 190})])
    simulation = control.begin(tmp_path / "j")
    person = TinyPersonFactory(CONTEXT).generate_person()
    assert person.get("age") < 190 and len(server.requests) == 2
    replies = [k for k in scope_of(simulation).store if k.startswith("reply:")]
    texts = [scope_of(simulation).store.get(k)["reply"]["text"] for k in replies]
    assert len(texts) == 2 and sum("190" in t for t in texts) == 1
    kept = sorted((scope_of(simulation).store.get(k) for k in replies), key=lambda r: r["attempt"])
    assert [reply["attempt"] for reply in kept] == [1, 2]
    for reply in kept:
        assert reply["reply"]["sent"]["temperature"] == 1.5
        assert reply["reply"]["usage"]["prompt_tokens"] > 0 and reply["reply"]["seconds"] >= 0


def test_person_whose_name_is_taken_now_is_made_anew(serve, tmp_path):
    server = serve()
    control.begin(tmp_path / "j")
    first = TinyPersonFactory(CONTEXT).generate_person()
    simulation = control.begin(tmp_path / "j")
    TinyPerson(first.name, simulation_id=simulation.id)
    second = TinyPersonFactory(CONTEXT).generate_person()
    assert second.name != first.name and len(server.requests) == 2
    control.begin(tmp_path / "j")
    assert TinyPersonFactory(CONTEXT).generate_person() == first
    assert len(server.requests) == 2


# -- settings ------------------------------------------------------------------------------


def test_key_can_be_configured_and_is_never_shown(serve, monkeypatch):
    server = serve(rules=[wrong_key()])
    monkeypatch.delenv("OPENAI_API_KEY")
    tinyfactory.configure(api_key="sk-configured-canary-123456", model="gpt-test")
    with pytest.raises(AuthenticationFailed) as caught:
        TinyPersonFactory(CONTEXT).generate_person()
    assert "configured-canary" not in str(caught.value)
    assert "configured-canary" not in repr(tinyfactory.settings._configured)
    assert server.requests[0].headers["authorization"] == "Bearer sk-configured-canary-123456"


def test_own_template_and_language_reach_the_prompt(serve, tmp_path):
    server = serve()
    path = tmp_path / "own.mustache"
    path.write_text("Someone from {{context}}, <not escaped>, number {{ordinal}}.")
    TinyPersonFactory("R&D", template=path, language="Welsh").generate_person()
    messages = server.bodies[0]["messages"]
    assert messages[-1]["content"] == "Someone from R&D, <not escaped>, number 1."
    assert "in Welsh" in messages[0]["content"]


def test_own_template_that_asks_for_nothing_we_have_is_refused_at_once():
    with pytest.raises(InvalidInput, match="contxt"):
        TinyPersonFactory("x", template="{{contxt}}")
    with pytest.raises(InvalidInput, match="write the text out"):
        TinyPersonFactory("x", template="{{> other}}")


# -- one test for each room that the offline model goes through ------------------------------


def test_setup_agent_gives_all_or_nothing():
    factory = TinyPersonFactory("x", model="offline")
    person = TinyPerson("Ana Souza", register=False)
    before = person.to_dict()
    with pytest.raises(InvalidInput):
        factory._setup_agent(person, {"gender": "female", "age": 190})
    assert person.to_dict() == before
    factory._setup_agent(person, {"age": 34, "skills": [{"skill": "sewing"}]})
    assert person.get("age") == 34 and person.get("skills") == ["sewing"]


def test_aux_model_call_gives_a_message(serve):
    server = serve()
    message = TinyPersonFactory("x")._aux_model_call([{"role": "user", "content": "Hi"}], 1.0)
    assert message["role"] == "assistant" and isinstance(message["content"], str)
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("generate_people", lambda f: f.generate_people(3, nonsense=1)),
        ("start_people", lambda f: f.start_people(3, nonsense=1)),
        ("agenerate_people", lambda f: asyncio.run(f.agenerate_people(3, nonsense=1))),
        ("generate_person", lambda f: f.generate_person(nonsense=1)),
        (
            "from_demography",
            lambda _: TinyPersonFactory.from_demography("illustrative_town", nonsense=1),
        ),
        (
            "from_demography",
            lambda _: TinyPersonFactory.from_demography("no such table", nonsense=1),
        ),
    ],
)
def test_an_argument_that_there_is_not_is_told_in_the_name_of_the_method_called(method, call):
    factory = TinyPersonFactory("Customers of a bakery", model="offline")
    with pytest.raises(TypeError, match=rf"\b{method}\(\) got an unexpected .* 'nonsense'") as told:
        call(factory)
    assert "__init__" not in str(told.value) and factory.last_job is None
