"""The controls of the history: choice of a branch, details of an event, export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.recording.recording import SUFFIX
from tinyfactory.journal.records import Event
from tinyfactory.journal.timeline import Timeline
from tinyfactory.people.render.tables import step_html
from tinyfactory.utils.files import expanded
from tinyfactory.widgets.history import history_rows as rows

ALL = 0


class BranchChoice(widgets.Dropdown):  # type: ignore[misc]  # ipywidgets has no types
    """A list of the branches: all of them, or one by its number. Hidden if there is only one.

    Parameters
    ----------
    chosen : callable
        Gets the number that the user chose.

    Examples
    --------
    >>> chosen = []
    >>> choice = BranchChoice(chosen.append)
    >>> choice.offer([1, 2], 2)
    >>> choice.value, chosen, choice.layout.display
    (2, [], '')
    >>> choice.value = ALL
    >>> chosen
    [0]
    """

    def __init__(self, chosen: Callable[[int], object]) -> None:
        self._offering = False
        self._ways: list[tuple[str, int]] = []
        super().__init__(description="Branch:", layout=widgets.Layout(width="22em"))
        self.layout.display = "none"
        self.observe(lambda change: self._offering or chosen(change.new), "value")

    def offer(self, branches: Sequence[int], branch: int) -> None:
        """List these with one of them chosen, without calling `chosen`."""
        ways = [("all branches", ALL), *((f"the way to the end of {n}", n) for n in branches)]
        self._offering = True
        try:
            if ways != self._ways:
                self.options = self._ways = ways
            self.value = branch if branch in branches else ALL
        finally:
            self._offering = False
        self.layout.display = "" if len(branches) > 1 else "none"


class EventDetail(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The details of an event; hidden without one."""

    def __init__(self) -> None:
        self.text = widgets.HTML()
        self.checkout = widgets.Button(
            description="Check out",
            icon="code-fork",
            tooltip="Go back to where it was after this",
            layout=widgets.Layout(flex="0 0 auto", width="auto"),
        )
        super().__init__([self.text, widgets.HBox([self.checkout])])
        self.layout.display = "none"

    def show(self, here: Timeline | None, event: Event | None) -> None:
        """Show the present state of an event, and why it was a hit or a miss."""
        self.layout.display = "none" if event is None or here is None else ""
        if event is None or here is None:
            self.text.value = ""
            return
        event = here.event(event.key)
        simulation = here.scope.simulation
        why = simulation.explain(event.key) if simulation.is_open else event.why
        heading = f"#{here.position(event.key).number} {rows.method(event)} → {rows.outcome(event)}"
        within = [f"{s.method}({s.arguments}) → {s.result}" for s in here.within(event.key)]
        self.text.value = step_html(heading, rows.facts(here, event, why), within)


_ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 1em"}


class ExportRow(widgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """A file name, options, and a button; `HistoryView` does the export.

    Examples
    --------
    >>> row = ExportRow()
    >>> row.suggest("A lesson / 1")
    >>> row.path.name
    'A-lesson---1.recording.jsonl.gz'
    """

    def __init__(self) -> None:
        self.file = widgets.Text(
            description="File:", continuous_update=False, layout=widgets.Layout(width="22em")
        )
        self.replies = _box("With the models' replies")
        self.strip = _box("Take out what looks secret")
        self.button = widgets.Button(
            description="Export",
            icon="download",
            tooltip="Write all lines into one file that replays without a key",
            layout=widgets.Layout(width="auto"),
        )
        super().__init__(
            [self.file, self.replies, self.strip, self.button], layout=widgets.Layout(**_ROW)
        )

    def suggest(self, name: str) -> None:
        """Fill in a file name made from `name`, with no folder and no special characters."""
        kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-")
        self.file.value = f"{kept[:60] or 'simulation'}{SUFFIX}"

    @property
    def path(self) -> Path:
        """The file to write.

        Raises
        ------
        InvalidInput
            When the field is empty, or the file exists and is not a recording.
        """
        name = self.file.value.strip()
        if not name:
            raise InvalidInput("There is no name of a file. Nothing was written.")
        path = expanded(name)
        if path.exists() and not path.name.endswith(SUFFIX):
            raise InvalidInput(
                f"{path} is there already and is no recording by its name, so it was not "
                f"replaced. Give a name that ends in {SUFFIX}."
            )
        return path


def _box(description: str) -> widgets.Checkbox:
    return widgets.Checkbox(
        False, description=description, indent=False, layout=widgets.Layout(width="auto")
    )
