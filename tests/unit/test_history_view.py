"""The history of a simulation as a widget: its traits and handlers, without a browser."""

from __future__ import annotations

import pytest

from tests.support.chat_server import ChatServer, empty
from tests.support.widgets import raise_in_handlers
from tinyfactory import Simulation, TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import InvalidInput, SecretFound
from tinyfactory.journal.recording.recording import Recording
from tinyfactory.widgets.history.history_view import HistoryView

CONTEXT = "A group of friends are on a camping trip."
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>"


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)


@pytest.fixture
def lesson(tmp_path):
    """Two lines; on the first, two branches: 1, 2 and 3 after 1."""
    simulation = control.begin(tmp_path / "j", "lesson")
    factory = TinyPersonFactory(CONTEXT, model="offline")
    people = factory.generate_people(2)
    factory.checkout(0)
    people.append(factory.generate_person("somebody else"))
    other = TinyPersonFactory("A choir in Cardiff", model="offline")
    other.generate_person()
    return simulation, factory, people


def cells(view, column):
    place = [c.key for c in view._events.columns].index(column)
    return [row[place] for row in view._events.rows.cells]


def press(table, **wish):
    """What the page sends when somebody clicks or presses a key there."""
    number = table._answered.get("view", 0) + 1
    table._handle_custom_msg({"view": "view", "id": number, "wish": wish}, [])


def test_the_first_line_is_shown_with_its_branches(lesson):
    simulation, _, people = lesson
    view = HistoryView()
    assert view.simulation is simulation
    assert view.line == simulation.lines()[0].root
    assert cells(view, "result") == [person.name for person in people]
    assert cells(view, "branch") == ["1, goes on 2 ways", "1", "2, after #1"]
    assert set(cells(view, "was")) == {"new"}
    assert "4 events" in view._totals.text and "4 new, nothing replayed" in view._totals.text
    began = [row[1] for row in view._lines.rows.cells]
    assert began[1] == "context_text='A choir in Cardiff', model='offline' · TinyPersonFactory"


def test_a_branch_is_the_whole_way_to_its_end(lesson):
    _, _, people = lesson
    view = HistoryView()
    view.branch = 2
    assert cells(view, "result") == [people[0].name, people[2].name]
    view._branches.value = 0
    assert view.branch == 0 and len(view._events.items) == 3
    with pytest.raises(InvalidInput, match="no branch 9"):
        view.branch = 9
    assert view.branch == 0


def test_a_click_on_a_row_selects_and_tells_all_of_it(lesson):
    _, _, people = lesson
    view = HistoryView()
    seen = []
    view.observe(lambda change: seen.append(change.new), "selected")
    press(view._events, selected=2)
    assert view.selected.result == people[2].name and seen == [view.selected]
    assert view.selected.key in view._detail.text.value
    assert "is new: " in view._detail.text.value
    press(view._events, sort=["result", True], page=0, selected=None)
    assert cells(view, "result") == sorted((p.name for p in people), reverse=True)
    press(view._events, selected=0)
    assert view.selected.result == max(person.name for person in people)


def test_selecting_by_code_goes_to_the_line_and_the_row(lesson):
    simulation, factory, _ = lesson
    view = HistoryView()
    second = simulation.lines()[1].root
    view.branch = 2
    view.line = second[:10]
    assert view.line == second and view.branch == 0 and len(view._events.items) == 1
    view.selected = factory.history()[1].key[:12]
    assert view.line == simulation.lines()[0].root and view._events.selected == 2
    view.line = second
    assert view.selected is None and view._detail.text.value == ""
    for name, value in (("line", "zzz"), ("selected", "zzz")):
        with pytest.raises(InvalidInput, match=r"0 (lines|events)"):
            setattr(view, name, value)
    assert view.line == second


def test_refresh_shows_what_was_done_since_and_keeps_what_is_chosen(lesson):
    _, factory, _ = lesson
    view = HistoryView()
    view.selected = factory.history()[0].key
    made = factory.generate_person("a late one")
    view._refresh.click()
    assert cells(view, "result")[-1] == made.name
    assert view.selected.key == factory.history()[0].key and view._events.selected == 0


def test_check_out_puts_the_living_factory_back(lesson):
    _, factory, people = lesson
    view = HistoryView()
    view.selected = view._chronicle.events(view.line)[1].key
    view._detail.checkout.click()
    assert factory.generated_names == [person.name for person in people[:2]]
    assert view.error is None and factory.name in view.status
    namespace: dict[str, object] = {}
    factory.checkout(0)
    exec(view.code(), namespace)
    assert factory.generated_names == [person.name for person in people[:2]]


def test_a_person_goes_back_along_their_own_line(tmp_path):
    control.begin(tmp_path / "j")
    person = TinyPersonFactory(CONTEXT, model="offline").generate_person()
    person.revise({"age": 41})
    person.revise({"age": 42})
    view = HistoryView()
    view.line = next(r for r in view._lines.items if "TinyPerson:" in view._chronicle.title(r))
    assert len(view._events.items) == 2
    view.selected = view._events.items[0]
    assert view.checkout() is person and person.get("age") == 41
    assert "simulation.checkout(person, " in view.code()


def test_check_out_says_so_when_nothing_of_the_line_is_alive(tmp_path, lesson):
    _, factory, _ = lesson
    key = factory.history()[0].key
    simulation = control.begin(tmp_path / "j", "lesson")
    view = HistoryView(simulation)
    with pytest.raises(InvalidInput, match="No event is selected"):
        view.checkout()
    view.selected = key
    assert "not in this run" in view._detail.text.value
    view._detail.checkout.click()
    assert isinstance(view.error, InvalidInput)
    assert "alive" in view.status and f"factory.checkout('{key[:12]}')" in view.status
    # Nothing was begun by looking: the same steps are hits.
    again = TinyPersonFactory(CONTEXT, model="offline")
    again.generate_people(2)
    view.refresh()
    assert cells(view, "was") == ["replayed", "replayed", "–"]
    view.checkout()
    assert len(again.generated_names) == 1


def test_export_writes_a_recording_and_a_secret_stops_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    control.begin(tmp_path / "j", "les/son")
    TinyPersonFactory("The key is sk-canary0123456789abcdef", model="offline").generate_person()
    view = HistoryView()
    path = tmp_path / "les-son.recording.jsonl.gz"
    view._export.button.click()
    assert isinstance(view.error, SecretFound) and not path.exists()
    assert "Take out what looks secret" in view.status and "No file was written" in view.status
    view._export.strip.value = True
    view._export.button.click()
    assert view.error is None and str(path) in view.status
    assert Recording(path).simulation == "les/son"
    assert "strip=True" in view.code()
    (tmp_path / "notebook.ipynb").write_text("mine")
    view._export.file.value = "notebook.ipynb"
    view._export.button.click()
    assert isinstance(view.error, InvalidInput)
    assert (tmp_path / "notebook.ipynb").read_text() == "mine"


def test_a_recording_and_an_ended_simulation_can_be_looked_at(tmp_path, lesson):
    simulation, _, people = lesson
    path = simulation.export(tmp_path / "lesson.recording.jsonl.gz")
    control.end()
    ended = HistoryView(simulation)
    assert cells(ended, "result") == [person.name for person in people]
    assert "has ended" in ended._totals.text
    assert f"control.begin({str(simulation.path)!r}, 'lesson')" in ended.code()
    ended.selected = ended._chronicle.keys(ended.line)[1]
    assert "nothing like it" in ended._detail.text.value
    with Simulation.from_recording(path) as replayed:
        view = HistoryView(replayed)
        assert len(view._lines.items) == 2
        view.line = next(r for r in view._lines.items if CONTEXT[:20] in view._chronicle.title(r))
        assert set(cells(view, "seconds")) == {"–"}
        factory = TinyPersonFactory(CONTEXT, model="offline")
        factory.generate_people(2)
        view.refresh()
        view.selected = factory.history()[0].key
        assert view.checkout() is factory and len(factory.generated_names) == 1


def test_without_a_simulation_it_says_what_to_run(tmp_path):
    view = HistoryView()
    assert "control.begin()" in view.status and view._events.layout.display == "none"
    assert "control.begin()" in view.static_text() and "control.begin()" in view.static_html()
    with pytest.raises(InvalidInput, match=r"control\.begin"):
        view.checkout()
    simulation = control.begin(tmp_path / "j")
    TinyPersonFactory(CONTEXT, model="offline").generate_person()
    view.refresh()
    assert view.simulation is simulation and len(view._events.items) == 1
    assert view._events.layout.display == ""


def test_an_answer_that_never_came_and_a_failure_are_told(tmp_path, monkeypatch):
    control.begin(tmp_path / "j")
    with ChatServer(script=[empty(), empty(), empty()]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        TinyPersonFactory(CONTEXT).generate_person(attempts=3)
    view = HistoryView()
    assert cells(view, "result")[0].startswith("✗")
    view.selected = view._events.items[0]
    assert "3 replies" in view._detail.text.value
    assert "1 of them failed" in view._totals.text


def test_what_anybody_wrote_is_text(tmp_path):
    control.begin(tmp_path / "j", "a <b>name</b>")
    factory = TinyPersonFactory(HOSTILE, model="offline")
    factory.generate_person(HOSTILE)
    TinyPerson(HOSTILE)
    view = HistoryView()
    view.selected = factory.history()[0].key
    shown = [view._detail.text.value, view.static_html(), view._totals.value, view._of_line.value]
    view.failed(InvalidInput(HOSTILE))
    for html in [*shown, view._status.value]:
        assert "<script" not in html and "<img" not in html and "<svg" not in html
        assert "<b>name" not in html
    assert "&lt;script&gt;" in view._detail.text.value


def test_the_static_form_has_fifty_rows_and_says_how_many_more(tmp_path):
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT, model="offline")
    factory.generate_people(53)
    view = HistoryView()
    assert view.static_html().count("<tr>") == 1 + 1 + 1 + 50
    assert "and 3 more" in view.static_html() and "and 3 more" in view.static_text()
    assert len(view._events.rows.cells) == 50 and view._events.rows.total == 53


def test_closing_it_closes_all_that_it_is_made_of(lesson):
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    view = HistoryView()
    view.selected = view._chronicle.keys(view.line)[0]
    view.close()
    assert set(_instances) == before
