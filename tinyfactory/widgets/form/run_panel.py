"""`RunPanel`: runs a job with buttons, a progress bar, and the people as they are finished."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, cast

import ipywidgets as widgets
import traitlets

from tinyfactory.errors import InvalidInput
from tinyfactory.factory.job import PeopleJob
from tinyfactory.factory.job_options import Snapshot
from tinyfactory.people import People
from tinyfactory.people.render.person import latest_html, people_html, people_text
from tinyfactory.utils.text import count
from tinyfactory.widgets.parts.background import BackgroundWork, Run, Task
from tinyfactory.widgets.parts.base_panel import DEFAULT_BUTTON, BasePanel
from tinyfactory.widgets.parts.debounce import in_foreground
from tinyfactory.widgets.parts.progress_bar import ProgressBar, with_earlier

if TYPE_CHECKING:
    from tinyfactory.factory import TinyPersonFactory

# Seconds between two snapshots: smooth to the eye, and far from flooding the server.
INTERVAL = 0.1
# Between two status texts: a screen reader would otherwise read out every person.
SECONDS_BETWEEN_WORDS = 10.0


class RunPanel(BasePanel):
    """The part of a form that runs its job.

    A subclass makes its fields, calls `super().__init__`, and starts a job in `new_job`. The job
    runs elsewhere; this panel shows its snapshots.

    Parameters
    ----------
    fields : Widget
        Shown above the buttons.
    more : sequence of Widget
        Shown beside the buttons.
    hint : Widget
        Shown below the buttons.
    foreground : bool, optional
        Whether a click waits for the end of the job; by default in notebooks that show nothing
        that comes from a thread.
    """

    people = traitlets.Instance(People, ())
    job = traitlets.Instance(PeopleJob, allow_none=True)

    def __init__(
        self,
        fields: widgets.Widget,
        more: list[widgets.Widget],
        hint: widgets.Widget,
        *,
        foreground: bool | None,
    ) -> None:
        self._foreground = in_foreground() if foreground is None else foreground
        self._before = People()
        self._earlier: tuple[Snapshot, ...] = ()
        self._trouble: BaseException | None = None
        self._words_at = 0.0
        self._latest = -1
        self._work = BackgroundWork(
            self._enable, self.failed, running="People are being made.", foreground=foreground
        )
        self._progress, self._shown = ProgressBar(), widgets.HTML()
        self._make_buttons()
        row = widgets.HBox(
            [self._generate, self._cancel, self._resume, *more],
            layout=widgets.Layout(flex_flow="row wrap"),
        )
        super().__init__(
            [fields, row, hint, self._progress], below=[self._shown], ready="Ready."
        )  # fmt: skip

    def _make_buttons(self) -> None:
        self._generate = widgets.Button(
            description="Generate", icon="user-plus", button_style="primary",
            tooltip="Make people; Enter in a field does the same",
        )  # fmt: skip
        self._generate.add_class(DEFAULT_BUTTON)
        self._cancel = widgets.Button(
            description="Cancel", icon="stop", disabled=True,
            tooltip="Stop; people who are finished stay",
        )  # fmt: skip
        self._resume = widgets.Button(
            description="Resume", icon="play",
            tooltip="Make the rest of those that were asked for; nobody is paid for twice",
        )  # fmt: skip
        self._resume.layout.display = "none"
        self._generate.on_click(self.guarded(lambda _: self._clicked(None)))
        self._resume.on_click(self.guarded(lambda _: self._clicked(self.job)))
        self._cancel.on_click(self.guarded(lambda _: self.cancel()))

    def new_job(self, stopped: PeopleJob | None) -> PeopleJob:
        """Start a job: the stopped one resumed, or one for the present fields."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether people are being made now."""
        return self.job is not None and not self.job.snapshot().ended

    # -- what code does ----------------------------------------------------------------

    def generate(self) -> People:
        """Make people for the present fields, and wait for them.

        Raises
        ------
        TinyFactoryError
            As `TinyPersonFactory.generate_people`; the form and `error` show it, too.
        """
        return self._from_code(None)

    def resume(self) -> People:
        """Make the rest of a run that was stopped, and wait for it.

        Raises
        ------
        InvalidInput
            When there is nothing to resume.
        TinyFactoryError
            As `generate`.
        """
        if not self._can_resume():
            raise InvalidInput("There is no run that was stopped in the middle.")
        return self._from_code(self.job)

    def cancel(self) -> None:
        """Stop the run; people who are finished stay."""
        if self.job is not None and self.running:
            self._status.say("Stopping …")
            self._work.cancel()

    def wait(self, timeout: float | None = None) -> People:
        """Wait for the end of the run and return its people, or raise its error."""
        self._work.wait(timeout)
        if self.error is not None:
            raise self.error
        return self.job.wait(timeout) if self.job is not None else People()

    def close(self) -> None:
        """Close the form. A run goes on, and another form for its factory shows it."""
        self._work.forget_click()
        super().close()

    def _from_code(self, stopped: PeopleJob | None) -> People:
        if not self._work.reserve():
            raise InvalidInput("This form is already making people. Wait, or call cancel().")
        try:
            self._start(stopped)
        except BaseException as error:
            if isinstance(error, Exception):
                self.failed(error)
            self._work.release()
            raise
        return self.wait()

    # -- the job -----------------------------------------------------------------------

    def _clicked(self, stopped: PeopleJob | None) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # in the foreground; the form shows it
            self._work.click(lambda: self._start(stopped))

    def _start(self, stopped: PeopleJob | None) -> None:
        """Start the job with the present values of the fields, and show it."""
        self.error = None
        self._progress.hide()
        self._status.say("Preparing …")
        job = self.new_job(stopped)
        self.follow(job, foreground=self._foreground)

    def follow(self, job: PeopleJob, *, foreground: bool = False) -> None:
        """Show a job until it has ended; in the foreground, return then."""
        self._work.start(lambda: self._following(job), replace=True, foreground=foreground)

    def _following(self, job: PeopleJob) -> Task:
        """Take up a job, and make the task that shows it."""
        before, first = self.job, job.people[:1]
        # By identity: two people may have equal content.
        goes_on = before is not None and [*map(id, first)] == [*map(id, before.people[:1])] != []
        if before is not job and not goes_on:
            self._before, self._earlier = self.people.copy(), ()
        elif before is not None and before is not job:
            self._earlier = (*self._earlier, before.snapshot())
        self.job = job
        self._words_at, self._trouble = job.snapshot().seconds, None
        self._status.say(f"Making {count(job.order.total, 'person', 'people')} …")
        return Task(lambda run: self._watch(job, run), self._ended, cancel=job.cancel)

    def _watch(self, job: PeopleJob, run: Run) -> KeyboardInterrupt | None:
        """Show the job's snapshots until it has ended; the kernel's interrupt stops the job."""
        interrupt: KeyboardInterrupt | None = None
        while not run.replaced:
            try:
                now = job.snapshot()
                if now.ended:
                    break
                self._try_to_show(now)
                time.sleep(INTERVAL)
            except KeyboardInterrupt as error:
                interrupt = error
                job.cancel()
        return interrupt

    def _ended(self, interrupt: KeyboardInterrupt | None) -> None:
        if self.job is not None:
            now = self.job.snapshot()
            self._try_to_show(now)
            self._show_end(now)
        if interrupt is not None:  # only in the foreground
            raise interrupt

    def _enable(self) -> None:
        self._generate.disabled = self._resume.disabled = busy = self._work.busy
        self._cancel.disabled = not self._work.can_cancel
        self._resume.layout.display = "" if not busy and self._can_resume() else "none"

    # -- what is shown -----------------------------------------------------------------

    def _try_to_show(self, now: Snapshot) -> None:
        try:
            self._show(now)
        except Exception as error:  # noqa: BLE001 - an observer of the user's, or a fault of ours
            self._trouble = error

    def _show(self, now: Snapshot) -> None:
        self._progress.show(with_earlier(now, self._earlier), journal=self._has_journal())
        made = People(self.job.people if self.job is not None else ())
        if len(self._before) + len(made) != len(self.people):
            self.people = self._before + made
        if now.ended:
            return
        if self.people and len(self.people) != self._latest:
            self._latest = len(self.people)
            self._shown.value = latest_html(self.people)
        if now.seconds - self._words_at >= SECONDS_BETWEEN_WORDS:
            self._words_at = now.seconds
            self._status.say(f"{now.done:,} of {now.total:,} made.")

    def _show_end(self, now: Snapshot) -> None:
        self._latest = -1
        self._shown.value = people_html(self.people) if self.people else ""
        made = f"{now.done:,} of {now.total:,} people are made and kept."
        rest = " Resume makes the rest." if self._can_resume() else ""
        if now.state == "failed" and now.error is not None:
            if not now.done:
                self._progress.hide()
            self.failed(now.error, f"{made}{rest}" if now.done else "")
        elif now.state == "cancelled":
            self.say(f"Stopped. {made}{rest}")
        elif self._trouble is not None:
            self.failed(self._trouble, made)
        elif now.failed and self.job is not None:
            self.say(self.job.account())
            self._status.say(self._status.text, wrong=True)
        else:
            self.say(f"{count(now.done, 'person', 'people')} made.")

    def _can_resume(self) -> bool:
        job = self.job
        if job is None or not job.was_stopped or not job.ended:
            return False
        return cast("TinyPersonFactory", job.factory).last_job is job

    def _has_journal(self) -> bool:
        return self.job is not None and self.job.factory.scope().store is not None

    # -- the static form ---------------------------------------------------------------

    def static_text(self) -> str:
        """The people as text."""
        return people_text(self.people) if self.people else f"{type(self).__name__}()"

    def static_html(self) -> str:
        """The people as a table."""
        return people_html(self.people)
