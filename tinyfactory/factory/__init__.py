"""The heart: factories, and the one that makes people."""

from __future__ import annotations

from tinyfactory.factory.base import TinyFactory
from tinyfactory.factory.person_factory import TinyPersonFactory

__all__ = ["TinyFactory", "TinyPersonFactory"]
