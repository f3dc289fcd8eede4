"""The browser of people in real applications: by mouse, by keyboard alone, light and dark."""

from __future__ import annotations

import pytest

from tinyfactory.people import load_people

CELL = """import sys
from tinyfactory import TinyPerson
from tinyfactory.widgets import PersonaBrowser

def made(n):
    return TinyPerson(persona={
        'name': f'Ana {n}', 'age': 20 + n % 60, 'gender': ('woman', 'man')[n % 2],
        'health': '<img src=x onerror="window.hacked = 1">', 'residence': f'{n}, Wales',
        'occupation': ('nurse', '<script>window.hacked = 1</script>')[n % 2],
    }, register=False)

people = [made(n) for n in range(NUMBER)]
browser = PersonaBrowser(people)
browser"""
ROW = ".tf-table tbody tr[data-row]"


def opened(where, number, *more):
    notebook = where.open([CELL.replace("NUMBER", str(number)), *more], "people.ipynb")
    notebook.run_all()
    assert notebook.cell_errors() == []
    notebook.wait_text(".tf-status", f"{number} people")
    notebook.page.locator(ROW).first.wait_for()
    return notebook


def said(notebook, expression):
    return notebook.python(f"print({expression})").strip()


@pytest.mark.timeout(600)
def test_search_filter_sort_select_and_export(anywhere):
    notebook = opened(anywhere, 120, "people[0]")
    page = notebook.page
    notebook.wait_text(".jp-RenderedHTMLCommon", "<img src=x onerror")  # a person by themselves
    notebook.field("Search:").fill("ana 11")
    notebook.wait_text(".tf-status", "11 people of 120")
    assert said(notebook, "browser.selected.name") == "Ana 11"
    page.locator("fieldset[aria-label='Gender'] label", has_text="woman").locator("input").check()
    notebook.wait_text(".tf-status", "5 people of 120")
    assert said(notebook, "browser.filters") == "{'gender': ['woman']}"
    page.locator(".tf-table th button", has_text="Age").click()
    page.locator(".tf-table th[aria-sort=ascending]", has_text="Age").wait_for()
    page.locator(ROW).nth(2).click()
    page.locator(f"{ROW}[aria-selected=true]", has_text="Ana 114").wait_for()
    notebook.wait_text(".widget-html-content", "<img src=x onerror")
    assert said(notebook, "browser.selected.name, browser.sort") == "Ana 114 ('age', False)"

    # A text typed and the button clicked at once: what is written is what was typed.
    notebook.field("Format:").select_option("JSON Lines")
    notebook.field("Search:").fill("ana 118")
    notebook.button("Export").click()
    notebook.wait_text(".tf-status", "1 person written to")
    path = anywhere.root / "people.jsonl"
    assert [person.name for person in load_people(path)] == ["Ana 118"]
    path.unlink()

    notebook.field("View:").select_option("Cards")
    page.locator(".tf-table.tf-cards").wait_for()
    notebook.button("Clear").click()
    notebook.wait_text(".tf-status", "120 people")
    assert page.evaluate("() => window.hacked") is None
    assert notebook.barriers(".tf-panel") == []
    assert notebook.errors == [] and anywhere.outside == []


@pytest.mark.timeout(600)
def test_by_keyboard_alone(lab):
    notebook = opened(lab, 300)
    page, keys = notebook.page, notebook.page.keyboard
    notebook.field("Search:").focus()
    for _ in range(60):
        keys.press("Tab")
        if page.evaluate("() => document.activeElement.dataset.row") == "0":
            break
    for key, row in (
        ("ArrowDown", 1), ("PageDown", 51), ("End", 299), ("ArrowDown", 299), ("ArrowUp", 298),
        ("Home", 0),
    ):  # fmt: skip
        keys.press(key)
        page.locator(f"{ROW}[data-row='{row}'][aria-selected=true]:focus").wait_for()
        notebook.wait_python("print(browser.table.selected)", f"{row}\n")
    for _ in range(60):  # held down: no queue, and it ends where it was let go
        keys.down("ArrowDown")
    keys.up("ArrowDown")
    page.locator(f"{ROW}[data-row='60'][aria-selected=true]:focus").wait_for()
    notebook.wait_python("print(browser.selected.name)", "Ana 60\n")
    keys.type("bdd")  # what a notebook would take for a new cell and a deleted one
    assert page.locator(".jp-Cell").count() == 1
    assert notebook.errors == []
