"""The source of a method is the source of the code that runs, wherever that comes from."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
import textwrap
import zipfile
from typing import Any

from tests.support.notebook_kernel import kernel_environment
from tests.support.processes import environment
from tests.support.town import GOODS, events, town_with
from tinyfactory import control

# -- the code that runs ------------------------------------------------------------------------

PLAIN = town_with(body="return n")
EDITED = PLAIN.replace("return n\n", "return n + 1\n")


def test_a_file_edited_after_its_import_gives_the_version_of_the_code_that_runs(town, caplog):
    town.write(EDITED)
    edited = town.run()
    town.write(PLAIN)
    module = town.load()
    town.write(EDITED)
    assert town.run(module) == (2, 0, 1)  # not 3, the event of the edited code
    town.write(PLAIN)
    assert town.run() == (2, 1, 0)  # the same as if the file had not been edited
    town.write(EDITED)
    assert town.run() == (edited[0], 1, 0)
    assert "edited after" not in caplog.text
    control.end()


def test_a_module_of_helpers_edited_after_its_import_too(town, caplog):
    town.write(town_with("import goods", body="return goods.price(n)"))
    town.write(GOODS, "goods")
    module = town.load()
    town.write(GOODS.replace("n * RATE", "n + RATE + 1"), "goods")
    assert town.run(module) == (4, 0, 1)
    assert "edited after" not in caplog.text
    assert town.run() == (5, 0, 1)
    town.write(GOODS, "goods")
    assert town.run() == (4, 1, 0)
    control.end()


def test_source_that_is_not_the_code_that_runs_is_refused_with_a_warning(town, caplog):
    """The file is edited before anything captured its text."""
    town.write("def price(n):\n    return n", "goods")
    sys.modules.pop("goods", None)
    importlib.import_module("goods")
    town.write("def price(n):\n    return 2 * n", "goods")
    town.write(town_with("import goods", body="return goods.price(n)"))
    sys.modules.pop("town", None)
    module = importlib.import_module("town")
    with caplog.at_level(logging.WARNING, "tinyfactory"):
        assert town.run(module) == (2, 0, 1)
        assert town.run(module) == (2, 1, 0)
    warnings = [r.getMessage() for r in caplog.records if "edited after" in r.getMessage()]
    assert len(warnings) == 1
    assert "price in" in warnings[0] and "Restart the kernel or reload the module" in warnings[0]
    (_, record), *_ = events(control.current_simulation())
    assert record["version"].startswith("loaded-{}.{}:".format(*sys.version_info))
    assert town.run() == (4, 0, 1)  # a new kernel runs the edited code
    control.end()


def test_a_reloaded_module_has_the_version_of_its_new_code(town):
    town.write(PLAIN)
    module = town.load()
    assert town.run(module) == (2, 0, 1)
    town.write(EDITED)
    importlib.reload(module)
    assert town.run(module) == (3, 0, 1)
    assert town.run() == (3, 1, 0)
    control.end()


def test_a_reloaded_module_of_helpers_counts_with_its_new_code(town):
    town.write(town_with("import goods", body="return goods.price(n)"))
    town.write(GOODS, "goods")
    module = town.load()
    assert town.run(module) == (4, 0, 1)
    town.write(GOODS.replace("n * RATE", "n + RATE + 1"), "goods")
    importlib.reload(module.goods)
    assert town.run(module) == (5, 0, 1)
    assert town.run() == (5, 1, 0)
    control.end()


def test_a_module_in_an_archive_has_a_source(town, monkeypatch):
    town.write(PLAIN)
    unpacked = town.load()
    archive = town.folder / "town.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(town.folder / "town.py", "town.py")
    monkeypatch.syspath_prepend(archive)
    module = town.load()
    assert ".zip" in module.__file__
    assert version(module) == version(unpacked)
    assert version(module).startswith("syntax:")


def version(module):
    return module.Shop.sell.transactional.version(module.Shop)


def test_executed_code_without_a_source_has_a_version_of_its_own(town, caplog):
    """It covers helpers, too, and is the same in each process with the same Python."""
    source = town_with(
        "RATE = 2\ndef price(n): return n * RATE if n in {'a', 'b', 'c', 2} else 0",
        body="return price(n)",
    )
    versions = {}
    for name, text in {"plain": source, "edited": source.replace("RATE = 2", "RATE = 3")}.items():
        names: dict[str, Any] = {"__name__": "somewhere"}
        exec(text, names)
        method = names["Shop"].sell.transactional
        versions[name] = method.version(names["Shop"])
        assert "constant RATE" in method.version_in_parts(names["Shop"]).parts
    assert versions["plain"] != versions["edited"]
    assert all(found.startswith("loaded-") for found in versions.values())
    assert "edited" not in caplog.text
    program = f"names = {{'__name__': 'somewhere'}}\nexec({source!r}, names)\n" + SAY
    for seed in "12":
        found = python("-c", program, PYTHONHASHSEED=seed)
        assert found == versions["plain"]


SAY = """
print(names["Shop"].sell.transactional.version(names["Shop"]))
"""


def python(*arguments, executable=sys.executable, **variables):
    done = subprocess.run(
        [executable, *arguments],
        capture_output=True,
        text=True,
        env=environment() | variables,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_code_given_to_python_on_the_command_line_has_a_source(town):
    town.write(PLAIN)
    found = python("-c", PLAIN + "\nnames = globals()" + SAY)
    assert found == version(town.load())


def test_a_doctest_has_a_source(town):
    text = """
    >>> from tinyfactory import TinyFactory, transactional
    >>> class Shop(TinyFactory):
    ...     @transactional
    ...     def sell(self, n):
    ...         return n
    >>> Shop.sell.transactional.version(Shop)[:7]
    'syntax:'
    """
    (town.folder / "doc.txt").write_text(textwrap.dedent(text))
    python("-m", "doctest", str(town.folder / "doc.txt"))


# -- notebooks ---------------------------------------------------------------------------------

CELLS = {
    "class": """
from tinyfactory import TinyFactory, transactional, control
import goods
class Shop(TinyFactory):
    @transactional
    def sell(self, n):
        return price(n) + goods.price(n)
""",
    "helper": """
%time
RATE = 2
def price(n):
    return n * RATE
""",
    "run": """
simulation = control.begin("journal")
print([Shop().sell(2), simulation.hits, simulation.misses])
""",
    "call": "print([Shop().sell(2), simulation.hits, simulation.misses])",
    "reload": "%load_ext autoreload\n%autoreload 2",
}


def notebook(folder, *cells):
    """The lists that the cells print, in one real kernel."""
    import nbformat
    from nbclient import NotebookClient

    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    with kernel_environment(folder):
        NotebookClient(written, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in written.cells for output in cell.outputs]
    text = "".join(output.get("text", "") for output in outputs if output.get("name") == "stdout")
    return [json.loads(line) for line in text.splitlines() if line.startswith("[")]


def test_cells_of_a_notebook_have_a_source_and_their_helpers_count(town):
    town.write(GOODS, "goods")
    helper, call, run = CELLS["helper"], CELLS["call"], CELLS["run"]
    done = notebook(
        town.folder,
        CELLS["class"],
        helper,
        run,
        helper.replace("RATE = 2", "RATE = 3"),
        call,  # without a new run
        run,
        helper + "# the same",
        run,
        "version = Shop.sell.transactional.version(Shop)\nprint([int(version[:7] == 'syntax:')])",
    )
    assert done == [[8, 0, 1], [10, 0, 2], [10, 0, 1], [8, 1, 0], [1]]
    # Another kernel, whose cells have other names.
    assert notebook(town.folder, "1 + 1", CELLS["class"], helper, run) == [[8, 1, 0]]


def test_a_class_in_a_cell_that_is_edited_and_run_again(town):
    town.write(GOODS, "goods")
    cell = CELLS["class"]
    edited = cell.replace("price(n) +", "price(n) -")
    run = CELLS["run"]
    done = notebook(town.folder, cell, CELLS["helper"], run, edited, run, cell, run)
    assert done == [[8, 0, 1], [0, 0, 1], [8, 1, 0]]


def test_modules_that_autoreload_patches_in_place_count_with_their_new_code(town):
    town.write(GOODS, "goods")
    town.write(town_with("import goods", body="return goods.price(n) + n"))
    edit = """
from pathlib import Path
import os
def edit(name, old, new):
    file = Path(name)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    edit.time += 10
    os.utime(file, (edit.time, edit.time))  # the clock of the files counts in seconds
import time
edit.time = time.time()
"""
    run = """
simulation = control.begin("journal")
print([town.play(), simulation.hits, simulation.misses])
"""
    done = notebook(
        town.folder,
        CELLS["reload"],
        "import town\nfrom tinyfactory import control" + edit,
        run,
        "edit('goods.py', 'n * RATE', 'n * RATE + 10')",
        run,
        "edit('town.py', 'return goods.price(n) + n', 'return goods.price(n) + n + 100')",
        run,
        run,
        "edit('goods.py', 'RATE = 2', 'RATE = 3')",
        run,
    )
    assert done == [[6, 0, 1], [16, 0, 1], [116, 0, 1], [116, 1, 0], [118, 0, 1]]
    # The files as they are now, in a new kernel.
    assert notebook(town.folder, "import town\nfrom tinyfactory import control", run) == [
        [118, 1, 0]
    ]
