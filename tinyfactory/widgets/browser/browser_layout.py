"""`BrowserLayout`: the fields and buttons around the list of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from tinyfactory.people.index import FACETS
from tinyfactory.utils.text import cut
from tinyfactory.widgets.browser.browser_columns import LABELS, column
from tinyfactory.widgets.browser.filter_boxes import FilterBoxes, Group
from tinyfactory.widgets.browser.people_export import ExportControls
from tinyfactory.widgets.parts.paged_table import PagedTable

VIEWS = ("table", "cards")
_WRAP = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 1em"}
_OPEN = ("gender", "age")  # groups with few boxes, open at first
_CHIP = 60


class BrowserLayout:
    """The fields and buttons of a browser around its list, in three rows."""

    def __init__(self, choices: FilterBoxes, table: PagedTable, exporting: ExportControls) -> None:
        self.search = widgets.Text(
            "",
            description="Search:",
            placeholder="Any words",
            continuous_update=True,
            layout=widgets.Layout(flex="1 1 20em", width="auto"),
            style={"description_width": "initial"},
        )
        self.chip = _button("", "times", "Show the others again")
        self.clear = _button("Clear", "eraser", "Show everyone: no search, no filter")
        self.view = widgets.Dropdown(
            options=[(name.capitalize(), name) for name in VIEWS],
            description="View:",
            layout=widgets.Layout(width="auto"),
            style={"description_width": "initial"},
        )
        # Beside the list; on a narrow page above it, over the full width.
        left = widgets.VBox([choices], layout=widgets.Layout(flex="1 0 14em", width="auto"))
        wide = widgets.Layout(flex="1000 1 34em", min_width="0", width="auto")
        row = widgets.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="8px")
        self.rows = [
            _row([self.search, self.chip, self.clear]),
            widgets.HBox([left, widgets.VBox([table], layout=wide)], layout=row),
            _row([self.view, exporting]),
        ]

    def tell(self, *, restricted: bool, narrowed: str | None) -> None:
        """Show the buttons that remove filters, if there are filters."""
        text = narrowed or ""
        self.chip.description = cut(text, _CHIP)
        self.chip.layout.display = "none" if narrowed is None else ""
        self.clear.layout.display = "" if restricted else "none"


def groups(
    counts: Mapping[str, Sequence[tuple[str, int]]],
    filters: Mapping[str, Sequence[str]],
    columns: Sequence[str],
) -> list[Group]:
    """The groups of checkboxes: the categories of each field, and the columns."""
    made = []
    for field, counted in counts.items():
        boxes: list[tuple[str, str, int | None]] = [(n, n or "not said", k) for n, k in counted]
        label = FACETS.get(field) or column(field).label
        made.append(Group(field, label, boxes, filters.get(field, ()), open=field in _OPEN))
    named = dict.fromkeys([*LABELS, *columns])
    boxes = [(path, column(path).label, None) for path in named]
    return [*made, Group("columns", "Columns", boxes, columns, most=len(named))]


def ticked(before: Sequence[str], value: str, on: bool) -> list[str]:
    """The ticked values after a box was ticked or cleared."""
    rest = [one for one in before if one != value]
    return [*rest, value] if on else rest


def _button(text: str, icon: str, tooltip: str) -> Any:
    auto = widgets.Layout(width="auto")
    return widgets.Button(description=text, icon=icon, tooltip=tooltip, layout=auto)


def _row(parts: Sequence[widgets.Widget]) -> widgets.HBox:
    return widgets.HBox(parts, layout=widgets.Layout(**_WRAP))
