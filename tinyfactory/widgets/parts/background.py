"""`BackgroundWork`: long calls of a widget in a thread, one at a time, which can be cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.generation.pipeline import cancellable
from tinyfactory.models.event_loop import CancelToken
from tinyfactory.widgets.parts.debounce import after_typing, in_foreground

# Seconds between two calls of `Task.waiting`.
TICK = 0.5


@dataclass(frozen=True, slots=True)
class Task:
    """A call, and what to do with its outcome.

    Everything is called from the task's threads; in the foreground, from the caller's.

    Parameters
    ----------
    do : callable
        The call. It gets its `Run`, and every model call in it stops when the run is cancelled.
    done : callable
        Gets what `do` returned.
    failed : callable, optional
        Gets what `do` raised, `Cancelled` after a cancel. By default `BackgroundWork`'s own.
    waiting : callable, optional
        Gets the seconds since the start, every half second, and never after the end.
    cancel : callable, optional
        Is called by a cancel, for work that runs elsewhere, such as a job.
    """

    do: Callable[[Run], Any]
    done: Callable[[Any], object]
    failed: Callable[[BaseException], object] | None = None
    waiting: Callable[[float], object] | None = None
    cancel: Callable[[], object] | None = None


class Run:
    """One run of a task.

    Attributes
    ----------
    replaced : bool
        Whether another task took its place; its outcome is dropped then.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.replaced = False
        self.ended = False
        self.told = threading.Event()  # set when `done` or `failed` has returned
        self._stopping = False
        self._token = CancelToken()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled; a task that makes no model calls looks here."""
        return self._stopping

    def cancel(self) -> None:
        """Stop it."""
        self._stopping = True
        self._token.cancel()
        if self.task.cancel is not None:
            self.task.cancel()

    def replace(self) -> None:
        """Stop it, and drop its outcome; work that runs elsewhere goes on."""
        self.replaced = self._stopping = True
        self._token.cancel()

    def call(self) -> Any:
        """Do the work, here."""
        with cancellable(self._token):
            return self.task.do(self)


class BackgroundWork:
    """Runs a widget's tasks, one at a time, so that the kernel stays usable.

    It goes through three states: idle, reserved (a click waits for what was typed right before
    it), running. `changed` is called under the lock at each change, so that the buttons show the
    last state whichever thread comes last. Where a notebook shows nothing that comes from a
    thread, the task runs in the foreground: `start` returns when it has ended.

    Parameters
    ----------
    changed : callable
        Is called when `busy`, `running` or `can_cancel` changed; enable and disable buttons here.
    failed : callable
        Gets the error of a click whose task could not start, and of a task without `failed`.
    running : str
        What is running, for the error of a second start.
    foreground : bool, optional
        By default, as `in_foreground` says.

    Examples
    --------
    >>> replies = []
    >>> work = BackgroundWork(lambda: None, print, running="A question is being answered.")
    >>> work.start(lambda: Task(lambda run: "Yes.", replies.append))
    >>> work.wait()
    >>> replies, work.running
    (['Yes.'], False)
    """

    def __init__(
        self,
        changed: Callable[[], object],
        failed: Callable[[BaseException], object],
        *,
        running: str,
        foreground: bool | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._changed, self._failed = changed, failed
        self._refusal = f"{running} Wait, or call cancel()."
        self._foreground = foreground
        self._run: Run | None = None
        self._reserved = False
        self._clicked: Callable[[], object] = lambda: None
        self._click = after_typing(self._start_clicked, foreground=foreground)

    # -- states ------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a task is running; no longer while its outcome is being shown."""
        return self._run is not None and not self._run.ended

    @property
    def busy(self) -> bool:
        """Whether no click can start a task: one is about to start, or its outcome is shown."""
        return self._reserved or (self._run is not None and not self._run.told.is_set())

    @property
    def can_cancel(self) -> bool:
        """Whether a task is running that was not cancelled yet."""
        return self.running and self._run is not None and not self._run.cancelled

    def update(self) -> None:
        """Call `changed`, after something else changed that the buttons depend on."""
        with self.lock:
            self._changed()

    # -- starting ----------------------------------------------------------------------

    def reserve(self) -> bool:
        """Keep the next start for the caller; False when busy. `start` or `release` ends it."""
        with self.lock:
            if self.busy:
                return False
            self._reserved = True
            self._changed()
        return True

    def release(self) -> None:
        """Give up what `reserve` kept."""
        with self.lock:
            self._reserved = False
            self._changed()

    def click(self, start: Callable[[], object]) -> None:
        """Call `start` once what was typed right before the click has arrived.

        A second click does nothing: nobody pays twice.
        """
        if self.reserve():
            self._clicked = start
            self._click.soon()

    def forget_click(self) -> None:
        """Do not start what was clicked and has not started."""
        self._click.cancel()
        self.release()

    def _start_clicked(self) -> None:
        try:
            self._clicked()
        except BaseException as error:
            self.release()
            if not isinstance(error, Exception):
                raise
            self._failed(error)

    def start(
        self,
        prepare: Callable[[], Task | None],
        *,
        replace: bool = False,
        foreground: bool | None = None,
    ) -> None:
        """Start a task, and return at once; in the foreground when it has ended.

        Parameters
        ----------
        prepare : callable
            Makes the task. It is called under the lock, and may raise; None starts nothing.
        replace : bool
            Take the place of a task that is running, whose outcome is dropped.
        foreground : bool, optional
            By default, as the constructor was told.

        Raises
        ------
        InvalidInput
            While a task is running, unless it is to be replaced.
        """
        with self.lock:
            if self.running and not replace:
                raise InvalidInput(self._refusal)
            task = prepare()
            if self._run is not None:  # also one whose outcome is about to be shown
                self._run.replace()
            self._run = run = None if task is None else Run(task)
            self._reserved = False
            self._changed()
        if run is None:
            return
        if foreground is None:
            foreground = in_foreground() if self._foreground is None else self._foreground
        if foreground:
            self._execute(run)
            return
        threading.Thread(
            target=self._execute, args=(run,), name="tinyfactory-work", daemon=True
        ).start()
        if run.task.waiting is not None:
            threading.Thread(
                target=self._tick, args=(run,), name="tinyfactory-work-clock", daemon=True
            ).start()

    # -- ending ------------------------------------------------------------------------

    def cancel(self) -> None:
        """Stop the running task."""
        with self.lock:
            run = self._run
            if run is None or not self.can_cancel:
                return
            run.cancel()
            self._changed()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the outcome was shown; the kernel's interrupt stops the task."""
        self._click.join()
        run = self._run
        if run is None:
            return
        # Not the thread's own join, which takes a thread that was interrupted for ended.
        try:
            run.told.wait(timeout)
        except KeyboardInterrupt:
            self.cancel()
            run.told.wait()
            raise

    def _execute(self, run: Run) -> None:
        failed = run.task.failed or self._failed
        try:
            try:
                result = run.call()
            except BaseException as error:  # noqa: BLE001 - shown; nobody else would see it
                if self._end(run):
                    failed(error)
            else:
                if self._end(run):
                    run.task.done(result)
        finally:
            with self.lock:
                run.told.set()
                self._changed()

    def _end(self, run: Run) -> bool:
        """Mark a run as ended; whether its outcome is to be shown."""
        with self.lock:  # `_tick` holds it too, so that no clock is shown after the outcome
            run.ended = True
            if not run.replaced:
                self._changed()
            return not run.replaced

    def _tick(self, run: Run) -> None:
        started = time.monotonic()
        while run.task.waiting is not None and not run.told.wait(TICK):
            with self.lock:
                if run.ended or run.replaced:
                    return
                run.task.waiting(time.monotonic() - started)
