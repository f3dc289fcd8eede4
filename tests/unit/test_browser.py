"""PersonaBrowser by its traits and handlers, without a browser."""

from __future__ import annotations

import json
import threading
from typing import Any

import ipywidgets
import pytest
import traitlets
from comm import DummyComm
from ipywidgets.widgets.widget import _instances

from tests.support.people import person
from tests.support.widgets import raise_in_handlers
from tinyfactory import TinyPerson
from tinyfactory.errors import InvalidInput, TinyFactoryError
from tinyfactory.people import People, load_people
from tinyfactory.widgets import PersonaBrowser
from tinyfactory.widgets.browser.people_export import FORMATS

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)


@pytest.fixture
def sent(monkeypatch):
    """The comm messages that widgets send, as they would go over the wire."""
    messages: list[dict] = []

    def publish(self, kind, data=None, *args, **more):
        messages.append(json.loads(json.dumps(data, default=lambda _: "…")))

    monkeypatch.setattr(DummyComm, "publish_msg", publish)
    return messages


def some_people(number=120) -> People:
    return People(TinyPerson(persona=person(n), register=False) for n in range(number))


def ask(widget, number, **wish):
    """What the script in a page sends."""
    widget._handle_custom_msg({"view": "view 1", "id": number, "wish": wish}, [])


def ticked(browser, field):
    """The boxes of a group that are shown: their text, number and state."""
    (group,) = [group for group in browser._choices._groups if group["key"] == field]
    return [tuple(option[1:]) for option in group["options"]]


# -- query, filters, selection --------------------------------------------------------------


def test_a_query_filters_and_the_selected_person_stays():
    people = some_people(5)
    browser = PersonaBrowser(people)
    assert browser.selected is people[0]
    browser.selected = people[3]
    browser.query = people[3].name.split()[-1].upper()
    assert people[3] in browser.filtered and browser.selected is people[3]
    browser.query = "nothing has these words"
    assert browser.filtered == [] and browser.selected is None
    assert browser.status == "0 people of 5"
    browser.query = ""
    assert browser.filtered == people and browser.selected is people[0]
    assert browser.status == "5 people"


def test_an_empty_list_says_why_it_is_empty():
    browser = PersonaBrowser()
    assert browser.table._head["empty"] == "There is nobody yet."
    browser.people = some_people(3)
    browser.query = "nothing has these words"
    assert browser.table._head["empty"].startswith("Nobody has all of this.")
    browser.people = []
    assert browser.table._head["empty"] == "There is nobody yet."


def test_what_is_typed_in_the_page_is_the_query_and_the_other_way_round():
    browser = PersonaBrowser(some_people(10))
    browser._parts.search.value = "gdansk"
    assert (
        browser.query == "gdansk"
        and [p.get("residence") for p in browser.filtered] == ["Gdańsk, Poland"] * 2
    )
    browser.query = "kenya"
    assert browser._parts.search.value == "kenya"


def test_people_of_the_same_content_stay_apart():
    twins = [TinyPerson(persona={"name": "Ana", "age": 3}, register=False) for _ in "ab"]
    browser = PersonaBrowser(twins)
    seen = []
    browser.observe(lambda change: seen.append(change.new), "selected")
    ask(browser.table, 1, selected=1)
    assert browser.selected is twins[1]
    browser.selected = twins[0]
    assert browser.table.selected == 0
    assert [who is twin for who, twin in zip(seen, (twins[1], twins[0]), strict=True)] == [True] * 2
    browser.people = [TinyPerson(persona=twin.persona, register=False) for twin in twins]
    assert browser.selected is browser.people[0] is not twins[0]


def test_who_is_not_listed_cannot_be_selected():
    people = some_people(5)
    browser = PersonaBrowser(people)
    browser.query = people[0].name
    with pytest.raises(InvalidInput, match="not in the list"):
        browser.selected = people[1]
    assert browser.selected is people[0]


def test_filters_narrow_and_counts_follow_the_others():
    browser = PersonaBrowser(some_people(100))
    assert dict(browser.count("gender")) == {"woman": 50, "man": 50}
    browser.filters = {"nationality": ["Kenyan", "polish"], "gender": "woman"}
    assert browser.filters == {"nationality": ["Kenyan", "polish"], "gender": ["woman"]}
    assert {p.get("gender") for p in browser.filtered} == {"woman"}
    assert {p.get("nationality") for p in browser.filtered} == {"Kenyan", "Polish"}
    assert browser.status == "20 people of 100"
    assert dict(browser.count("gender")) == {"woman": 20, "man": 20}
    assert dict(browser.count("nationality"))["Peruvian"] == 10
    browser.filters = {"occupation.organization": ["a village school"]}
    assert len(browser.filtered) == 20


def test_a_box_that_is_ticked_is_a_filter():
    browser = PersonaBrowser(some_people(100))
    assert ticked(browser, "gender") == [("man", 50, False), ("woman", 50, False)]
    ask(browser._choices, 1, key="gender", value="man", on=True)
    assert browser.filters == {"gender": ["man"]} and len(browser.filtered) == 50
    assert ticked(browser, "gender") == [("man", 50, True), ("woman", 50, False)]
    ask(browser._choices, 2, key="gender", value="woman", on=True)
    ask(browser._choices, 3, key="gender", value="man", on=False)
    assert browser.filters == {"gender": ["woman"]}
    ask(browser._choices, 4, key="gender", value="woman", on=False)
    assert browser.filters == {} and len(browser.filtered) == 100


def test_a_category_of_any_length_can_be_ticked():
    long = "manager of " + "very " * 50 + "many things"
    people = [
        TinyPerson("Ana", {"occupation": {"title": long}}, register=False),
        TinyPerson("Bo", register=False),
    ]
    browser = PersonaBrowser(people)
    ((shown, *_), _) = ticked(browser, "occupation.title")
    assert len(shown) == 60
    (group,) = [g for g in browser._choices._groups if g["key"] == "occupation.title"]
    ask(browser._choices, 1, key="occupation.title", value=group["options"][0][0], on=True)
    assert browser.filters == {"occupation.title": [long]} and browser.filtered == people[:1]


def test_categories_that_begin_alike_are_boxes_of_their_own():
    same = "teacher of " + "very " * 30 + "small children in "
    titles = [same + "Braga", same + "Porto", same + "Porto and Braga", same[:90] + "large ones"]
    people = [
        TinyPerson(name, {"occupation": {"title": title}}, register=False)
        for name, title in zip(("Ana", "Bo", "Cy", "Di"), titles, strict=True)
    ]
    browser = PersonaBrowser(people)
    (group,) = [g for g in browser._choices._groups if g["key"] == "occupation.title"]
    boxes = {label: sent for sent, label, *_ in group["options"]}
    assert len(boxes) == len(set(boxes.values())) == 4
    assert all(len(text) <= 60 for box in boxes.items() for text in box)
    for number, (title, who) in enumerate(zip(titles, people, strict=True)):
        (sent,) = [boxes[label] for label in boxes if label.endswith(title[-12:])]
        ask(browser._choices, 2 * number + 1, key="occupation.title", value=sent, on=True)
        assert browser.filters == {"occupation.title": [title]} and browser.filtered == [who]
        ask(browser._choices, 2 * number + 2, key="occupation.title", value=sent, on=False)


@pytest.mark.parametrize("filters", [{"skills": ["judo"]}, {"age": ["34"]}, {"age": "20-30"}])
def test_filters_that_cannot_be_are_refused_and_nothing_changes(filters):
    browser = PersonaBrowser(some_people(5))
    with pytest.raises(InvalidInput):
        browser.filters = filters
    assert browser.filters == {} and len(browser.filtered) == 5


def test_an_error_of_what_is_done_in_the_page_stands_in_the_panel():
    browser = PersonaBrowser(some_people(3))
    ask(browser.table, 1, sort=["skills of others", True])
    assert isinstance(browser.error, InvalidInput) and "'name'" in browser.status
    assert browser._status.wrong
    browser.query = "a"
    assert browser.error is None


def test_filtered_follows_and_cannot_be_set():
    browser = PersonaBrowser(some_people(3))
    with pytest.raises(traitlets.TraitError):
        browser.filtered = People()


def test_traits_tell_of_what_changes():
    browser, seen = PersonaBrowser(some_people(10)), []
    for name in ("query", "filters", "filtered", "selected", "people"):
        browser.observe(lambda change: seen.append(change.name), name)
    browser.query = "kenya"
    assert set(seen) == {"query", "filtered", "selected"}
    seen.clear()
    browser.people = some_people(2)
    assert {"people", "filtered", "selected"} <= set(seen)


def test_narrow_and_widen_restrict_from_outside():
    browser = PersonaBrowser(some_people(20))
    browser.narrow("age: 21-25", lambda who: who.get("age") <= 25)
    assert len(browser.filtered) == 5 and browser.status == "5 people of 20"
    assert browser._parts.chip.description == "age: 21-25" == browser.narrowed
    browser.people = some_people(60)
    assert len(browser.filtered) == 10, "who comes later is asked about, too"
    browser._parts.chip.click()
    assert browser.narrowed is None and len(browser.filtered) == 60
    assert browser._parts.chip.layout.display == "none"


def test_someone_who_was_changed_elsewhere_is_shown_as_they_are():
    people = some_people(3)
    browser = PersonaBrowser(people)
    people[0].define("residence", "Timbuktu, Mali")
    browser.refresh()
    assert "Timbuktu" in browser._reading._html.value
    assert browser.table.rows.cells[0][4] == "Timbuktu, Mali"
    browser.query = "timbuktu"
    assert browser.filtered == people[:1]


# -- the list -------------------------------------------------------------------------------


def test_a_sorted_list_keeps_who_is_read_and_filters_in_its_order():
    people = some_people(100)
    browser = PersonaBrowser(people)
    browser.selected = people[7]
    browser.sort = ("age", True)
    ages = [p.get("age") for p in browser.filtered]
    assert ages == sorted(ages, reverse=True) and browser.selected is people[7]
    assert browser.filtered[browser.table.selected] is people[7] and browser.table.page == 0
    assert browser.table.rows.cells[0][0] == browser.filtered[0].name
    browser.query = "kenya"
    ages = [p.get("age") for p in browser.filtered]
    assert ages == sorted(ages, reverse=True) and len(ages) == 20
    ask(browser.table, 1, sort=None)
    assert browser.filtered == people[1::5]


def test_a_row_that_is_chosen_is_read():
    people = some_people(200)
    browser = PersonaBrowser(people)
    ask(browser.table, 1, selected=130)
    assert browser.selected is people[130] and browser.table.page == 2
    assert people[130].name in browser._reading._html.value
    browser.selected = people[10]
    assert (browser.table.page, browser.table.selected) == (0, 10)


def test_a_new_query_shows_the_first_that_were_found():
    people = some_people(500)
    browser = PersonaBrowser(people)
    browser.selected = people[499]
    assert browser.table.page == 9
    browser.query = "a"
    assert browser.table.page == 0 and browser.selected is people[499]


def test_columns_can_be_chosen():
    browser = PersonaBrowser(some_people(3))
    browser.sort = ("age", False)
    browser.columns = ["name", "skills", "personality.big_five.openness"]
    assert browser.sort is None
    assert browser.table.rows.cells[0][1:] == ["reads the weather; repairs stoves", "40"]
    assert [c.label for c in browser.table.columns] == ["Name", "Skills", "Openness"]
    ask(browser._choices, 1, key="columns", value="age", on=True)
    assert browser.columns == ["name", "age", "personality.big_five.openness", "skills"]
    for number, path in enumerate(browser.columns):
        ask(browser._choices, number + 2, key="columns", value=path, on=False)
    assert browser.columns == ["name"]


def test_the_view_can_be_cards():
    browser = PersonaBrowser(some_people(3))
    browser._parts.view.value = "cards"
    assert browser.view == "cards" == browser.table.shape
    browser.view = "table"
    assert browser._parts.view.value == "table" == browser.table.shape


def test_the_card_is_made_when_it_is_asked_for_and_follows():
    people = some_people(3)
    browser = PersonaBrowser(people)
    assert browser._reading.card is None
    browser._reading._edit.value = True
    card: Any = browser._reading.card
    assert card.person is people[0] and card in browser._reading.children
    browser.selected = people[1]
    assert card.person is people[1]
    card.edit("residence", "Timbuktu, Mali")
    card.save()
    assert browser.table.rows.cells[1][4] == "Timbuktu, Mali"
    browser._reading._edit.value = False
    assert "Timbuktu" in browser._reading._html.value


# -- what goes over the wire ----------------------------------------------------------------


def test_filtering_and_paging_make_no_widgets():
    browser = PersonaBrowser(some_people(300))
    browser.query = "a"
    before = len(_instances)
    for number in range(1, 15):
        ask(browser.table, number, page=number % 4, selected=number * 9)
        browser.query = "ken" if number % 2 else "port"
        browser.filters = {"gender": ["woman"]} if number % 3 else {}
        browser.view = "cards" if number % 2 else "table"
        browser.people = some_people(60)
    assert len(_instances) == before


def test_bytes_do_not_grow_with_the_number_of_people(sent):
    sizes = []
    for number in (100, 5_000):
        sent.clear()
        browser = PersonaBrowser(some_people(number))
        ask(browser.table, 1, shown=True)
        browser.query = "kenya"
        sizes.append(sum(len(json.dumps(message)) for message in sent))
    assert sizes[1] < 1.2 * sizes[0]


@pytest.mark.parametrize("text", ["{`<" * 100_000, "\U0001f600" * 100_000, HOSTILE * 5_000])
def test_no_message_is_above_200_kb_whatever_is_in_a_person(sent, text):
    people = [
        TinyPerson(f"Ana {n}", dict.fromkeys(("residence", "nationality", "health", "gender"), text)
                   | {"occupation": text, "skills": [text]}, register=False)
        for n in range(60)
    ]  # fmt: skip
    browser = PersonaBrowser(people)
    browser.columns = [*browser.columns, "skills", "health", "gender"]
    ask(browser.table, 1, shown=True, selected=3)
    browser.filters = {"gender": [text]}
    assert len(browser.filtered) == 60
    assert max(len(json.dumps(m, ensure_ascii=False).encode()) for m in sent) < 200_000
    assert "selected" in browser._reading._html.value and "MB" in browser._reading._html.value


def test_what_a_model_wrote_is_never_markup():
    fields = ("gender", "nationality", "residence", "education", "style", "health", "pet")
    who = TinyPerson(
        HOSTILE,
        dict.fromkeys(fields, HOSTILE) | {"occupation": HOSTILE, "skills": [HOSTILE]},
        register=False,
    )
    browser = PersonaBrowser([who])
    browser.narrow(HOSTILE, lambda _: True)
    browser.query = "<script>alert"
    browser.filters = {"gender": [HOSTILE]}
    assert browser.filtered == [who]
    browser._code.toggle.value = True
    htmls = [w.value for w in everything(browser) if isinstance(w, ipywidgets.HTML)]
    for html in (*htmls, browser.static_html()):
        assert "<script" not in html and "<img" not in html
    assert browser.table.rows.cells[0][0] == HOSTILE, "and as text it stands there whole"


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def test_text_of_many_is_read_in_the_background_once_it_is_in_a_page():
    people = some_people(1_600)
    browser = PersonaBrowser(people)
    assert browser._listed.unread == 4
    ask(browser.table, 1, shown=True)
    for thread in threading.enumerate():
        if thread.name == "tinyfactory-reading":
            thread.join()
    assert browser._listed.unread == 0
    browser.close()
    assert "tinyfactory-reading" not in {thread.name for thread in threading.enumerate()}


def test_closing_closes_all():
    before = len(_instances)
    browser = PersonaBrowser(some_people(10))
    browser._reading._edit.value = True
    browser._reading._edit.value = False
    browser.close()
    assert len(_instances) == before


# -- export, code, static form --------------------------------------------------------------


def test_export_writes_who_is_listed_and_never_over_something(tmp_path):
    browser = PersonaBrowser(some_people(20))
    browser.query, browser.sort = "kenya", ("age", True)
    for name in ("people.csv", "people.jsonl", "people.parquet", "people.json", "people-folder"):
        path = browser.export(tmp_path / name)
        assert load_people(path) == browser.filtered
        assert browser.status == f"4 people written to {path}"
        with pytest.raises(InvalidInput, match=r"is there already; nothing was written"):
            browser.export(path)
    browser.query = ""
    browser.export(tmp_path / "people.csv", overwrite=True)
    assert len(load_people(tmp_path / "people.csv")) == 20
    with pytest.raises(InvalidInput, match="format"):
        browser.export(tmp_path / "people.docx")
    with pytest.raises(TinyFactoryError):
        browser.export(tmp_path / "people.csv" / "below a file.csv")


@pytest.mark.parametrize("name", FORMATS)
def test_the_button_writes_a_new_file_beside_the_notebook_each_time(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    browser = PersonaBrowser(some_people(10))
    browser._exporting.format.value = name
    browser.query = "kenya"
    for stem in ("people", "people-2"):
        browser._exporting.button.click()
        assert browser._exporting.button.disabled
        browser._exporting.join()
        path = tmp_path / f"{stem}{FORMATS[name]}"
        assert browser.status == f"2 people written to {path}"
        assert load_people(path) == browser.filtered and not browser._exporting.button.disabled


def test_a_text_that_arrives_just_after_the_click_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    browser = PersonaBrowser(some_people(10))
    browser._exporting.button.click()
    browser._exporting.button.click()  # a double click writes one file
    browser._parts.search.value = "kenya"
    browser._exporting.join()
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]
    assert len(load_people(tmp_path / "people.csv")) == 2
    browser._parts.clear.click()
    browser._parts.search.value = "typed and cleared at once"
    browser._cleared.join()
    assert browser.query == "" and len(browser.filtered) == 10


def test_an_export_that_fails_says_so(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    browser = PersonaBrowser(some_people(2))
    (tmp_path / "gone").rmdir()
    browser._exporting.button.click()
    browser._exporting.join()
    assert browser.error is not None and browser._status.wrong
    assert not browser._exporting.button.disabled


def test_the_code_does_the_same(tmp_path):
    people = some_people(30)
    browser = PersonaBrowser(people)
    browser.query, browser.filters = "o'brien's \"x\"", {"gender": ["woman"]}
    browser.query = "kenya"
    browser.columns, browser.view = ["name", "age"], "cards"
    browser.sort = ("age", True)
    browser.export(tmp_path / "people.csv")
    (tmp_path / "people.csv").unlink()
    names: dict[str, Any] = {"people": people}
    exec(browser.code(), names)
    same = names["browser"]
    assert same.filtered == browser.filtered and same.view == "cards"
    assert (same.query, same.filters, same.sort) == (browser.query, browser.filters, browser.sort)
    assert load_people(tmp_path / "people.csv") == browser.filtered


def test_the_static_form_is_a_table_of_50_that_says_how_many_more():
    browser = PersonaBrowser(some_people(130))
    html = browser.static_html()
    assert html.count("<tr") == 51 and "130 people; the first 50 are shown, 80 more are not" in html
    browser.query = "kenya"
    assert "26 people" in browser.static_html() and browser.static_html().count("<tr") == 27
    assert browser.static_text().startswith("26 people")
