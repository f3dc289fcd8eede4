"""What an earlier version recorded is replayed by this one: same keys, same values, no call."""

from __future__ import annotations

import gzip
import json
import lzma
import tarfile
from typing import Any

import pytest

from tests.support import frozen
from tinyfactory import Simulation, control, prompts
from tinyfactory.models import OfflineModel, OpenAIModel
from tinyfactory.people.schema import edits, layout


@pytest.fixture(scope="module")
def expected():
    return json.loads(lzma.decompress(frozen.EXPECTED.read_bytes()))


@pytest.fixture
def journal(tmp_path):
    """A copy of the journal, which may be written to."""
    with tarfile.open(frozen.JOURNAL) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / "journal"


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    """The story's settings, and models that fail the test when they are asked."""

    async def asked(self, request):
        pytest.fail(f"{self!r} was asked, so a step was not replayed: its event key changed")

    for model in (OpenAIModel, OfflineModel):
        monkeypatch.setattr(model, "complete", asked)
    frozen.configure()


@pytest.fixture
def prompts_of_then(monkeypatch):
    """The prompts and schemas with which the journal was made; they enter event keys."""
    then = json.loads((frozen.FOLDER / "prompts.json").read_text(encoding="utf-8"))
    schema = then["schemas"]["persona"]
    monkeypatch.setattr(prompts, "template", then["templates"].__getitem__)
    monkeypatch.setattr(layout, "shared_reply_schema", lambda: schema)
    monkeypatch.setattr(layout, "schema_of_contexts", lambda number: then["schemas"]["contexts"])
    monkeypatch.setattr(edits, "reply_schema", lambda: schema)


def compare(told: Any, stored: Any, place: str) -> None:
    """Part by part, so that a failure names the place where they differ."""
    if isinstance(told, dict) and isinstance(stored, dict):
        assert sorted(told) == sorted(stored), place
        for key in stored:
            compare(told[key], stored[key], f"{place}/{key}")
    elif isinstance(told, list) and isinstance(stored, list) and len(told) == len(stored):
        for number, (one, other) in enumerate(zip(told, stored, strict=True)):
            compare(one, other, f"{place}/{number}")
    else:
        assert told == stored, place


def check(simulation, expected, raised):
    """Run the story in the simulation that is open."""
    told = {"story": frozen.story(), "lines": frozen.lines(simulation)}
    told = json.loads(json.dumps(told))
    for part in ("story", "lines"):  # event keys are in both
        compare(told[part], expected[part], part)
    assert simulation.spent.calls == 0
    # One step of the story raises. It is stored nowhere, and a journal does it again.
    assert (simulation.hits, simulation.misses) == (expected["done"] - 1, raised)


@pytest.mark.usefixtures("prompts_of_then")
def test_a_journal_replays_live_with_no_model_call(journal, expected):
    check(control.begin(journal, frozen.SIMULATION), expected, raised=1)


@pytest.mark.usefixtures("prompts_of_then")
def test_a_journal_replays_live_in_the_second_run_of_a_kernel(journal, expected):
    simulation = control.begin(journal, frozen.SIMULATION)
    check(simulation, expected, raised=1)
    check(simulation.begin(), expected, raised=1)


def test_a_recording_replays_with_no_model_call(expected):
    check(control.begin(recording=frozen.RECORDING), expected, raised=0)


def test_the_journal_exports_the_recording(journal, tmp_path):
    path = Simulation(journal, frozen.SIMULATION).export(tmp_path / "again.gz")
    assert gzip.decompress(path.read_bytes()) == gzip.decompress(frozen.RECORDING.read_bytes())


def test_the_frozen_files_stay_small():
    files = [path for path in frozen.FOLDER.iterdir() if path.suffix != ".json"]
    assert sum(path.stat().st_size for path in files) < 300_000
