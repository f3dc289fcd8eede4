"""README, docs and CONTRIBUTING: the code runs, and the files they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
BLOCKS = [
    pytest.param(block, id=f"{path.stem} {number}")
    for path, text in PAGES.items()
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL), 1)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_code_runs_offline(block, monkeypatch):
    monkeypatch.setenv("TINYFACTORY_MODEL", "offline")
    exec(compile(block, "block", "exec"), {})


def test_what_the_pages_link_to_is_there():
    links = [
        (path.parent / link, heading)
        for path, text in PAGES.items()
        for link, heading in re.findall(r"\]\((?!https?://)([^)#]+)#?([^)]*)\)", text)
    ]
    assert len(links) > 10
    assert [link for link, _ in links if not link.exists()] == []
    for link, heading in links:
        if heading:
            titles = re.findall(r"^#+ (.+)$", link.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [title.lower().replace(" ", "-") for title in titles]


def test_the_readme_links_to_every_page():
    assert [
        p.name for p in PAGES if p.name != "README.md" and f"(docs/{p.name})" not in README
    ] == []


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
