"""Faults 31 to 40: what a notebook means, and what may never be shown or kept."""

from __future__ import annotations

import logging
import sqlite3
import traceback
from typing import Any

import pytest

from tests.support.chat_server import Answer, ChatServer, answer, wrong_key
from tests.support.people import person as persona
from tests.support.processes import run
from tests.support.products import ProductFactory
from tinyfactory import TinyFactory, TinyPersonFactory, control, settings, transactional
from tinyfactory.errors import ModelError, NotSerialisable

CONTEXT = "A group of friends are on a camping trip."
NOTEBOOK = f"""
control.begin(folder)
factories = TinyPersonFactory.generate_person_factories(2, {CONTEXT!r})
people = [factory.generate_person(temperature=1.2) for factory in factories]
other = ProductFactory()
products = [other.take({{"b": 1, "a": [2]}}), other.make("x")]
say([p.name for p in people], [p._repr_html_() for p in people],
    [f.encode_complete_state() for f in factories], products,
    control.cache_hits(), control.cache_misses())
"""


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


def made(folder, *names, factory=ProductFactory, step="make"):
    """Products made from the top: hits and misses."""
    simulation = control.begin(folder)
    one = factory()
    for name in names:
        getattr(one, step)(name)
    return simulation.hits, simulation.misses


# -- replay ----------------------------------------------------------------------------------


def test_fault_31_restart_and_run_all_calls_no_model_and_gives_the_same(folder, server):
    first = run(NOTEBOOK, folder)[0]
    asked = len(server.requests)
    server.close()  # the second kernel has no endpoint at all
    second = run(NOTEBOOK, folder)[0]
    assert asked == 3 and first[4:] == [0, 5]
    assert second[:4] == first[:4] and second[4:] == [5, 0]


def test_fault_32_a_cell_run_again_appends_and_one_can_go_back(folder):
    control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    factory.make("a")  # the same cell once more: another event
    factory.make("c")
    assert factory.products == ["a", "a", "c"]
    factory.checkout(0)
    factory.make("c")  # out of order: a branch of its own
    assert factory.products == ["a", "c"] and factory.runs == 4
    factory.checkout(0)
    factory.make("a")
    factory.make("c")
    assert factory.products == ["a", "a", "c"] and factory.runs == 4
    assert "branches" in TinyFactory.checkout.__doc__


@pytest.mark.parametrize("step", ["make", "take"])  # one changes the state, the other does not
def test_fault_33_a_later_step_that_is_edited_keeps_the_earlier(folder, step):
    assert made(folder, "a", "b", "c", step=step) == (0, 3)
    assert made(folder, "a", "b", "C", step=step) == (2, 1)
    assert made(folder, "a", "B", "c", step=step) == (1, 2)
    assert made(folder, "a", "b", "c", step=step) == (3, 0)


@pytest.mark.parametrize(
    "change", ["prompt", "model", "temperature", "schema", "base_url", "code", "nothing"]
)
def test_fault_34_what_was_changed_misses_and_what_was_not_hits(
    folder, server, monkeypatch, change
):
    def notebook(**options: Any):
        temperature = options.pop("temperature", 1.5)
        control.begin(folder)
        TinyPersonFactory(CONTEXT, **options).generate_person(temperature=temperature)
        return control.cache_hits()

    assert notebook() == 0
    with monkeypatch.context() as patch, ChatServer() as other:
        options: dict[str, Any] = {}
        if change == "prompt":
            options["template"] = "{{{context}}} {{{ordinal}}}"
        elif change == "model":
            options["model"] = "another-model"
        elif change == "temperature":
            options["temperature"] = 1.4
        elif change == "base_url":
            patch.setenv("OPENAI_BASE_URL", other.base_url)
        elif change == "schema":
            from tinyfactory.people.schema import layout

            changed = layout.reply_schema() | {"description": "changed"}
            patch.setattr(layout, "shared_reply_schema", lambda: changed)
        elif change == "code":
            method = getattr(TinyPersonFactory.generate_person, "transactional")  # noqa: B009
            patch.setitem(method.__dict__, "given_version", "2")
        assert notebook(**options) == (change == "nothing")
    assert notebook() == 1


def test_fault_34_an_edited_method_misses(folder):
    def define(body):
        space = {"TinyFactory": TinyFactory, "transactional": transactional}
        text = (
            f"class Cell(TinyFactory):\n    @transactional\n    def make(self, x):\n        {body}"
        )
        exec(compile(text, "cell", "exec"), space)
        space["Cell"].__module__ = "cell"
        return space["Cell"]

    assert made(folder, "a", factory=define("return x")) == (0, 1)
    assert made(folder, "a", factory=define("return x")) == (1, 0)
    assert made(folder, "a", factory=define("return x + x")) == (0, 1)


def test_fault_35_clock_hash_seed_and_order_of_keys_have_no_effect(folder, server, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    first = run(NOTEBOOK, folder)[0]
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    jump = "time.time = lambda now=time.time: now() - 10 * 365 * 86400\n"
    second = run(jump + NOTEBOOK.replace('{"b": 1, "a": [2]}', '{"a": [2], "b": 1}'), folder)[0]
    assert second[:3] == first[:3] and second[4:] == [5, 0]


def test_fault_36_numbers_truth_and_normal_forms_differ_by_a_written_rule(folder):
    from tinyfactory.journal.values import serializer

    values = [1, 1.0, True, "1", "é", "e\u0301", [1], (1,), None, 0, False, "", {"1": 1}, {1: 1}]
    for hits in (0, len(values)):
        simulation = control.begin(folder)
        for number, value in enumerate(values):
            factory = ProductFactory()
            back = factory.take(value)
            assert repr(back) == repr(value), number
        assert (simulation.hits, simulation.misses) == (hits, len(values) - hits)
    assert "1.0" in serializer.__doc__ and "two normal forms" in serializer.__doc__


def test_fault_37_changing_what_was_given_or_returned_leaves_the_journal_unharmed(folder):
    for expected in ((0, 1), (1, 0)):
        simulation = control.begin(folder)
        argument: dict[str, list[Any]] = {"deep": [1]}
        returned = ProductFactory().take(argument)
        assert returned == {"deep": [1]}
        argument["deep"].append("argument")
        returned["deep"].append("result")
        assert (simulation.hits, simulation.misses) == expected


@pytest.mark.parametrize("where", ["argument", "state"])
def test_fault_38_what_json_cannot_hold_is_refused_before_the_model(folder, server, where):
    class Host(TinyFactory):
        def __init__(self, guests):
            super().__init__()
            self.guests = guests

        def encode_complete_state(self):
            return super().encode_complete_state() | {"guests": self.guests}

        def decode_complete_state(self, state):
            self.guests = state["guests"]
            return super().decode_complete_state(state)

        @transactional
        def invite(self, wishes, factory):
            return factory.generate_person()

    control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    bad = {1, 2}
    host = Host(bad if where == "state" else [])
    with pytest.raises(NotSerialisable, match="set"):
        host.invite(bad if where == "argument" else None, factory)
    assert server.requests == [] and factory.generated_names == []


# -- never shown, never kept -----------------------------------------------------------------

SECRETS = {
    "header": "sk-proj-canary-of-the-header-0001",
    "argument": "argument-canary-without-a-shape",
    "error": "sk-proj-canary-of-the-error-0003",
}


def everything_in(folder):
    """All bytes of the journal's files, and all values as SQLite gives them."""
    found = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    connection = sqlite3.connect(folder / "cache.db")
    found += repr(connection.execute("SELECT * FROM Cache").fetchall()).encode()
    connection.close()
    return found.decode("utf-8", "replace")


@pytest.mark.parametrize("place", SECRETS)
def test_fault_39_a_secret_is_in_no_journal_traceback_or_output(
    folder, server, monkeypatch, caplog, capfd, place
):
    secret = SECRETS[place]
    caplog.set_level(logging.DEBUG, logger="tinyfactory")
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    if place == "argument":
        monkeypatch.delenv("OPENAI_API_KEY")
        settings.configure(api_key=secret)
    simulation = control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    person = factory.generate_person()
    assert server.requests[-1].headers["authorization"] == f"Bearer {secret}"
    shown = [repr(x) for x in (simulation, factory, person, factory.history(), settings)]
    shown += [person._repr_html_(), simulation.explain()]
    said = {"error": {"message": f"Key {secret} (Authorization: Bearer {secret}) is not allowed"}}
    for rule in (wrong_key(), Answer(400, said), Answer(401, said)):
        server.rules[:] = [rule]
        with pytest.raises(ModelError) as raised:
            factory.generate_person("someone else")
        shown += traceback.format_exception(raised.value)
    shown += [caplog.text, *capfd.readouterr(), everything_in(folder)]
    control.reset()
    shown.append(everything_in(folder))
    for text in shown:
        assert secret not in text and secret[-12:] not in text


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>"])
def test_fault_40_markup_in_any_field_is_shown_as_text(folder, server, hostile):
    def everywhere(value):
        if isinstance(value, dict):
            return {key: everywhere(part) for key, part in value.items()}
        if isinstance(value, list):
            return [everywhere(part) for part in value]
        return f"{value} {hostile}" if isinstance(value, str) else value

    server.good = lambda request: answer(everywhere(persona(1)))
    for _ in range(2):  # made, then replayed
        control.begin(folder)
        factory = TinyPersonFactory(CONTEXT + hostile)
        people = factory.generate_people(1)
        assert hostile in people[0].name
        shown = people[0]._repr_html_() + people._repr_html_()
        assert hostile not in shown and "<script" not in shown and "<img" not in shown
        assert hostile.replace("<", "&lt;").replace(">", "&gt;") in shown
