"""Whatever a notebook holds: its recording replays its cells in any order, and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.cells import Cells, kernel

SETUP = """
from tinyfactory import TinyFactory, TinyPersonFactory, control, transactional
import tinyfactory
tinyfactory.configure(model="offline")

class Till(TinyFactory):
    def __init__(self, owner):
        super().__init__()
        self.owner, self.sum = owner, 0

    @transactional(version="1")
    def pay(self, amount):
        self.sum += amount
        return self.sum

    def encode_complete_state(self):
        return super().encode_complete_state() | {"owner": self.owner, "sum": self.sum}

    def decode_complete_state(self, state):
        self.owner, self.sum = state["owner"], state["sum"]
        return super().decode_complete_state(state)
"""


class Cell(NamedTuple):
    source: str
    needs: tuple[int, ...]


WISHES = st.sampled_from(["", "'tall'", "{'age': 45}"])


@st.composite
def notebooks(draw: st.DrawFn) -> list[Cell]:
    """A notebook of cells that use objects of earlier ones; many calls are equal."""
    cells = [Cell("a0 = TinyPersonFactory('Bakers in Vienna')", ()), Cell("t1 = Till('Bo')", ())]
    cells.append(Cell("print(t1.pay(1))", (1,)))
    makers, people = [0], []
    for number in range(3, draw(st.integers(5, 10))):
        kind = draw(st.sampled_from(["maker", "one", "one", "loop", "job", "ask", "twin", "pay"]))
        maker, wish = draw(st.sampled_from(makers)), draw(WISHES)
        name = f"a{maker}"
        needs: tuple[int, ...] = (maker,)
        match kind:
            case "maker":
                city = draw(st.sampled_from(["Vienna", "Graz"]))
                source, needs = f"a{number} = TinyPersonFactory('Bakers in {city}')", ()
                makers.append(number)
            case "one":
                source = f"p{number} = {name}.generate_person({wish})\nprint(p{number}.name)"
                people.append(number)
            case "loop":
                source = f"print([{name}.generate_person({wish}).name for _ in range(2)])"
            case "job":
                more = f"2, {wish}" if wish else "2"
                source = f"print([p.name for p in {name}.generate_people({more}, concurrency=2)])"
            case "pay":
                source, needs = "print(t1.pay(1))", (1,)
            case _ if not people:
                source, needs = "print(1)", ()
            case "ask":
                asked = draw(st.sampled_from(people))
                source, needs = f"print(p{asked}.ask('Why?'))", (asked, *cells[asked].needs)
            case _:
                asked = draw(st.sampled_from(people))
                source = f"print(p{asked}.twin(age=99).twin.name)"
                needs = (asked, *cells[asked].needs)
        cells.append(Cell(f"{source}  # cell {number}", needs))
    return cells


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    with kernel(tmp_path_factory.mktemp("kernel")) as cells:
        cells.run(SETUP)
        yield cells


@pytest.mark.timeout(300)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(notebook=notebooks(), ids=st.booleans(), data=st.data())
def test_a_recorded_notebook_replays_in_any_order(
    running: Cells, notebook: list[Cell], ids: bool, data: Any
) -> None:
    def run(number: int) -> str:
        shown = running.run(notebook[number].source, f"cell {number}" if ids else None)
        return "".join(line for line in shown.splitlines(True) if "was run before" not in line)

    running.run(
        "import shutil\ncontrol.reset()\nTinyFactory.clear_factories()\n"
        "shutil.rmtree('journal', ignore_errors=True)\n"
        "simulation = control.begin('journal', 'lesson')"
    )
    expected = [run(number) for number in range(len(notebook))]
    running.run(
        "_ = simulation.export('r.gz')\ncontrol.reset()\nsimulation = control.begin('r.gz')"
    )
    done: set[int] = set()
    for number in data.draw(st.lists(st.integers(0, len(notebook) - 1), max_size=12)):
        for needed in sorted(notebook[number].needs):
            if needed not in done:
                assert run(needed) == expected[needed]
                done.add(needed)
        assert run(number) == expected[number]
        done.add(number)
    assert running.run("print(simulation.misses, simulation.model_calls)") == "0 0\n"
