"""The wheel that users get: built, installed into a new environment, and run there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")


def run(*command: object, **more: Any) -> str:
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def wheel(tmp_path) -> Path:
    # hatchling is among the dev tools, so building asks no registry.
    run(sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT)
    (built,) = tmp_path.glob("tinyfactory-*.whl")
    return built


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kept = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tinyfactory").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == kept
    assert "tinyfactory/py.typed" in inside
    assert any(name.endswith(".mustache") for name in inside)


@pytest.mark.internet(reason="pip installs the wheel's dependencies from the package registry")
@pytest.mark.timeout(1200)
def test_the_installed_wheel_runs_the_demo(wheel, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    run(python, *PIP, "install", wheel)
    run(python, *PIP, "check")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # Only what a shell has: no key, no chosen model, and no way to this source tree.
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    shown = run(python, "-m", "tinyfactory", "demo", cwd=elsewhere, env=bare)
    people = [line for line in shown.splitlines() if line.startswith("Generated TinyPerson: ")]
    assert len(set(people)) == 3, shown
    assert run(tmp_path / "venv" / "bin" / "tinyfactory", "demo", cwd=elsewhere, env=bare)
