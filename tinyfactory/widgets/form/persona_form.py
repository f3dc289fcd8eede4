"""`PersonaForm`: describe people, see the estimated cost, press Generate."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import traitlets

from tinyfactory.budget import Budget
from tinyfactory.errors import InvalidInput, TinyFactoryError
from tinyfactory.factory import TinyPersonFactory, profiles
from tinyfactory.factory.job import PeopleJob
from tinyfactory.journal.scopes.scope import scope
from tinyfactory.models.chat import ChatModel
from tinyfactory.populations import Demography
from tinyfactory.widgets.form.cost_estimate import draft, estimate_in_words
from tinyfactory.widgets.form.form_code import code_of
from tinyfactory.widgets.form.form_fields import (
    MOST_AT_ONCE,
    MOST_ATTEMPTS,
    MOST_PEOPLE,
    FormFields,
)
from tinyfactory.widgets.form.run_panel import RunPanel
from tinyfactory.widgets.parts.debounce import Debounced
from tinyfactory.widgets.parts.error_text import in_plain_words
from tinyfactory.widgets.parts.status_line import Hint

# Seconds without typing before the cost is estimated again.
PAUSE = 0.3
_FIELDS = (
    "context", "particularities", "number", "temperature", "attempts", "concurrency", "model",
    "demography",
)  # fmt: skip

# Two forms may share a factory, which runs one job at a time.
_starting = threading.Lock()


class PersonaForm(RunPanel):
    """A form that makes people; the code for the same is `TinyPersonFactory.generate_people`.

    It shows the estimated cost before a run and the progress during it. Cancel keeps finished
    people. A form for a factory or a context whose job another form started shows that job while
    it runs or can be resumed. Enter in a field presses Generate.

    Parameters
    ----------
    context : str
        The text of the context field at first.
    factory : TinyPersonFactory, optional
        Make people with this one; its context, model and demography are shown and used. By
        default the form makes a factory from its fields, and a new one after they changed.
    model : str or ChatModel, optional
        As for `TinyPersonFactory`.
    demography : Demography, dict, str or path, optional
        As for `TinyPersonFactory.from_demography`.
    seed : int
        Another seed draws other people from the demography.
    budget : Budget, optional
        What each run may spend.
    foreground : bool, optional
        Whether a click waits until the job has ended, for notebooks that show nothing that comes
        from a thread. Other cells wait then, a field must be left before the button is clicked,
        and the kernel's interrupt replaces Cancel. By default only in Colab.

    Attributes
    ----------
    people : People
        All people that this form made; can be observed, and grows during a run.
    error : Exception or None
        The error of the last run.
    job : PeopleJob or None
        The last run.
    factory : TinyPersonFactory or None
        The factory of the last run.
    context, particularities, number, temperature, attempts, concurrency, model, demography, seed
        The values of the fields; can be set and observed.
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
        self._fields = FormFields(
            context, model, demography, seed, fixed=factory is not None, failed=self._refused
        )
        self._fields.budget = budget
        self._cost = Hint()
        super().__init__(self._fields, [self._fields.more], self._cost, foreground=foreground)
        self._reckoned = Debounced(self._reckon, 0 if self._foreground else PAUSE)
        self._link()
        self.factory = factory
        self._take_up()
        self._reckoned.soon()

    def _link(self) -> None:
        """Link the fields to the attributes of the form."""
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
        self._changed()  # prices have no field that would report it

    def code(self) -> str:
        """The code that makes the same people."""
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
        """Close the form. A run goes on, and another form for its factory shows it."""
        self._reckoned.cancel()
        super().close()

    def _refused(self, error: BaseException) -> None:
        self.failed(error)
        self._reckoned.soon()

    # -- what it will cost -------------------------------------------------------------

    def _changed(self) -> None:
        self._code.refresh()
        if isinstance(self.error, InvalidInput) and not self._work.busy:
            self.say("Ready.")  # the value that was wrong may have been corrected
        self._reckoned.soon()

    def _reckon(self) -> None:
        """Show the estimated cost of the next run."""
        if not self.context.strip() and self.demography is None:
            self._cost.say("Describe the people to see the estimated cost.")
            return
        try:
            self._fields.check()
            factory = self._standing() or draft(
                self.context, self.model, self.demography, self.seed, scope().id
            )
            self._cost.say(estimate_in_words(factory, self._fields.order, self.budget))
        except InvalidInput:
            self._cost.say("")  # an upload or Generate shows the error
        except Exception as error:  # noqa: BLE001 - from a thread, where nobody else would say it
            self._cost.say(in_plain_words(error))

    # -- the job -----------------------------------------------------------------------

    def new_job(self, stopped: PeopleJob | None) -> PeopleJob:
        """The running job of the factory, else the stopped job resumed, else a new job."""
        budget, order, concurrency = self.budget, self._fields.order, self.concurrency
        if stopped is not None:
            factory = cast("TinyPersonFactory", stopped.factory)
            order, concurrency = stopped.order, stopped.options.concurrency
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
        """The factory for the present fields: the last one if nothing changed, else a new one."""
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
        """The existing factory for the present fields, if there is one."""
        if self._given is not None:
            return self._given
        made = self.factory if self._key == self._asked() else None
        # A simulation that was begun again has no factories of its earlier run.
        known = made is not None and TinyPersonFactory.all_factories.get(made.name) is made
        return made if known else None

    def _asked(self) -> tuple[Any, ...]:
        """The values that, when changed, need a new factory."""
        table = None if self.demography is None else self.demography.to_dict()
        context = self.context
        if self.demography is not None and not context.strip():
            context = profiles.context_of(self.demography)
        return scope().id, context, self.model, table, self.seed

    # -- shown again -------------------------------------------------------------------

    def _take_up(self) -> None:
        """Show the job of another form for this factory, if it runs or can be resumed."""
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

    # -- the static form ---------------------------------------------------------------

    def static_text(self) -> str:
        """The people as text."""
        if not self.people:
            return f"PersonaForm(context={self.context!r}, no people yet)"
        return super().static_text()
