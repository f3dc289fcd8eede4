"""Versions are the same on each Python, and what earlier releases recorded is still found."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support import own_shop
from tests.support.frozen import FOLDER
from tests.support.pythons import SUPPORTED, find_python, required_python
from tinyfactory import control
from tinyfactory.journal.inventory import take_in
from tinyfactory.journal.recording.recording import Recording
from tinyfactory.journal.storage.store import Store
from tinyfactory.journal.version import syntax

ROOT = Path(__file__).parents[2]
# Made on Python 3.11 by the release before versions covered helpers.
RECORDING = FOLDER / "own_shop.recording.jsonl.gz"
# Versions and canonical forms that were computed on Python 3.11. To write them again:
# python -m tests.unit.test_other_pythons
TABLE = FOLDER / "versions.json"
EVENTS = 18
METHOD = own_shop.OwnShop.sell.transactional  # type: ignore[attr-defined]

# Prints the canonical digest of each file, and the versions of a user's methods. It runs without
# any installed package.
PROGRAM = """
import ast, importlib.util, json, sys
table = {}
spec = importlib.util.spec_from_file_location("syntax", sys.argv[1])
syntax = importlib.util.module_from_spec(spec)
spec.loader.exec_module(syntax)
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        table[path] = syntax.digest(ast.parse(file.read()))
print(json.dumps(table))
"""


def run(python, *arguments):
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, *map(str, arguments)], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def table():
    file = "tests/support/own_shop.py"
    tree = ast.parse((ROOT / file).read_bytes())
    return {"versions": own_shop.versions(), "forms": {file: syntax.digest(tree)}}


def test_the_versions_on_this_python_are_those_of_the_table():
    assert table() == json.loads(TABLE.read_text())


@pytest.mark.parametrize("version", SUPPORTED)
def test_the_versions_on_another_python_are_those_of_the_table(version):
    python = required_python(version)
    expected = json.loads(TABLE.read_text())
    program = (
        "import json; from tests.support import own_shop as o; print(json.dumps(o.versions()))"
    )
    assert run(python, "-S", "-c", program) == expected["versions"]
    assert (
        run(python, "-S", "-c", PROGRAM, syntax.__file__, *expected["forms"]) == expected["forms"]
    )


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("TINYFACTORY_MODEL", "offline")


def test_a_recording_of_an_earlier_release_replays_methods_without_a_version(offline):
    simulation = control.begin(recording=RECORDING)
    own_shop.story()
    assert (simulation.hits, simulation.misses) == (EVENTS, 0)
    control.end()


def test_a_journal_of_an_earlier_release_is_continued(offline, tmp_path):
    store = Store(tmp_path)
    take_in(store, Recording(RECORDING))
    store.close()
    simulation = control.begin(tmp_path, "own")
    told = own_shop.story()
    assert (simulation.hits, simulation.misses) == (EVENTS, 0)
    assert own_shop.OwnShop("Marta").sell(2) == told[0]
    assert simulation.misses == 1  # a second shop is new
    simulation.begin()
    assert own_shop.story() == told
    assert (simulation.hits, simulation.misses) == (EVENTS, 0)
    control.end()


def test_a_hit_costs_no_look_up_more_and_a_new_call_one(offline, tmp_path, monkeypatch):
    asked = []
    get = Store.get

    def counted(store, key):
        asked.append(key)
        return get(store, key)

    monkeypatch.setattr(Store, "get", counted)

    def look_ups():
        control.begin(tmp_path, "own")
        shop = own_shop.OwnShop("Marta")
        asked.clear()
        shop.sell(2)
        control.end()
        return sum(key.startswith("event:") for key in asked)

    formers = len(METHOD.former_versions)
    assert look_ups() == 1 + formers
    assert look_ups() == 1
    assert formers == (1 if sys.version_info < (3, 12) else 2)


def test_a_recording_takes_the_parts_of_versions_along(offline, tmp_path):
    simulation = control.begin(tmp_path / "journal", "own")
    own_shop.story()
    file = simulation.export(tmp_path / "own.recording.jsonl.gz")
    control.end()
    recording = Recording(file)
    names = {name for name in recording if name.startswith("version:")}
    used = {recording.get(n)["version"] for n in recording if n.startswith("event:")}
    assert names == {f"version:{v}" for v in used if v.startswith("syntax:")}
    parts = recording.get("version:" + METHOD.version(own_shop.Corner))
    assert (
        {"class attribute Corner.levy", "helper rate()", "constant RATE"}
        > set()
        < set(parts["parts"])
    )
    store = Store(tmp_path / "other")
    take_in(store, recording)
    assert names <= set(store)
    store.close()


# -- drills: other environments are made, which takes minutes -----------------------------------

STORY = """
import json, sys
from tests.support import own_shop
from tinyfactory import control
simulation = control.begin(recording=sys.argv[1])
told = own_shop.story()
print(json.dumps([simulation.hits, simulation.misses, told]))
"""


@pytest.mark.drill
@pytest.mark.internet(reason="pip installs the dependencies from the package registry")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", SUPPORTED[1:])
def test_a_recording_replays_on_another_python(version, offline, tmp_path, capsys):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([required_python(version), "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", ROOT], check=True)
    simulation = control.begin(tmp_path / "journal", "own")
    told = json.loads(json.dumps(own_shop.story()))
    recorded = simulation.export(tmp_path / "own.recording.jsonl.gz")
    control.end()
    for file in (recorded, RECORDING):
        hits, misses, again = run(python, "-c", STORY, file)
        assert (hits, misses, again) == (EVENTS, 0, told)
        with capsys.disabled():
            print(f"\nPython {version} replays {file.name}: {hits} of {EVENTS} calls")


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_the_standard_library_has_the_same_form_on_each_python(capsys):
    library = Path(sysconfig.get_paths()["stdlib"])
    files = [p for p in sorted(library.rglob("*.py")) if "site-packages" not in p.parts]
    valid = [path for path in files if _is_valid(path)]
    forms = [
        run(python, "-c", PROGRAM, syntax.__file__, *valid)
        for version in SUPPORTED
        if (python := find_python(version)) is not None
    ]
    assert all(form == forms[0] for form in forms)
    with capsys.disabled():
        print(f"\n{len(valid)} files have the same canonical form on {len(forms)} Pythons")


def _is_valid(path):
    """Whether it can be parsed here; files that test the parser cannot, and change with it."""
    if {"lib2to3", "test"} & set(path.parts):
        return False
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return False
    return True


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(), indent=1) + "\n")
