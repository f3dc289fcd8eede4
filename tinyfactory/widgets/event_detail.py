"""`EventDetail`: one event to read, and a button that goes back to it."""

from __future__ import annotations

import ipywidgets as widgets

from tinyfactory.journal.records import Event
from tinyfactory.journal.timeline import Timeline
from tinyfactory.people.render.tables import step_html
from tinyfactory.widgets import history_rows as rows


class EventDetail(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """All that is known of an event; unseen without one."""

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
        """Show an event as it is by now, and why it was a hit or a miss."""
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
