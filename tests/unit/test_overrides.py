"""Subclasses and models of users' own, in single calls, in jobs and in batches."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.support.batches import Batches
from tests.support.chat_server import answer
from tests.support.people import person as persona
from tinyfactory import TinyPersonFactory, control
from tinyfactory.errors import InvalidInput
from tinyfactory.journal.transactional import transactional
from tinyfactory.models.chat import ChatReply

CONTEXT = "A group of friends are on a camping trip."


def by_ordinal(request):
    number = int(request.last_message.partition("<ordinal>")[2].partition("</ordinal>")[0])
    return answer(persona(50 + number if "<rejected>" in request.last_message else number))


class Careful(TinyPersonFactory):
    """Looks at every message that comes back, and marks everyone who is set up."""

    _transient = ("seen", "threads")

    def __init__(self, context):
        super().__init__(context)
        self.seen, self.threads = [], set()

    def _aux_model_call(self, messages, temperature):
        message = super()._aux_model_call(messages, temperature)
        self.threads.add(threading.current_thread().name)
        self.seen.append(json.loads(message["content"])["name"])
        return message

    def _setup_agent(self, agent, configuration):
        super()._setup_agent(agent, configuration | {"style": "Careful."})


def made_by(factory, way):
    if way == "single":
        return [factory.generate_person() for _ in range(4)]
    return factory.generate_people(4, **way)


@pytest.mark.parametrize(
    "way", ["single", {}, {"concurrency": 4}, {"batch": True, "poll": 0.01}], ids=str
)
def test_overridden_methods_are_called_for_every_person(serve, tmp_path, way):
    server = serve(rules=[by_ordinal], batches=Batches())
    control.begin(tmp_path / "j")
    factory = Careful(CONTEXT)
    people = made_by(factory, way)
    assert [p.get("style") for p in people] == ["Careful."] * 4
    assert sorted(factory.seen) == sorted(p.name for p in people)
    assert [event.attempts for event in factory.history()] == [1] * 4
    asked = len(server.requests)
    simulation = control.begin(tmp_path / "j")
    again = Careful(CONTEXT)
    assert made_by(again, way) == people
    assert (len(server.requests), again.seen, simulation.hits) == (asked, [], 4)


def test_in_a_job_an_overridden_call_runs_in_a_thread_within_the_limit(serve, tmp_path):
    server = serve(rules=[by_ordinal])
    factory = Careful(CONTEXT)
    with server.held_until(3):
        factory.generate_people(6, concurrency=3)
    assert server.most_at_once == 3
    assert all(name.startswith("tinyfactory-model") for name in factory.threads)


class Offhand(TinyPersonFactory):
    """Writes people without any model."""

    def _aux_model_call(self, messages, temperature):
        return {
            "role": "assistant",
            "content": json.dumps(persona(len(self.generated_names) + 1)),
            "finish_reason": "stop",
            "refusal": None,
            "provenance": {"source": "model", "model": "nobody"},
        }


def test_an_overridden_call_needs_no_model(serve):
    server = serve()
    factory = Offhand(CONTEXT)
    person = factory.generate_person()
    assert person.provenance["model"] == "nobody" and server.requests == []
    assert len(factory.generate_people(3)) == 3


class Slow:
    """A model of the user's own that is no coroutine."""

    identity = {"kind": "own"}  # noqa: RUF012 - as a user writes it

    def __init__(self):
        self.lock, self.now, self.most, self.calls = threading.Lock(), 0, 0, 0

    def complete(self, request):
        with self.lock:
            self.calls += 1
            number = self.calls
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.05)
        with self.lock:
            self.now -= 1
        return ChatReply(json.dumps(persona(number)))


def test_a_model_that_is_no_coroutine_runs_in_threads_within_the_limit(tmp_path):
    model = Slow()
    control.begin(tmp_path / "j")
    people = TinyPersonFactory(CONTEXT, model=model).generate_people(12, concurrency=4)
    assert len(people) == 12 == model.calls and 2 <= model.most <= 4
    again = TinyPersonFactory(CONTEXT, model=model)
    assert again.generate_person() is not None and model.calls == 13


class Twice(TinyPersonFactory):
    """Whose every person comes with a friend."""

    def generate_person(self, *asked):
        person = super().generate_person(*asked)
        super().generate_person("a friend")
        return person


def test_a_batch_refuses_a_generate_person_of_ones_own_before_anything_is_sent(serve, tmp_path):
    server = serve(batches=Batches())
    control.begin(tmp_path / "j")
    with pytest.raises(InvalidInput, match="Twice, because it overrides generate_person"):
        Twice(CONTEXT).generate_people(2, batch=True)
    assert server.requests == [] and server.batches.uploaded == 0


class Counted(TinyPersonFactory):
    """Whose `generate_person` is decorated, too."""

    made = 0

    @transactional(version="1")
    def generate_person(self, agent_particularities=None, temperature=1.5, attempts=5):  # type: ignore[override]
        self.made += 1
        return super().generate_person(agent_particularities, temperature, attempts)

    def encode_complete_state(self):
        return super().encode_complete_state() | {"made": self.made}

    def decode_complete_state(self, state):
        self.made = state["made"]
        return super().decode_complete_state(state)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_decorated_generate_person_of_ones_own_is_called_for_every_person(
    serve, tmp_path, concurrency
):
    server = serve()
    control.begin(tmp_path / "j")
    factory = Counted(CONTEXT)
    people = factory.generate_people(3, concurrency=concurrency)
    assert len(people) == factory.made == len(server.requests) == 3
    control.begin(tmp_path / "j")
    again = Counted(CONTEXT)
    assert again.generate_people(3, concurrency=concurrency) == people
    assert again.made == 3 == len(server.requests)
