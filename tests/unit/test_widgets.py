"""The widgets by their traits and handlers, without a browser."""

from __future__ import annotations

import pytest

from tests.support.widgets import raise_in_handlers
from tinyfactory import TinyPerson, TinyPersonFactory
from tinyfactory.widgets import PersonaBrowser


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)


def some_people():
    return TinyPersonFactory("A choir in Cardiff, Wales", model="offline").generate_people(5)


def test_a_query_filters_and_the_selected_person_stays():
    people = some_people()
    browser = PersonaBrowser(people)
    assert browser.selected is people[0]
    browser.selected = people[3]
    browser.query = people[3].name.split()[-1].upper()
    assert people[3] in browser.filtered and browser.selected is people[3]
    browser.query = "nothing has these words"
    assert browser.filtered == [] and browser.selected is None
    assert "0 people of 5" in browser._status.text


def test_people_of_the_same_label_stay_apart():
    twins = [
        TinyPerson(persona={"name": "Ana", "age": 3, "health": h}, register=False) for h in "ab"
    ]
    browser = PersonaBrowser(twins)
    browser._list.index = 1
    assert browser.selected is twins[1]


def test_what_a_model_wrote_is_never_markup():
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    person = TinyPerson(persona={"name": hostile, "health": hostile}, register=False)
    browser = PersonaBrowser([person])
    for html in (browser._detail.value, browser.static_html()):
        assert "<script" not in html and "<img" not in html
