"""The history and the population in a real browser: clicked, by keys alone, for everyone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

HISTORY = """from tinyfactory import TinyPersonFactory, control
from tinyfactory.widgets import HistoryView
control.begin('{folder}')
factory = TinyPersonFactory('Bakers in Vienna', model='offline')
factory.generate_people(2)
factory.checkout(0)
factory.generate_person('who sings <b>loud</b>')
TinyPersonFactory('A choir in Cardiff', model='offline').generate_person()
view = HistoryView()
view"""
# Long cells go on below, so that no table scrolls sideways.
NOTHING_ASIDE = """() => [...document.querySelectorAll('.tf-scroll')]
  .every(box => box.scrollWidth <= box.clientWidth)"""
POPULATION = """from tinyfactory import TinyPersonFactory
from tinyfactory.populations import Demography
from tinyfactory.widgets import PersonaBrowser, PopulationView
people = TinyPersonFactory('People of a town', model='offline').generate_people(40)
asked = Demography.from_dict({"sex": {"female": 0.5, "male": 0.5},
                              "age": {"18-39": 0.5, "40-99": 0.5}})
browser = PersonaBrowser(people)
view = PopulationView(people, asked, browser=browser)
view"""


@pytest.mark.timeout(600)
def test_an_event_is_read_gone_back_to_and_exported(anywhere):
    notebook = anywhere.open([HISTORY.format(folder=f"{anywhere.app}-back")], "history.ipynb")
    notebook.run_all()
    events = notebook.page.locator("table[aria-label='Events of the line']")
    expect(events.locator("tbody tr")).to_have_count(3)
    assert notebook.page.evaluate(NOTHING_ASIDE)
    # By keys alone: from the first row down to the second, and back to it.
    events.locator("tbody tr").first.focus()
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.locator("text=#2 generate_person").wait_for()
    notebook.button("Check out").focus()
    notebook.page.keyboard.press("Enter")
    notebook.wait_text(".tf-status", "again as it was after #2")
    assert notebook.python("print(len(factory.generated_names))") == "2\n"
    notebook.field("Branch:").select_option(label="the way to the end of 2")
    expect(events.locator("tbody tr")).to_have_count(2)
    notebook.button("Export").click()
    notebook.wait_text(".tf-status", "Exported to")
    assert next(anywhere.root.rglob("default.recording.jsonl.gz")).stat().st_size > 1000
    assert notebook.page.locator(".tf-panel b", has_text="loud").count() == 0
    assert notebook.barriers(".tf-panel") == []
    assert notebook.errors == [] and anywhere.outside == []


@pytest.mark.timeout(600)
def test_a_bar_leads_to_its_people(anywhere):
    notebook = anywhere.open([POPULATION, "browser"], "population.ipynb")
    notebook.run_all()
    bar = notebook.page.locator(".tf-bars button[aria-label^='sex female: asked 50 %, got']")
    bar.wait_for()
    bar.click()
    notebook.page.locator(".tf-bars button[aria-pressed='true']").wait_for()
    notebook.wait_text("button", "sex: female")
    assert notebook.python("print(view.picked, len(browser.filtered) == len(view.chosen))") == (
        "('sex', 'female') True\n"
    )
    assert notebook.barriers(".tf-panel") == []
    # By keys alone, and none of them reaches the notebook: "b" adds a cell.
    bar.focus()
    notebook.page.keyboard.press("b")
    notebook.page.keyboard.press("Enter")
    notebook.page.locator(".tf-bars button[aria-pressed='true']").wait_for(state="detached")
    assert notebook.python("print(view.picked, browser.narrowed)") == "None None\n"
    assert notebook.page.locator(".jp-CodeCell").count() == 2
    assert notebook.errors == [] and anywhere.outside == []
