"""A recording in a real kernel: its cells run again, in any order, with and without ids of cells."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import nbformat
import pytest

from tests.support.cells import CellError, Cells, kernel
from tests.support.notebook_kernel import kernel_environment

AGAIN = "This cell was run before in this recording"
SECOND = "is a second call and its result is new"

SETUP = """
import tinyfactory
from tinyfactory import TinyFactory, TinyPerson, TinyPersonFactory, control, transactional

class Shop(TinyFactory):
    def __init__(self, owner):
        super().__init__()
        self.owner, self.stock = owner, 10

    @transactional(version="1")
    def sell(self, number):
        self.stock -= number
        return self.stock

    @transactional(version="1")
    def hire(self, agency, role):
        person = agency.generate_person({"occupation": role})
        self.stock += 1
        return person

    def encode_complete_state(self):
        return super().encode_complete_state() | {"owner": self.owner, "stock": self.stock}

    def decode_complete_state(self, state):
        self.owner, self.stock = state["owner"], state["stock"]
        return super().decode_complete_state(state)
"""
LESSON = {
    "factory": 'factory = TinyPersonFactory("Bakers in Vienna", model="offline")',
    "people": "people = factory.generate_people(3)\nprint([p.name for p in people])",
    "one": "one = factory.generate_person()\nprint(one.name)",
    "other": "other = factory.generate_person()\nprint(other.name)",
    "loop": 'loop = [factory.generate_person("a tall one") for _ in range(2)]\n'
    "print([p.name for p in loop])",
    "together": "together = factory.generate_people(4, {'age': 45}, concurrency=2)\n"
    "print([p.name for p in together])",
    "both": 'own = TinyPersonFactory("Bakers in Graz", model="offline")\n'
    "first = own.generate_person()\nprint(first.name)",
    "next": "second = own.generate_person()\nprint(second.name)",
    "ask": 'print(people[0].ask("What are your skills?", model="offline"))',
    "ask again": 'print(people[0].ask("What are your skills?", model="offline"), "again")',
    "aask": 'print(await people[1].aask("What are your skills?", model="offline"))',
    "panel": 'panel = people.ask("Do you like tea?", concurrency=2, model="offline")\n'
    "print(panel.answers)",
    "twin": 'twins = people[2].twin(age=70)\nprint(twins.twin.name, twins.twin.get("age"))',
    "rewrite": 'proposal = people[1].rewrite("beliefs")\nprint(proposal.after)',
    "town": 'town = TinyPersonFactory.from_demography({"sex": {"female": 2, "male": 2}, '
    '"age": {"20-29": 2, "60-69": 2}, "about": {"country": "Austria"}}, model="offline")\n'
    "citizens = town.generate_people(4)\nprint([p.name for p in citizens])",
    "town more": "more = town.generate_people(2, 'a quiet one', concurrency=2)\n"
    "print([p.name for p in more])",
    "contexts": 'factories = TinyPersonFactory.generate_person_factories(2, "A choir", '
    'model="offline")\nprint([f.context_text for f in factories])',
    "singers": "singers = [f.generate_person() for f in factories]\n"
    "print([p.name for p in singers])",
    "shop": 'shop = Shop("Marta")\nprint(shop.sell(1), shop.sell(1))',
    "hire": 'hired = shop.hire(factory, "baker")\nprint(hired.name)',
    "background": "job = factory.start_people(2, 'a short one')\nprint([p.name for p in job.wait()])",
}
# What a cell needs to have been run before it, beside the factory.
NEEDS = {
    **dict.fromkeys(["ask", "ask again", "aask", "panel", "twin", "rewrite"], "people"),
    "next": "both",
    "town more": "town",
    "singers": "contexts",
    "hire": "shop",
}


@contextmanager
def opened(place, *, path="lesson.gz"):
    with kernel(place) as cells:
        cells.run(SETUP)
        cells.run(f"simulation = control.begin({str(path)!r})")
        yield cells


def counts(cells: Cells) -> str:
    return cells.run("print(simulation.misses, simulation.model_calls)").strip()


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    """A recording that was made in a notebook with ids, and what its cells showed."""
    place = tmp_path_factory.mktemp("lesson")
    with kernel(place) as cells:
        cells.run(SETUP)
        cells.run("simulation = control.begin('journal', 'lesson')")
        shown = {name: cells.run(source, name) for name, source in LESSON.items()}
        cells.run("simulation.export('lesson.gz')")
    return place, shown


@pytest.mark.parametrize("ids", [True, False], ids=["with ids", "without ids"])
def test_each_cell_run_twice_gives_the_same_objects_and_one_line(lesson, ids):
    place, shown = lesson
    with opened(place) as cells:
        for name, source in LESSON.items():
            cell = name if ids else None
            assert cells.run(source, cell) == shown[name], name
            if name == "factory":
                cells.run(source, cell)
                continue
            cells.run("before = dict(globals())")
            again = cells.run(source, cell)
            assert again.count(AGAIN) == 1, name
            assert "".join(
                line for line in again.splitlines(True) if AGAIN not in line
            ) == shown[name], name  # fmt: skip
            same = "print(all(before[n] is globals()[n] for n in names if n in before))"
            names = {"one": ["one"], "other": ["other"], "both": ["first"], "hire": ["hired"]}
            if name in names:
                assert cells.run(f"names = {names[name]!r}\n{same}") == "True\n", name
        assert counts(cells) == "0 0"


def test_cells_run_in_another_order_give_the_same(lesson):
    place, shown = lesson
    order = [*reversed(LESSON), *LESSON]
    with opened(place) as cells:
        done = set()

        def run(name):
            if name not in done and NEEDS.get(name):
                run(NEEDS[name])
            done.add(name)
            said = cells.run(LESSON[name], name)
            return "".join(line for line in said.splitlines(True) if AGAIN not in line)

        run("factory")
        for name in order:
            if name != "factory":
                assert run(name) == shown[name], name
        assert counts(cells) == "0 0"
