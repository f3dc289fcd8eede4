"""`PersonaCompare` by its traits and handlers, without a browser."""

from __future__ import annotations

import re
import time

import pytest

from tests.support.people import person as full_person
from tests.support.waiting import until
from tests.support.widgets import raise_in_handlers, widgets_alive
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.people import People, compare
from tinyfactory.people.comparison import Twins
from tinyfactory.widgets import PersonaCompare


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)
    TinyPerson.clear_people()


def some(number, **more):
    return People(TinyPerson(persona=full_person(n) | more, register=False) for n in range(number))


def nurses(number=2):
    factory = TinyPersonFactory("Nurses in Porto, Portugal", model="offline")
    return factory.generate_people(number, {"sex": "female", "age": 40})


# -- who is shown --------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 3, 4])
def test_two_to_four_people_stand_side_by_side(number):
    people = some(number)
    view = PersonaCompare(people)
    for person in people:
        assert person.name in view._shown.value and person.name in view.static_text()
    assert view._shown.value.count("≠ different") >= len(view.comparisons[0].differences)
    assert f"The same in {'both' if number == 2 else 'all'}" in view._shown.value


def test_five_are_refused_and_those_before_stay():
    people = some(5)
    view = PersonaCompare(people[:2])
    with pytest.raises(InvalidInput, match="At most 4 people"):
        view.people = people
    assert view.people == people[:2] and people[1].name in view._shown.value


def test_the_people_can_be_set_and_observed():
    view, seen = PersonaCompare(), []
    assert "Two to four people" in view._shown.value and view._twin.disabled
    view.observe(lambda change: seen.append(change.new), "people")
    people = some(3)
    view.people = [*people]  # a plain list becomes People
    assert isinstance(view.people, People) and seen == [people]
    view.people = people[:1]
    assert "One person" in view.status and people[0].name in view._shown.value
    view.people = []
    assert "Two to four people" in view._shown.value and view.status == ""


def test_a_comparison_brings_its_people():
    ana, bo = some(2)
    view = PersonaCompare(compare(ana, bo, asked={"age": (21, 22)}))
    assert view.people[0] is ana and view.people[1] is bo and view.twins is None
    assert "Changed on purpose: age, from 21 to 22" in view._shown.value
    view.people = [bo, ana]
    assert "on purpose" not in view._shown.value


def test_only_what_differs():
    people = some(3, style="The same style.")
    view = PersonaCompare(people)
    assert "The same style." in view._shown.value
    view.only_differences = True
    assert view._only.value and "The same style." not in view._shown.value
    view._only.value = False
    assert not view.only_differences and "The same style." in view._shown.value


def test_the_static_form_is_what_is_seen():
    view = PersonaCompare(some(2))
    bundle = view._static_bundle()
    assert view._shown.value in bundle["text/html"]
    assert "Different: " in bundle["text/plain"]


# -- twins ---------------------------------------------------------------------------------


def test_a_twin_is_made_and_shown(tmp_path):
    with control.begin(tmp_path):
        people = nurses()
        view = PersonaCompare(people)
        view._twin.value = True
        view.maker.whose.value = "2"
        view.maker.field.value = "age"
        assert view.maker.value.placeholder == "now: 40"
        view.maker.value.value = "60"
        view.maker.make_button.click()
        view.maker.make_button.click()  # a double click does not pay twice
        until(lambda: view.twins)
        until(lambda: "A twin of" in view.status)
    assert isinstance(view.twins, Twins) and view.people[0] is people[1]
    assert view.people[1].get("age") == 60
    assert "Changed on purpose: age, from 40 to 60" in view._shown.value
    assert view.code() == "twins = person.twin(age=60)\ntwins"
    assert not view.maker.make_button.disabled and view.maker.cancel_button.disabled


def test_a_twin_in_code_is_shown_too():
    view = PersonaCompare(nurses(1))
    twins = view.make_twin(view.people[0], sex="male")
    assert view.twins is twins and twins.twin.get("gender") == "male"


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("age", "old", "a whole number from 0 to 120"),
        ("sex", " ", "Nothing was sent"),
        ("age", "40", "is 40 already"),
    ],
)
def test_a_change_that_cannot_be_is_said_and_nothing_is_made(field, text, words):
    people = nurses()
    view = PersonaCompare(people)
    view.maker.field.value, view.maker.value.value = field, text
    view.maker.make_button.click()
    until(lambda: view.error)
    assert isinstance(view.error, InvalidInput) and words in view.status
    assert view.people == people and view.twins is None
    until(lambda: not view.maker.make_button.disabled)


def test_cancel_stops_the_making_of_a_twin(serve):
    server = serve()
    person = TinyPersonFactory("Nurses in Porto").generate_person()
    server.allowed = 1
    view = PersonaCompare([person])
    view.maker.field.value, view.maker.value.value = "age", "77"
    view.maker.make()
    until(lambda: len(server.requests) == 2)
    started = time.monotonic()
    view.maker.cancel_button.click()
    view.maker.work.wait(60)
    assert time.monotonic() - started < 60  # it was never answered
    assert isinstance(view.error, Cancelled) and view.twins is None
    assert not view.maker.make_button.disabled


def test_the_code_does_the_same():
    people = some(3)
    view = PersonaCompare(people)
    lines = view.code().splitlines()
    told = [eval(line, {"people": people, "compare": compare}) for line in lines[2:]]
    assert [repr(one) for one in told] == [repr(one) for one in view.comparisons]


# -- text is text, and nothing is left over ------------------------------------------------


@pytest.mark.parametrize(
    "text", ["<script>x</script>", "'><img src=x onerror=x>", "<svg onload=x>", "{{x}}`</td>"]
)
def test_what_a_model_wrote_is_never_markup(text):
    people = [
        TinyPerson(
            f"{letter} {text}",
            {"style": f"{text} {letter}", text: letter, "skills": [text, f"{letter}{text}"]},
            register=False,
        )
        for letter in "abc"
    ]
    view = PersonaCompare(people)
    view._code.toggle.value = True
    view.failed(InvalidInput(text))
    told = view._shown.value + view._status.value + view._code._shown.value
    assert text not in told and not re.search(r"<(script|img|svg)", told)
    assert any(text in label for label, _ in view.maker.whose.options)  # shown as text there


def test_twenty_changes_leave_no_widget_behind():
    people = some(8)
    view = PersonaCompare(people[:2])
    before = widgets_alive()
    for number in range(20):
        view.people = people[number % 4 : number % 4 + 2 + number % 3]
    assert widgets_alive() == before


def test_closing_leaves_nothing():
    before = widgets_alive()
    PersonaCompare(some(2)).close()
    assert widgets_alive() == before
