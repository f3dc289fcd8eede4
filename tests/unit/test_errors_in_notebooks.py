"""How errors are shown below a cell: ours short, with the user's frames; all others in full."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest

from tests.support.cells import CellError, kernel
from tests.support.notebook_kernel import kernel_environment

SETUP = """
import asyncio
import sys
from tinyfactory import TinyFactory, TinyPersonFactory, transactional
from tinyfactory.errors import TinyFactoryError
factory = TinyPersonFactory("Bakers in Vienna", model="offline")
"""
WRONG = "factory.generate_people(2, attempts=0)"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    with kernel(tmp_path_factory.mktemp("kernel")) as running:
        running.run(SETUP)
        yield running


def shown(cells, source):
    with pytest.raises(CellError) as caught:
        cells.run(source)
    return caught.value.shown


def check_short(text, *frames):
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines[0].startswith("InvalidInput: attempts")
    assert lines[-1] == lines[0]
    assert "site-packages" not in text and "/tinyfactory/" not in text
    for frame in frames:
        assert frame in text
    assert len(lines) < 15 * max(len(frames), 1)


def test_the_sentence_is_first_and_last_and_only_the_cell_is_between(cells):
    check_short(shown(cells, WRONG), f"----> 1 {WRONG}")


def test_methods_that_dataclasses_wrote_are_hidden(cells):
    text = shown(cells, "factory.generate_people(-1)")
    assert "----> 1 factory.generate_people(-1)" in text and "File <string>" not in text


def test_frames_of_the_user_stay(cells):
    source = f"def many():\n    return {WRONG}\n\nasync def later():\n    return many()\n\n"
    check_short(shown(cells, source + "await asyncio.create_task(later())"), "many()", "later()")
    check_short(shown(cells, f"%time {WRONG}"))
    bake = (
        "class Bakery(TinyFactory):\n"
        "    @transactional(version='1')\n"
        f"    def bake(self):\n        {WRONG}\n\n"
        "Bakery().bake()"
    )
    check_short(shown(cells, bake), "Bakery().bake()", WRONG)


def test_a_cause_is_shown_if_it_is_the_users(cells):
    text = shown(cells, f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    {WRONG}")
    assert "ZeroDivisionError: division by zero" in text and "During handling" in text
    check_short(text, "1 / 0", WRONG)
    text = shown(
        cells, "try:\n    {}['a']\nexcept KeyError as error:\n"
        "    raise TinyFactoryError('No a.') from error"
    )  # fmt: skip
    assert "direct cause" in text and "KeyError: 'a'" in text
    text = shown(cells, "from tinyfactory.utils.imports import require\nrequire('no_such', 'lab')")
    assert text.startswith("MissingPackage: ") and "ModuleNotFoundError" not in text


def test_errors_that_are_not_ours_are_shown_in_full(cells):
    broken = "from tinyfactory.utils.text import cut\ncut(None, 3)"
    assert "/tinyfactory/utils/text.py" in shown(cells, broken).replace("\\", "/")
    text = cells.run(
        f"async def wrong():\n    {WRONG}\n\n"
        "async with asyncio.TaskGroup() as group:\n    _ = group.create_task(wrong())"
    )
    assert "ExceptionGroup" in text and "InvalidInput: attempts" in text
    assert "job_options.py" in text or "person_factory.py" in text


def test_the_traceback_itself_is_whole(cells):
    first = shown(cells, WRONG)
    names = cells.run(
        "names, frame = [], sys.last_traceback\n"
        "while frame is not None:\n"
        "    names.append(frame.tb_frame.f_code.co_filename)\n"
        "    frame = frame.tb_next\n"
        "print(names)"
    )
    assert "person_factory.py" in names
    assert shown(cells, "%tb") == first
    cells.run("%xmode Verbose")
    assert "person_factory.py" in shown(cells, "%tb")
    for mode in ("Plain", "Minimal", "Docs", "Context"):
        cells.run(f"%xmode {mode}")
        text = shown(cells, WRONG)
        assert "person_factory.py" not in text, mode
        assert text.rstrip().endswith(first.splitlines()[0]), mode


def test_a_saved_notebook_has_the_short_form_too(tmp_path):
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(SETUP), nbformat.v4.new_code_cell(WRONG)]
    )
    nbformat.write(book, tmp_path / "book.ipynb")
    command = ["jupyter", "nbconvert", "--to", "notebook", "--execute", "--allow-errors"]
    with kernel_environment(tmp_path):
        subprocess.run(
            [sys.executable, "-m", *command, "--inplace", "book.ipynb"],
            cwd=tmp_path, capture_output=True, check=True,
        )  # fmt: skip
    [output] = nbformat.read(tmp_path / "book.ipynb", as_version=4).cells[1].outputs
    assert output.ename == "InvalidInput" and output.evalue.startswith("attempts")
    assert "person_factory.py" not in "".join(output.traceback)


def test_plain_python_shows_all_frames():
    done = subprocess.run(
        [sys.executable, "-c", f"{SETUP}\n{WRONG}"], capture_output=True, text=True
    )
    assert "person_factory.py" in done.stderr and done.stderr.splitlines()[-1].startswith(
        "tinyfactory.errors.InvalidInput: attempts"
    )
