"""`ProgressBar`: how far a job is, as a bar and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import ipywidgets as widgets

from tinyfactory.factory.job_options import Snapshot
from tinyfactory.people.render.html import progress_html
from tinyfactory.utils.text import cost_in_words, replayed_in_words, time_in_words


class ProgressBar(widgets.HTML):  # type: ignore[misc]  # ipywidgets has no types
    """The progress of a job as a bar and a line of text; hidden until `show`."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.hide()

    def hide(self) -> None:
        """Hide it."""
        self.layout.display = "none"

    def show(self, now: Snapshot, *, journal: bool) -> None:
        """Show a snapshot; `journal` says whether people may be replayed from one."""
        self.text = told(now, journal=journal)
        self.value = progress_html(now.done + now.failed, now.total, "People made", self.text)
        self.layout.display = ""


def told(now: Snapshot, *, journal: bool) -> str:
    """A snapshot in words.

    Examples
    --------
    >>> from tinyfactory.factory.job_options import Snapshot
    >>> told(Snapshot("running", 10, 4, 1, 2, 30.0, None), journal=True)
    '4 of 10 people · 1 given up · about 50 s left · free · 2 replayed, 2 new'
    """
    parts = [f"{now.done:,} of {now.total:,} people"]
    if now.failed:
        parts.append(f"{now.failed:,} given up")
    if now.seconds_left is not None:
        # Whole seconds: an estimate is no more exact, and each new text is sent to the page.
        parts.append(f"about {time_in_words(math.ceil(now.seconds_left))} left")
    elif now.ended:
        parts.append(time_in_words(now.seconds))
    spent = now.spent
    parts.append(cost_in_words(spent.tokens, spent.usd, more=spent.unknown_price))
    if journal:
        parts.append(replayed_in_words(now.replayed, now.done - now.replayed))
    if now.note:
        parts.append(now.note.strip(" ,"))
    return " · ".join(parts)


def with_earlier(now: Snapshot, earlier: Sequence[Snapshot]) -> Snapshot:
    """A snapshot of a resumed job, with the costs and time of the jobs before it.

    Examples
    --------
    >>> from tinyfactory.factory.job_options import Snapshot, Spent
    >>> first = Snapshot("cancelled", 10, 4, 0, 0, 30.0, None, Spent(5, 900, None, True))
    >>> then = Snapshot("done", 10, 10, 0, 0, 50.0, None, Spent(6, 1000, 0.5))
    >>> told(with_earlier(then, [first]), journal=False)
    '10 of 10 people · 1 min · 1,900 tokens, 0.5000 USD and more of unknown price'
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
    # While it runs, the time left is estimated from its own seconds.
    seconds = sum(part.seconds for part in parts) if now.ended else now.seconds
    return replace(now, spent=spent, seconds=seconds)
