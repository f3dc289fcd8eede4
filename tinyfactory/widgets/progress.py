"""How far a job is: someone who looks at it, and the bar and the line that say it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import ipywidgets as widgets

from tinyfactory.people.render.html import progress_html
from tinyfactory.utils.text import price_in_words, time_in_words

if TYPE_CHECKING:
    from tinyfactory.factory.job import PeopleJob
    from tinyfactory.factory.job_options import Snapshot

# Ten looks a second: smooth to the eye, and far below what floods a notebook's server.
INTERVAL = 0.1


class Watch:
    """Looks at a job's snapshot ten times a second until it has ended, and shows each.

    Parameters
    ----------
    job : PeopleJob
    show : callable
        Given each snapshot, the last one too.
    """

    def __init__(self, job: PeopleJob, show: Callable[[Snapshot], object]) -> None:
        self._job = job
        self._show = show
        # Not the thread's own join: one that was interrupted takes the thread for ended.
        self._ended = threading.Event()

    def start(self) -> None:
        """Look from a thread of its own."""
        threading.Thread(target=self.look, name="tinyfactory-watch", daemon=True).start()

    def look(self) -> None:
        """Look from here. The kernel's interrupt stops the job, and is raised when it ended."""
        try:
            interrupt = self._look_until_ended()
            self._show(self._job.snapshot())
        finally:
            self._ended.set()
        if interrupt is not None:
            raise interrupt

    def _look_until_ended(self) -> KeyboardInterrupt | None:
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                snapshot = self._job.snapshot()
                if snapshot.ended:
                    return interrupt
                self._show(snapshot)
                time.sleep(INTERVAL)
            except KeyboardInterrupt as error:
                interrupt = error
                self._job.cancel()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the last snapshot was shown; the kernel's interrupt stops the job."""
        try:
            self._ended.wait(timeout)
        except KeyboardInterrupt:
            self._job.cancel()
            self._ended.wait()
            raise


class Progress(widgets.HTML):  # type: ignore[misc]  # ipywidgets has no types
    """A bar and a line that say how far a job is; unseen until it is shown one."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.hide()

    def hide(self) -> None:
        """Show nothing."""
        self.layout.display = "none"

    def show(self, now: Snapshot, *, journal: bool) -> None:
        """Show a snapshot; `journal` says whether people can come out of one."""
        self.text = told(now, journal=journal)
        self.value = progress_html(now.done + now.failed, now.total, "People made", self.text)
        self.layout.display = ""


def told(now: Snapshot, *, journal: bool) -> str:
    """A snapshot in words.

    Examples
    --------
    >>> from tinyfactory.factory.job_options import Snapshot
    >>> told(Snapshot("running", 10, 4, 1, 2, 30.0, None), journal=True)
    '4 of 10 people · 1 given up · about 50 s left · 0 tokens, 0 USD · 2 hits, 2 misses'
    """
    parts = [f"{now.done:,} of {now.total:,} people"]
    if now.failed:
        parts.append(f"{now.failed:,} given up")
    if now.seconds_left is not None:
        # Whole seconds: a guess is no more exact, and each other text is sent to the page.
        parts.append(f"about {time_in_words(math.ceil(now.seconds_left))} left")
    elif now.ended:
        parts.append(time_in_words(now.seconds))
    parts.append(_spent(now))
    if journal:
        parts.append(f"{now.replayed:,} hits, {now.done - now.replayed:,} misses")
    if now.note:
        parts.append(now.note.strip(" ,"))
    return " · ".join(parts)


def with_earlier(now: Snapshot, earlier: Sequence[Snapshot]) -> Snapshot:
    """A snapshot of a job that went on, with what the jobs before it took.

    Examples
    --------
    >>> from tinyfactory.factory.job_options import Snapshot, Spent
    >>> first = Snapshot("cancelled", 10, 4, 0, 0, 30.0, None, Spent(5, 900, None, True))
    >>> then = Snapshot("done", 10, 10, 0, 0, 50.0, None, Spent(6, 1000, 0.5))
    >>> told(with_earlier(then, [first]), journal=True)
    '10 of 10 people · 1 min · 1,900 tokens, 0.5000 USD and more · 0 hits, 10 misses'
    """
    parts = [*earlier, now]
    known = [part.spent.usd for part in parts if part.spent.usd is not None]
    spent = replace(
        now.spent,
        calls=sum(part.spent.calls for part in parts),
        tokens=sum(part.spent.tokens for part in parts),
        usd=sum(known) if known else None,
        unknown_price=any(part.spent.unknown_price for part in parts),
    )
    # While it runs, its own time says how long the rest will take.
    seconds = sum(part.seconds for part in parts) if now.ended else now.seconds
    return replace(now, spent=spent, seconds=seconds)


def _spent(now: Snapshot) -> str:
    usd = now.spent.usd
    more = " and more" if now.spent.unknown_price and usd is not None else ""
    return f"{now.spent.tokens:,} tokens, {price_in_words(usd)}{more}"
