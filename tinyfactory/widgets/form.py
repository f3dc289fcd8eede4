"""`PersonaForm`: fill in, press Generate, get people."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import traitlets

from tinyfactory.budget import Budget
from tinyfactory.errors import InvalidInput, TinyFactoryError
from tinyfactory.factory import TinyPersonFactory, profiles
from tinyfactory.factory.job import PeopleJob
from tinyfactory.journal.simulation import scope
from tinyfactory.models.chat import ChatModel
from tinyfactory.populations import Demography
from tinyfactory.widgets.estimating import draft, estimate_in_words
from tinyfactory.widgets.explain import in_plain_words
from tinyfactory.widgets.fields import MOST_AT_ONCE, MOST_ATTEMPTS, MOST_PEOPLE, Fields
from tinyfactory.widgets.form_code import code_of
from tinyfactory.widgets.later import Later
from tinyfactory.widgets.running import RunPanel
from tinyfactory.widgets.shared import Hint

# How long nothing is typed before the price is reckoned anew.
PAUSE = 0.3
_FIELDS = (
    "context", "particularities", "number", "temperature", "attempts", "concurrency", "model",
    "demography",
)  # fmt: skip

# Two forms may share a factory; it works at one job at a time.
_starting = threading.Lock()


class PersonaForm(RunPanel):
    """A form that makes people; the code for the same is `TinyPersonFactory.generate_people`.

    It says what a run will cost before it starts, shows how far it is, and keeps whoever is
    finished when it is stopped. A form for a factory, or a context, whose job runs or was
    stopped in another one takes that job up. Enter in a field presses Generate.

    Parameters
    ----------
    context : str
        What stands in the context field at first.
    factory : TinyPersonFactory, optional
        Make people with this one; its context, model and demography are shown and used. Else
        a factory is made for what stands in the fields, and used again while that stays.
    model : str or ChatModel, optional
        As for `TinyPersonFactory`.
    demography : Demography, dict, str or path, optional
        As for `TinyPersonFactory.from_demography`.
    seed : int
        For another draw from the demography.
    budget : Budget, optional
        What each run may spend.
    foreground : bool, optional
        Whether a click runs the job itself and returns when it has ended, for hosts that show
        nothing that comes from a thread. Other cells wait then, a field has to be left before
        the button is clicked, and the kernel's interrupt takes the place of Cancel. By default
        in Colab, which is known to be such a host, and nowhere else.

    Attributes
    ----------
    people : People
        All people that this form made; can be observed, and grows while a run goes on.
    error : Exception or None
        What stopped the last run.
    job : PeopleJob or None
        The last run.
    factory : TinyPersonFactory or None
        The one that made it.
    context, particularities, number, temperature, attempts, concurrency, model, demography, seed
        What stands in the fields; can be set and observed.
    budget : Budget or None
        What each run may spend; can be set.

    Examples
    --------
    >>> form = PersonaForm("Bakers in Vienna", model="offline")
    >>> form.number = 2
    >>> len(form.generate()), len(form.people)
    (2, 2)
    >>> print(form.code())
    from tinyfactory import TinyPersonFactory
    <BLANKLINE>
    factory = TinyPersonFactory("Bakers in Vienna", model="offline")
    people = factory.generate_people(2)
    """

    factory = traitlets.Instance(TinyPersonFactory, allow_none=True)
    context = traitlets.Unicode()
    particularities = traitlets.Unicode()
    number = traitlets.Int(1, min=1, max=MOST_PEOPLE)
    temperature = traitlets.Float(1.5, min=0, max=2)
    attempts = traitlets.Int(5, min=1, max=MOST_ATTEMPTS)
    concurrency = traitlets.Int(1, min=1, max=MOST_AT_ONCE)
    model = traitlets.Any()
    demography = traitlets.Any()
    seed = traitlets.Int()

    def __init__(
        self,
        context: str = "",
        *,
        factory: TinyPersonFactory | None = None,
        model: str | ChatModel | None = None,
        demography: Demography | dict[str, Any] | str | Path | None = None,
        seed: int = 0,
        budget: Budget | None = None,
        foreground: bool | None = None,
    ) -> None:
        self._given = factory
        self._key: Any = None
        if factory is not None:
            context, model, seed = factory.context_text, factory.model, factory.seed
            demography = factory.demography
        self._fields = Fields(
            context, model, demography, seed, fixed=factory is not None, failed=self._refused
        )
        self._fields.budget = budget
        self._cost = Hint()
        super().__init__(self._fields, [self._fields.more], self._cost, foreground=foreground)
        self._reckoned = Later(self._reckon, 0 if self._foreground else PAUSE)
        self._link()
        self.factory = factory
        self._take_up()
        self._reckoned.soon()

    def _link(self) -> None:
        """What stands in the fields, as values of the form."""
        fields = self._fields
        for name in _FIELDS:
            traitlets.link((getattr(fields, name), "value"), (self, name))
        traitlets.link((fields.demography.seed, "value"), (self, "seed"))
        changed = self.guarded(lambda _: self._changed())
        self.observe(changed, [*_FIELDS, "seed", "people"])
        for field in (fields.usd, fields.calls):
            field.observe(changed, "value")

    @traitlets.validate("demography")
    def _read_demography(self, proposal: Any) -> Demography | None:
        given = proposal["value"]
        if given is None or isinstance(given, Demography):
            return given
        self._fields.demography.give(given)
        read: Demography = self._fields.demography.value
        return read

    @property
    def budget(self) -> Budget | None:
        """What each run may spend; None without a limit."""
        return self._fields.budget

    @budget.setter
    def budget(self, budget: Budget | None) -> None:
        self._fields.budget = budget
        self._changed()  # prices stand in no field

    def code(self) -> str:
        """The lines of Python that make the same people."""
        try:
            self._fields.check()
            order, budget = self._fields.order, self.budget
        except TinyFactoryError as error:
            return f"# {error}"
        return code_of(
            self.context, self.model, self._fields.demography.source, self.seed, order,
            self.concurrency, budget, given=self._given is not None,
        )  # fmt: skip

    def close(self) -> None:
        """Close the form; a run goes on, and another form for its factory shows it."""
        self._reckoned.cancel()
        super().close()

    def _refused(self, error: BaseException) -> None:
        self.failed(error)
        self._reckoned.soon()

    # -- what it will cost -------------------------------------------------------------

    def _changed(self) -> None:
        self._code.refresh()
        if isinstance(self.error, InvalidInput) and not self._busy:
            self.say("Ready.")  # what was wrong in the fields stands there no longer
        self._reckoned.soon()

    def _reckon(self) -> None:
        """Say what the next run will take."""
        if not self.context.strip() and self.demography is None:
            self._cost.say("Say who the people are; what it will cost stands here then.")
            return
        try:
            self._fields.check()
            factory = self._standing() or draft(
                self.context, self.model, self.demography, self.seed, scope().id
            )
            self._cost.say(estimate_in_words(factory, self._fields.order, self.budget))
        except InvalidInput:
            self._cost.say("")  # said when it is uploaded, or sent
        except Exception as error:  # noqa: BLE001 - from a thread, where nobody else would say it
            self._cost.say(in_plain_words(error))

    # -- the job -----------------------------------------------------------------------

    def new_job(self, stopped: PeopleJob | None) -> PeopleJob:
        """The job that its factory works at, else the stopped one continued, else a new one."""
        budget, order, concurrency = self.budget, self._fields.order, self.concurrency
        if stopped is not None:
            factory, order, concurrency = stopped.factory, stopped.order, stopped.way.concurrency
        else:
            self._fields.check()
            factory = self._factory()
        self.factory = factory
        with _starting:
            last = factory.last_job
            if last is not None and not last.snapshot().ended:
                return last
            return factory.start_people(
                order.total, order.particularities, order.temperature, order.attempts,
                concurrency=concurrency, budget=budget,
            )  # fmt: skip

    def _factory(self) -> TinyPersonFactory:
        """The factory for what stands in the fields: the one before, or a new one."""
        standing = self._standing()
        if standing is not None:
            return standing
        key = self._asked()
        if self.demography is None:
            made = TinyPersonFactory(self.context, model=self.model)
        else:
            made = TinyPersonFactory.from_demography(
                self.demography, self.context.strip() or None, seed=self.seed, model=self.model
            )
        self._key = key
        return made

    def _standing(self) -> TinyPersonFactory | None:
        """The factory that is there already for what stands in the fields."""
        if self._given is not None:
            return self._given
        made = self.factory if self._key == self._asked() else None
        # A simulation that is begun anew forgets the factories of its earlier run.
        known = made is not None and TinyPersonFactory.all_factories.get(made.name) is made
        return made if known else None

    def _asked(self) -> tuple[Any, ...]:
        """What makes a factory another one."""
        table = None if self.demography is None else self.demography.to_dict()
        context = self.context
        if self.demography is not None and not context.strip():
            context = profiles.context_of(self.demography)
        return scope().id, context, self.model, table, self.seed

    # -- shown again -------------------------------------------------------------------

    def _take_up(self) -> None:
        """Show a job that another form for the same began, while it runs or can go on."""
        factory = self._given or self._found()
        job = factory.last_job if factory is not None else None
        if factory is None or job is None:
            return
        now = job.snapshot()
        if not now.ended or (job.was_stopped and job.ended):
            self.factory, self._key = factory, self._asked()
            self.follow(job)

    def _found(self) -> TinyPersonFactory | None:
        asked = self._asked()[1:]
        for factory in reversed([*TinyPersonFactory.all_factories.values()]):
            if isinstance(factory, TinyPersonFactory) and factory.last_job is not None:
                own = factory.context_text, factory.model, factory.demography, factory.seed
                if factory.scope() is scope() and own == asked:
                    return factory
        return None

    # -- what stands in the saved notebook ----------------------------------------------

    def static_text(self) -> str:
        """The people as text."""
        if not self.people:
            return f"PersonaForm(context={self.context!r}, no people yet)"
        return super().static_text()
