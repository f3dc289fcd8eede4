"""`PersonaForm`: fill in, press Generate, get people."""

from __future__ import annotations

import threading

import ipywidgets as widgets

from tinyfactory.errors import InvalidInput, TinyFactoryError
from tinyfactory.factory import TinyPersonFactory
from tinyfactory.factory.job import PeopleJob
from tinyfactory.factory.way import Snapshot
from tinyfactory.models.chat import ChatModel
from tinyfactory.people import People
from tinyfactory.people.render import people_html, people_text
from tinyfactory.widgets.saved import StaticForm
from tinyfactory.widgets.shared import Status, Watch, count

# A text typed right before the click may arrive after it: the browser sends both at once.
SETTLE = 0.15
WIDE = {"description_width": "9em"}


class PersonaForm(StaticForm):
    """A form that makes people; the code for the same is `TinyPersonFactory.generate_people`.

    Parameters
    ----------
    context : str
        What stands in the context field at first.
    factory : TinyPersonFactory, optional
        Make people with this one, whose context is shown and used; else a factory is made
        for each context that is typed, and used again while the context stays.
    model : str or ChatModel, optional
        As for `TinyPersonFactory`.

    Attributes
    ----------
    people : People
        All people that this form made.
    error : Exception or None
        What stopped the last run.
    job : PeopleJob or None
        The last run.

    Examples
    --------
    >>> form = PersonaForm("Bakers in Vienna", model="offline")
    >>> form.number = 2
    >>> len(form.generate()), len(form.people)
    (2, 2)
    """

    def __init__(
        self,
        context: str = "",
        *,
        factory: TinyPersonFactory | None = None,
        model: str | ChatModel | None = None,
    ) -> None:
        self.people = People()
        self.error: BaseException | None = None
        self.job: PeopleJob | None = None
        self.factory = factory
        self._given = factory
        self._model = model
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        text = factory.context_text if factory is not None else context
        self._fields(text, fixed=factory is not None)
        super().__init__(
            children=[
                self._context,
                self._particularities,
                widgets.HBox([self._number, self._temperature, self._attempts]),
                widgets.HBox([self._generate, self._cancel, self._bar]),
                self._status,
                self._shown,
            ]
        )

    def _fields(self, context: str, *, fixed: bool) -> None:
        wide = widgets.Layout(width="98%")
        narrow = widgets.Layout(width="16em")
        self._context = widgets.Textarea(
            context, description="Context:", rows=3, style=WIDE, layout=wide, disabled=fixed,
            placeholder="Who are the people, and where?",
        )  # fmt: skip
        self._particularities = widgets.Text(
            "", description="Particularities:", style=WIDE, layout=wide,
            placeholder="What is fixed, e.g. a 34-year-old nurse from Lisbon",
        )  # fmt: skip
        self._number = widgets.BoundedIntText(
            1, min=1, max=1000, description="People:", style=WIDE, layout=narrow
        )
        self._temperature = widgets.BoundedFloatText(
            1.5, min=0, max=2, step=0.1, description="Temperature:", style=WIDE, layout=narrow
        )
        self._attempts = widgets.BoundedIntText(
            5, min=1, max=20, description="Attempts:", style=WIDE, layout=narrow
        )
        self._generate = widgets.Button(
            description="Generate", icon="user-plus", button_style="primary",
            tooltip="Make people",
        )  # fmt: skip
        self._cancel = widgets.Button(
            description="Cancel", icon="stop", disabled=True,
            tooltip="Stop; people who are finished stay",
        )  # fmt: skip
        self._bar = widgets.IntProgress(
            0, min=0, max=1, layout=widgets.Layout(width="14em", visibility="hidden")
        )
        self._status = Status()
        self._status.say("Ready.")
        self._shown = widgets.HTML()
        self._generate.on_click(self._clicked)
        self._cancel.on_click(lambda _: self.cancel())

    # -- values, as code sets and reads them -------------------------------------------

    @property
    def context(self) -> str:
        """What stands in the context field."""
        return str(self._context.value)

    @context.setter
    def context(self, text: str) -> None:
        self._context.value = text

    @property
    def particularities(self) -> str:
        """What stands in the particularities field."""
        return str(self._particularities.value)

    @particularities.setter
    def particularities(self, text: str) -> None:
        self._particularities.value = text

    @property
    def number(self) -> int:
        """How many people the next run makes."""
        return int(self._number.value)

    @number.setter
    def number(self, number: int) -> None:
        self._number.value = number

    @property
    def temperature(self) -> float:
        """The temperature of the next run."""
        return float(self._temperature.value)

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        self._temperature.value = temperature

    @property
    def attempts(self) -> int:
        """How many replies are asked for at most, for each person."""
        return int(self._attempts.value)

    @attempts.setter
    def attempts(self, attempts: int) -> None:
        self._attempts.value = attempts

    @property
    def status(self) -> str:
        """What the status line says."""
        return str(self._status.text)

    @property
    def running(self) -> bool:
        """Whether people are being made now."""
        return self.job is not None and not self.job.snapshot().ended

    # -- running -----------------------------------------------------------------------

    def generate(self) -> People:
        """Make people with what stands in the fields, and wait for them.

        Raises
        ------
        TinyFactoryError
            As `TinyPersonFactory.generate_people`; it also stands in the form and in `error`.
        """
        if not self._begin():
            raise InvalidInput("This form is already making people. Wait, or call cancel().")
        self._run()
        return self.wait()

    def cancel(self) -> None:
        """Stop the run; people who are finished stay."""
        if self.job is not None and self.running:
            self._status.say("Stopping …")
            self.job.cancel()

    def wait(self, timeout: float | None = None) -> People:
        """Wait for the run's end and give its people, or raise what stopped it."""
        if self._watch is not None:
            self._watch.join(timeout)
        if self.error is not None:
            raise self.error
        return self.job.wait(timeout) if self.job is not None else People()

    def _clicked(self, _: widgets.Button) -> None:
        # At once, so that a double click does not pay twice.
        if self._begin():
            threading.Timer(SETTLE, self._run).start()

    def _begin(self) -> bool:
        with self._lock:
            if self._generate.disabled:
                return False
            self._generate.disabled = True
        self.error, self.job, self._watch = None, None, None
        return True

    def _run(self) -> None:
        """Start the job with the values as they stand now; errors stand in the form."""
        try:
            factory = self._factory()
            self._status.say(f"Making {count(self.number, 'person', 'people')} …")
            self.job = factory.start_people(
                self.number, self.particularities or None, self.temperature, self.attempts,
                on_person=self.people.append,
            )  # fmt: skip
        except TinyFactoryError as error:
            self._stopped(error)
            return
        self._cancel.disabled = False
        self._bar.max, self._bar.value = self.number, 0
        self._bar.layout.visibility = "visible"
        self._watch = Watch(self.job, self._show)
        self._watch.start()

    def _factory(self) -> TinyPersonFactory:
        """The factory for this context: the one given, the one before, or a new one."""
        if self._given is not None:
            return self._given
        if self.factory is None or self.factory.context_text != self.context:
            self.factory = TinyPersonFactory(self.context, model=self._model)
        return self.factory

    def _show(self, snapshot: Snapshot) -> None:
        self._bar.value = snapshot.done + snapshot.failed
        if not snapshot.ended:
            text = f"{snapshot.done} of {snapshot.total} made, {snapshot.seconds:.0f} s"
            if not self._status.text.startswith("Stopping"):
                self._status.say(text)
            return
        self._shown.value = self.static_html() if self.people else ""
        if snapshot.state == "failed":
            self._stopped(snapshot.error)
            return
        made = count(snapshot.done, "person", "people")
        if snapshot.state == "cancelled":
            text = f"Stopped: {made} of {snapshot.total} made and kept. Generate makes more."
        elif snapshot.failed:
            text = f"{made} of {snapshot.total} made. {self._last_failure()}"
        else:
            text = f"{made} made in {snapshot.seconds:.1f} s."
        self._status.say(text, wrong=snapshot.failed > 0)
        self._idle()

    def _last_failure(self) -> str:
        return (self.factory.last_failure if self.factory is not None else None) or ""

    def _stopped(self, error: BaseException | None) -> None:
        self.error = error
        self._status.say(str(error) or type(error).__name__, wrong=True)
        self._idle()

    def _idle(self) -> None:
        self._cancel.disabled = True
        self._bar.layout.visibility = "hidden"
        self._generate.disabled = False

    # -- the static form ---------------------------------------------------------------

    def static_text(self) -> str:
        """The people as text."""
        if not self.people:
            return f"PersonaForm(context={self.context!r}, no people yet)"
        return people_text(self.people)

    def static_html(self) -> str:
        """The people as a table."""
        return people_html(self.people)
