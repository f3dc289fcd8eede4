"""Faults 24 to 30 at a factory: what a network does must not reach people, or the journal.

What concerns the model alone is in test_model_faults.py.
"""

from __future__ import annotations

import logging

import pytest

from tests.support.chat_server import (
    answer,
    choices_null,
    empty,
    fenced,
    hang,
    html_page,
    huge,
    prefixed,
    quota_exhausted,
    rate_limited,
    refusal,
    rejects_json_schema_400,
    rejects_parameter,
    trailing_comma,
    truncated,
    unknown_model,
    wrong_key,
)
from tests.support.people import person as persona
from tinyfactory import Simulation, TinyPersonFactory, control, settings
from tinyfactory.budget import Budget
from tinyfactory.errors import (
    AuthenticationFailed,
    EndpointUnavailable,
    QuotaExhausted,
    UnknownModel,
)
from tinyfactory.journal.simulation import scope_of

CONTEXT = "A group of friends are on a camping trip."


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


def kept(simulation, kind):
    """The journal's values of one kind."""
    store = scope_of(simulation).store
    return [store.get(key) for key in store if key.startswith(kind + ":")]


def test_fault_24_a_rate_limit_stops_resumably_with_finished_people_kept(folder, server):
    settings.configure(time_limit=100)
    good = server.good
    limited = rate_limited(150)  # longer than the limit, and than two minutes
    server.good = lambda request: good(request) if len(server.requests) <= 2 else limited
    control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    with pytest.raises(EndpointUnavailable, match="150 s"):
        factory.generate_people(4)
    names = [one.name for one in factory.last_job.people]
    assert len(names) == 2 and factory.generated_names == names
    server.good, asked = good, len(server.requests)
    simulation = control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    people = factory.generate_people(4)
    assert [one.name for one in people][:2] == names
    assert (simulation.hits, len(server.requests) - asked) == (2, 2)


def test_fault_25_a_timeout_counts_against_the_budget_and_is_logged(folder, server, caplog):
    caplog.set_level(logging.INFO, logger="tinyfactory")
    settings.configure(timeout=2)
    good = server.good
    server.good = lambda request: hang() if len(server.requests) <= 1 else good(request)
    with Simulation(folder, "budget", budget=Budget(calls=10)) as simulation:
        assert TinyPersonFactory(CONTEXT).generate_person() is not None
        assert len(server.requests) == 2
        assert simulation.spent.calls == 2  # the one that timed out may be charged
    told = [record.getMessage() for record in caplog.records]
    assert sum("more than 2 s to answer" in line for line in told) == 1


@pytest.mark.parametrize("page", [html_page(), choices_null()])
def test_fault_26_a_200_that_is_none_is_not_stored_as_an_answer(folder, server, page):
    TinyPersonFactory(CONTEXT).generate_person()  # not the first response of the endpoint
    good, server.good = server.good, lambda request: page
    simulation = control.begin(folder)
    assert TinyPersonFactory(CONTEXT).generate_person(attempts=2) is None
    assert kept(simulation, "reply") == kept(simulation, "event") == []
    server.good = good
    simulation.begin()
    assert TinyPersonFactory(CONTEXT).generate_person(attempts=2) is not None
    assert simulation.hits == 0


BAD = {
    "truncated": truncated(),
    "refused": refusal(),
    "empty": empty(),
    "wrong-typed": answer(persona(1) | {"age": "old", "occupation": 7}),
    "2 MB of nothing": answer("x" * 2_000_000),
    "2 MB": huge(),
}
ODD = {
    "fenced": fenced(persona(1)),
    "prefixed": prefixed(persona(1)),
    "trailing comma": trailing_comma(persona(1)),
}


@pytest.mark.parametrize("kind", BAD)
def test_fault_27_a_bad_reply_is_evidence_and_never_replayed_to_the_retry(folder, server, kind):
    good = server.good
    server.good = lambda request: BAD[kind] if len(server.requests) == 1 else good(request)
    simulation = control.begin(folder)
    name = TinyPersonFactory(CONTEXT).generate_person().name
    assert len(server.requests) == 2
    assert (
        server.bodies[0]["messages"] != server.bodies[1]["messages"]
    )  # the second prompt says why
    assert len(kept(simulation, "reply")) == 2
    simulation.begin()
    assert TinyPersonFactory(CONTEXT).generate_person().name == name
    assert len(server.requests) == 2


@pytest.mark.parametrize("kind", ODD)
def test_fault_27_an_odd_reply_that_holds_a_person_is_read(folder, server, kind):
    server.good = lambda request: ODD[kind]
    control.begin(folder)
    assert TinyPersonFactory(CONTEXT).generate_person().name in (
        persona(0)["name"],
        persona(1)["name"],
    )
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("rule", "parameter"),
    [
        (rejects_parameter("temperature"), "temperature"),
        (rejects_json_schema_400(), "response_format"),
    ],
)
def test_fault_28_what_was_really_sent_is_recorded(folder, server, caplog, rule, parameter):
    server.rules.append(rule)
    simulation = control.begin(folder)
    people = TinyPersonFactory(CONTEXT).generate_people(3)
    assert len(people) == 3 and len(server.requests) == 4  # refused once, not once a person
    warned = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warned) == 1
    sent = [reply["reply"]["sent"] for reply in kept(simulation, "reply")]
    asked = server.bodies[0][parameter]
    assert len(sent) == 3 and all(found.get(parameter) != asked for found in sent)


@pytest.mark.parametrize(
    ("rule", "error", "advice"),
    [
        (quota_exhausted(), QuotaExhausted, "Add credit"),
        (wrong_key(), AuthenticationFailed, "OPENAI_API_KEY"),
        (unknown_model("openai"), UnknownModel, "/models"),
    ],
)
def test_fault_29_what_a_retry_cannot_mend_fails_at_once(folder, server, rule, error, advice):
    server.rules.append(rule)
    simulation = control.begin(folder)
    factory = TinyPersonFactory(CONTEXT)
    before = factory.encode_complete_state()
    with pytest.raises(error, match=advice):
        factory.generate_people(5)
    assert len(server.requests) == 1
    assert factory.encode_complete_state() == before
    assert kept(simulation, "event") == []


@pytest.mark.parametrize("other", ["JOSÉ  NÚÑEZ", "Jose\u0301 Nu\u0301n\u0303ez", " jose nunez "])
def test_fault_30_a_duplicate_name_in_another_form_is_caught(folder, server, other):
    names = ["José Núñez", other, "Ana Souza"]
    server.good = lambda request: answer(persona(1) | {"name": names.pop(0)})
    control.begin(folder)
    people = TinyPersonFactory(CONTEXT).generate_people(2)
    assert [one.name for one in people] == ["José Núñez", "Ana Souza"]
    assert len(server.requests) == 3
