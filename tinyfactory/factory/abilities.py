"""Hands people what they do with a model."""

from __future__ import annotations

from tinyfactory.factory.twins import twin
from tinyfactory.people.abilities import give

give("twin", twin)
