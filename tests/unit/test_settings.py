"""Settings of the wrong form are refused when they are set, or first read from the environment."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import tinyfactory
from tests.support.chat_server import ChatServer
from tinyfactory import TinyPersonFactory, settings
from tinyfactory.errors import InvalidInput
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatRequest
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.openai import OpenAIModel

REQUEST = ChatRequest(({"role": "user", "content": "Who?"},))
SECONDS = ("timeout", "time_limit", "give_up_after", "lock_timeout")
TEXTS = ("api_key", "base_url", "language")
PER_MINUTE = ("requests_per_minute", "tokens_per_minute")
NO_NUMBER = ("30", b"30", True, 0, -1, math.nan, 10**400, [30], Path("30"))
NO_TEXT = (b"text", Path("text"), 5, True, "", "  ", ["text"])
NO_PRICES = (
    [("m", 1, 2)],
    {"m": 1},
    {"m": ("1", "2")},
    {"m": (-1, 2)},
    {"m": (math.nan, 2)},
    3,
    "",
)

WRONG: list[tuple[str, Any]] = [
    *[(name, value) for name in SECONDS for value in NO_NUMBER],
    *[(name, math.inf) for name in SECONDS if name != "give_up_after"],
    *[(name, value) for name in PER_MINUTE for value in (*NO_NUMBER[:-4], 1.5, math.inf)],
    *[(name, value) for name in TEXTS for value in NO_TEXT],
    *[("model", value) for value in (*NO_TEXT, object(), OpenAIModel)],
    *[("prices", value) for value in NO_PRICES],
    *[("limits", value) for value in (3, {"json_depth": "7"})],
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_configure_refuses_a_value_of_the_wrong_form_and_changes_nothing(name, value):
    before = settings.get("requests_per_minute"), settings.get(name)
    with pytest.raises(InvalidInput, match=name.replace("limits", "limit")) as raised:
        tinyfactory.configure(**{"requests_per_minute": 7, name: value})
    assert "othing was changed" in str(raised.value) or "nothing was changed" in str(raised.value)
    assert (settings.get("requests_per_minute"), settings.get(name)) == before


def test_a_key_of_the_wrong_form_is_not_shown():
    for name in ("api_key", "base_url"):
        with pytest.raises(InvalidInput, match="type bytes") as raised:
            tinyfactory.configure(**{name: b"sk-canary-0123456789"})  # type: ignore[arg-type]
        assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 30),
        ("time_limit", 0.5),
        ("give_up_after", math.inf),
        ("requests_per_minute", 60),
        ("prices", {"m": [0.1, 0]}),
        ("prices", {}),
        ("language", "Portuguese"),
        ("model", "llama3.2"),
        ("base_url", "http://localhost:11434/v1"),
    ],
)
def test_right_values_count_and_none_restores_the_default(name, value):
    default = settings.get(name)
    tinyfactory.configure(**{name: value})
    assert settings.get(name) == value
    tinyfactory.configure(**{name: None})
    assert settings.get(name) == default


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("text", ["120s", "two", "0", "-1", "nan", "1e999", "1,5", "2 min"])
def test_a_variable_of_the_wrong_form_is_named_when_it_is_read(name, text, monkeypatch):
    variable = f"TINYFACTORY_{name.upper()}"
    monkeypatch.setenv(variable, text)
    if (name, text) == ("give_up_after", "1e999"):  # infinite: never
        assert settings.get(name) == math.inf
        return
    with pytest.raises(
        InvalidInput, match=f"{variable}: {name} must be a number of seconds"
    ) as raised:
        settings.get(name)
    assert repr(text) in str(raised.value)
    monkeypatch.setenv(variable, " 45 ")
    assert settings.get(name) == 45


def test_a_variable_of_a_limit_is_named(monkeypatch):
    monkeypatch.setenv("TINYFACTORY_LIMIT_JSON_DEPTH", "deep")
    with pytest.raises(InvalidInput, match=r"TINYFACTORY_LIMIT_JSON_DEPTH.*json_depth"):
        settings.limits()


@pytest.mark.parametrize("variable", ["TINYFACTORY_TIMEOUT", "TINYFACTORY_TIME_LIMIT"])
def test_a_call_with_a_wrong_variable_sends_nothing(variable, monkeypatch):
    monkeypatch.setenv(variable, "120s")
    with ChatServer() as server:
        model = OpenAIModel("m", base_url=server.base_url)
        with pytest.raises(InvalidInput, match=variable):
            event_loop.run(model.complete, REQUEST)
        assert server.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("model", value) for value in (*NO_TEXT, object())],
        *[(name, value) for name in ("base_url", "api_key") for value in NO_TEXT],
        *[("retry", value) for value in (3, "3", {"attempts": 3})],
    ],
)
def test_a_model_refuses_arguments_of_the_wrong_form(name, value):
    arguments: dict[str, Any] = {"model": "m", name: value}
    with pytest.raises(InvalidInput, match=name):
        OpenAIModel(**arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("attempts", value) for value in ("3", 0, -1, 2.5, True, None)],
        *[("time_limit", value) for value in ("60", 0, -1, math.nan, True)],
        *[
            (name, value)
            for name in ("wait_initial", "wait_max", "wait_jitter")
            for value in ("1", -1, math.nan, math.inf, True, None)
        ],
    ],
)
def test_a_retry_policy_refuses_values_of_the_wrong_form(name, value):
    with pytest.raises(InvalidInput, match=name):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("context_text", value) for value in NO_TEXT],
        *[("simulation_id", value) for value in (b"id", 3, True, "")],
        *[("model", value) for value in (*NO_TEXT, object(), OpenAIModel)],
        *[("language", value) for value in NO_TEXT],
        *[(name, v) for name in ("template", "instructions") for v in (b"{{context}}", 3, True)],
    ],
)
def test_a_factory_refuses_arguments_of_the_wrong_form(name, value):
    arguments: dict[str, Any] = {"context_text": "Nurses", name: value}
    with pytest.raises(InvalidInput, match=name.partition("_text")[0]):
        TinyPersonFactory(**arguments)


def test_no_value_is_in_the_text_of_the_settings():
    tinyfactory.configure(api_key="sk-canary-0123456789")
    assert "canary" not in repr(settings._configured)
