"""Files that pytest must not collect, and fixtures for a chat server.

The isolation of every test is in tests/support/isolation.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.chat_server import ChatServer

collect_ignore = ["support"]  # helpers and scripts, imported by the tests that need them


# How long an example takes depends on the machine.
settings.register_profile(
    "tinyfactory", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tinyfactory")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ChatServer]]:
    """Start a `ChatServer` with these arguments, and point the environment at it."""
    with ExitStack() as servers:

        def start(*arguments: Any, **options: Any) -> ChatServer:
            server = servers.enter_context(ChatServer(*arguments, **options))
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-test-canary-0123456789abcdef")
            return server

        yield start


@pytest.fixture
def settles_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delay long enough for a test to act after a click on any machine."""
    from tinyfactory.widgets.parts import debounce

    monkeypatch.setattr(debounce, "SETTLE", 1.0)


@pytest.fixture
def server(serve: Callable[..., ChatServer]) -> ChatServer:
    """A server with good answers, with the environment pointing at it."""
    return serve()


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A folder with modules of a user's own."""
    from tests.support.town import Town

    monkeypatch.syspath_prepend(tmp_path)
    # A second edit within a second would load the compiled file of the first one.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Town(tmp_path)
    for module in ("town", "goods"):
        sys.modules.pop(module, None)
