"""A folder with the modules of a user, who edits them and starts new kernels."""

from __future__ import annotations

import importlib
import sys
import textwrap

from tinyfactory import control
from tinyfactory.journal.records import events_of
from tinyfactory.journal.simulation import scope_of

METHODS = """
import dataclasses, enum, functools, re
from decimal import Decimal
from typing import NamedTuple
from tinyfactory import TinyFactory, transactional

PREFIX
class Base(TinyFactory):
    levy = 1
    def fee(self):
        return 1
class Shop(Base):
    MEMBERS
    @transactional
    def sell(self, n=2):
        BODY
class Branch(Shop):
    SUBCLASS

def play():
    return KIND().sell(2)
"""


def town_with(prefix="", members="", body="return n", subclass="pass", kind="Shop"):
    indented = {
        "PREFIX": textwrap.dedent(prefix),
        "MEMBERS": textwrap.indent(textwrap.dedent(members), "    ").strip() or "pass",
        "BODY": textwrap.indent(textwrap.dedent(body), "        ").strip(),
        "SUBCLASS": textwrap.indent(textwrap.dedent(subclass), "    ").strip(),
        "KIND": kind,
    }
    text = METHODS
    for name, part in indented.items():
        text = text.replace(name, part)
    return text


GOODS = """
RATE = 2
SOLD = 0
PRICES = {"a": 1}
def price(n):
    global SOLD
    SOLD += 1
    return n * RATE + SOLD - SOLD
def other(n): return n
"""


class Town:
    """A folder with the modules of a user, who edits them and starts new kernels."""

    def __init__(self, folder):
        self.folder = folder
        self.journal = folder / "journal"

    def write(self, source, name="town"):
        (self.folder / f"{name}.py").write_text(textwrap.dedent(source))

    def load(self, name="town"):
        """The module as a new kernel imports it."""
        for module in ("town", "goods"):
            sys.modules.pop(module, None)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def run(self, module=None, **options):
        """A run of a module's `play`: its result, replayed and new events."""
        module = module or self.load()
        simulation = control.begin(self.journal, **options)
        result = module.play()
        return result, simulation.hits, simulation.misses


def events(simulation):
    """Key and record of each event of an open simulation."""
    return list(events_of(scope_of(simulation).store, simulation.id))
