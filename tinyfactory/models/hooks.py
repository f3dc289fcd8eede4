"""What wants to know of a request before it goes out, such as a budget that counts requests."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

# Called before every HTTP request of a call but the first, which whoever asked has counted.
# What it raises ends the call: the request is not sent.
before_request: ContextVar[Callable[[], None] | None] = ContextVar(
    "tinyfactory_before_request", default=None
)
