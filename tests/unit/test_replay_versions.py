"""A recording of an earlier version replays after prompts, schemas and states have changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinyfactory
from tests.support.frozen import FOLDER
from tests.support.people import person as persona
from tinyfactory import Simulation, TinyFactory, TinyPersonFactory, transactional
from tinyfactory.errors import ReplayMiss
from tinyfactory.models.chat import ChatReply

ROOT = Path(__file__).parents[2]
OLDER = "was recorded with an older prompt"


def replay_elsewhere(package_in: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Replay the frozen recording with a copy of the package."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(package_in), str(ROOT)])}
    command = [sys.executable, "-m", "tests.support.replay_frozen", *options]
    return subprocess.run(
        command, cwd=package_in, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(
        Path(tinyfactory.__file__).parent,
        tmp_path / "tinyfactory",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path


@pytest.fixture
def prompts_of_then(copied):
    """The copy with the prompts and schemas with which the recording was made."""
    then = json.loads((FOLDER / "prompts.json").read_text(encoding="utf-8"))
    for name, text in then["templates"].items():
        (copied / f"tinyfactory/prompts/{name}.mustache").write_text(text, encoding="utf-8")
    for name, schema in then["schemas"].items():
        path = copied / f"tinyfactory/people/schema/{name}.schema.json"
        path.write_text(json.dumps(schema), encoding="utf-8")
    layout = copied / "tinyfactory/people/schema/layout.py"
    bounds = '    schema["properties"]["contexts"] |= {"minItems": number, "maxItems": number}\n'
    text = layout.read_text(encoding="utf-8")
    assert bounds in text
    layout.write_text(text.replace(bounds, ""), encoding="utf-8")


def outcome(result):
    assert result.returncode == 0, result.stderr
    *lines, last = result.stdout.splitlines()
    return lines, json.loads(last)


EVERYTHING = {"calls": 0, "new": 0, "replayed": 0, "differ": []}


@pytest.mark.usefixtures("prompts_of_then")
def test_the_same_prompts_say_nothing(copied):
    assert outcome(replay_elsewhere(copied)) == ([], EVERYTHING)


def test_a_recording_replays_after_every_prompt_and_the_schema_changed(copied):
    templates = sorted((copied / "tinyfactory" / "prompts").glob("*.mustache"))
    assert templates
    for path in templates:
        path.write_text(path.read_text() + "Be brief.\n")
    schema = copied / "tinyfactory" / "people" / "schema" / "persona.py"
    text = schema.read_text()
    assert "class Occupation(_Part):" in text
    schema.write_text(
        text.replace("    organization: str | None = None\n", "    company: str | None = None\n", 1)
    )
    lines, found = outcome(replay_elsewhere(copied))
    assert len(lines) == 1 and OLDER in lines[0]
    assert found == EVERYTHING


@pytest.mark.usefixtures("prompts_of_then")
def test_a_recording_replays_after_the_state_of_a_users_class_is_encoded_otherwise(copied):
    lines, found = outcome(replay_elsewhere(copied, "--another-shop"))
    # The class itself tells its state otherwise; every result is as it was.
    assert found == EVERYTHING | {"differ": ["/factories/Shop 1/state"]}
    assert lines == []


class Writer:
    def __init__(self):
        self.identity = {"kind": "test", "model": "writer"}

    async def complete(self, request):
        return ChatReply(json.dumps(persona(1)))


def kiosk(amount):
    """A class of the user's own, in one of two versions."""

    class Kiosk(TinyFactory):
        __qualname__ = "Kiosk"
        sold = 0

        if amount == 1:

            @transactional
            def sell(self) -> int:
                self.sold += 1
                return self.sold
        else:

            @transactional
            def sell(self) -> int:
                self.sold += 2
                return self.sold

        def encode_complete_state(self):
            return super().encode_complete_state() | {"sold": self.sold}

        def decode_complete_state(self, state):
            self.sold = state["sold"]
            return super().decode_complete_state(state)

    return Kiosk


def test_an_edited_method_of_the_users_own_is_a_miss_that_says_so(tmp_path):
    with Simulation(tmp_path / "j", "lesson") as simulation:
        assert kiosk(1)().sell() == 1
        path = simulation.export(tmp_path / "r.gz")
    with Simulation.from_recording(path):
        assert kiosk(1)().sell() == 1
    with (
        Simulation.from_recording(path),
        pytest.raises(ReplayMiss, match="the method was edited"),
    ):
        kiosk(2)().sell()


def test_a_journal_keeps_its_key(tmp_path, monkeypatch):
    """In a journal a changed prompt makes an event new."""
    from tinyfactory import prompts

    def made():
        with Simulation(tmp_path / "j", "lesson") as simulation:
            TinyPersonFactory("Bakers in Vienna", model=Writer()).generate_person()
            return simulation.hits, simulation.misses

    assert (made(), made()) == ((0, 1), (1, 0))
    before = prompts.template
    monkeypatch.setattr(prompts, "template", lambda name: before(name) + "Be brief.\n")
    assert made() == (0, 1)
