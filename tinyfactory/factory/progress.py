"""Showing how far a job is while it runs in the foreground: a bar, or the user's own way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinyfactory.factory.way import Snapshot

if TYPE_CHECKING:
    from tinyfactory.factory.job import PeopleJob

# Seconds between two looks.
_PAUSE = 0.25


@contextmanager
def reporting(job: PeopleJob, changed: threading.Condition) -> Iterator[None]:
    """Within: each change of the job is shown, from a thread of its own; the last one, too."""
    show, close = _ways(job)
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            show(job.snapshot())
            with changed:
                changed.wait(_PAUSE)

    watcher = threading.Thread(target=watch, name="tinyfactory-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        with changed:
            changed.notify_all()
        watcher.join()
        show(job.snapshot())
        close()


def _ways(job: PeopleJob) -> tuple[Callable[[Snapshot], object], Callable[[], object]]:
    if callable(job.way.progress):
        return job.way.progress, lambda: None
    from tqdm.auto import tqdm

    bar = tqdm(total=job.order.total, unit="person")

    def show(now: Snapshot) -> None:
        bar.n = now.done + now.failed
        spent = now.spent
        price = "" if spent.usd is None else f", {spent.usd:.4f} USD"
        missing = f", {now.failed} missing" if now.failed else ""
        bar.set_postfix_str(f"{spent.tokens:,} tokens{price}{missing}{now.note}", refresh=False)
        bar.refresh()

    return show, bar.close
