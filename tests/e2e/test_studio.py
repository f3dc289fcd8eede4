"""The studio in real browsers: every tab, in JupyterLab, in Notebook 7, and as a page of Voila."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
STUDIO = """import tinyfactory
from tinyfactory import control
control.begin('{folder}')
studio = tinyfactory.studio(context='Bakers in Vienna, Austria', model='offline')
studio"""
TABS = ["Generate", "People", "Person", "Compare", "Population", "Talk", "History"]
# What reaches beyond its panel where the studio has 520 pixels, and tabs whose title is not
# whole.
CUT_OFF = """() => {
  const panel = document.querySelector('.tf-panel');
  panel.style.width = '520px';
  const right = element => element.getBoundingClientRect().right;
  return [...panel.querySelectorAll('button, input, select, textarea, .lm-TabBar-tabLabel')]
    .filter(e => e.getClientRects().length && !e.closest('.tf-scroll'))
    .filter(e => right(e) > right(e.closest('.tf-panel')) + 1
      || e.matches('.lm-TabBar-tabLabel') && e.scrollWidth > e.clientWidth)
    .map(e => e.outerHTML.slice(0, 120));
}"""
# Voila's own page asks for its icons there; what is ours asks nobody.
OF_VOILA = "cdn.jsdelivr.net/npm/@fortawesome"


def tab(notebook, title):
    notebook.page.locator(".tf-panel [role=tab]", has_text=title).first.click()


def through_all_tabs(notebook):
    """Make three people and use every tab; what is seen stands in the page, not in a kernel."""
    field = notebook.field("People:")
    field.fill("3")
    field.press("Tab")
    notebook.button("Generate").click()
    notebook.wait_text(".tf-status", "3 people made")
    assert notebook.barriers(".tf-panel") == []

    tab(notebook, "People")
    rows = notebook.page.locator("table[aria-label='People'] tbody tr")
    expect(rows).to_have_count(3)
    name = rows.nth(1).locator("td, th").first.inner_text()
    rows.nth(1).click()
    notebook.wait_text(".tf-panel", name)
    notebook.button("Open").click()
    notebook.page.locator(".tf-panel [role=tab][aria-selected=true]", has_text="Person").wait_for()

    tab(notebook, "People")
    notebook.button("Talk").click()
    notebook.field("Question:").fill("What do you like?")
    notebook.field("Question:").press("Enter")
    notebook.wait_text(".tf-panel", "The offline writer cannot hold a conversation")

    tab(notebook, "Compare")
    notebook.wait_text(".tf-panel", "Different:")
    tab(notebook, "Population")
    notebook.wait_text(".tf-status", "Report card of 3 people")
    tab(notebook, "History")
    notebook.page.locator("table[aria-label='Events of the line'] tbody tr").first.wait_for()
    assert notebook.barriers(".tf-panel") == []


@pytest.mark.timeout(600)
def test_every_tab_works(anywhere):
    notebook = anywhere.open([STUDIO.format(folder=f"{anywhere.app}-studio")], "studio.ipynb")
    notebook.run_all()
    assert notebook.cell_errors() == []
    through_all_tabs(notebook)
    made = "print(len(studio.people), studio.chat.person is studio.selected, studio.error)"
    assert notebook.python(made) == "3 True None\n"
    assert notebook.errors == [] and anywhere.outside == []


@pytest.mark.timeout(600)
def test_nothing_is_cut_off_in_a_narrow_page(lab):
    notebook = lab.open([STUDIO.format(folder="narrow")], "narrow.ipynb")
    notebook.run_all()
    notebook.field("Demography:").select_option(index=1)
    notebook.field("Seed:").wait_for()
    notebook.button("Generate").click()
    notebook.wait_text(".tf-status", "1 person made")
    for title in TABS:
        tab(notebook, title)
        notebook.page.locator(".tf-panel .tf-panel:visible").first.wait_for()
        if title == "Population":
            notebook.wait_text(".tf-status", "Report card of 1 person")
        assert notebook.page.evaluate(CUT_OFF) == [], title


@pytest.mark.timeout(600)
@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_by_keys_alone_the_focus_goes_along_into_what_was_opened(jupyters, app):
    where = jupyters(app, "light")
    notebook = where.open([STUDIO.format(folder=f"{app}-keys")], "keys.ipynb")
    notebook.run_all()
    keys = notebook.page.keyboard
    notebook.button("Generate").focus()
    keys.press("Enter")
    notebook.wait_text(".tf-status", "1 person made")
    expect(notebook.button("Generate")).to_be_enabled()
    # The button was disabled meanwhile; the next one is a key away, and no key makes a cell.
    keys.press("b")
    keys.press("Tab")
    assert notebook.page.evaluate("() => document.activeElement.textContent") == "Generate"
    for button, opened in (("Open", "Person"), ("Compare", "Compare"), ("Talk", "Talk")):
        tab(notebook, "People")
        notebook.button(button).focus()
        keys.press("Enter")
        focused = notebook.page.locator(".tf-panel [role=tab][aria-selected=true]:focus")
        focused.filter(has_text=opened).wait_for()
    notebook.field("Question:").wait_for()
    keys.press("Tab")  # from the tab into what it shows
    assert notebook.page.evaluate(
        "() => document.activeElement.closest('.tf-panel .tf-panel') !== null"
    )
    assert notebook.page.locator(".jp-CodeCell").count() == 1
    assert notebook.errors == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_tab_works_as_a_page_of_voila(jupyters, theme):
    voila = jupyters("voila", theme)
    page = voila.open([STUDIO.format(folder=f"voila-{theme}")], "studio.ipynb")
    through_all_tabs(page)
    assert page.errors == []
    assert [url for url in voila.outside if OF_VOILA not in url] == []


@pytest.mark.timeout(600)
def test_the_notebook_of_the_studio_is_a_page_of_voila(jupyters):
    voila = jupyters("voila", "light")
    page = voila.open(NOTEBOOKS / "05_studio.ipynb")
    page.wait_text("h1", "The studio")
    page.wait_text("[role=tab]", "Generate")
    assert page.page.locator(".jp-RenderedText", has_text="Traceback").count() == 0
    assert page.page.locator("[class^=tf-saved]:visible").count() == 0
    assert page.errors == []
    assert [url for url in voila.outside if OF_VOILA not in url] == []
