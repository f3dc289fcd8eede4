"""`PersonaCard` by its traits and handlers, without a browser."""

from __future__ import annotations

import re
import sys
import threading
import time

import pytest

from tests.support.people import person as full_person
from tests.support.waiting import until
from tests.support.widgets import raise_in_handlers, widgets_alive
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import Cancelled, InvalidInput, InvalidPersona
from tinyfactory.people.schema.fields import fields
from tinyfactory.widgets import PersonaCard
from tinyfactory.widgets.parts import debounce

READ, EDIT, ASK, FROM, JSON = range(5)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)><style>*{display:none}</style>",
    "</td></table></details>{{1+1}}`x`",
]


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)
    TinyPerson.clear_people()


def someone(number=1, **more) -> TinyPerson:
    return TinyPerson(persona=full_person(number) | more, register=False)


def a_nurse() -> TinyPerson:
    return TinyPersonFactory("Nurses in Porto, Portugal", model="offline").generate_person(
        {"age": 40}
    )


def markup(widget):
    if isinstance(getattr(widget, "value", None), str) and widget.__class__.__name__ in (
        *("HTML", "Status", "Hint"),
    ):
        yield widget.value
    for child in getattr(widget, "children", ()):
        yield from markup(child)


# -- who is shown --------------------------------------------------------------------------


def test_the_person_can_be_set_and_observed():
    ana, bo = someone(1), someone(2)
    card, seen = PersonaCard(), []
    assert card.person is None and "Nobody" in card._head.value
    card.observe(lambda change: seen.append(change.new), "person")
    card.person = ana
    card.person = bo
    assert seen[0] is ana and seen[1] is bo
    assert bo.name in card._head.value and "<svg" in card._head.value
    card.person = None
    assert "Nobody" in card._head.value and "Nobody" in card.static_html()


def test_an_equal_person_is_another_one():
    ana, copy = someone(), someone()
    assert ana == copy
    card = PersonaCard(ana)
    card.person = copy
    assert card.person is copy
    card.edit("age", "50")
    card.save()
    assert (ana.get("age"), copy.get("age")) == (22, 50)


def test_only_a_person_can_be_shown():
    ana = someone()
    card = PersonaCard(ana)
    with pytest.raises(Exception, match="a TinyPerson or None"):
        card.person = "Ana"
    assert ana.name in card._head.value


def test_only_the_tab_that_is_seen_is_filled():
    card = PersonaCard(someone())
    assert card._reading.value and not card._json.value and not card._origins.value
    card._tabs.selected_index = JSON
    assert "&quot;persona&quot;" in card._json.value


def test_the_static_form_is_the_persons_own():
    ana = someone()
    bundle = PersonaCard(ana)._static_bundle()
    assert ana._repr_html_() in bundle["text/html"]
    assert "Title: nurse" in bundle["text/plain"]


# -- editing -------------------------------------------------------------------------------


def test_what_is_typed_is_saved_as_one_step_and_can_be_undone():
    ana = someone()
    card = PersonaCard(ana)
    card.edit("age", "44")
    card.edit("occupation.title", "midwife")
    card.edit("skills", "sewing\n\nchess")
    card.edit("personality.big_five.openness", "5")
    assert ana.get("age") == 22 and ana.revisions == []
    card.editor.save_button.click()
    until(lambda: ana.revisions)
    until(lambda: "Saved" in card.status and card.edited)
    assert (ana.get("age"), ana.get("occupation.title")) == (44, "midwife")
    assert ana.get("skills") == ["sewing", "chess"]
    assert ana.get("personality.big_five.openness") == 5
    assert len(ana.revisions) == 1 and card.edited == 1
    assert "44-year-old" in card._head.value and card.editor.drafts == {}
    before = full_person(1)
    card.editor.undo_button.click()
    assert ana.persona == TinyPerson(persona=before, register=False).persona
    assert card.editor.row("age").input.value == "22" and "Undone" in card.status
    assert card.editor.undo_button.disabled and card.edited == 2


@pytest.mark.parametrize(
    ("path", "text"),
    [("age", "190"), ("name", " "), ("personality.big_five.openness", "high"), ("cats", "{")],
)
def test_a_value_that_cannot_be_is_said_beside_its_field_and_changes_nothing(path, text):
    ana = someone(cats=2)
    before, card = ana.persona, PersonaCard(ana)
    card.edit("style", "Quiet.")
    card.edit(path, text)
    with pytest.raises(InvalidPersona):
        card.save()
    assert ana.persona == before and ana.revisions == []
    assert card.editor.row(path).wrong
    # What was typed is not lost, the good and the bad.
    assert card.editor.drafts == {"style": "Quiet.", path: text}
    card.editor.save_button.click()
    until(lambda: card.error)
    assert "Nothing was changed" in card.status and 'role="alert"' in card._status.value
    card.edit(path, str(ana.get(path)))
    assert not card.editor.row(path).wrong
    card.save()
    assert ana.get("style") == "Quiet." and card.error is None


def test_a_name_that_is_taken_is_said_beside_the_name():
    TinyPerson("Bo Lind", {"age": 3})
    ana = TinyPerson("Ana", {"age": 34})
    card = PersonaCard(ana)
    card.edit("name", "Bo Lind")
    with pytest.raises(InvalidInput):
        card.save()
    assert ana.name == "Ana" and "Bo Lind" in card.editor.row("name").wrong


def test_what_was_typed_stays_with_its_person():
    ana, bo = someone(1), someone(2)
    card = PersonaCard(ana)
    card.edit("age", "61")
    card.person = bo
    assert card.editor.row("age").input.value == "23" and card.editor.drafts == {}
    card.person = ana
    assert card.editor.row("age").input.value == "61" and "not saved" in card.status
    card.editor.discard_button.click()
    assert card.editor.row("age").input.value == "22" and card.editor.drafts == {}


def test_a_click_that_was_meant_for_the_one_before_saves_nobody(settles_slowly):
    ana, bo = someone(1), someone(2)
    card = PersonaCard(ana)
    card.edit("age", "61")
    card.editor.save_button.click()
    card.person = bo
    time.sleep(debounce.SETTLE + 0.3)
    assert (ana.revisions, bo.revisions) == ([], [])
    card.person = ana
    assert card.editor.drafts == {"age": "61"} and not card.editor.save_button.disabled


def test_text_that_arrives_just_after_the_click_counts(settles_slowly):
    ana = someone()
    card = PersonaCard(ana)
    card.edit("age", "6")
    card.editor.save_button.click()
    card.editor.row("age").input.value = "63"
    until(lambda: ana.revisions)
    assert ana.get("age") == 63


def test_a_click_before_the_kernel_hears_of_any_text_saves_it(settles_slowly):
    ana = someone()
    card = PersonaCard(ana)
    assert not card.editor.save_button.disabled
    card.editor.save_button.click()
    assert card.editor.save_button.disabled
    card.editor.row("age").input.value = "64"
    until(lambda: ana.get("age") == 64)
    card.save()
    assert "Nothing differs" in card.status and len(ana.revisions) == 1


def test_every_field_has_a_row_with_what_stands_in_it():
    ana = someone(cats=2, motto="Onwards")
    card = PersonaCard(ana)
    seen: dict[str, str] = {}
    for part in card.editor.part.options:
        card.editor.part.value = part[1]
        seen |= {row.field.path: row.input.value for row in card.editor._box.children}
    assert list(seen) == [field.path for field in fields(ana.persona)]
    assert seen["relationships"] == "Noor 1: a friend from school" and seen["cats"] == "2"


def test_a_step_is_kept_in_the_simulation_and_replays(tmp_path):
    def run():
        with control.begin(tmp_path):
            card = PersonaCard(a_nurse())
            card.edit("age", "41")
            card.save()
            card._tabs.selected_index = FROM
            return card.person.to_dict(), card._origins.value, control.cache_misses()

    first, again = run(), run()
    assert first[0] == again[0] and first[2] > 0 == again[2]
    assert "replayed" in again[1] and "Age: 40 → 41" in again[1]


# -- asking again --------------------------------------------------------------------------


def test_a_proposal_is_compared_and_changes_nothing_until_it_is_accepted():
    nurse = a_nurse()
    before, card = nurse.persona, PersonaCard(nurse)
    card._tabs.selected_index = ASK
    card.rewriter.path.value = "beliefs"
    card.rewriter.ask_button.click()
    card.rewriter.ask_button.click()  # a double click does not pay twice
    until(lambda: card.rewriter.proposal)
    until(lambda: "accept" in card.status)
    assert nurse.persona == before
    for belief in (before["beliefs"][0], card.rewriter.proposal.after[0]):
        assert belief.replace("'", "&#x27;") in card.rewriter._shown.value
    proposal = card.rewriter.proposal
    card.rewriter.accept_button.click()
    assert nurse.get("beliefs") == proposal.after and card.rewriter.proposal is None
    assert card.code() == "proposal = person.rewrite('beliefs')\nproposal.accept()"
    card.undo()
    assert nurse.persona == before


def test_a_rejected_proposal_leaves_the_person():
    nurse = a_nurse()
    before, card = nurse.persona, PersonaCard(nurse)
    card.rewriter.path.value = "occupation"
    card.rewriter.ask()
    card.rewriter.work.wait()
    card.rewriter.reject_button.click()
    assert nurse.persona == before and card.rewriter.proposal is None
    assert "Nothing was changed" in card.status


def test_a_proposal_waits_for_its_person():
    nurse = a_nurse()
    card = PersonaCard(nurse)
    card.rewriter.path.value = "style"
    card.rewriter.ask()
    card.person = someone(2)
    card.rewriter.work.wait()
    assert card.rewriter.proposal is None and card.rewriter._choice.layout.display == "none"
    card.person = nurse
    assert "Proposed" in card.rewriter._shown.value and "Style" in card.rewriter._shown.value
    assert card.rewriter._choice.layout.display == ""


def test_cancel_stops_the_asking_and_changes_nothing(serve):
    server = serve()
    nurse = TinyPersonFactory("Nurses in Porto").generate_person()
    server.allowed = 1
    before, card = nurse.persona, PersonaCard(nurse)
    card.rewriter.path.value = "beliefs"
    card.rewriter.ask()
    until(lambda: len(server.requests) == 2)
    assert card.rewriter.ask_button.disabled and not card.rewriter.cancel_button.disabled
    started = time.monotonic()
    card.rewriter.cancel_button.click()
    card.rewriter.work.wait(60)
    assert time.monotonic() - started < 60  # it was never answered
    assert isinstance(card.error, Cancelled) and nurse.persona == before
    assert not card.rewriter.ask_button.disabled and card.rewriter.cancel_button.disabled


def test_where_threads_show_nothing_a_click_ends_with_its_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    nurse = a_nurse()
    card = PersonaCard(nurse)
    card.edit("age", "44")
    card.editor.save_button.click()
    assert nurse.get("age") == 44 and "Saved" in card.status
    card.rewriter.path.value = "beliefs"
    card.rewriter.ask_button.click()
    assert card.rewriter.proposal is not None and "A proposal" in card.status


# -- where it came from --------------------------------------------------------------------


def test_where_fields_came_from_and_the_event_are_told(tmp_path):
    with control.begin(tmp_path):
        nurse = a_nurse()
        nurse.revise({"style": "Quiet."})
        card = PersonaCard(nurse)
        card._tabs.selected_index = FROM
        told = re.sub(r"<[^>]+>", " ", card._origins.value)
    assert re.search(r"Asked for +Age", told) and re.search(r"Edited +Style", told)
    assert "Made by the offline writer" in told and "TinyPersonFactory.generate_person" in told
    assert re.search(r"Tokens +[\d,]+ \(", told) and "free" in told and "1 attempt" in told


def test_without_an_event_it_says_why_there_is_none():
    card = PersonaCard(someone())
    card._tabs.selected_index = FROM
    assert "No event of this run" in card._origins.value
    assert "is not recorded" in card._origins.value


# -- text is text, and nothing is left over ------------------------------------------------


def everywhere(value, text):
    if isinstance(value, dict):
        return {key: everywhere(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [everywhere(item, text) for item in value]
    return f"{text} x" if isinstance(value, str) else value


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_model_wrote_is_never_markup(text):
    persona = everywhere(full_person(1), text) | {text: text, "own": {text: [text]}}
    ana = TinyPerson(persona=persona, provenance={"source": "model", "model": text}, register=False)
    card = PersonaCard(ana)
    ana.revise({"style": f"{text} y", text: f"{text} z"})
    for tab in range(5):
        card._tabs.selected_index = tab
    card._code.toggle.value = True
    card.edit("style", text)
    card.save()
    card.edit("age", text)
    with pytest.raises(InvalidPersona):
        card.save()
    html = "\n".join(markup(card))
    assert "x" in html and text not in html
    allowed = r"/|\b(div|b|svg|rect|p|small|table|tr|th|td|ul|ol|li|span|details|summary|pre|del)\b"
    own = re.sub(r"<style>\.tf-saved-\d+[^<]*</style>", "", html)
    assert not re.findall(rf"<(?!{allowed})", own)


def test_twenty_people_leave_no_widget_behind():
    made = TinyPersonFactory("Nurses in Porto, Portugal", model="offline").generate_people(10)
    people = [*made, *(someone(n, cats=n, motto="x") for n in range(10))]
    card = PersonaCard(people[0])

    def look_at(person):
        card.person = person
        for tab in range(5):
            card._tabs.selected_index = tab
        for _, part in card.editor.part.options:
            card.editor.part.value = part

    for person in (people[0], people[-1]):
        look_at(person)
    before = widgets_alive()
    for person in people:
        look_at(person)
    assert widgets_alive() == before


def test_closing_leaves_nothing():
    before = widgets_alive()
    card = PersonaCard(someone(cats=1))
    for _, part in card.editor.part.options:
        card.editor.part.value = part
    card.close()
    assert widgets_alive() == before
    assert not [t.name for t in threading.enumerate() if t.name.startswith("tinyfactory-work")]


def test_the_code_does_the_same():
    ana, other = someone(), someone()
    card = PersonaCard(ana)
    card.edit("age", "50")
    card.save()
    card.undo()
    card.edit("skills", 'it\'s "quoted"\nü')
    card.save()
    exec(card.code(), {"person": other})
    assert other.persona == ana.persona
    assert [r.changes for r in other.revisions] == [r.changes for r in ana.revisions]
