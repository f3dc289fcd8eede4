from __future__ import annotations

import copy
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tests.support.people import person as full_person
from tinyfactory.people import People, TinyPerson
from tinyfactory.people.render.html import escape
from tinyfactory.people.render.person import people_html, people_text, person_html, person_text
from tinyfactory.people.schema.provenance import origin
from tinyfactory.utils.text import legible

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "<style>*{display:none}</style>",
    "</td></table></div></details><h1>out</h1>",
    'x" style="position:fixed" onclick=\'x()\'',
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)} `x` {% x %}",
    "<!-- ",
    "&lt;script&gt;",
]
TAGS = {
    *("div", "details", "summary", "b", "p", "small", "span", "ul", "li", "svg", "rect"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {
    "style",
    "class",
    "open",
    "width",
    "height",
    "viewbox",
    "aria-hidden",
    "fill",
    "x",
    "y",
}


class Page(HTMLParser):
    """What a browser would make of some HTML: its tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data):
        self.text += data + "\n"


def everywhere(value, text):
    """A persona with `text` in every text, and as a field of its own."""
    if isinstance(value, dict):
        return {key: everywhere(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [everywhere(item, text) for item in value]
    return f"{text} x" if isinstance(value, str) else value


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_every_field_is_shown_as_text(text):
    persona = everywhere(full_person(1), text)
    persona["unknown"] = {text: [text, {"deep": text}], "flag": True}
    persona[text] = text
    person = TinyPerson(
        persona=persona, provenance={"source": "model", "model": text}, register=False
    )
    for html in (person_html(person), people_html(People([person]))):
        assert text not in html or text == "<!-- "
        assert not re.search(r"<(script|img|style|h1|!)", html)
        assert not re.search(r"[{}`]", html)
        page = Page(html)
        assert page.open == []
        assert page.tags <= TAGS
        assert set(page.attributes) <= ATTRIBUTES
        assert not any(text in value for values in page.attributes.values() for value in values)
        assert text.strip() in page.text


def test_styles_do_not_depend_on_what_a_model_wrote():
    def styles(persona):
        return Page(person_html(TinyPerson(persona=persona, register=False))).attributes["style"]

    assert styles(full_person(1)) == styles(everywhere(full_person(1), "url(x);color:red"))


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x9b", "\u202e", "\u2066", "\x07", "\r"])
def test_unseen_characters_are_made_visible(character):
    assert legible(f"a{character}b") == "a\ufffdb"
    persona = {"name": f"An{character}a", "motto": f"x{character}y", f"k{character}": ["\u202e"]}
    person = TinyPerson(persona=persona, register=False)
    shown = [person_html(person), person_text(person), people_text([person]), repr(person)]
    shown += [people_html([person]), repr(People([person]))]
    assert not any(character in text for text in shown)


def test_text_in_any_script_stays_readable():
    assert escape("محمد 李 Ñandú 👩‍⚕️") == "محمد 李 Ñandú 👩‍⚕️"


def test_every_field_is_shown_in_html_and_in_text():
    persona = full_person(2) | {"motto": "Onwards", "cats": 7, "vegan": False, "flat": None}

    def leaves(value):
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        if isinstance(value, list):
            return [leaf for item in value for leaf in leaves(item)]
        return [{False: "no", None: "none"}.get(value, str(value))]

    person = TinyPerson(persona=persona, register=False)
    for text in (Page(person_html(person)).text, person_text(person)):
        for leaf in leaves(persona):
            assert leaf in text


def test_unknown_parts_of_the_personality_are_not_hidden_by_the_bars():
    persona = {
        "name": "Ana",
        "personality": {
            "big_five": {"openness": 70, "honesty": "rare"},
            "big_five_notes": {"openness": "reads"},
        },
    }
    text = Page(person_html(TinyPerson(persona=persona, register=False))).text
    assert "rare" in text and "reads" in text and text.count("70") == 1


@pytest.mark.parametrize(
    ("provenance", "words"),
    [
        ({"source": "offline", "model": "offline"}, "offline writer"),
        ({"source": "model", "model": "m-1"}, "by the model m-1"),
        ({"source": "model"}, "Written by a model"),
        ({"source": "census"}, "From: census"),
        ({}, "not recorded"),
    ],
)
def test_where_a_person_came_from_is_said(provenance, words):
    person = TinyPerson("Ana", provenance=provenance, register=False)
    assert words in origin(provenance)
    assert origin(provenance) in Page(person_html(person)).text
    assert origin(provenance) in person_text(person)


def test_the_card_tells_field_by_field_where_they_came_from():
    about = {"source": "model", "model": "m-1", "recipe": {"particularities": {"age": 22}}}
    person = TinyPerson(persona=full_person(1), provenance=about, register=False)
    person.revise({"style": "Quiet."})
    text = " ".join(Page(person_html(person)).text.split())
    assert "Asked for Age Written by a model Name · Gender" in text
    assert "Edited Style" in text
    by_hand = TinyPerson("Ana", register=False)
    assert "Asked for" not in person_html(by_hand)


def test_bars_keep_a_colour_where_variables_are_taken_out():
    html = person_html(TinyPerson(persona=full_person(1), register=False))
    untrusted = re.sub(r"background: var\([^)]*\)+;", "", html)
    assert untrusted.count("background: #1976d2;") == 5
    assert "background: rgba(128, 128, 128, 0.3);" in untrusted


def test_a_long_list_shows_fifty_and_says_how_many_more():
    people = People(TinyPerson(f"Person {n}", register=False) for n in range(1060))
    html, text = people_html(people), people_text(people)
    for shown in (html, text):
        assert "1,060 people; the first 50 are shown, 1,010 more are not" in shown
        assert "Person 49" in shown and "Person 50" not in shown
    assert html.count("<tr>") == 51
    assert len(html) < 100_000


def test_few_people_and_none():
    assert people_text(People()) == "0 people"
    assert "<table" not in people_html(People())
    assert people_text([TinyPerson("Ana", {"age": 3}, register=False)]) == "1 person\n 1. Ana, 3"


def test_a_long_value_does_not_stretch_the_table():
    person = TinyPerson("Ana", {"residence": "x" * 10_000}, register=False)
    assert len(people_html([person])) < 4_000


def test_colours_come_from_the_theme_and_ids_from_nowhere():
    html = person_html(TinyPerson(persona=full_person(1), register=False))
    assert "var(--jp-ui-font-color1, inherit)" in html
    assert "color: black" not in html and "background: white" not in html
    assert " id=" not in html and "<style" not in html and "<script" not in html


def test_the_card_reads_without_picture_and_styles():
    html = person_html(TinyPerson(persona=full_person(1), register=False))
    bare = re.sub(r"<svg.*?</svg>| (style|class)=\"[^\"]*\"", "", html)
    text = Page(bare).text
    assert full_person(1)["name"] in text
    assert re.search(r"Openness\s+41", text)


def test_the_same_person_looks_the_same_in_every_process():
    code = (
        "from tests.support.people import person\n"
        "from tinyfactory.people import TinyPerson\n"
        "print(TinyPerson(persona=person(1), register=False)._repr_html_())"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(shown) == 1
    other = copy.deepcopy(full_person(1)) | {"name": "Someone Else"}
    html = TinyPerson(persona=other, register=False)._repr_html_()
    assert re.findall("<rect[^>]*>", html) != re.findall("<rect[^>]*>", shown.pop())
