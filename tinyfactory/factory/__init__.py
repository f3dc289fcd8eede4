"""Factories: `TinyFactory`, the base, and `TinyPersonFactory`, which creates people."""

from __future__ import annotations

from tinyfactory.factory.base import TinyFactory
from tinyfactory.factory.person_factory import TinyPersonFactory

__all__ = ["TinyFactory", "TinyPersonFactory"]


def __dir__() -> list[str]:
    return __all__
