"""README, docs and CONTRIBUTING: the code runs, and the files they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cells import CellError, kernel

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


def test_a_class_runs_the_lesson_in_any_order_and_again(tmp_path):
    [block] = re.findall(r"## Teach a class.*?```python\n(.*?)```", README, re.DOTALL)
    imports, begin, people, ask, export, opens = block.strip().split("\n\n")
    with kernel(tmp_path) as teacher:
        taught = [teacher.run(cell) for cell in (imports, begin, people, ask, export)][3]
    cells = {
        "begin": f"{imports}\n{opens}", "people": people, "ask": ask,
        "edit": 'people[0].revise({"age": 35}).changes', "end": "control.end()",
    }  # fmt: skip
    with kernel(tmp_path) as student:
        student.run("import os; del os.environ['TINYFACTORY_MODEL']")
        for cell in ("begin", "begin", "people", "people", "edit", "edit", "ask", "ask"):
            shown = student.run(cells[cell], cell)
        assert shown.startswith("This cell was run before") and shown.endswith(taught)
        for cell in ("people", "edit", "ask", "people", "ask", "end", "end", "begin", "people"):
            student.run(cells[cell], cell)
        assert student.run(cells["ask"], "ask") == taught
        with pytest.raises(CellError, match=r"'What worries you\?' → 'What else\?'"):
            student.run(ask.replace("What worries you?", "What else?"), "ask")
        extend = 'control.begin("lesson.recording.jsonl.gz", mode="extend")'
        assert extend in README
        student.run(f'import tinyfactory; tinyfactory.configure(model="offline"); {extend}')
        student.run(people, "people")
        assert student.run('people[0].ask("What else?")', "ask")


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
