"""The population as a widget: its traits and handlers, without a browser."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from ipywidgets.widgets.widget import _instances

from tests.support.populations import people as invented
from tests.support.populations import target
from tests.support.waiting import PATIENCE
from tests.support.widgets import raise_in_handlers
from tinyfactory import TinyPerson
from tinyfactory.errors import Cancelled, InvalidInput, MissingPackage
from tinyfactory.people import People
from tinyfactory.populations import Demography
from tinyfactory.populations.reporting import measurement, report
from tinyfactory.widgets import PersonaBrowser
from tinyfactory.widgets.population import population_view as module
from tinyfactory.widgets.population.population_view import PopulationView

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)


def some_people(number=16):
    return People(TinyPerson(persona=persona, register=False) for persona in invented(number))


def measured(*arguments, **options):
    view = PopulationView(*arguments, **options)
    view.wait()
    return view


def press(view, field, category):
    """What the page sends when somebody clicks a bar, or presses Enter on it."""
    bars = view._bars
    where = [
        [number, place]
        for number, (chart, shown) in enumerate(bars._shown)
        for place, bar in enumerate(shown)
        if (chart.field, bar.category) == (field, category)
    ]
    number = bars._answered.get("view", 0) + 1
    pick = where[0] if where else None
    wish = {"pick": pick, "version": bars._version}
    bars._handle_custom_msg({"view": "view", "id": number, "wish": wish}, [])


def test_the_card_and_its_bars_asked_against_got():
    view = measured(some_people(80), target())
    assert view.card.passed and view.error is None
    assert "marks passed" in view.status and "Measured in" in view.status
    names = view._bars.names()
    assert "sex female: asked 50 %, got 50 % (40 people)" in names
    assert "sex × age female × 18-39: asked 25 %, got 25 % (20 people)" in names
    assert view._bars._drawn[0]["mark"].startswith("✓ pass")
    for row in view.card:  # each sentence and source is there to be opened
        assert row.title in view._rows.value and "Source: " in view._rows.value


def test_a_mark_that_fails_is_said_in_words():
    people = some_people(16)[:4]
    view = measured(people, target())
    assert not view.card.passed
    assert any(chart["mark"].startswith("✗ FAIL") for chart in view._bars._drawn)


def test_without_a_target_it_shows_what_is_there():
    view = measured(some_people(16))
    assert "sex female: 50 % (8 people)" in view._bars.names()
    assert "age 20-29: 50 % (8 people)" in view._bars.names()
    assert "age: 20-29 8, 60-69 8" in view.static_text()
    assert "age, people" in view.static_html()


def test_a_click_on_a_bar_lists_its_people_and_another_click_lets_go():
    people = some_people(16)
    browser = PersonaBrowser(people)
    view = measured(people, target(), browser=browser)
    seen = []
    view.observe(lambda change: seen.append(change.new), "picked")
    press(view, "sex", "female")
    assert seen == [("sex", "female")]
    assert browser.narrowed == "sex: female"
    assert list(browser.filtered) == list(people[::2]) == list(view.chosen)
    press(view, "sex × age", "male × 18-39")
    assert {(p.get("gender"), p.get("age")) for p in browser.filtered} == {("man", 25)}
    press(view, None, None)
    assert view.picked is None and browser.narrowed is None and len(browser.filtered) == 16
    assert len(view.chosen) == 0


def test_picking_by_code_is_as_a_click_and_what_is_not_there_is_said():
    view = measured(some_people(16), target())
    view.picked = ("age", "18-39")
    assert {person.get("age") for person in view.chosen} == {25}
    assert view._bars._state["picked"] is not None
    for wrong in (("age", "100"), ("moon", "full"), "age", 7):
        with pytest.raises(InvalidInput, match="no bar"):
            view.picked = wrong
    assert view.picked == ("age", "18-39")
    namespace = {"people": view.people, "demography": view.target}
    exec(view.code(), namespace)
    assert namespace["chosen"] == list(view.chosen)


def test_a_list_that_is_widened_in_the_browser_lets_go_of_the_bar():
    people = some_people(16)
    browser = PersonaBrowser(people)
    view = measured(people, target(), browser=browser)
    view.picked = ("sex", "male")
    browser.widen()
    assert view.picked is None and view._bars._state["picked"] is None
    view.picked = ("sex", "male")
    browser.narrow("something else", lambda person: True)
    assert view.picked is None and browser.narrowed == "something else"


def test_a_click_on_a_chart_that_is_gone_means_nothing():
    view = measured(some_people(16), target())
    old = view._bars._version
    view.people = some_people(32)
    view.wait()
    view._bars._handle_custom_msg(
        {"view": "view", "id": 1, "wish": {"pick": [0, 0], "version": old}}, []
    )
    assert view.picked is None


def test_other_people_or_another_target_are_measured_anew():
    view = PopulationView()
    assert view.wait() is None and "nobody" in view.status
    view.people = some_people(16)
    view.wait()
    first = view.card
    assert first.number_of_people == 16 and "margin:sex" not in first
    view.picked = ("sex", "male")
    view.target = target()
    assert view.picked is None
    view.wait()
    assert "margin:sex" in view.card and view.card is not first
    view.people = People()
    assert view.card is None and "nobody" in view.status


def test_measuring_can_be_cancelled_and_begun_anew(monkeypatch):
    go_on, under_way = threading.Event(), threading.Event()
    read = report

    def slow(*arguments, watch, **options):
        def held(done, total):
            under_way.set()
            go_on.wait(PATIENCE)
            watch(done, total)

        return read(*arguments, watch=held, **options)

    monkeypatch.setattr(measurement, "report", slow)
    view = PopulationView(some_people(16))
    assert under_way.wait(PATIENCE) and view._running.layout.display == ""
    view._cancel.click()
    assert view._cancel.disabled and "Stopping" in view.status
    go_on.set()
    with pytest.raises(Cancelled):
        view.wait()
    assert view.card is None
    assert view.status == 'Stopped. Nobody was changed. "Measure again" begins anew.'
    view._again.click()
    assert view.wait().number_of_people == 16 and view.error is None
    assert view._running.layout.display == "none"


def test_people_who_were_replaced_while_measured_are_never_shown(monkeypatch):
    go_on = threading.Event()
    real = measurement.measure

    def slow(people, *arguments, **options):
        if len(people) == 16:
            go_on.wait(PATIENCE)
        return real(people, *arguments, **options)

    monkeypatch.setattr(module, "measure", slow)
    view = PopulationView(some_people(16))
    first = view._work._run
    view.people = some_people(32)
    view.wait()
    go_on.set()
    first.told.wait()
    assert view.card.number_of_people == 32 and view.error is None


def test_where_threads_show_nothing_it_is_measured_before_it_is_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    view = PopulationView(some_people(16))
    assert view.card.number_of_people == 16 and "Measured in" in view.status


def test_the_kernel_is_free_while_it_measures(monkeypatch):
    go_on = threading.Event()
    real = measurement.measure

    def slow(*arguments, **options):
        assert go_on.wait(PATIENCE)
        return real(*arguments, **options)

    monkeypatch.setattr(module, "measure", slow)
    view = PopulationView(some_people(800))
    assert view.card is None and view._running.layout.display == ""
    go_on.set()
    view.wait()
    assert view.card is not None


def test_of_very_many_the_texts_of_some_are_read_and_it_says_so(monkeypatch):
    monkeypatch.setattr(module, "MOST_TEXTS", 10)
    view = measured(some_people(16), target())
    assert "read of 10 of them" in view.status and "texts=10" in view.code()
    assert "10 of the 16 people" in view.card["sentences"].sentence
    assert view.card["margin:sex"].value == 0


def test_a_target_that_is_none_and_a_package_that_is_missing_are_said():
    view = PopulationView(some_people(16), ["sex"])
    with pytest.raises(InvalidInput):
        view.wait()
    assert "must be a Demography" in view.status
    script = (
        "import sys; sys.modules['vaderSentiment.vaderSentiment'] = None\n"
        "sys.modules['vaderSentiment'] = None\n"
        "from tests.unit.test_population_view import some_people\n"
        "from tinyfactory.widgets.population.population_view import PopulationView\n"
        "view = PopulationView(some_people(16))\n"
        "try: view.wait()\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print(view.status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(MissingPackage.__name__)
    assert "[report]'" in done.stdout
    assert done.stdout.count("\n") == 2 and "unexpected error" not in done.stdout


def test_what_anybody_wrote_is_text():
    persona = {"name": HOSTILE, "gender": HOSTILE, "nationality": HOSTILE, "health": HOSTILE}
    people = People([TinyPerson(persona=persona, register=False)])
    asked = Demography.from_dict({HOSTILE: {HOSTILE: 0.5, "b": 0.5}, "sex": {HOSTILE: 1}})
    for view in (measured(people), measured(people, asked)):
        for html in (view._rows.value, view.static_html(), view._status.value):
            assert "<script" not in html and "<img" not in html
        assert any(HOSTILE[:20] in name for name in view._bars.names())  # set as text in the page


def test_many_categories_are_drawn_by_how_far_off_they_are():
    asked = Demography.from_dict({"country": {f"c{n}": 1 for n in range(100)}})
    people = [{"name": f"P {n}", "residence": "c99"} for n in range(100)]
    view = measured(People(TinyPerson(persona=p, register=False) for p in people), asked)
    (chart,) = view._bars._drawn
    assert len(chart["bars"]) == 30 and "70 categories not drawn" in chart["more"]
    assert chart["bars"][0]["label"] == "c99"


def test_closing_it_closes_all_that_it_is_made_of():
    people = some_people(16)
    browser = PersonaBrowser(people)
    before = set(_instances)
    view = measured(people, target(), browser=browser)
    view.picked = ("sex", "female")
    view.people = some_people(32)
    view.wait()
    view.close()
    assert set(_instances) == before
    browser.query = "anything"  # nobody listens any more
