from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tinyfactory.people.render.charts import MAX_BARS, Section, bars, card, page, target_and_actual

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></svg>",
    "{{x}}`",
]
TAGS = {
    *("div", "p", "b", "br", "small", "span", "details", "summary", "table", "tbody", "tr", "td"),
    *("svg", "g", "title", "text", "path"),
}


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.open, self.text = set(), set(), [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("br", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def lengths(svg):
    return [float(v) for v in re.findall(r"M0 \d+h([\d.]+)", svg)]


def lines(svg):
    return [float(v) for v in re.findall(r"M([\d.]+) \d+v16", svg)]


def beginning(svg):
    (x,) = re.findall(r"translate\((\d+) ", svg)
    return int(x)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_is_escaped(text):
    plot = target_and_actual([(text, 1, 2)]) + bars([(text, 1)], text)
    html = card(text, [Section(text, text, text, text, [text], plot)])
    seen = Tags(html)
    assert seen.tags <= TAGS and seen.open == []
    assert not any(name.startswith("on") or name in ("src", "href") for name in seen.attributes)
    assert text in seen.text and text not in html
    whole = page(text, html)
    assert text not in whole and Tags(whole).open == []


def test_bars_are_as_long_as_their_numbers_say():
    svg = target_and_actual([("a", 10, 20), ("b", 40, 0)])
    full = 240
    assert lengths(svg) == [full / 2, 0]
    assert lines(svg) == [full / 4, full]
    # Bar, line and text of a row lie at one height.
    assert re.findall(r"M0 (\d+)h", svg) == ["9", "29"]
    assert re.findall(r"M[\d.]+ (\d+)v16", svg) == ["1", "21"]
    assert re.findall(r'y="(\d+)"[^>]*>[ab]<', svg) == ["13", "33"]
    assert "20 of 10" in svg and "0 of 40" in svg


@pytest.mark.parametrize("rows", [[], [("a", 0, 0)], [("a", -1, float("nan"))]])
def test_nothing_to_draw_is_drawn_as_nothing(rows):
    svg = target_and_actual(rows)
    assert lengths(svg) == [0] * len(rows) and svg.endswith("</svg>")


def test_a_long_table_says_how_much_is_not_drawn():
    svg = bars([(f"c{k}", k) for k in range(MAX_BARS + 7)], "x")
    assert len(lengths(svg)) == MAX_BARS and "and 7 more" in svg


def test_a_long_label_is_cut_and_whole_in_its_title():
    svg = bars([("x" * 60, 1)], "c")
    assert f"<title>{'x' * 60}</title>" in svg and f">{'x' * 39}…<" in svg


def test_long_labels_have_room_and_short_ones_take_none():
    assert beginning(bars([("x" * 22, 1)], "c")) == 170
    assert beginning(bars([("x" * 22, 1), ("x" * 23, 1)], "c")) == 290


def test_colours_come_from_the_page():
    html = card("h", [Section("pass", "t", "v", "s", [], target_and_actual([("a", 1, 1)]))])
    colours = re.findall(r'(?:fill|stroke|color)(?:="|: )([^";]+)', html)
    assert colours and all(c.startswith(("var(", "currentColor")) for c in colours)


def test_a_row_stands_once():
    html = card("h", [Section("info", "Evenness", "0.93", "s")])
    assert html.count("Evenness") == html.count("0.93") == html.count("info") == 1


def test_bars_and_lines_are_there_when_styles_are_taken_out():
    bare = re.sub(r' style="[^"]*"', "", target_and_actual([("a", 10, 20)]))
    assert re.search(
        r'<g stroke="currentColor">(<path stroke-width="\d+" d="M[^"]+"/>){2}</g>', bare
    )


def test_what_failed_is_open_and_said_in_a_word():
    html = card("h", [Section("FAIL", "t", "v", "s"), Section("pass", "t", "v", "s")])
    assert re.findall(r'bold">(.*?)</span>', html) == ["✗ FAIL"]
    assert html.count("<details open") == 1 and "FAIL" in html and "pass" in html


def test_a_bar_costs_few_letters_for_notebooks_keep_cards_of_many_plots():
    one = len(target_and_actual([("a", 10, 20.5)]))
    ten = len(target_and_actual([("a", 10, 20.5)] * 10))
    assert (ten - one) / 9 < 130
    rows = [len(card("h", [Section("pass", "title", "0 people", "Words.")] * n)) for n in (1, 11)]
    assert (rows[1] - rows[0]) / 10 < 220
    # Notebooks' pages strip style sheets, so what a card needs stands with it.
    assert "<style" not in card("h", [Section("pass", "t", "v", "s")])
