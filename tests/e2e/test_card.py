"""Card and comparison in a real browser: edited, undone, asked again, compared, twins made."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

PEOPLE = """from tinyfactory import TinyPersonFactory, control
from tinyfactory.widgets import PersonaCard, PersonaCompare
simulation = control.begin('{place}')
factory = TinyPersonFactory('Nurses in Porto, Portugal', model='offline')
people = factory.generate_people(3, {{'sex': 'female', 'age': 40}})
people[2].define('health', '<img src=x onerror="window.hacked = 1">')"""
CARD = "card = PersonaCard(people[0])\ncard"
COMPARE = "both = PersonaCompare(people[1:])\nboth"


def opened(lab, name, *cells):
    notebook = lab.open([PEOPLE.format(place=f"{lab.app}-{name}"), *cells], f"{name}.ipynb")
    notebook.run_all()
    notebook.page.set_viewport_size({"width": 1280, "height": 3000})
    assert notebook.cell_errors() == []
    return notebook


def tab(notebook, title):
    notebook.page.locator(".tf-panel .lm-TabBar-tab", has_text=title).first.click()


@pytest.mark.timeout(600)
def test_a_person_is_edited_undone_and_asked_for_again(anywhere):
    notebook = opened(anywhere, "card", CARD)
    name = notebook.python("print(people[0].name)").strip()
    notebook.wait_text(".tf-panel", name)

    # What cannot be is said beside the field; Enter in a field saves.
    tab(notebook, "Edit")
    notebook.field("Age:").fill("190")
    notebook.field("Age:").press("Enter")
    notebook.wait_text(".tf-panel [role=alert]", "190 is not possible")
    assert notebook.python("print(people[0].get('age'), people[0].revisions)") == "40 []\n"
    assert notebook.barriers(".tf-panel") == []
    notebook.field("Age:").fill("41")
    notebook.field("Occupation: title").fill("Head nurse")
    notebook.button("Save").click()
    notebook.wait_text(".tf-status", "Saved")
    notebook.wait_text(".tf-panel", "41-year-old")
    assert notebook.python("print(people[0].get('occupation.title'))") == "Head nurse\n"
    notebook.button("Undo").click()
    notebook.wait_text(".tf-status", "Undone")
    assert notebook.python("print(people[0].get('age'))") == "40\n"
    expect(notebook.field("Age:")).to_have_value("40")

    tab(notebook, "Ask again")
    before = notebook.python("print(people[0].get('beliefs'))")
    notebook.field("Field or part:").select_option(label="Beliefs")
    notebook.button("Ask again").click()
    notebook.wait_text(".tf-status", "A proposal")
    assert notebook.python("print(people[0].get('beliefs'))") == before
    assert notebook.barriers(".tf-panel") == []
    notebook.button("Accept").click()
    notebook.wait_text(".tf-status", "Accepted")
    assert notebook.python("print(people[0].get('beliefs'))") != before

    tab(notebook, "Where from")
    notebook.wait_text(".tf-panel", "TinyPersonFactory.generate_person")
    tab(notebook, "JSON")
    notebook.wait_text(".tf-panel pre", '"type": "TinyPerson"')
    assert notebook.barriers(".tf-panel") == []
    assert notebook.errors == [] and anywhere.outside == []


@pytest.mark.timeout(600)
def test_a_person_is_edited_by_keys_alone(lab):
    notebook = opened(lab, "keys", CARD)
    notebook.page.locator(".tf-panel .lm-TabBar-tab").first.focus()
    for key in ("ArrowRight", "Enter"):
        notebook.page.keyboard.press(key)
    notebook.field("Age:").wait_for()
    for _ in ("Part", "Name", "Age"):
        notebook.page.keyboard.press("Tab")
        # Where one is can be seen: 1 px of the border, and 1 px around it.
        ring = notebook.page.evaluate("() => getComputedStyle(document.activeElement).boxShadow")
        assert ring.endswith("0px 0px 0px 1px")
    notebook.page.keyboard.press("ControlOrMeta+a")
    notebook.page.keyboard.type("52")
    notebook.wait_python("print(card.editor.row('age').input.value)", "52\n")
    notebook.page.keyboard.press("Enter")
    notebook.wait_text(".tf-status", "Saved: Age: 40 → 52")
    assert notebook.page.locator(".jp-Cell").count() == 2  # no key reached the notebook


@pytest.mark.timeout(600)
def test_people_are_compared_and_a_twin_is_made(anywhere):
    notebook = opened(anywhere, "compare", COMPARE)
    notebook.wait_text(".tf-panel", "<img src=x onerror")
    assert notebook.page.evaluate("() => window.hacked") is None
    assert notebook.barriers(".tf-panel") == []
    notebook.page.get_by_label("Only what differs").check()
    notebook.page.locator(".tf-panel", has_text="The same in both").wait_for(state="detached")
    assert notebook.python("print(both.only_differences)") == "True\n"

    notebook.button("Make a twin").click()
    notebook.field("With another:").select_option(label="Age")
    notebook.field("Which is then:").fill("70")
    notebook.button("Make twin").click()
    notebook.wait_text(".tf-status", "A twin of")
    notebook.wait_text(".tf-panel", "Changed on purpose: age, from 40 to 70")
    assert notebook.python("print(both.twins.twin.get('age'))") == "70\n"
    assert notebook.barriers(".tf-panel") == []
    assert notebook.errors == [] and anywhere.outside == []
