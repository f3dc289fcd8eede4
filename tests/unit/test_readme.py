"""README and CONTRIBUTING: the code runs, and the files they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_code_runs_offline(number, monkeypatch):
    monkeypatch.setenv("TINYFACTORY_MODEL", "offline")
    exec(compile(BLOCKS[number], f"README block {number + 1}", "exec"), {})


def test_what_it_links_to_is_there():
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_widgets_it_lists_are_all_there_are():
    from tinyfactory import widgets

    assert set(re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)) == {
        name for name in widgets.__all__ if name != "Studio"
    }


def test_the_files_that_contributing_names_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = {name for name in re.findall(r"`([\w./-]+)`", text) if name.endswith((".py", "/"))}
    places = [ROOT / place for place in ("tinyfactory", "tests", "benchmarks")]
    missing = {
        name
        for name in names
        if not (ROOT / name).exists() and not any(any(p.rglob(name)) for p in places)
    }
    assert len(names) > 40 and missing == set()
