"""The studio by its tabs and values, without a browser."""

from __future__ import annotations

from typing import Any

import pytest

import tinyfactory
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.widgets import Studio

TABS = ["Generate", "People", "Person", "Compare", "Population", "Talk", "History"]


@pytest.fixture
def people():
    return TinyPersonFactory("A choir in Cardiff, Wales", model="offline").generate_people(5)


def test_every_tab_opens_and_is_made_only_then(people):
    studio = Studio(people=people, model="offline")
    assert list(studio._rooms) == ["People"]
    for title in TABS:
        studio.go_to(title)
        assert studio.error is None, title
    assert sorted(studio._rooms) == sorted(TABS)
    rooms = dict(studio._rooms)
    for title in reversed(TABS):
        studio.go_to(title)
    assert studio._rooms == rooms


def test_who_is_made_in_the_form_is_in_the_list(people):
    studio = Studio(people=people[:2], context="Bakers in Vienna", model="offline")
    seen = []
    studio.observe(lambda change: seen.append(len(change.new)), "people")
    studio.go_to("People")
    studio.go_to("Generate")
    studio.form.number = 3
    studio.form.generate()
    assert len(studio.people) == 5 and seen[-1] == 5
    studio.go_to("People")
    assert [id(p) for p in studio.browser.people] == [id(p) for p in studio.people]


def test_who_is_made_later_stands_in_the_saved_notebook(people):
    class Cell:
        html = ""

        def update(self, bundle, raw):
            self.html = bundle["text/html"]

    studio = Studio(people=people[:1], context="Bakers in Vienna", model="offline")
    cell = Cell()
    studio._stored.append(cell)
    (baker,) = studio.form.generate()
    studio._settling.join()
    assert baker.name in cell.html and people[0].name in cell.html


def test_the_selected_person_is_compared_and_addressed(people):
    studio = Studio(people=people, model="offline")
    for person in people:
        studio.browser.selected = person
        assert studio.selected is person
        studio._compared.click()
    assert [id(p) for p in studio.compare.people] == [id(p) for p in people[1:]]
    studio.go_to("People")
    studio.browser.selected = people[3]
    studio._addressed.click()
    assert studio.chat.person is people[3] and len(studio.chat.people) == 5
    studio.go_to("People")
    studio.browser.selected = people[1]
    studio._addressed.click()
    assert studio.chat.person is people[1]


def test_who_is_edited_in_the_card_is_so_in_the_list(people):
    studio = Studio(people=people, model="offline")
    studio.browser.selected = people[2]
    studio._opened.click()
    assert studio.card.person is people[2]
    people[2].revise({"occupation.title": "lighthouse keeper"})
    studio.card.edited += 1
    assert any(
        "lighthouse keeper" in cell for row in studio.browser.table.rows.cells for cell in row
    )


def test_the_buttons_say_whom_they_are_about(people):
    studio = Studio(people=people, model="offline")
    studio.browser.selected = people[2]
    assert studio._whom.text == f"with {people[2].name}"
    studio.go_to("Person")
    studio.card.edit("name", "Noor " + "H" * 100)
    studio.card.save()
    assert studio._whom.text.startswith("with Noor H") and len(studio._whom.text) == 65
    studio.browser.query = "xyzzy"
    assert studio._whom.text == ""
    assert studio._code.toggle.description != studio.browser._code.toggle.description


def test_nobody_selected_nothing_to_compare():
    studio = Studio()
    studio.go_to("People")
    assert studio.selected is None and studio._compared.disabled and studio._addressed.disabled
    studio.compare_selected()
    assert studio.error is None


def test_the_report_is_about_all_people_and_what_the_form_asks_for(people):
    asked = {"sex": {"female": 0.5, "male": 0.5}}
    studio = Studio(people=people, model="offline", demography=asked)
    studio.go_to("Population")
    assert studio.population.target is studio.form.demography
    studio.people = people[:3]
    studio.go_to("People")
    studio.go_to("Population")
    assert len(studio.population.people) == 3


def test_the_history_shows_what_was_done_since(tmp_path):
    control.begin(tmp_path / "j")
    studio = tinyfactory.studio(context="Bakers in Vienna", model="offline")
    assert "every step is kept" in studio.status
    studio.go_to("History")
    assert studio.history.line == ""
    studio.form.generate()
    studio.go_to("Generate")
    studio.go_to("History")
    assert studio.history.line != ""


def test_without_a_simulation_it_says_that_nothing_is_kept():
    assert "nothing is kept" in Studio().status


def test_its_code_makes_the_same_studio(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYFACTORY_MODEL", "offline")
    studio = Studio(context="Bakers in Vienna")
    names: dict[str, Any] = {}
    exec(studio.code().replace("tinyfactory.studio", "made = tinyfactory.studio"), names)
    assert names["made"].form.context == "Bakers in Vienna"


def test_people_are_told_apart_without_comparing_what_they_say(people, monkeypatch):
    def compared(*_):
        raise AssertionError("100,000 people would be compared word by word")

    monkeypatch.setattr(TinyPerson, "__eq__", compared)
    studio = Studio(people=people * 100, model="offline")
    for title in TABS:
        studio.go_to(title)
    studio.people = people * 50
    studio.go_to("People")
    assert studio.error is None and len(studio.browser.people) == 250


def test_the_static_form_shows_its_people(people):
    studio = Studio(people=people)
    for person in people:
        assert person.name in studio.static_html() and person.name in studio.static_text()
