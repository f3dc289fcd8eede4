from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any, cast

import pytest

from tests.support.people import person as full_person
from tinyfactory.errors import InvalidInput
from tinyfactory.people import Comparison, TinyPerson, compare
from tinyfactory.people.comparison import Twins
from tinyfactory.people.render.comparison import side_by_side_html


def someone(**fields) -> TinyPerson:
    return TinyPerson(persona={"name": "Ana"} | fields, register=False)


def field(comparison, path):
    return next(f for f in comparison.fields if f.path == path)


class Page(HTMLParser):
    """The tags of a page, and the texts within each kind of tag."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.within: dict[str, str] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_data(self, data):
        for tag in {*self.open}:
            self.within[tag] = self.within.get(tag, "") + data


def test_every_field_is_the_same_changed_or_on_one_side():
    a = someone(age=34, style="calm", occupation={"title": "nurse"}, skills=["chess"])
    b = someone(age=35, health="well", occupation={"title": "nurse"}, skills=["chess"])
    comparison = compare(a, b)
    assert {f.path: (f.left, f.right, f.state) for f in comparison.fields} == {
        "name": ("Ana", "Ana", "same"),
        "age": (34, 35, "changed"),
        "occupation.title": ("nurse", "nurse", "same"),
        "style": ("calm", None, "only left"),
        "health": (None, "well", "only right"),
        "skills": (["chess"], ["chess"], "same"),
    }
    assert [f.path for f in comparison.differences] == ["age", "style", "health"]


def test_words_that_differ_are_marked():
    left = "Works nights on the ward, and sleeps late."
    right = "Works days on the large ward, and sleeps late."
    comparison = compare(someone(style=left), someone(style=right))
    assert field(comparison, "style").items == (
        (
            ("both", "Works"),
            ("left", " nights"),
            ("right", " days"),
            ("both", " on the"),
            ("right", " large"),
            ("both", " ward, and sleeps late."),
        ),
    )


def test_the_pieces_of_each_side_are_its_text():
    a, b = (TinyPerson(persona=full_person(n), register=False) for n in (1, 2))
    for f in compare(a, b).fields:
        for value, side in ((f.left, "left"), (f.right, "right")):
            texts = ["".join(t for s, t in item if s in ("both", side)) for item in f.items]
            if isinstance(value, str):
                assert texts == [value]
            elif isinstance(value, list) and all(isinstance(item, str) for item in value):
                assert sorted(filter(None, texts)) == sorted(value)


def test_items_of_lists_stand_beside_the_ones_they_resemble():
    left = ["repairs old stoves", "reads the weather", "sings"]
    right = ["paints boats", "reads the weather and stars", "repairs old stoves"]
    items = field(compare(someone(skills=left), someone(skills=right)), "skills").items
    assert items == (
        (("both", "repairs old stoves"),),
        (("both", "reads the weather"), ("right", " and stars")),
        (("left", "sings"),),
        (("right", "paints boats"),),
    )


def test_another_order_is_a_change_in_which_no_word_differs():
    comparison = compare(someone(skills=["a b", "c d"]), someone(skills=["c d", "a b"]))
    assert field(comparison, "skills").state == "changed"
    assert comparison.share == 0
    assert "the same in another order" in repr(comparison)
    assert "the same in another order" in comparison._repr_html_()


def test_the_share_of_words():
    a, b = someone(style="one two three"), someone(style="one two four")
    assert compare(a, b).share == pytest.approx(2 / 8)  # name, one, two twice; three, four
    assert compare(a, a).share == 0
    other = TinyPerson("Bo", {"health": "well"}, register=False)
    assert compare(a, other).share == 1
    assert compare(a, b).share == compare(b, a).share


def test_words_that_only_one_uses_are_the_most_frequent_fifteen():
    a = someone(style="Calm, calm; CALM! “gentle” x", health="shared")
    b = someone(style="shared " + " ".join(f"w{n:02}" for n in range(20)))
    comparison = compare(a, b)
    assert comparison.left_words == [("calm", 3), ("gentle", 1), ("x", 1)]
    assert comparison.right_words == [(f"w{n:02}", 1) for n in range(15)]


def test_what_was_changed_on_purpose_stands_first_and_is_not_counted():
    a = someone(gender="female", style="Speaks softly.")
    b = someone(gender="male", style="Speaks softly.")
    comparison = Comparison(a, b, asked={"sex": ("female", "male")})
    assert field(comparison, "gender").asked
    assert comparison.differences == ()
    assert comparison.share == 0
    assert comparison.left_words == comparison.right_words == []
    lines = repr(comparison).splitlines()
    assert lines[1] == "Changed on purpose: sex, from female to male"
    assert "[-female-] {+male+}" in lines[2]
    assert lines[3] == "Nothing differs besides: 2 fields the same."
    b.define("style", "Speaks loudly.")
    html = Comparison(a, b, asked={"sex": ("female", "male")})._repr_html_()
    assert html.index("Changed on purpose") < html.index("Gender") < html.index("besides")
    assert html.index("besides") < html.index("loudly.")


def test_a_change_that_did_not_happen_is_seen():
    twin = Comparison(someone(gender="f"), someone(gender="f"), asked={"sex": ("f", "m")})
    assert "gender: the same in both" in repr(twin)


def test_a_part_can_be_asked_for():
    a = someone(occupation={"title": "nurse", "organization": "a clinic"})
    b = someone(occupation={"title": "pilot", "organization": "an airline"})
    assert Comparison(a, b, asked={"occupation": ("nurse", "pilot")}).differences == ()
    by_title = Comparison(a, b, asked={"job": ("nurse", "pilot")})
    assert [f.path for f in by_title.differences] == ["occupation.organization"]


@pytest.mark.parametrize("asked", [5, {"sex": "male"}, {"sex": ("a", "b", "c")}])
def test_what_was_asked_comes_in_pairs(asked):
    with pytest.raises(InvalidInput, match="its old and its new value"):
        Comparison(someone(), someone(), asked=asked)


def test_a_later_change_of_a_person_is_not_seen():
    a = someone(age=3)
    comparison = compare(a, someone(age=3))
    a.define("age", 4)
    assert comparison.differences == ()


def test_text_in_scripts_without_spaces_is_compared_by_character():
    items = field(compare(someone(style="我喜欢茶"), someone(style="我喜欢书")), "style").items
    assert items == ((("both", "我喜欢"), ("left", "茶"), ("right", "书")),)


def test_a_field_with_a_dot_is_not_taken_for_a_part():
    a, b = someone(**{"x.y": 1, "x": {"y": 2}}), someone(**{"x.y": 1, "x": {"y": 3}})
    assert [(f.left, f.right) for f in compare(a, b).fields if f.path == "x.y"] == [(2, 3), (1, 1)]


def test_the_comparison_as_data_is_json():
    a, b = (TinyPerson(persona=full_person(n), register=False) for n in (1, 2))
    comparison = Comparison(a, b, asked={"sex": ("man", "woman")})
    data = comparison.to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["asked"] == {"sex": ["man", "woman"]}
    assert data["share_of_words"] == comparison.share
    assert len(data["fields"]) == len(comparison.fields)
    assert data["fields"][1] == {
        "path": "age",
        "left": 22,
        "right": 23,
        "state": "changed",
        "asked": False,
    }


def test_html_shows_both_sides_with_marks_that_are_no_colours():
    a, b = (TinyPerson(persona=full_person(n), register=False) for n in (1, 2))
    html = compare(a, b)._repr_html_()
    page = Page(html)
    assert page.open == []
    assert "Bruno" in page.within["del"] and "Carla" in page.within["ins"]
    assert "works nights on the ward" in html and "teaches mathematics" in html
    assert html.count("≠ different") == len(compare(a, b).differences)
    assert "line-through" in html and "underline" in html
    assert "old maps" in page.within["details"]
    assert "var(--jp-ui-font-color1, inherit)" in html
    assert "<style" not in html and " id=" not in html


def test_texts_with_little_in_common_are_read_without_marks():
    a, b = (
        someone(style="Speaks softly, and late."),
        someone(style="Shouts from the first word on."),
    )
    page = Page(compare(a, b)._repr_html_())
    assert not {"del", "ins"} & page.within.keys()
    b.define("style", "Speaks loudly, and late.")
    page = Page(compare(a, b)._repr_html_())
    assert (page.within["del"], page.within["ins"]) == ("softly,", "loudly,")


def test_several_people_stand_beside_the_first():
    people = [someone(age=n, style=f"Speaks softly {n}.", beliefs=["x"]) for n in (1, 2, 2)]
    people[2].define("health", "Well.")
    html = side_by_side_html([compare(people[0], other) for other in people[1:]])
    page = Page(html)
    assert page.open == [] and "Different: 3 of 5 fields." in html
    assert "The same in all: 2 fields" in html and html.count("≠ different") == 3
    assert html.count("<del") == 0 and "2." in page.within["ins"]
    assert html.count("Well.") == 1
    shorter = side_by_side_html(
        [compare(people[0], other) for other in people[1:]], only_differences=True
    )
    assert "The same in all" not in shorter and "Beliefs" not in shorter


@pytest.mark.parametrize(
    "text", ["<script>x</script>", "'><img src=x onerror=x>", "{{x}}`x`", "</td></table>", "a\x1b["]
)
def test_hostile_text_is_shown_as_text(text):
    a = TinyPerson(f"A {text}", {"style": f"{text} b", text: text, "own": [text]}, register=False)
    b = TinyPerson(f"B {text}", {"style": f"c {text}", "own": [f"{text} d"]}, register=False)
    comparison = Comparison(a, b, asked={text: (text, text)})
    html = comparison._repr_html_()
    page = Page(html)
    assert page.open == []
    assert page.tags <= {
        *("div", "b", "p", "table", "thead", "tbody", "tr", "th", "td", "span", "ul", "li"),
        *("del", "ins", "small", "br", "details", "summary"),
    }
    assert not re.search(r"[{}`\x1b]", html)
    assert "\x1b" not in repr(comparison)


def test_nothing_to_compare_is_no_error():
    nobody = TinyPerson(register=False)
    comparison = compare(nobody, nobody)
    assert comparison.fields == () and comparison.share == 0
    assert "Nothing differs" in repr(comparison) and "Nothing differs" in comparison._repr_html_()


def test_both_forms_go_to_a_notebook():
    bundle = compare(someone(age=1), someone(age=2))._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}


def test_twins_are_two_people_and_the_error_says_how_to_take_one():
    twins = Twins(TinyPerson("Ana", register=False), someone(age=70), {"age": (30, 70)})
    with pytest.raises(
        InvalidInput, match=r"Twins are two already\. Take one of them from \.people"
    ):
        compare(TinyPerson("Ana", register=False), cast("Any", twins))


@pytest.mark.parametrize("other", [None, {"name": "Ana"}, "Ana"])
def test_what_is_no_person_is_not_compared(other):
    with pytest.raises(InvalidInput, match="A comparison needs two people"):
        compare(TinyPerson("Ana", register=False), other)
