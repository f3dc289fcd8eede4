"""Which execution of which cell runs: in a kernel, in IPython without one, and outside of both."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.cells import kernel
from tinyfactory.journal.cells import Execution, current_execution

SHOW = "from tinyfactory.journal.cells import current_execution\n"
PRINT = "print(current_execution())"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    with kernel(tmp_path_factory.mktemp("kernel")) as running:
        running.run(SHOW)
        yield running


def read(shown):
    return eval(shown, {"Execution": Execution})


def test_outside_ipython_there_is_no_cell():
    assert current_execution() is None


def test_ipython_is_not_imported():
    code = f"import sys\n{SHOW}{PRINT}\nprint('IPython' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["None", "False"]


def test_a_cell_is_known_by_its_id_whatever_its_source(cells):
    first, again = (read(cells.run(PRINT + end, "one")) for end in ("", "  # edited"))
    other = read(cells.run(PRINT, "two"))
    assert first.cell == again.cell != other.cell
    assert first.source != again.source and first.source == other.source
    assert len({first.number, again.number, other.number}) == 3


def test_a_cell_without_an_id_is_known_by_its_source(cells):
    first, again = (read(cells.run(PRINT)) for _ in range(2))
    other = read(cells.run(PRINT + "  # another"))
    assert first.cell == again.cell != other.cell and first.id == ""
    assert first.number != again.number


def test_threads_and_tasks_of_a_cell_belong_to_it(cells):
    shown = cells.run(
        "import asyncio\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "async def task():\n"
        "    return current_execution()\n"
        "with ThreadPoolExecutor(1) as pool:\n"
        "    found = {current_execution(), pool.submit(current_execution).result(),\n"
        "             await task(), await asyncio.to_thread(current_execution)}\n"
        "print(len(found), None in found)"
    )
    assert shown == "1 False\n"


def test_a_callback_of_a_widget_is_no_cell(cells):
    shown = cells.run(
        "parent = get_ipython().get_parent()\n"
        "get_ipython().set_parent({'header': {'msg_type': 'comm_msg', 'msg_id': '1'}})\n"
        "callback = current_execution()\n"
        "get_ipython().set_parent(parent)\n"
        "print(callback, current_execution() is None)"
    )
    assert shown == "None False\n"


def test_ipython_in_a_terminal_has_cells(tmp_path):
    """The shell of a terminal has a count of executions and the source, but no messages."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        f"shell.run_cell({SHOW!r})\n"
        f"for source in ({PRINT!r}, {PRINT!r}, {PRINT + '  # another'!r}):\n"
        "    shell.run_cell(source, store_history=True)\n"
    )
    environment = {"IPYTHONDIR": str(tmp_path), "HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment
    )
    first, again, other = map(read, done.stdout.splitlines())
    assert first.cell == again.cell != other.cell
    assert len({first.number, again.number, other.number}) == 3


def test_the_likeness_of_an_execution_and_a_mark():
    here = Execution("1", "", "x")
    assert [here.likeness(mark) for mark in ("a:x", ":x", ":y", "")] == [1, 1, 0, 0]
    assert here.mark == ":x" and Execution("2", "a", "x").mark == "a:x"
