"""What looking through many people costs, in a real JupyterLab and a real Chromium.

python benchmarks/bench_widgets.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import Row, Table, machine
from people import WORDS, name_of

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # where the tests' harness of a browser lies

from tests.support.lab import Lab, chromium, jupyter  # noqa: E402 - found by the line above

RESULTS = HERE / "results" / "bench_widgets.json"
MOST_BYTES = 200_000  # of one message
FAST = 0.3  # seconds from a key to the filtered view

PREPARE = """import sys, time, gc, threading
sys.path.insert(0, {here!r})
from people import many
from tinyfactory.people import People
from tinyfactory.widgets import PersonaBrowser
everyone = People(many({most}))"""
CELL = """start = time.perf_counter()
browser = PersonaBrowser(everyone[:size])
made = time.perf_counter() - start
browser"""
CLEAN = "'browser' in globals() and browser.close(); gc.collect(); size = {size}"
QUIET = "[t.join() for t in threading.enumerate() if t.name == 'tinyfactory-reading']"

# In the page and by its clock: from a key, a click or a cell that is run to the first paint after
# each of some conditions holds.
WATCH = """([cell, wanted]) => {
  const open = Object.entries(wanted).map(([name, code]) => [name, new Function('return ' + code)]);
  let start = null;
  const begin = () => { start = start ?? performance.now(); };
  for (const kind of ['keydown', 'beforeinput', 'pointerdown'])
    window.addEventListener(kind, begin, {capture: true, once: true});
  window.measured = {};
  const look = () => {
    if (start === null) return;
    for (const [name, holds] of open.filter(([name]) => !(name in window.measured)))
      if (holds()) {
        window.measured[name] = null;
        requestAnimationFrame(() => setTimeout(() => {
          window.measured[name] = (performance.now() - start) / 1000;
        }));
      }
    if (open.every(([name]) => name in window.measured)) seen.disconnect();
  };
  const seen = new MutationObserver(look);
  seen.observe(document.body,
    {subtree: true, childList: true, characterData: true, attributes: true});
  if (cell) {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0;
    begin();
    window.jupyterapp.commands.execute('notebook:run-cell');
  }
}"""
DONE = "count => Object.values(window.measured).filter(Boolean).length === count"
SEARCH = ".tf-panel input[placeholder='Any words']"


def first_is(number: int) -> str:
    """That the first row is the person of this number, as a condition in the page."""
    row = "document.querySelector('.tf-table tbody tr[data-row=\"0\"] td')?.textContent"
    return f"{row} === {name_of(number)!r}"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    people: tuple[int, ...]
    rounds: int


FULL = Size((100, 1_000, 10_000, 100_000), 5)
QUICK = Size((100, 1_000), 2)


class Desk:
    """One notebook in a browser, whose messages are counted."""

    def __init__(self, lab: Lab, most: int) -> None:
        self.frames: list[int] = []
        self._listen(lab)
        self.notebook = lab.open([CELL], "bench.ipynb")
        self.page = self.notebook.page
        said = self.notebook.python(PREPARE.format(here=str(HERE), most=most))
        assert said == "", said

    def _listen(self, lab: Lab) -> None:
        """Hear what comes from the kernel; before the page is there, for it opens the socket."""
        original = lab.browser.new_context

        def new_context(**options: Any) -> Any:
            context = original(**options)
            context.on("page", lambda page: page.on("websocket", self._opened))
            return context

        lab.browser.new_context = new_context

    def _opened(self, socket: Any) -> None:
        if "/channels" in socket.url:
            socket.on("framereceived", self._received)

    def _received(self, data: str | bytes) -> None:
        self.frames.append(len(data if isinstance(data, bytes) else data.encode()))

    def timed(
        self, wanted: dict[str, str], do: Callable[[], object] | None = None
    ) -> dict[str, float]:
        """Seconds until each condition was painted after `do`, or after the cell is run."""
        self.page.evaluate(WATCH, [do is None, wanted])
        if do is not None:
            do()
        self.page.wait_for_function(DONE, arg=len(wanted), timeout=120_000)
        found: dict[str, float] = self.page.evaluate("() => window.measured")
        return found

    def quiet(self) -> None:
        """Wait until the kernel has read ahead and nothing more has come for a while."""
        self.notebook.python(QUIET)
        before = -1
        while before != len(self.frames):
            before = len(self.frames)
            self.page.wait_for_timeout(400)

    def fresh(self, size: int) -> None:
        """Take away the browser before, so that one of so many people comes next."""
        self.page.evaluate(
            "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
        )
        self.notebook.python(CLEAN.format(size=size))
        self.quiet()

    def empty(self) -> None:
        """Clear the field of the search."""
        self.page.locator(SEARCH).fill("")
        self.page.wait_for_function(f"() => {first_is(0)}")
        self.quiet()


Seconds = dict[str, list[float]]


def one_round(desk: Desk, size: int, into: Seconds) -> None:
    """Show a browser of so many people, search, filter and turn a page."""
    page, keys = desk.page, desk.page.keyboard
    desk.fresh(size)
    mark = len(desk.frames)
    counted = "!!document.querySelector('.tf-choices .tf-number')?.textContent"
    seen = desk.timed({"first view": first_is(0), "categories counted": counted})
    desk.quiet()
    into["bytes"].append(sum(desk.frames[mark:]))
    seen["made"] = float(desk.notebook.python("print(made)"))

    page.locator(SEARCH).click()
    quarter, quartz = (WORDS.index(word) for word in ("quarter", "quartz"))
    found = desk.timed({"pasted": first_is(quartz)}, lambda: keys.insert_text("quartz"))
    desk.empty()
    keys.insert_text("quart")
    page.wait_for_function(f"() => {first_is(quarter)}")
    desk.quiet()
    found |= desk.timed({"key": first_is(quartz)}, lambda: keys.press("z"))
    desk.empty()
    box = page.locator("fieldset[aria-label='Gender'] label", has_text="woman").locator("input")
    found |= desk.timed({"ticked": first_is(1)}, box.check)
    desk.quiet()
    turned = "!!document.querySelector('.tf-table tr[data-row=\"50\"]')"
    turn = page.get_by_label("Next page").click
    found |= desk.timed({"page": turned}, turn) if size > 100 else {}

    desk.fresh(size)
    desk.timed({"first view": first_is(0)})
    page.locator(SEARCH).click()
    found |= desk.timed({"at once": first_is(quartz)}, lambda: keys.insert_text("quartz"))
    for name, seconds in (seen | found).items():
        into[name].append(seconds)


# Name, its title, and what it is to stay below: so many times that of the fewest people, or
# `FAST`, or nothing.
TIMES: tuple[tuple[str, str, float | None], ...] = (
    ("first view", "First view: from running the cell to rows on the screen", 2.0),
    ("made", "of which PersonaBrowser(people) takes", None),
    ("categories counted", "Categories counted beside the first view", None),
    ("pasted", "A word is pasted: key to filtered view", FAST),
    ("key", "The next letter of a word: key to filtered view", FAST),
    ("ticked", "A category is ticked: click to filtered view", FAST),
    ("page", "The next page: click to its rows", None),
    ("at once", "A word is pasted before any text was read", None),
)


def report(table: Table, size: Size, found: dict[int, Seconds], largest: int) -> None:
    """Rows for each figure, by the number of people."""
    fewest = size.people[0]
    for name, title, aim in TIMES:
        numbers = [number for number in size.people if found[number].get(name)]
        first = statistics.median(found[numbers[0]][name])
        for number in numbers:
            seconds = statistics.median(found[number][name])
            row = Row(title, f"{number:,} people", seconds * 1e3, "ms", seconds / first,
                      f"that of {numbers[0]:,}")  # fmt: skip
            if aim == FAST:
                row.ratio, row.against, row.aim = seconds / FAST, f"{FAST * 1e3:g} ms", 1.0
            elif aim is not None and number > fewest:
                row.aim = aim
            table.add(row)
    first = statistics.median(found[fewest]["bytes"])
    for number in size.people:
        sent = statistics.median(found[number]["bytes"])
        row = Row("Bytes over the wire until all of the first view is there", f"{number:,} people",
                  sent / 1e3, "kB", sent / first, f"those of {fewest:,}")  # fmt: skip
        row.aim = 1.2 if number > fewest else None
        table.add(row)
    table.add(Row("The largest message of all", "any number of people", largest / 1e3, "kB",
                  largest / MOST_BYTES, f"{MOST_BYTES / 1e3:g} kB", 1.0))  # fmt: skip


def measure(table: Table, size: Size, lab: Lab) -> None:
    """All numbers of people in turns, in one page of one kernel."""
    desk = Desk(lab, max(size.people))
    one_round(desk, size.people[0], defaultdict(list))  # what is loaded once
    found: dict[int, Seconds] = {number: defaultdict(list) for number in size.people}
    for turn in range(size.rounds):
        for number in size.people:
            one_round(desk, number, found[number])
        print(f"round {turn + 1} of {size.rounds}", file=sys.stderr, flush=True)
    assert desk.notebook.errors == [], desk.notebook.errors
    report(table, size, found, max(desk.frames))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        with chromium() as browser, jupyter(browser, Path(name)) as lab:
            measure(table, size, lab)
        print("\n" + table.summary())
        table.write(options.json, machine(Path(name)) | {"quick": options.quick})


if __name__ == "__main__":
    main()
