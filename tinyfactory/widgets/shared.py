"""What the widgets share: a status line, and a look at a job now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as widgets

from tinyfactory.people.render import escape

if TYPE_CHECKING:
    from tinyfactory.factory.job import PeopleJob
    from tinyfactory.factory.way import Snapshot


# Ten looks a second: smooth to the eye, and far below what floods a notebook's server.
INTERVAL = 0.1


class Status(widgets.HTML):  # type: ignore[misc]  # ipywidgets has no types
    """One line that says how things stand, read out by screen readers; text only."""

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show a text; as an error when something went wrong."""
        colour = "var(--jp-error-color1, #b00020)" if wrong else "inherit"
        role = "alert" if wrong else "status"
        self.value = (
            f'<div role="{role}" class="tf-status" style="color:{colour};white-space:pre-wrap">'
            f"{escape(text)}</div>"
        )
        self.text = text


class Watch:
    """Looks at a job's snapshot ten times a second, from a thread, until it has ended."""

    def __init__(self, job: PeopleJob, show: Callable[[Snapshot], None]) -> None:
        self._job = job
        self._show = show
        self._thread = threading.Thread(target=self._look, name="tinyfactory-watch", daemon=True)

    def start(self) -> None:
        """Begin looking."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the last snapshot was shown."""
        self._thread.join(timeout)

    def _look(self) -> None:
        ended = threading.Event()
        while not (snapshot := self._job.snapshot()).ended:
            self._show(snapshot)
            ended.wait(INTERVAL)
        self._show(snapshot)


def count(number: int, one: str, many: str) -> str:
    """A number with its noun: "1 person", "3 people"."""
    return f"{number} {one if number == 1 else many}"
