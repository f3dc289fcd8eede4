"""Going back, and being told why: history, checkout, lines, explain."""

from __future__ import annotations

import pytest

from tests.support.chat_server import ChatServer, answer, empty
from tests.support.people import person as persona
from tinyfactory import TinyFactory, TinyPerson, TinyPersonFactory, control, transactional
from tinyfactory.errors import InvalidInput
from tinyfactory.journal.simulation import scope_of

CONTEXT = "A group of friends are on a camping trip."


def names(people):
    return [person.name for person in people]


def test_history_tells_what_was_done_and_what_it_took(server, tmp_path):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_people(2, "a quiet one")
    first, second = factory.history()
    assert first.method == "TinyPersonFactory.generate_person"
    assert "a quiet one" in first.arguments
    assert (first.hit, first.attempts) == (False, 1)
    assert first.prompt_tokens > 0 and first.model
    assert first.at <= second.at
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_people(2, "a quiet one")
    again = factory.history()
    assert [event.key for event in again] == [first.key, second.key]
    assert [event.hit for event in again] == [True, True]
    text = repr(again)
    assert "replayed" in text and first.key[:8] in text
    assert list(again.to_frame()["hit"]) == [True, True]


def test_history_counts_the_attempts(server, tmp_path, monkeypatch):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    with ChatServer(script=[empty(), answer(persona(1) | {"age": 190})]) as moody:
        monkeypatch.setenv("OPENAI_BASE_URL", moody.base_url)
        factory.generate_person()
    assert factory.history()[0].attempts == 3


def test_without_a_simulation_there_is_no_history():
    with pytest.raises(InvalidInput, match=r"control\.begin"):
        TinyPersonFactory(CONTEXT).history()


def test_checkout_goes_back_and_on_from_there_branches(server, tmp_path):
    simulation = control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    made = factory.generate_people(3)
    asked = len(server.requests)
    assert factory.checkout(0) is factory
    assert factory.generated_names == names(made[:1])
    assert list(TinyPerson.all_people()) == made[:1]
    assert len(factory.history()) == 1
    branch = factory.generate_person("somebody else")
    assert len(server.requests) == asked + 1
    assert factory.generated_names == [made[0].name, branch.name]
    (line,) = simulation.lines()
    assert (line.events, len(line.heads)) == (4, 2)
    # Back on the first branch, which costs nothing.
    factory.checkout(0)
    assert factory.generate_people(2) == made[1:]
    assert len(server.requests) == asked + 1
    assert sorted(names(TinyPerson.all_people())) == sorted(names(made))


def test_checkout_of_another_branch_by_its_key(server, tmp_path):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    first = factory.generate_person()
    key = factory.history()[0].key
    factory.checkout(None)
    assert factory.generated_names == [] and len(TinyPerson.all_people()) == 0
    factory.generate_person("somebody else")
    factory.checkout(key[:10])
    assert factory.generated_names == [first.name]
    assert list(TinyPerson.all_people()) == [first]


def test_checkout_in_a_new_run_finds_events_of_the_old(server, tmp_path):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    made = factory.generate_people(2)
    key = factory.history()[1].key
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    factory.checkout(key)
    assert factory.generated_names == names(made)
    assert list(TinyPerson.all_people()) == made


@pytest.mark.parametrize("event", ["ffff", 7, -9])
def test_checkout_of_what_is_not_there_changes_nothing(server, tmp_path, event):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_person()
    before = factory.encode_complete_state()
    with pytest.raises(InvalidInput, match="Nothing was changed"):
        factory.checkout(event)
    assert factory.encode_complete_state() == before


def test_checkout_that_a_taken_name_prevents_changes_nothing(server, tmp_path):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    made = factory.generate_people(2)
    factory.checkout(None)
    TinyPerson(made[1].name)
    before = factory.encode_complete_state(), TinyPerson.all_people()
    control.current_simulation()
    with pytest.raises(InvalidInput, match=made[1].name):
        factory.checkout(next(k for k in _keys(control.current_simulation())[1:]))
    assert (factory.encode_complete_state(), TinyPerson.all_people()) == before


def _keys(simulation):
    return [
        key.removeprefix("event:") for key in scope_of(simulation).store if key.startswith("event:")
    ]


CHANGES: dict[str, tuple[tuple[dict, dict], str]] = {
    "temperature": (({}, {"temperature": 1.0}), "temperature 1.5 → 1.0"),
    "particularities": (({}, {"agent_particularities": "tall"}), "None → 'tall'"),
    "context": (({"context_text": "Elsewhere"}, {}), "context_text"),
    "model": (({"model": "gpt-other"}, {}), "gpt-other"),
    "language": (({"language": "Welsh"}, {}), "'Welsh'"),
    "template": (({"template": "{{context}}"}, {}), "template"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_explain_says_what_differs(server, tmp_path, change):
    (options, arguments), words = CHANGES[change]
    control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person()
    simulation = control.begin(tmp_path / "j")
    TinyPersonFactory(**{"context_text": CONTEXT} | options).generate_person(**arguments)
    assert words in simulation.explain()


def test_explain_a_changed_template_of_the_package(server, tmp_path, monkeypatch):
    from tinyfactory import prompts

    control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person()
    original = prompts.template
    monkeypatch.setattr(prompts, "template", lambda name: original(name) + "\nBe brief.")
    simulation = control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person()
    assert "the prompt template changed" in simulation.explain()


def test_explain_an_earlier_step_that_differs(server, tmp_path):
    control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_people(2)
    simulation = control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_person("tall")
    factory.generate_person()
    words = simulation.explain()
    assert "earlier event" in words or "the text of the prompt" in words
    assert "is new" in words


def test_explain_a_hit_and_a_first(server, tmp_path):
    simulation = control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT).generate_person()
    assert "no earlier call" in simulation.explain()
    simulation = control.begin(tmp_path / "j")
    with pytest.raises(InvalidInput):
        simulation.explain()
    factory = TinyPersonFactory(CONTEXT)
    factory.generate_person()
    assert "was replayed" in simulation.explain()
    assert "was replayed" in simulation.explain(factory.history()[0].key[:8])
    with pytest.raises(InvalidInput):
        simulation.explain("no such")


def test_factories_that_a_step_made_leave_and_come_back_with_it(tmp_path):
    control.begin(tmp_path / "j")
    factory = Spawner()
    factory.spawn(1)
    factory.spawn(2)
    there = set(TinyFactory.all_factories)
    factory.checkout(0)
    factory.checkout(0)
    assert len(TinyFactory.all_factories) == len(there) - 1
    factory.checkout(None)
    assert list(TinyFactory.all_factories.values()) == [factory]
    factory.spawn(1)
    assert len(TinyFactory.all_factories) == 2


class Spawner(TinyFactory):
    @transactional
    def spawn(self, number):
        return TinyPersonFactory(f"Number {number}")
