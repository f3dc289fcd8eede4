"""Gives `TinyPerson` and `People` the methods that need a model."""

from __future__ import annotations

from tinyfactory.factory.panels import ask_all
from tinyfactory.factory.rewriting import rewrite
from tinyfactory.factory.talking import answer, answer_soon
from tinyfactory.factory.twins import twin
from tinyfactory.people.abilities import give

give("twin", twin)
give("ask", answer)
give("aask", answer_soon)
give("ask_all", ask_all)
give("rewrite", rewrite)
