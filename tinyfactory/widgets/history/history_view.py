"""`HistoryView`: the recorded events of a simulation, by line and branch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as widgets
import traitlets

from tinyfactory.errors import InvalidInput, SecretFound
from tinyfactory.journal.records import Event
from tinyfactory.journal.simulation import Simulation, current_simulation, scope_of
from tinyfactory.journal.timeline import Timeline, Totals
from tinyfactory.utils.text import count
from tinyfactory.widgets.history import history_code
from tinyfactory.widgets.history import history_rows as rows
from tinyfactory.widgets.history.history_controls import ALL, BranchChoice, EventDetail, ExportRow
from tinyfactory.widgets.history.history_rows import as_html, as_text
from tinyfactory.widgets.parts.base_panel import BasePanel
from tinyfactory.widgets.parts.paged_table import ItemTable
from tinyfactory.widgets.parts.status_line import Hint

_NONE = (
    "No simulation is open, so nothing was kept and there is no history. Run control.begin() "
    "first, or give one: HistoryView(simulation)."
)


class HistoryView(BasePanel):
    """The lines of a simulation with their branches, and the events of the chosen line.

    Parameters
    ----------
    simulation : Simulation, optional
        It may have ended, or come from a recording. By default the current one.

    Attributes
    ----------
    line : str
        Root of the shown line; set it to a root or to the beginning of one. Empty if there is none.
    branch : int
        The branch that is shown from its start to its end; 0 for all branches.
    selected : Event or None
        The selected event; set it to an event, or to the beginning of its key.

    Examples
    --------
    >>> import tempfile
    >>> from tinyfactory import TinyPersonFactory, control
    >>> simulation = control.begin(tempfile.mkdtemp())
    >>> factory = TinyPersonFactory("A choir in Cardiff", model="offline")
    >>> first, second = factory.generate_people(2)
    >>> view = HistoryView()
    >>> view.selected = factory.history()[0].key[:12]
    >>> view.selected.result == first.name
    True
    >>> view.checkout() is factory, factory.generated_names == [first.name]
    (True, True)
    >>> control.end()
    """

    line = traitlets.Unicode("")
    branch = traitlets.Int(ALL)
    selected = traitlets.Any(None, allow_none=True)

    def __init__(self, simulation: Simulation | None = None) -> None:
        self.simulation = simulation
        self._chronicle: Timeline | None = None
        self._done = ""  # the code of the last action
        self._totals = Hint()
        self._refresh = widgets.Button(
            description="Refresh", icon="refresh", tooltip="Read what was done since",
            layout=widgets.Layout(flex="0 0 auto", width="auto"),
        )  # fmt: skip
        self._lines: ItemTable[str] = ItemTable(
            rows.LINES,
            lambda root: rows.line_cells(self._here(), root),
            lambda column: rows.line_order(self._here(), column),
            label="Lines of the simulation",
            page_size=20,
            height="14em",
            failed=self.failed,
        )
        self._branches = BranchChoice(self.guarded(self._branch_chosen))
        self._of_line = Hint()
        self._events: ItemTable[str] = ItemTable(
            rows.EVENTS,
            lambda key: rows.event_cells(self._here(), key),
            lambda column: rows.event_order(self._here(), column),
            label="Events of the line",
            height="24em",
            failed=self.failed,
        )
        self._lines.layout.display = "none"
        self._detail = EventDetail()
        self._export = ExportRow()
        super().__init__(
            [
                widgets.HBox([self._refresh, self._totals]),
                self._lines,
                widgets.HBox(
                    [self._branches, self._of_line], layout=widgets.Layout(flex_flow="row wrap")
                ),
                self._events,
                self._detail,
                self._export,
            ]
        )
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        self._lines.observe(self.guarded(lambda _: self._line_chosen()), "selected")
        self._events.observe(self.guarded(lambda _: self._event_chosen()), "selected")
        self._refresh.on_click(self.guarded(lambda _: self.refresh()))
        self._detail.checkout.on_click(self.guarded(lambda _: self.checkout()))
        self._export.button.on_click(self.guarded(lambda _: self._export_clicked()))

    # -- reading -----------------------------------------------------------------------

    def refresh(self) -> None:
        """Read new events and show them; the selection stays."""
        simulation = self.simulation = self.simulation or current_simulation()
        for part in (self._of_line, self._events, self._export):
            part.layout.display = "none" if simulation is None else ""
        if simulation is None:
            self._show_selected()
            self.say(_NONE)
            return
        if self._chronicle is None:
            self._chronicle = Timeline(scope_of(simulation))
            self._export.suggest(simulation.id)
        else:
            self._chronicle.refresh()
        here = self._chronicle
        roots = [line.root for line in here.lines]
        totals = here.totals()
        lines = count(len(roots), "line", "lines")
        self._totals.say(
            f"Simulation {simulation.id!r}: {lines}, {rows.totals_in_words(totals)}."
            + ("" if simulation.is_open else " It has ended.")
        )
        self._lines.layout.display = "" if len(roots) > 1 else "none"
        self._export.button.disabled = not roots
        if not self.line and roots:
            self.line = roots[0]
        self._show_line()
        self._show_selected()
        self.say("" if roots else "Nothing was done in this simulation yet.")

    def _here(self) -> Timeline:
        if self._chronicle is None:
            raise InvalidInput(_NONE)
        return self._chronicle

    # -- lines -------------------------------------------------------------------------

    def _line_chosen(self) -> None:
        if self._lines.chosen is not None:
            self.line = self._lines.chosen

    @traitlets.validate("line")
    def _check_line(self, proposal: Any) -> str:
        beginning = str(proposal["value"])
        if not beginning:
            return ""
        found = [line.root for line in self._here().lines if line.root.startswith(beginning)]
        if len(found) != 1:
            raise InvalidInput(
                f"{len(found)} lines of this simulation begin with {beginning!r}. Nothing was "
                "changed. simulation.lines() lists them."
            )
        return found[0]

    @traitlets.observe("line")
    def _line_changed(self, _: Any) -> None:
        selected = self.selected
        if selected is not None and self._here().line_of(selected.key) != self.line:
            self.selected = None
        self.branch = ALL
        self._show_line()

    def _show_line(self) -> None:
        """Show the events of the chosen line, of all branches or of one."""
        if self._chronicle is None or not self.line:
            return
        here = self._chronicle
        self._branches.offer(here.branches(self.line), self.branch)
        keys = here.keys(self.line, self.branch or None)
        alone = len(here.lines) == 1 and not self.branch
        totals = "" if alone else f": {rows.totals_in_words(Totals.of(map(here.event, keys)))}"
        self._of_line.say(f"{here.title(self.line)}{totals}")
        self._lines.show([line.root for line in here.lines], self.line)
        self._events.show(keys, None if self.selected is None else self.selected.key)
        self.store_soon()

    def _branch_chosen(self, branch: int) -> None:
        self.branch = branch

    @traitlets.validate("branch")
    def _check_branch(self, proposal: Any) -> int:
        number = int(proposal["value"])
        if number != ALL and number not in self._here().branches(self.line):
            raise InvalidInput(f"This line has no branch {number}. Nothing was changed.")
        return number

    @traitlets.observe("branch")
    def _branch_changed(self, _: Any) -> None:
        self._show_line()

    # -- events ------------------------------------------------------------------------

    def _event_chosen(self) -> None:
        if self._events.chosen is not None:
            self.selected = self._here().event(self._events.chosen)

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> Event | None:
        value = proposal["value"]
        if value is None:
            return None
        return self._here().find(value.key if isinstance(value, Event) else str(value))

    @traitlets.observe("selected")
    def _selected_changed(self, change: Any) -> None:
        event = change.new
        if event is not None:
            self.line = self._here().line_of(event.key)
            if event.key not in self._events.items:
                self.branch = ALL
        self._events.choose(None if event is None else event.key)
        self._show_selected()
        self._code.refresh()

    def _show_selected(self) -> None:
        self._detail.show(self._chronicle, self.selected)

    # -- going back, and out -----------------------------------------------------------

    def checkout(self) -> Any:
        """Check the object of the selected event out at that event.

        Returns
        -------
        object
            The factory or the person that was checked out.

        Raises
        ------
        InvalidInput
            When no event is selected, or the object of its line is not in this kernel.
        """
        event, here = self.selected, self._here()
        if event is None:
            raise InvalidInput("No event is selected. Nothing was changed. Choose one first.")
        thing = history_code.alive(here.scope, here.line_of(event.key))
        if thing is None:
            raise InvalidInput(
                f"Nothing that went along line {self.line[:8]} ({here.title(self.line)}) is alive "
                "in this kernel. Nothing was changed. Run the cells that make it and take its "
                f"steps, which costs nothing; then: factory.checkout({event.key[:12]!r})"
            )
        self._done = history_code.go(here.scope.simulation, thing, event.key)
        number = here.position(event.key).number
        self.refresh()
        self.say(
            f"{history_code.called(thing)} is again as it was after #{number}. What it does next "
            "is a branch, or a hit where it was done before; nothing was deleted."
        )
        return thing

    def export(self, path: str | Path, *, replies: bool = False, strip: bool = False) -> Path:
        """Write the simulation into a recording; see `Simulation.export`.

        Raises
        ------
        SecretFound
            When a replay needs a text that contains a secret; no file is written then.
        """
        simulation: Simulation = self._here().scope.simulation
        written = simulation.export(path, replies=replies, strip=strip)
        options = "".join(
            f", {name}=True" for name, on in (("replies", replies), ("strip", strip)) if on
        )
        self._done = f"simulation.export({str(path)!r}{options})"
        kilobytes = written.stat().st_size / 1000
        self.say(
            f"Exported to {written} ({kilobytes:,.1f} kB). It replays without a key: "
            f"control.begin(recording={written.name!r})"
        )
        return written

    def _export_clicked(self) -> None:
        asked = self._export
        try:
            self.export(asked.path, replies=asked.replies.value, strip=asked.strip.value)
        except SecretFound as error:
            self.failed(error, 'Here, that is the box "Take out what looks secret".')

    # -- what it says ------------------------------------------------------------------

    def code(self) -> str:
        """The code that shows the same."""
        key = "" if self.selected is None else self.selected.key
        return history_code.history_in_code(self.simulation, key, self._done)

    def static_text(self) -> str:
        """The lines, and the events of the chosen one, as text; at most 50 of each."""
        if self._chronicle is None:
            return _NONE
        return as_text(self._chronicle, *self._shown())

    def static_html(self) -> str:
        """The same as tables of at most 50 rows."""
        if self._chronicle is None:
            return super().static_html()
        return as_html(self._chronicle, *self._shown())

    def _shown(self) -> tuple[str, list[str], str, list[str]]:
        return self._totals.text, self._lines.items, self.line, self._events.items
