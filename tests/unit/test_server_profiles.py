"""People from each kind of server, over HTTP: what is sent, read, asked again and reported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import Answer
from tests.support.profile_server import INTERVIEW, ProfileServer, ServerProfile, form
from tests.support.server_profiles import PROFILES
from tinyfactory import TinyPersonFactory, configure, control, settings
from tinyfactory.errors import AuthenticationFailed, QuotaExhausted, UnknownModel
from tinyfactory.models.http.endpoint import target
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

QUICK = RetryPolicy(wait_initial=0.01, wait_jitter=0.01)
CONTEXT = "Anglers at a harbour in Portugal"
ERRORS = {"key": AuthenticationFailed, "model": UnknownModel, "spent": QuotaExhausted}

PAGE = (Path(__file__).parents[2] / "docs" / "servers.md").read_text(encoding="utf-8")

each_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


@contextmanager
def connected(
    profile: ServerProfile, monkeypatch: pytest.MonkeyPatch, **faults: Any
) -> Iterator[tuple[ProfileServer, TinyPersonFactory]]:
    """A server with this profile, and a factory whose model is there."""
    with ProfileServer(profile, **faults) as server:
        if profile.name.startswith("Azure"):
            monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.origin)
            monkeypatch.setenv("AZURE_OPENAI_API_KEY", "0123456789abcdef0123456789abcdef")
        else:
            configure(base_url=server.base_url)
            configure(api_key=None if profile.local else "sk-test-0123456789abcdef")
        configure(**profile.settings)
        yield server, TinyPersonFactory(CONTEXT, model=OpenAIModel(profile.model, retry=QUICK))


def words(answer: Answer) -> str:
    """The end of what an answer says; its beginning may have a key, which is removed."""
    body = answer.body[0] if isinstance(answer.body, list) else answer.body
    error = body.get("error", body)
    said = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return str(said)[-20:]


@each_profile
def test_each_person_costs_one_request(profile, monkeypatch, tmp_path):
    with connected(profile, monkeypatch) as (server, factory):
        simulation = control.begin(tmp_path)
        people = factory.generate_people(3)
        assert len({person.name for person in people} - {"Draft"}) == 3
        assert all(person.get("skills") for person in people)
        assert len(server.requests) == 3 + len(server.refused)
        assert len(set(server.refused)) == len(server.refused)
        assert form(server.requests[-1]) == profile.schema
        assert simulation.spent.calls == len(server.requests)
        assert 2_700 <= simulation.spent.tokens < 10_000  # as the server counted them


@each_profile
def test_contexts_twins_rewrites_and_answers_cost_one_request_each(profile, monkeypatch):
    with connected(profile, monkeypatch) as (server, factory):
        model = factory.model
        person = factory.generate_person()
        factories = TinyPersonFactory.generate_person_factories(2, CONTEXT, model=model)
        assert factories is not None and len(factories) == 2
        assert person.twin(factory=factory, age=70).twin.get("age") == 70
        proposal = person.rewrite("skills", factory=factory)
        assert proposal.after == ["mends nets", "reads on the ferry"]
        for question in ("Where were you this morning?", "And then?"):
            assert person.ask(question, model=model) == INTERVIEW
        assert len(server.requests) == 6 + len(server.refused)
        assert len(set(server.refused)) == len(server.refused)


@each_profile
def test_a_job_goes_on_when_a_prompt_is_refused_and_requests_fail(profile, monkeypatch):
    wanted = {4: "filter", 6: "failed", 8: "overload"}
    faults = {number: kind for number, kind in wanted.items() if kind in profile.says}
    with connected(profile, monkeypatch, faults=faults) as (server, factory):
        people = factory.generate_people(10, concurrency=3)
        missing = factory.last_job.missing
        filtered = profile.says.get("filter")
        assert len(people) == 10 - len(missing)
        assert [m.number for m in missing] == ([] if filtered is None else [3])
        again = len(faults) - len(missing)
        if filtered is not None and filtered.status == 200:
            # The reply was filtered, not the prompt: another one may pass.
            again += len(server.requests) - len(server.refused) - 10 - again
            assert again <= 6
        elif filtered is not None:
            assert words(filtered) in missing[0].reason
        assert len(server.requests) == 10 + len(server.refused) + again


@pytest.mark.parametrize(
    ("profile", "kind"),
    [
        pytest.param(profile, kind, id=f"{kind}, {profile.name}")
        for profile in PROFILES.values()
        for kind in ERRORS
        if kind in profile.says
    ],
)
def test_what_is_wrong_is_said_at_once(profile, kind, monkeypatch):
    with connected(profile, monkeypatch) as (server, factory):
        server.always = kind
        with pytest.raises(ERRORS[kind]) as caught:
            factory.generate_person()
        assert words(profile.says[kind]) in str(caught.value)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "profile", [pytest.param(p, id=p.name) for p in PROFILES.values() if "rate" in p.says]
)
def test_a_rate_limit_is_waited_for(profile, monkeypatch):
    with connected(profile, monkeypatch, faults={1: "rate"}) as (server, factory):
        assert factory.generate_person() is not None
        assert len(server.requests) == 2 + len(server.refused)


@each_profile
def test_only_openai_and_azure_are_known_to_need_a_key(profile):
    azure = "2024-10-21" if profile.name.startswith("Azure") else None
    address = target(profile.base_url, profile.model, None, azure)
    assert address.official == profile.name.startswith(("OpenAI", "Azure"))


@each_profile
def test_the_page_tells_how_to_connect_and_what_is_learnt(profile, monkeypatch):
    row = re.search(rf"^\| {re.escape(profile.name)} \|(.*)\|$", PAGE, re.MULTILINE)
    assert row is not None
    line, schema, first = (cell.strip() for cell in row.group(1).split("|"))
    assert schema == profile.schema
    if not profile.name.startswith("Azure"):
        exec(line.strip("`"), {"configure": configure, "key": "sk-test"})
        assert settings.get("base_url") == profile.base_url
        assert settings.get("model") == profile.model
        assert bool(settings.get("api_key")) is not profile.local
        assert {name: settings.get(name) for name in profile.settings} == profile.settings
    with connected(profile, monkeypatch) as (server, factory):
        assert factory.generate_person() is not None
        assert first == str(len(server.requests))


def test_the_page_lists_every_profile_and_setting():
    assert re.findall(r"^\| ([^|`]+?) \| `", PAGE, re.MULTILINE) == list(PROFILES)
    listed = dict(
        re.findall(r"^\| `(\w+)` \| `TINYFACTORY_\w+` \| ([^|]+?) \|", PAGE, re.MULTILINE)
    )
    assert {name: settings.get(name) for name in listed} == {
        name: None if value == "none" else float(value) for name, value in listed.items()
    }
