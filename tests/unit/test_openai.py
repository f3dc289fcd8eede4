"""OpenAIModel over HTTP: requests, replies, and what it learns about an endpoint."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import Any

import pytest

import tinyfactory.models as models
from tests.support.chat_server import (
    ChatServer,
    answer,
    huge,
    llama_cpp_500_on_json_schema,
    refusal,
    rejects_json_schema_400,
    rejects_parameter,
    status,
    truncated,
)
from tinyfactory import settings
from tinyfactory.errors import BudgetExceeded, EndpointUnavailable, InvalidInput, NotConfigured
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest, Usage
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

QUICK = RetryPolicy(attempts=3, time_limit=5, wait_initial=0.01, wait_jitter=0.01)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
KEY = "sk-test-abcdefghijklmnop"


def asking(**changes: Any) -> ChatRequest:
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"})
    fields: dict[str, Any] = {"messages": messages, "temperature": 1.5}
    return ChatRequest(**fields | changes)


def ask(server: ChatServer, model: str = "test-model", **changes) -> ChatReply:
    chat = OpenAIModel(model, base_url=server.base_url, retry=QUICK)
    return event_loop.run(chat.complete, asking(**changes))


def with_schema(**changes):
    return {"schema": SCHEMA, "schema_name": "persona"} | changes


# --- identity and choice -------------------------------------------------------------------------


def test_identity_is_known_without_a_key_and_holds_no_secret():
    model = OpenAIModel("m", base_url="http://ann:pass-word@host:8000/v1/?token=hush", api_key=KEY)
    assert model.identity == {"kind": "openai", "model": "m", "endpoint": "http://host:8000/v1"}
    assert isinstance(model, ChatModel)
    for text in (repr(model), str(model.identity)):
        assert KEY not in text and "pass-word" not in text and "hush" not in text


def test_identity_follows_the_settings(monkeypatch):
    model = OpenAIModel()
    assert model.identity["model"] == settings.DEFAULT_MODEL
    assert model.identity["endpoint"] == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:11434/v1/")
    settings.configure(model="llama3.2")
    assert model.identity["model"] == "llama3.2"
    assert model.identity["endpoint"] == "http://localhost:11434/v1"


def test_azure_identity(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://example.openai.azure.com/")
    assert OpenAIModel("my-deployment").identity == {
        "kind": "azure",
        "endpoint": "https://example.openai.azure.com",
        "api_version": "2024-10-21",
        "deployment": "my-deployment",
    }


def test_resolve():
    settings.configure(model="from-settings")
    assert models.resolve().identity["model"] == "from-settings"
    assert models.resolve("named").identity["model"] == "named"
    own = OpenAIModel("own")
    assert models.resolve(own) is own
    settings.configure(model=own)
    assert models.resolve() is own
    settings.configure(model=None)
    assert models.resolve().identity["model"] == settings.DEFAULT_MODEL
    wrong: Any
    for wrong in (3, object(), OpenAIModel):
        with pytest.raises(InvalidInput, match="not a chat model"):
            models.resolve(wrong)


def test_resolve_offline():
    for model in (models.resolve("offline"), models.resolve("Offline")):
        assert isinstance(model, models.OfflineModel)


@pytest.mark.parametrize("url", ["ftp://host/v1", "http://", "http://h:99999x"])
def test_an_address_that_cannot_be_one_is_refused(url):
    with pytest.raises(InvalidInput, match="not the address of a server"):
        event_loop.run(OpenAIModel("m", base_url=url).complete, asking())


def test_importing_the_models_imports_no_client():
    code = (
        "import sys, tinyfactory.models, tinyfactory.models.openai; "
        "tinyfactory.models.OpenAIModel('m').identity; "
        "print(sorted({'openai', 'httpx2', 'stamina', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- keys ----------------------------------------------------------------------------------------


def test_no_key_names_both_ways_before_anything_is_sent():
    with pytest.raises(NotConfigured) as raised:
        event_loop.run(OpenAIModel().complete, asking())
    for way in ("OPENAI_API_KEY", "configure(api_key=getpass())", "TINYFACTORY_MODEL=offline"):
        assert way in str(raised.value)
    assert 'configure(model="offline")' in str(raised.value)


def test_no_key_for_azure_names_its_variable(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://example.openai.azure.com/")
    with pytest.raises(NotConfigured, match="AZURE_OPENAI_API_KEY"):
        event_loop.run(OpenAIModel().complete, asking())


def test_a_local_server_needs_no_key():
    with ChatServer() as server:
        assert ask(server).text
        assert server.requests[0].headers["authorization"].startswith("Bearer ")


def test_the_key_is_sent_and_a_new_one_is_used_at_once():
    with ChatServer() as server:
        settings.configure(base_url=server.base_url, api_key="sk-first")
        model = OpenAIModel("m")
        event_loop.run(model.complete, asking())
        settings.configure(api_key="sk-second")
        event_loop.run(model.complete, asking())
        sent = [r.headers["authorization"] for r in server.requests]
    assert sent == ["Bearer sk-first", "Bearer sk-second"]


@pytest.mark.parametrize("key", ["sk-abc\nsk-def", "sk-käse"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key):
    with ChatServer() as server:
        model = OpenAIModel("m", base_url=server.base_url, api_key=key)
        with pytest.raises(NotConfigured, match="line break") as raised:
            event_loop.run(model.complete, asking())
        assert key not in str(raised.value)
        assert server.requests == []


def test_a_password_in_the_address_is_sent_but_not_logged(caplog):
    caplog.set_level(logging.INFO)
    with ChatServer() as server:
        url = server.base_url.replace("http://", "http://ann:pass%20word@")
        event_loop.run(OpenAIModel("m", base_url=url).complete, asking())
        assert server.requests[0].headers["authorization"] == "Basic YW5uOnBhc3Mgd29yZA=="
    assert "HTTP Request" in caplog.text
    assert "pass" not in caplog.text


def test_azure_is_asked_as_azure(monkeypatch):
    with ChatServer() as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.origin)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        assert event_loop.run(OpenAIModel("deployed").complete, asking()).text
        request = server.requests[0]
    assert request.path.startswith("/openai/deployments/deployed/chat/completions")
    assert "api-version=2024-10-21" in request.path
    assert request.headers["api-key"] == KEY


# --- requests and replies ------------------------------------------------------------------------


def test_what_is_sent_is_what_was_asked():
    with ChatServer() as server:
        reply = ask(server, max_tokens=900, **with_schema())
        body = server.bodies[0]
    assert body == {
        "model": "test-model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Who?"},
        ],
        "temperature": 1.5,
        "max_tokens": 900,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "persona", "schema": SCHEMA, "strict": True},
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert reply.sent == {
        "model": "test-model",
        "temperature": 1.5,
        "max_tokens": 900,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "persona", "strict": True},
        },
    }
    assert reply.requests == 1


def test_what_was_not_asked_is_not_sent():
    with ChatServer() as server:
        ask(server, temperature=None)
        sent = ["max_tokens", "messages", "model", "stream", "stream_options"]
        assert sorted(server.bodies[0]) == sent


def test_the_reply_is_read_whole():
    usage = {
        "prompt_tokens": 1200,
        "completion_tokens": 340,
        "total_tokens": 1540,
        "prompt_tokens_details": {"cached_tokens": 1024},
    }
    with ChatServer([answer("Hello — ¡hola!", usage=usage, model="test-model-2025")]) as server:
        reply = ask(server)
    assert reply.text == "Hello — ¡hola!"
    assert (reply.finish_reason, reply.refusal) == ("stop", None)
    assert reply.model == "test-model-2025"
    assert reply.usage == Usage(1200, 340, 1024)
    assert 0 < reply.seconds < 60
    assert ChatReply.from_json(reply.to_json()) == reply


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": None}, {"prompt_tokens": "many"}])
def test_odd_usage_counts_nothing(usage):
    with ChatServer([answer("Hi", usage=usage)]) as server:
        assert ask(server).usage == Usage()


def test_refusal_and_truncation_pass_through():
    script = [refusal("No."), truncated('{"na'), answer(None, finish_reason="content_filter")]
    with ChatServer(script) as server:
        refused, cut, filtered = ask(server), ask(server), ask(server)
        assert len(server.requests) == 3
    assert (refused.refusal, refused.text) == ("No.", "")
    assert (cut.finish_reason, cut.text) == ("length", '{"na')
    assert (filtered.finish_reason, filtered.text) == ("content_filter", "")


def test_two_megabytes_arrive_whole():
    with ChatServer([huge(2_000_000)]) as server:
        assert len(ask(server).text) > 2_000_000


def test_text_in_parts_is_joined():
    parts = answer("x")
    parts.body["choices"][0]["message"]["content"] = [
        {"type": "text", "text": "Hel"},
        {"type": "text", "text": "lo"},
    ]
    with ChatServer([parts]) as server:
        assert ask(server).text == "Hello"


def test_one_connection_serves_calls_of_many_loops():
    with ChatServer() as server:
        model = OpenAIModel("m", base_url=server.base_url)
        event_loop.run(model.complete, asking())
        for _ in range(3):
            asyncio.run(model.complete(asking()))
        assert len(server.requests) == 4
        assert server.connections == 1


def test_two_hundred_at_once():
    async def all_at_once(model: OpenAIModel) -> list[ChatReply]:
        return await asyncio.gather(*(model.complete(asking()) for _ in range(200)))

    with ChatServer() as server:
        model = OpenAIModel("m", base_url=server.base_url)
        event_loop.run(model.complete, asking())
        with server.held_until(200):
            replies = asyncio.run(all_at_once(model))
        assert len({reply.text for reply in replies}) == 200
        assert len(server.requests) == 201


def test_a_callable_is_called_before_every_request_but_the_first_and_may_refuse_it():
    retries: list[int] = []

    def count() -> None:
        retries.append(1)
        if len(retries) == 3:
            raise BudgetExceeded("no more")

    with ChatServer([status(503), status(503), answer("Hi")]) as server:
        chat = OpenAIModel("m", base_url=server.base_url, retry=QUICK)
        reply = event_loop.run(chat.complete, asking(), before_retry=count)
        assert (reply.requests, len(retries)) == (3, 2)
        server.rules.append(rejects_parameter("temperature"))
        with pytest.raises(BudgetExceeded):
            event_loop.run(chat.complete, asking(), before_retry=count)
        assert len(server.requests) == 4


# --- refused parameters ---------------------------------------------------------------------------


def test_schema_refused_with_400_costs_one_request_once(caplog):
    with ChatServer(rules=[rejects_json_schema_400()]) as server:
        first, second = ask(server, **with_schema()), ask(server, **with_schema())
        formats = [request.format for request in server.requests]
    assert formats == ["json_schema", "json_object", "json_object"]
    assert (first.requests, second.requests) == (2, 1)
    assert first.sent["response_format"] == {"type": "json_object"}
    warned = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "without a schema" in warned[0].getMessage()


def test_no_json_mode_at_all_degrades_to_free_text():
    with ChatServer(rules=[rejects_json_schema_400(json_object_too=True)]) as server:
        first, second = ask(server, **with_schema()), ask(server, **with_schema())
        formats = [request.format for request in server.requests]
    assert formats == ["json_schema", "json_object", "none", "none"]
    assert "response_format" not in first.sent
    assert (first.requests, second.requests) == (3, 1)


def test_llama_cpp_500_on_json_schema_costs_one_request_once():
    with ChatServer(rules=[llama_cpp_500_on_json_schema()]) as server:
        first, second = ask(server, **with_schema()), ask(server, **with_schema())
        assert [r.format for r in server.requests] == ["json_schema", "json_object", "json_object"]
    assert (first.requests, second.requests) == (2, 1)


VLLM = {
    "object": "error",
    "message": "The provided JSON schema contains features not supported by xgrammar.",
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}
XAI = {
    "code": "Client specified an invalid argument",
    "error": "The response_format parameter is unsupported at the moment. Leave it unset.",
}
ARK = {
    "error": {
        "code": "InvalidParameter",
        "message": "The parameter `response_format.type` specified in the request are not valid",
        "param": "response_format.type",
        "type": "BadRequest",
    }
}
FASTAPI = {"detail": [{"loc": ["body", "response_format", "type"], "msg": "not permitted"}]}


@pytest.mark.parametrize(
    ("code", "body"), [(400, VLLM), (400, XAI), (400, ARK), (422, FASTAPI), (404, VLLM)]
)
def test_a_schema_is_refused_in_many_words(code, body):
    def rule(request):
        return status(code, body) if request.format == "json_schema" else None

    with ChatServer(rules=[rule]) as server:
        assert ask(server, **with_schema()).sent["response_format"] == {"type": "json_object"}


def test_a_500_that_persists_without_the_schema_teaches_nothing():
    with ChatServer(rules=[status(500)]) as server:
        with pytest.raises(EndpointUnavailable, match="HTTP 500"):
            ask(server, **with_schema())
        down = len(server.requests)
        assert down <= QUICK.attempts + 2  # the guesses are bounded too
        server.rules.clear()
        assert ask(server, **with_schema()).sent["response_format"]["type"] == "json_schema"
        assert len(server.requests) == down + 1


def test_a_500_after_a_schema_was_answered_is_not_blamed_on_it():
    with ChatServer() as server:
        ask(server, **with_schema())
        server.rules.append(once(status(500)))
        ask(server, **with_schema())
        assert [r.format for r in server.requests] == ["json_schema"] * 3


def test_an_overload_is_not_blamed_on_the_schema():
    with ChatServer([status(503)]) as server:
        reply = ask(server, **with_schema())
        assert [r.format for r in server.requests] == ["json_schema"] * 2
    assert reply.requests == 2


def test_a_refusal_is_remembered_per_model_and_endpoint():
    with ChatServer(rules=[rejects_json_schema_400()]) as server, ChatServer() as other:
        ask(server, **with_schema())
        ask(server, model="another", **with_schema())
        ask(other, **with_schema())
        assert server.requests[2].format == "json_schema"
        assert other.requests[0].format == "json_schema"
        capabilities.known.forget()
        ask(server, **with_schema())
        assert server.requests[4].format == "json_schema"


@pytest.mark.parametrize("unsupported", ["value", "parameter"])
def test_temperature_refused_is_dropped_once_warned_once_and_recorded(caplog, unsupported):
    with ChatServer(rules=[rejects_parameter("temperature", unsupported=unsupported)]) as server:
        first, second = ask(server, **with_schema()), ask(server, **with_schema())
        assert ["temperature" in body for body in server.bodies] == [True, False, False]
        assert server.requests[2].format == "json_schema"
    assert (first.requests, second.requests) == (2, 1)
    assert "temperature" not in first.sent and "temperature" not in second.sent
    warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "'temperature' is left out" in warned[0]


def test_max_tokens_is_sent_under_its_newer_name():
    with ChatServer(rules=[rejects_parameter("max_tokens")]) as server:
        first = ask(server, max_tokens=700)
        ask(server, max_tokens=700)
        assert server.bodies[1]["max_completion_tokens"] == 700
        assert "max_tokens" not in server.bodies[2]
    assert first.sent["max_completion_tokens"] == 700


def test_a_length_that_is_refused_under_both_names_is_dropped():
    rules = [rejects_parameter("max_tokens"), rejects_parameter("max_completion_tokens")]
    with ChatServer(rules=rules) as server:
        assert "max_completion_tokens" not in ask(server, max_tokens=700).sent
        assert len(server.requests) == 3


def test_everything_refused_at_once_still_gets_an_answer():
    rules = [
        rejects_parameter("temperature"),
        rejects_parameter("max_tokens"),
        rejects_json_schema_400(json_object_too=True),
    ]
    with ChatServer(rules=rules) as server:
        first, second = (ask(server, max_tokens=70, **with_schema()) for _ in range(2))
    assert first.sent == {"model": "test-model", "max_completion_tokens": 70}
    assert (first.requests, second.requests) == (5, 1)


def test_a_parameter_named_only_in_the_message_is_dropped():
    def rule(request):
        if "temperature" not in request.body:
            return None
        return status(400, {"error": {"message": "temperature must be at most 1.0"}})

    with ChatServer(rules=[rule]) as server:
        assert "temperature" not in ask(server).sent


def once(failure):
    """A rule for one request."""
    left = [failure]
    return lambda request: left.pop() if left else None
