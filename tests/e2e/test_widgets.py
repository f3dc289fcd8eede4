"""The form and the browser, clicked in a real JupyterLab in a real Chromium."""

from __future__ import annotations

import pytest

CELLS = [
    """from tinyfactory import TinyPersonFactory
from tinyfactory.widgets import PersonaBrowser, PersonaForm
form = PersonaForm('Bakers in Vienna, Austria')
form""",
    """people = TinyPersonFactory('A choir in Cardiff, Wales').generate_people(3)
people[0].define('health', '<img src=x onerror="window.hacked = 1">')
browser = PersonaBrowser(people)
browser""",
    "people[1]",
]


@pytest.mark.timeout(240)
def test_form_and_browser_work_in_a_browser(anywhere):
    notebook = anywhere.open(CELLS)
    notebook.run_all()
    assert notebook.cell_errors() == []

    # The form: a number is typed, the button clicked, people stand under it.
    number = notebook.field("People:")
    number.fill("2")
    number.press("Tab")
    notebook.field("Particularities:").fill("a 34-year-old woman")
    notebook.button("Generate").click()
    notebook.wait_text(".tf-status", "2 people made")
    assert notebook.python("print(len(form.people), [p.get('age') for p in form.people])") == (
        "2 [34, 34]\n"
    )
    names = notebook.python("print('|'.join(p.name for p in form.people))").strip().split("|")
    for name in names:
        notebook.wait_text(".jp-OutputArea table", name)

    # The browser: a search narrows, a click selects, and text stays text.
    chosen = notebook.python("print(people[0].name)").strip()
    notebook.field("Search:").fill("onerror")
    notebook.wait_text(".tf-status", "1 person of 3")
    assert notebook.python("print(browser.selected.name)").strip() == chosen
    notebook.wait_text(".widget-html-content", "<img src=x onerror")
    assert notebook.page.evaluate("() => window.hacked") is None
    notebook.field("Search:").fill("")
    notebook.wait_text(".tf-status", "3 people")
    notebook.page.locator(".tf-table tbody tr").nth(2).click()
    last = notebook.python("print(people[2].name)").strip()
    notebook.wait_text(".widget-html-content", last)
    assert notebook.python("print(browser.selected.name)").strip() == last

    assert notebook.errors == [] and anywhere.outside == []
