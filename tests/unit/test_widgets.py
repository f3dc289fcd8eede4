"""The widgets by their traits and handlers, without a browser."""

from __future__ import annotations

import threading
import time

import ipywidgets
import pytest

from tests.support.chat_server import ChatServer, wrong_key
from tinyfactory import TinyPerson, TinyPersonFactory
from tinyfactory.errors import AuthenticationFailed, Cancelled, InvalidInput
from tinyfactory.widgets import PersonaBrowser, PersonaForm


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    """ipywidgets only logs what a handler raises."""

    def call(self, *args, **kwargs):
        for callback in self.callbacks:
            callback(*args, **kwargs)

    monkeypatch.setattr(ipywidgets.CallbackDispatcher, "__call__", call)
    TinyPerson.clear_people()


def wait_until(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def test_a_click_makes_people():
    form = PersonaForm("Bakers in Vienna", model="offline")
    form.number = 3
    form._generate.click()
    assert form._generate.disabled
    wait_until(lambda: "3 people made" in form.status)
    assert len(form.people) == 3 and form.error is None
    assert not form._generate.disabled and form._cancel.disabled
    assert all(person.name in form._shown.value for person in form.people)


def test_a_second_click_at_once_pays_nothing():
    form = PersonaForm("Bakers in Vienna", model="offline")
    form._generate.click()
    form._generate.click()
    wait_until(lambda: "made" in form.status and not form._generate.disabled)
    time.sleep(0.3)
    assert len(form.people) == 1


def test_text_that_arrives_just_after_the_click_counts():
    form = PersonaForm("typed before", model="offline")
    form._generate.click()
    form.context = "typed and clicked at once"
    wait_until(lambda: len(form.people) == 1)
    assert form.factory.context_text == "typed and clicked at once"


def test_an_error_stands_in_the_form_and_in_error(monkeypatch):
    with ChatServer(rules=[wrong_key()]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        form = PersonaForm("Bakers in Vienna")
        with pytest.raises(AuthenticationFailed):
            form.generate()
    assert isinstance(form.error, AuthenticationFailed)
    assert str(form.error) == form.status and 'role="alert"' in form._status.value
    form.context = ""
    with pytest.raises(InvalidInput):
        form.generate()
    assert not form._generate.disabled


def test_cancel_keeps_who_is_finished(monkeypatch):
    with ChatServer(slow=0.15) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        form = PersonaForm("Bakers in Vienna")
        form.number = 50
        form._generate.click()
        wait_until(lambda: len(form.people) >= 2)
        started = time.monotonic()
        form._cancel.click()
        wait_until(lambda: "Stopped" in form.status)
        assert time.monotonic() - started < 1
    made = len(form.people)
    assert 2 <= made < 50 and made == len(form.factory.generated_names)
    assert len(TinyPerson.all_people()) == made
    with pytest.raises(Cancelled):
        form.wait()


def test_a_given_factory_is_used():
    factory = TinyPersonFactory("Bakers in Vienna", model="offline")
    form = PersonaForm(factory=factory)
    form.generate()
    assert factory.generated_names == [form.people[0].name]


def test_progress_is_shown_while_it_runs(monkeypatch):
    with ChatServer(slow=0.2) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        form = PersonaForm("Bakers in Vienna")
        form.number = 3
        seen = []
        form._bar.observe(lambda change: seen.append(change.new), "value")
        form.generate()
    assert seen == [1, 2, 3]


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
    form = PersonaForm(hostile, model="offline")
    form._status.say(hostile)
    for html in (browser._detail.value, browser.static_html(), form._status.value):
        assert "<script" not in html and "<img" not in html


def test_no_thread_is_left_over():
    form = PersonaForm("Bakers in Vienna", model="offline")
    form.generate()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"tinyfactory-job", "tinyfactory-watch"}
