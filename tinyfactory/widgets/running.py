"""A panel that runs a job: buttons, progress, and the people as they come."""

from __future__ import annotations

import contextlib
import threading

import ipywidgets as widgets
import traitlets

from tinyfactory.errors import InvalidInput
from tinyfactory.factory.job import PeopleJob
from tinyfactory.factory.job_options import Snapshot
from tinyfactory.people import People
from tinyfactory.people.render.person import latest_html, people_html, people_text
from tinyfactory.utils.text import count
from tinyfactory.widgets.later import after_typing, in_foreground
from tinyfactory.widgets.page import DEFAULT_BUTTON
from tinyfactory.widgets.panel import Panel
from tinyfactory.widgets.progress import Progress, Watch, with_earlier

# A screen reader that read out every person would say nothing else.
SECONDS_BETWEEN_WORDS = 10.0


class RunPanel(Panel):
    """What a form of people does once its fields are filled in.

    A subclass makes its fields, calls `super().__init__`, and gives by `new_job` the job that is
    meant: the work belongs to the core, this looks at its snapshot.

    Parameters
    ----------
    fields : Widget
        What stands above the buttons.
    more : sequence of Widget
        What stands beside them.
    hint : Widget
        What stands below them.
    foreground : bool, optional
        Whether a click runs the job itself; by default where the host is known to show nothing
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
        self._watch: Watch | None = None
        self._busy = False
        self._before = People()
        self._earlier: tuple[Snapshot, ...] = ()
        self._resumes: PeopleJob | None = None
        self._trouble: BaseException | None = None
        self._words_at = 0.0
        self._latest = -1
        self._lock = threading.Lock()
        self._settled = after_typing(self._start, foreground=self._foreground)
        self._progress, self._shown = Progress(), widgets.HTML()
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
        """A job that was started: the stopped one continued, else what stands in the fields."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether people are being made now."""
        return self.job is not None and not self.job.snapshot().ended

    # -- what code does ----------------------------------------------------------------

    def generate(self) -> People:
        """Make people with what stands in the fields, and wait for them.

        Raises
        ------
        TinyFactoryError
            As `TinyPersonFactory.generate_people`; it also stands in the form and in `error`.
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
            self.job.cancel()

    def wait(self, timeout: float | None = None) -> People:
        """Wait for the run's end and give its people, or raise what stopped it."""
        self._settled.join()
        if self._watch is not None:
            self._watch.join(timeout)
        if self.error is not None:
            raise self.error
        return self.job.wait(timeout) if self.job is not None else People()

    def close(self) -> None:
        """Close the form; a run goes on, and another form for its factory shows it."""
        self._settled.cancel()
        super().close()

    def _from_code(self, stopped: PeopleJob | None) -> People:
        if not self._begin(stopped):
            raise InvalidInput("This form is already making people. Wait, or call cancel().")
        self._start()
        return self.wait()

    # -- what a click does -------------------------------------------------------------

    def _clicked(self, stopped: PeopleJob | None) -> None:
        if not self._begin(stopped):
            return
        with contextlib.suppress(KeyboardInterrupt):  # in the foreground; said in the form
            self._settled.soon()

    def _begin(self, stopped: PeopleJob | None) -> bool:
        """Say at once that something runs, so that a double click does not pay twice."""
        with self._lock:
            if self._busy:
                return False
            self._busy = self._generate.disabled = self._resume.disabled = True
        self.error, self._resumes = None, stopped
        self._progress.hide()
        return True

    def _start(self) -> None:
        """Start the job with the values as they stand now; errors stand in the form."""
        try:
            self._status.say("Preparing …")
            job = self.new_job(self._resumes)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user has to see it
            self.failed(error)
            self._idle()
            return
        self.follow(job, foreground=self._foreground)

    # -- what is shown -----------------------------------------------------------------

    def follow(self, job: PeopleJob, *, foreground: bool = False) -> None:
        """Show a job until it has ended; in the foreground, return then."""
        before, first = self.job, job.people[:1]
        # The same first person, not one who is alike.
        goes_on = before is not None and [*map(id, first)] == [*map(id, before.people[:1])] != []
        if before is not job and not goes_on:
            self._before, self._earlier = self.people.copy(), ()
        elif before is not None and before is not job:
            self._earlier = (*self._earlier, before.snapshot())
        self.job = job
        self._busy = self._generate.disabled = True
        self._cancel.disabled = False
        self._resume.layout.display = "none"
        self._words_at, self._trouble = job.snapshot().seconds, None
        self._status.say(f"Making {count(job.order.total, 'person', 'people')} …")
        self._watch = Watch(job, self._look)
        if foreground:
            self._watch.look()
        else:
            self._watch.start()

    def _look(self, now: Snapshot) -> None:
        try:
            self._show(now)
        except Exception as error:  # noqa: BLE001 - an observer of the user's, or a fault of ours
            self._trouble = error
        if now.ended:
            self._end(now)

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

    def _end(self, now: Snapshot) -> None:
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
        self._idle()

    def _idle(self) -> None:
        self._resume.layout.display = "" if self._can_resume() else "none"
        self._cancel.disabled = True
        with self._lock:
            self._busy = self._generate.disabled = self._resume.disabled = False

    def _can_resume(self) -> bool:
        job = self.job
        return job is not None and job.was_stopped and job.ended > 0 and job.factory.last_job is job

    def _has_journal(self) -> bool:
        return self.job is not None and self.job.factory.scope().store is not None

    # -- what stands in the saved notebook ----------------------------------------------

    def static_text(self) -> str:
        """The people as text."""
        return people_text(self.people) if self.people else f"{type(self).__name__}()"

    def static_html(self) -> str:
        """The people as a table."""
        return people_html(self.people)
