"""The paged table: what it sends, what it does with what a page asks for."""

from __future__ import annotations

import json

import pytest
import traitlets

from tinyfactory.errors import InvalidInput
from tinyfactory.widgets.parts.paged_table import Column, PagedTable, Rows

COLUMNS = [Column("n", "Number", "right"), Column("word", "Word"), Column("x", "X", sortable=False)]


class Numbers:
    """A source that counts how often it is asked."""

    def __init__(self, total: int = 1000, cell: str = "") -> None:
        self.total, self.cell = total, cell
        self.asked: list[tuple[int, int, object]] = []

    def __call__(self, offset, limit, sort):
        self.asked.append((offset, limit, sort))
        numbers = sorted(range(self.total), reverse=bool(sort and sort[1]))
        cells = [[str(n), self.cell or f"w{n}", ""] for n in numbers[offset : offset + limit]]
        return Rows(cells, self.total)


def table(source=None, **more) -> PagedTable:
    return PagedTable(COLUMNS, source or Numbers(), label="Numbers", **more)


def ask(table, number, view="view 1", **wish):
    """What the script in a page sends."""
    table._handle_custom_msg({"view": view, "id": number, "wish": wish}, [])


@pytest.fixture
def sent(monkeypatch):
    """The comm messages that widgets send, as they would go over the wire."""
    from comm.base_comm import BaseComm

    messages: list[dict] = []

    def publish(self, kind, data=None, *args, **more):
        messages.append(json.loads(json.dumps(data)))

    monkeypatch.setattr(BaseComm, "publish_msg", publish, raising=True)
    monkeypatch.setattr("comm.DummyComm.publish_msg", publish)
    return messages


def test_only_the_cells_of_one_page_are_sent(sent):
    table(Numbers(100_000))
    text = json.dumps(sent)
    assert '"w49"' in text and '"w50"' not in text


def test_a_page_an_order_and_a_row_are_asked_for():
    one = table()
    ask(one, 1, page=3)
    assert one.page == 3 and one.rows.cells[0][0] == "150"
    ask(one, 2, selected=49)
    assert (one.selected, one.page) == (49, 0)
    ask(one, 3, sort=["n", True])
    assert one.sort == ("n", True) and one.rows.cells[0][0] == "999" and one.selected is None
    ask(one, 4, sort=None)
    assert one.sort is None and one.rows.cells[0][0] == "0"


def test_a_request_that_comes_after_a_newer_one_is_dropped():
    one = table()
    ask(one, 2, page=5)
    ask(one, 1, page=1)
    assert one.page == 5
    ask(one, 1, view="view 2")
    assert one._state["answered"] == {"view 1": 2, "view 2": 1}


def test_what_was_computed_before_something_newer_is_not_shown():
    """Threads that hear requests may overtake each other."""
    source = Numbers()
    one = table(source)

    class Overtaken(Numbers):
        def __call__(self, offset, limit, sort):
            if len(self.asked) == 0:
                rows = super().__call__(offset, limit, sort)
                number = one._begin()  # meanwhile another thread shows something newer
                one._show(number, one._state, _rows={"cells": [["newer"]], "first": 0, "total": 1})
                return rows
            return super().__call__(offset, limit, sort)

    one._source = Overtaken()
    one.page = 2
    assert one._rows["cells"] == [["newer"]]


def test_every_request_is_answered_in_one_message(sent):
    one = table()
    sent.clear()
    ask(one, 1, page=2, selected=120)
    (message,) = sent
    assert message["state"]["_state"]["answered"] == {"view 1": 1}
    assert message["state"]["_state"]["selected"] == 120
    ask(one, 2, page=2)
    (message,) = sent[1:]
    assert "_rows" not in message["state"], "rows that are there are not sent again"


def test_rows_are_asked_for_only_when_they_may_differ():
    source = Numbers()
    one = table(source)
    one.selected = 3
    one.selected = 4
    assert source.asked == [(0, 50, None)]
    one.refresh()
    assert len(source.asked) == 2


def test_traits_can_be_observed():
    one, seen = table(), []
    for name in ("page", "sort", "selected"):
        one.observe(lambda change: seen.append((change.name, change.new)), name)
    ask(one, 1, selected=60)
    one.sort = ("word", False)
    assert set(seen[:2]) == {("selected", 60), ("page", 1)}
    assert set(seen[2:]) == {("sort", ("word", False)), ("page", 0), ("selected", None)}
    assert len(seen) == 5


def test_fewer_rows_bring_the_last_page_and_drop_a_row_that_is_gone():
    source = Numbers()
    one = table(source)
    one.selected = 999
    source.total = 60
    one.refresh()
    assert (one.page, one.pages, one.selected) == (1, 2, None)
    assert [row[0] for row in one.rows.cells] == [str(n) for n in range(50, 60)]
    source.total = 0
    one.refresh()
    assert (one.page, one.pages, one.rows.cells) == (0, 1, [])


def test_a_page_beyond_the_last_is_the_last():
    one = table()
    one.page = 10**9
    assert one.page == 19 and len(one.rows.cells) == 50


@pytest.mark.parametrize("sort", [("x", False), ("nothing", True), "n", ("n", 1), ("n",)])
def test_an_order_that_cannot_be_is_refused(sort):
    one = table()
    with pytest.raises(InvalidInput, match="'n', 'word'"):
        one.sort = sort
    assert one.sort is None


@pytest.mark.parametrize("wish", [{"page": "2"}, {"page": -1}, {"selected": True}, {"sort": ["x"]}])
def test_a_request_that_makes_no_sense_is_answered_and_told(wish):
    errors: list[Exception] = []
    one = table(failed=errors.append)
    ask(one, 1, **wish)
    assert isinstance(errors[0], InvalidInput | traitlets.TraitError)
    assert one._state["answered"] == {"view 1": 1}
    assert (one.page, one.sort, one.selected) == (0, None, None)


def test_what_is_no_request_is_let_pass():
    one = table()
    one._handle_custom_msg({"anything": 1}, [])
    one._handle_custom_msg("text", [])
    assert one._state["answered"] == {}


@pytest.mark.parametrize("cell", ["a" * 10_000, "\U0001f600" * 3000, '"\\' * 5000, "{`<" * 5000])
@pytest.mark.parametrize("size", [50, 200])
def test_no_message_is_above_200_kb(sent, cell, size):
    columns = [Column(str(n), str(n)) for n in range(12)]
    PagedTable(columns, lambda *_: Rows([[cell] * 12] * size, 10**6), label="x", page_size=size)
    largest = max(len(json.dumps(m, ensure_ascii=False).encode()) for m in sent)
    assert largest < 200_000


def test_a_long_cell_says_that_it_is_cut():
    one = table(Numbers(3, "word " * 100))
    assert one.rows.cells[0][1].endswith("…") and len(one.rows.cells[0][1]) <= 160
    assert table(Numbers(3, "short")).rows.cells[0][1] == "short"


def test_signs_that_turn_text_round_are_not_sent():
    assert table(Numbers(1, "a\u202eb\x1bc")).rows.cells[0][1] == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("size", [0, 201, -1])
def test_a_page_of_an_impossible_size_is_refused(size):
    with pytest.raises(InvalidInput, match="page_size"):
        table(page_size=size)


def test_paging_makes_no_widgets():
    from ipywidgets.widgets.widget import _instances

    one = table()
    before = len(_instances)
    for number in range(20):
        ask(one, number + 1, page=number, selected=number * 7)
        one.refresh()
    assert len(_instances) == before


def test_the_script_sets_text_only():
    """What makes markup out of text is not in it, by any of its names."""
    script = str(PagedTable._esm)
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval", "http"):
        assert way not in script
