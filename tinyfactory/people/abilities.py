"""What a person does with a model. The factory hands it over: a person knows no model."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_given: dict[str, Callable[..., Any]] = {}


def give(name: str, ability: Callable[..., Any]) -> None:
    """Hand an ability to all people."""
    _given[name] = ability


def ability(name: str) -> Callable[..., Any]:
    """What was handed over under a name."""
    if name not in _given:
        import_module("tinyfactory.factory.abilities")  # whose import hands them over
    return _given[name]
