"""Every notebook runs from the top, offline, and gives the outputs that are stored in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.support.notebook_kernel import kernel_environment
from tests.support.refresh_notebooks import WIDGET_VIEW

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST_OUTPUT = 100_000

each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def run_nbval(notebook: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a copy of the notebook's folder, so that nothing is written beside the original."""
    folder = place / "notebooks"
    shutil.copytree(notebook.parent, folder, ignore=shutil.ignore_patterns(".*"))
    (place / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:faker",
        "-c", place / "pytest.ini", "--nbval", "--nbval-current-env",
        "--nbval-sanitize-with", ROOT / "tests" / "sanitize.cfg",
        "--nbval-cell-timeout", "300", "--nbval-kernel-startup-timeout", "300",
        folder / notebook.name,
    ]  # fmt: skip
    with kernel_environment(place):
        return subprocess.run(
            [str(part) for part in command], cwd=folder, capture_output=True, text=True
        )


@each_notebook
@pytest.mark.timeout(600)
def test_a_notebook_gives_its_stored_outputs(notebook, tmp_path):
    before = notebook.read_bytes()
    result = run_nbval(notebook, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert notebook.read_bytes() == before


@each_notebook
def test_a_notebook_shows_a_reader_its_outputs_and_nothing_private(notebook):
    stored = nbformat.read(notebook, as_version=4)
    nbformat.validate(stored)
    assert "widgets" not in stored.metadata, "widget state is stored; run `make notebooks`"
    outputs = [output for cell in stored.cells for output in cell.get("outputs", ())]
    assert outputs, "no output is stored; run `make notebooks`"
    for output in outputs:
        text = json.dumps(output, ensure_ascii=False)
        assert len(text.encode()) <= LARGEST_OUTPUT
        assert WIDGET_VIEW not in text
        assert not re.search(r"/(root|home|tmp|work)/|sk-[A-Za-z0-9]{20}", text)


def test_a_changed_output_and_a_failing_cell_are_seen(tmp_path):
    """The check itself can fail: else the tests above say nothing."""
    wrong = nbformat.v4.new_code_cell("1 + 1", execution_count=1)
    wrong.outputs = [
        nbformat.v4.new_output("execute_result", {"text/plain": "3"}, execution_count=1)
    ]
    failing = nbformat.v4.new_code_cell("1 / 0")
    folder = tmp_path / "source"
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[wrong, failing]), folder / "wrong.ipynb")
    result = run_nbval(folder / "wrong.ipynb", tmp_path)
    assert "2 failed" in result.stdout, result.stdout + result.stderr
