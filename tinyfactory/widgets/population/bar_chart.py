"""`BarChart`: charts of target and actual shares, whose bars are buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import traitlets

from tinyfactory.people.render.charts import MAX_BARS
from tinyfactory.populations.reporting.measurement import Bar, Chart
from tinyfactory.utils.text import count, cut, legible
from tinyfactory.widgets.parts.request_widget import STATIC, RequestWidget

_LONGEST = 80
_MOST_CHARTS = 60
_KEY = "Bar and number: actual. Line and (brackets): target."
_MARKS = {True: "✓ pass", False: "✗ FAIL", None: ""}


class BarChart(RequestWidget):
    """Draw charts, and report which bar was pressed. Pressing it again releases it.

    Parameters
    ----------
    pressed : callable
        ``pressed(field, category)``, or ``pressed(None, None)`` after a release.
    failed : callable, optional
        Gets the errors.

    Examples
    --------
    >>> bars = BarChart(lambda field, category: None)
    >>> bars.show([Chart("age", (Bar("18-29", 36, 40.0), Bar("30-99", 164, 160.0)))], 200)
    >>> bars.names()[0]
    'age 18-29: asked 20 %, got 18 % (36 people)'
    """

    _esm = STATIC / "bars.js"
    _css = STATIC / "bars.css"
    _charts: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        pressed: Callable[[str | None, str | None], object],
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        self._pressed = pressed
        self._shown: list[tuple[Chart, list[Bar]]] = []
        self._drawn: list[dict[str, Any]] = []
        self._version = 0
        self._picked: list[int] | None = None
        super().__init__(failed)
        self.publish()

    def show(self, charts: Sequence[Chart], people: int) -> None:
        """Draw these charts of so many people, with no bar pressed."""
        self._shown = [(chart, _most_telling(chart)) for chart in charts[:_MOST_CHARTS]]
        self._drawn = [_drawn(chart, bars, people) for chart, bars in self._shown]
        self._version += 1
        self._picked = None
        self.publish()

    def press(self, field: str | None, category: str | None) -> None:
        """Show this bar as pressed, if it is drawn."""
        places = [
            [number, place]
            for number, (chart, bars) in enumerate(self._shown)
            for place, bar in enumerate(bars)
            if (chart.field, bar.category) == (field, category)
        ]
        self._picked = places[0] if places else None
        self.publish()

    def names(self) -> list[str]:
        """The names of the bars for screen readers."""
        return [bar["name"] for chart in self._drawn for bar in chart["bars"]]

    def wished(self, wish: dict[str, Any]) -> None:
        """Report which bar was pressed; requests about earlier charts are ignored."""
        match wish:
            case {"version": int() as version} if version != self._version:
                return
            case {"pick": None}:
                self._pressed(None, None)
            case {"pick": [int() as number, int() as place]}:
                if 0 <= number < len(self._shown) and 0 <= place < len(self._shown[number][1]):
                    chart, bars = self._shown[number]
                    self._pressed(chart.field, bars[place].category)

    def publish(self) -> None:
        """Send the state as it is now."""
        if not self._held:
            state = {"picked": self._picked, "version": self._version}
            self._show(self._begin(), state, _charts=self._drawn)


def _most_telling(chart: Chart) -> list[Bar]:
    """The bars to draw: all, or if there are too many, those furthest from their targets."""
    bars = list(chart.bars)
    if len(bars) > MAX_BARS and chart.row is not None:
        bars.sort(key=lambda bar: -abs(bar.got - (bar.asked or 0)))
    return bars[:MAX_BARS]


def _drawn(chart: Chart, bars: list[Bar], people: int) -> dict[str, Any]:
    most = max((max(bar.got, bar.asked or 0.0) for bar in bars), default=0) or 1
    rest = len(chart.bars) - len(bars)
    mark = _MARKS[None if chart.row is None else chart.row.passed]
    if chart.row is not None:
        mark += f", {chart.row.shown} off at most"
    return {
        "title": legible(cut(chart.field, _LONGEST)),
        "mark": mark,
        "key": _KEY if chart.row is not None else "Actual; there is no target.",
        "more": f"{count(rest, 'category', 'categories')} not drawn." if rest > 0 else "",
        "bars": [
            {
                "label": legible(cut(bar.category, _LONGEST)),
                "name": _name(chart.field, bar, people),
                "text": _text(bar, people),
                "got": bar.got / most,
                "asked": None if bar.asked is None else bar.asked / most,
            }
            for bar in bars
        ],
    }


def _name(field: str, bar: Bar, people: int) -> str:
    asked = "" if bar.asked is None else f"asked {_percent(bar.asked, people)}, got "
    got = f"{_percent(bar.got, people)} ({count(bar.got, 'person', 'people')})"
    return f"{legible(cut(field, _LONGEST))} {legible(cut(bar.category, _LONGEST))}: {asked}{got}"


def _text(bar: Bar, people: int) -> str:
    asked = "" if bar.asked is None else f" ({_percent(bar.asked, people)})"
    return f"{_percent(bar.got, people)}{asked}"


def _percent(part: float, people: int) -> str:
    return f"{100 * part / max(people, 1):.1f}".removesuffix(".0") + " %"
