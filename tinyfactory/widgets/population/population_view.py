"""`PopulationView`: the report card of people, with charts whose bars select people."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from typing import Any

import ipywidgets as widgets
import traitlets

from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.people import People, TinyPerson
from tinyfactory.people.render import charts
from tinyfactory.people.render.html import progress_html
from tinyfactory.populations.reporting import ReportCard, card
from tinyfactory.populations.reporting.measurement import Chart, Measured, measure
from tinyfactory.utils.text import count, legible, time_in_words
from tinyfactory.widgets.browser.persona_browser import PersonaBrowser
from tinyfactory.widgets.parts.background import BackgroundWork, Run, Task
from tinyfactory.widgets.parts.base_panel import BasePanel
from tinyfactory.widgets.parts.identity_trait import IdentityTrait
from tinyfactory.widgets.population.bar_chart import BarChart

# Word choice is measured on at most this many people, everything else on all.
MOST_TEXTS = 10_000
_DRAWN_ABOVE = ("margin", "joint")


class PopulationView(BasePanel):
    """The report card of people, and charts whose bars select people.

    It is computed in a thread, so that the kernel stays usable, and again whenever `people` or
    `target` is set.

    Parameters
    ----------
    people : iterable of TinyPerson
    target : Demography, optional
        Without it, only the actual shares are shown.
    browser : PersonaBrowser, optional
        Lists only the people of the bar that was clicked.

    Attributes
    ----------
    people : People
    target : Demography or None
    card : ReportCard or None
        None until it is computed.
    picked : tuple or None
        ``(field, category)`` of the bar that was clicked; can be set.
    chosen : People
        The people in that category.

    Examples
    --------
    >>> from tinyfactory import TinyPerson
    >>> people = [
    ...     TinyPerson(persona={"name": name, "gender": gender}, register=False)
    ...     for name, gender in (("Ana Souza", "woman"), ("Bo Lind", "man"))
    ... ]
    >>> view = PopulationView(people)
    >>> view.wait().passed
    True
    >>> view.picked = ("sex", "female")
    >>> [person.name for person in view.chosen]
    ['Ana Souza']
    """

    people = IdentityTrait(People())
    target = IdentityTrait(None)
    card = IdentityTrait(None)
    picked = traitlets.Any(None, allow_none=True)

    def __init__(
        self,
        people: Iterable[TinyPerson] = (),
        target: Any = None,
        *,
        browser: PersonaBrowser | None = None,
    ) -> None:
        self.browser = browser
        self._measured: Measured | None = None
        self._measuring = People()
        self._work = BackgroundWork(
            self._enable, self.failed, running="The people are being measured."
        )
        self._started = 0.0
        self._progress = widgets.HTML()
        self._cancel = widgets.Button(
            description="Cancel", icon="stop", layout=widgets.Layout(flex="0 0 auto", width="auto")
        )
        self._again = widgets.Button(
            description="Measure again", icon="refresh", layout=widgets.Layout(width="auto"),
            tooltip="Measure the people as they are now",
        )  # fmt: skip
        self._running = widgets.HBox([self._progress, self._cancel])
        self._running.layout.display = "none"
        self._bars = BarChart(self._pressed, self.failed)
        self._rows = widgets.HTML()
        super().__init__(
            [self._running],
            below=[self._bars, self._rows, widgets.HBox([self._again])],
            ready="There is nobody yet.",
        )
        self._cancel.on_click(self.guarded(lambda _: self.cancel()))
        self._again.on_click(self.guarded(lambda _: self.refresh()))
        if browser is not None:
            browser.observe(self._browser_filtered, "filtered")
        with self.hold_trait_notifications():
            self.people, self.target = people, target
        self.observe(self.guarded(lambda _: self.refresh()), ["people", "target"])
        self.refresh()

    @traitlets.validate("people")
    def _check_people(self, proposal: Any) -> People:
        people = proposal["value"]
        return people if isinstance(people, People) else People(people or ())

    # -- measuring ---------------------------------------------------------------------

    def refresh(self) -> None:
        """Measure the people as they are now; a measuring that is under way is dropped."""
        self._work.start(self._task, replace=True)

    def cancel(self) -> None:
        """Stop measuring, at the end of the present part."""
        with self._work.lock:
            if self._work.can_cancel:
                self._work.cancel()
                self.say("Stopping at the end of the part that is under way …")

    def wait(self, timeout: float | None = None) -> ReportCard | None:
        """Wait for the card; the kernel's interrupt stops the measuring.

        Raises
        ------
        TinyFactoryError
            When measuring failed; `Cancelled` when it was stopped.
        """
        self._work.wait(timeout)
        if self.error is not None:
            raise self.error
        card: ReportCard | None = self.card
        return card

    def _enable(self) -> None:
        self._running.layout.display = "" if self._work.running else "none"
        self._cancel.disabled = not self._work.can_cancel

    def _task(self) -> Task | None:
        """Clear what is shown, and make the task that measures the present people."""
        self.picked = None
        self._measured = self.card = None
        self._bars.show([], 0)
        self._rows.value = ""
        self._again.layout.display = "none"
        self._measuring = people = People(self.people)
        if not people:
            self.say("There is nobody yet.")
            return None
        target = self.target
        self._started = time.monotonic()
        self.say(f"Measuring {count(len(people), 'person', 'people')} …")
        return Task(
            lambda run: measure(
                people, target, texts=MOST_TEXTS, watch=functools.partial(self._part_done, run)
            ),
            lambda measured: self._ended(people, measured),
            lambda error: self._ended(people, error),
        )

    def _part_done(self, run: Run, done: int, total: int) -> None:
        """Called between the parts of the work, in its thread."""
        with self._work.lock:
            if run.cancelled:  # also when other people were set
                raise Cancelled('Nobody was changed. "Measure again" begins anew.')
            seconds = time.monotonic() - self._started
            text = f"part {min(done + 1, total)} of {total}, {time_in_words(seconds)} so far"
            self._progress.value = progress_html(done, total, "Parts measured", text)

    def _ended(self, people: People, result: Measured | BaseException) -> None:
        with self._work.lock:
            if people is not self._measuring:
                return  # other people were set meanwhile
            self._again.layout.display = ""
            if isinstance(result, BaseException):
                self.failed(result)
            else:
                self._measured = result
                self.card = result.card
                self._show(result, time.monotonic() - self._started)

    def _show(self, measured: Measured, seconds: float) -> None:
        self._bars.show(measured.charts, measured.card.number_of_people)
        self._rows.value = card.card_html(measured.card, page=False, without=_DRAWN_ABOVE)
        words = f"{card.headline(measured.card)} Measured in {time_in_words(seconds)}."
        number = measured.card.number_of_people
        if number > MOST_TEXTS:
            words += (
                f" What people say was read of {MOST_TEXTS:,} of them, drawn at random; "
                "all else is of everyone."
            )
        if self.browser is not None:
            words += " Click a bar to list its people."
        self.say(words)

    # -- the bar that is clicked -------------------------------------------------------

    def _pressed(self, field: str | None, category: str | None) -> None:
        self.picked = None if field is None else (field, category)

    @traitlets.validate("picked")
    def _check_picked(self, proposal: Any) -> tuple[str, str] | None:
        value = proposal["value"]
        if value is None:
            return None
        charts: Iterable[Chart] = self._measured.charts if self._measured is not None else ()
        there = {(chart.field, bar.category) for chart in charts for bar in chart.bars}
        picked = tuple(value) if isinstance(value, list | tuple) else value
        if picked not in there:
            fields = ", ".join(repr(chart.field) for chart in charts) or "nothing measured yet"
            raise InvalidInput(
                f"There is no bar {value!r}. Nothing was changed. `picked` is None or (field, "
                f"category), with one of: {fields}."
            )
        return picked[0], picked[1]

    @traitlets.observe("picked")
    def _picked_changed(self, change: Any) -> None:
        self._bars.press(*(change.new or (None, None)))
        browser = self.browser
        if browser is None:
            return
        if change.new is not None:
            chosen = {id(person) for person in self.chosen}
            browser.narrow(_label(change.new), lambda person: id(person) in chosen)
        elif change.old is not None and browser.narrowed == _label(change.old):
            browser.widen()
        self._code.refresh()

    def _browser_filtered(self, _: Any) -> None:
        """Release the bar when the filter was changed in the browser."""
        picked, browser = self.picked, self.browser
        if picked is not None and browser is not None and browser.narrowed != _label(picked):
            self.picked = None

    @property
    def chosen(self) -> People:
        """The people of the pressed bar; empty if none is pressed."""
        if self.picked is None or self._measured is None:
            return People()
        people = self.people
        return People(people[place] for place in self._measured.members(*self.picked))

    # -- what it says ------------------------------------------------------------------

    def code(self) -> str:
        """The code that measures the same."""
        texts = f", texts={MOST_TEXTS}" if len(self.people) > MOST_TEXTS else ""
        given = "people, demography" if self.target is not None else "people"
        lines = [
            "from tinyfactory.populations.reporting.measurement import measure",
            "",
            f"measured = measure({given}{texts})",
        ]
        if self.picked is not None:
            field, category = self.picked
            lines.append(f"chosen = [people[n] for n in measured.members({field!r}, {category!r})]")
        return "\n".join([*lines, "measured.card"])

    def static_text(self) -> str:
        """The card as text; without a target, the actual shares."""
        if self._measured is None:
            return self.status
        found = [
            f"{chart.field}: " + ", ".join(f"{bar.category} {bar.got}" for bar in chart.bars[:20])
            for chart in self._measured.charts
            if chart.row is None
        ]
        return "\n".join([repr(self._measured.card), *map(legible, found)])

    def static_html(self) -> str:
        """The card with its plots; without a target, the actual shares."""
        if self._measured is None:
            return super().static_html()
        found = [
            charts.bars([(bar.category, bar.got) for bar in chart.bars], f"{chart.field}, people")
            for chart in self._measured.charts
            if chart.row is None
        ]
        return self._measured.card.to_html() + "".join(found)

    def close(self) -> None:
        """Stop measuring, stop observing the browser, and close all widgets in it."""
        self.cancel()
        if self.browser is not None:
            self.browser.unobserve(self._browser_filtered, "filtered")
        super().close()


def _label(picked: tuple[str, str]) -> str:
    return f"{picked[0]}: {picked[1]}"
