"""A class is handed a notebook and a recording: nbconvert, nbval, and cells in any order."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.support.cells import Cells, kernel
from tests.support.notebook_kernel import kernel_environment

BEGIN = (
    "from tinyfactory import TinyPersonFactory, control\n"
    "simulation = control.begin('lesson.recording.jsonl.gz')"
)
FACTORY = 'factory = TinyPersonFactory("Bakers in Vienna", model="offline")'
# Two cells of one source, as people write them.
ONE = "factory.generate_person().name"
SOURCES = [
    FACTORY,
    ONE,
    ONE,
    "people = factory.generate_people(3, concurrency=2)\n[p.name for p in people]",
    "people[0].ask('Why?')",
    "people[0].ask('Why?')",
    "people[1].revise({'age': 91})",
    "people[1].undo()",
    "people[1].get('age')",
    "people[2].twin(age=70).twin.name",
    "[f.context_text for f in TinyPersonFactory.generate_person_factories(2, 'A choir')]",
]


def teach(folder: Path) -> None:
    """Record a lesson in a journal, and save its notebook with its outputs."""
    with kernel(folder) as cells:
        cells.run(BEGIN.replace("'lesson.recording.jsonl.gz'", "'journal', 'lesson'"))
        cells.run("import tinyfactory; tinyfactory.configure(model='offline')")
        for number, source in enumerate(SOURCES):
            cells.run(source, f"cell-{number}")
        cells.run("simulation.export('lesson.recording.jsonl.gz')")
    shutil.rmtree(folder / "journal")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (BEGIN, *SOURCES)]
    )
    notebook.cells.append(nbformat.v4.new_code_cell("simulation.misses"))
    nbformat.write(notebook, folder / "lesson.ipynb")


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    teach(folder)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    with kernel_environment(folder):
        return subprocess.run(
            [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True
        )


@pytest.mark.timeout(180)
def test_nbconvert_and_nbval_run_a_notebook_with_its_recording(lesson, tmp_path):
    folder = tmp_path / "student"
    shutil.copytree(lesson, folder, ignore=shutil.ignore_patterns("home"))
    convert = ("nbconvert", "--to", "notebook", "--execute", "--inplace", "lesson.ipynb")
    done = run(folder, "jupyter", *convert)
    assert done.returncode == 0, done.stderr
    cells = nbformat.read(folder / "lesson.ipynb", as_version=4).cells
    assert all(o.output_type == "execute_result" for c in cells for o in c.outputs)
    shown = [c.outputs[0]["data"]["text/plain"] if c.outputs else "" for c in cells]
    assert shown[2] != shown[3] and shown[-1] == "0"
    (folder / "pytest.ini").write_text("[pytest]\n")
    options = ("-q", "-p", "no:cacheprovider", "-c", "pytest.ini", "--nbval", "--nbval-current-env")
    done = run(folder, "pytest", *options, "lesson.ipynb")
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(3))
def test_a_class_runs_the_cells_in_any_order_and_again(lesson, seed):
    """Each cell with an id shows the same whenever it is run, and no model is asked."""
    drawn = random.Random(seed)
    with kernel(lesson) as cells:
        cells.run(BEGIN + "\nimport tinyfactory; tinyfactory.configure(model='offline')", "begin")
        shown: dict[int, set[str]] = {}
        order = [0, 3, 2, 1, *drawn.choices([1, 2, 4, 5, 9, 10, 3], k=25)]
        for number in order:
            shown.setdefault(number, set()).add(plain(cells, number))
        assert all(len(texts) == 1 for texts in shown.values()), shown
        assert len({*shown.get(1, ()), *shown.get(2, ())}) == 2
        assert cells.run("print(simulation.misses, simulation.model_calls)") == "0 0\n"


def plain(cells: Cells, number: int) -> str:
    text = cells.run(SOURCES[number], f"cell-{number}")
    return "".join(line for line in text.splitlines(True) if "was run before" not in line)
