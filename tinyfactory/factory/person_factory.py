"""`TinyPersonFactory`: creates people, and further factories, from a context."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

from tinyfactory import models, prompts, settings
from tinyfactory.errors import InvalidInput, ReplyRejected
from tinyfactory.factory import profiles, twins
from tinyfactory.factory.base import TinyFactory
from tinyfactory.factory.estimate import Estimate, estimate
from tinyfactory.factory.job import PeopleJob
from tinyfactory.factory.job_options import JobKeywords, JobOptions, Order, Snapshot, read_options
from tinyfactory.factory.person_generator import (
    Json,
    check_context,
    check_seed,
    contexts_request,
    first_request,
    make_person,
    model_call,
    person_messages,
    person_values,
    write_contexts,
)
from tinyfactory.generation.pipeline import check_count, request_key
from tinyfactory.journal.scopes.scope import Scope, scope
from tinyfactory.journal.transactional import transactional
from tinyfactory.journal.values.changes import Change, apply
from tinyfactory.models.chat import ChatModel
from tinyfactory.prompts.particularities import Particularities
from tinyfactory.redaction import secrets_in
from tinyfactory.utils.files import expanded, read_file
from tinyfactory.utils.text import count, cut

if TYPE_CHECKING:
    from tinyfactory.budget import Budget
    from tinyfactory.people import People, TinyPerson
    from tinyfactory.people.comparison import Twins
    from tinyfactory.populations import Demography


class TinyPersonFactory(TinyFactory):
    """Creates people who belong to a context, using a language model.

    Parameters
    ----------
    context_text : str
        Who the people are and where they are. Specific contexts give better people.
    simulation_id : str, optional
        The simulation that it belongs to; the current one by default.
    model : str or ChatModel, optional
        ``"offline"``, the name of a model, or a model object. By default the model set by
        `tinyfactory.configure` or the environment at the time of each call.
    language : str, optional
        The language that people are written in; English by default.
    template, instructions : str or path, optional
        Your own mustache templates in place of the packaged ones: `template` for the request,
        `instructions` for the fixed part before it. A string, or the path of a ``.mustache``
        file. Variables: context, particularities, language, taken_names, others, ordinal,
        rejected.
    extra_body : dict, optional
        Further fields for the body of each request, beside those of
        `tinyfactory.configure(extra_body=...)`; for example ``{"enable_thinking": False}``.

    Attributes
    ----------
    generated_names, generated_minibios : list of str
        Names and minibios of the people made so far, in order.
    last_failure : str or None
        Why the last `generate_person` returned None.
    last_job : PeopleJob or None
        The job of the last `generate_people`. Its `people` are there even if it was stopped.

    Raises
    ------
    InvalidInput
        If the context is empty or a template cannot be rendered.

    Examples
    --------
    >>> factory = TinyPersonFactory("Nurses in São Paulo, Brazil", model="offline")
    >>> person = factory.generate_person("a 34-year-old woman")
    >>> person.get("age")
    34
    >>> factory.generated_names == [person.name]
    True
    """

    _encoded: ClassVar[tuple[str, ...]] = (
        *("context_text", "generated_minibios", "generated_names", "last_failure", "model"),
        *("language", "template", "instructions", "demography", "seed", "extra_body"),
    )
    _transient: ClassVar[tuple[str, ...]] = ("last_job",)

    def __init__(
        self,
        context_text: str,
        simulation_id: str | None = None,
        *,
        model: str | ChatModel | None = None,
        language: str | None = None,
        template: str | Path | None = None,
        instructions: str | Path | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        self.context_text = check_context(context_text)
        self.generated_minibios: list[str] = []
        self.generated_names: list[str] = []
        self.last_failure: str | None = None
        self.last_job: PeopleJob | None = None
        self.model = settings.check("model", model)
        self.language = settings.check("language", language)
        self.template = _template_text(template, "template")
        self.instructions = _template_text(instructions, "instructions")
        self.extra_body = settings.check("extra_body", extra_body)
        self.demography: Json | None = None
        self.seed = 0
        if simulation_id is not None and (not isinstance(simulation_id, str) or not simulation_id):
            raise InvalidInput(
                "simulation_id must be the id of a simulation, a text, not "
                f"{simulation_id!r:.80}. Nothing was sent."
            )
        super().__init__(simulation_id)

    # -- making factories --------------------------------------------------------------

    @classmethod
    def generate_person_factories(
        cls,
        number_of_factories: int,
        generic_context_text: str,
        *,
        model: str | ChatModel | None = None,
        language: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> list[Self]:
        """Make factories, each with a specific context within a general one.

        Parameters
        ----------
        number_of_factories : int
            How many factories to make.
        generic_context_text : str
            The general context that all specific contexts belong to.
        model, language, extra_body
            As for `TinyPersonFactory`; passed on to each factory.

        Returns
        -------
        list of TinyPersonFactory
            As many as were asked for. In the replay of a recording in which none could be made,
            the list is empty.

        Raises
        ------
        InvalidInput
            If the number is below 1 or the context is empty. Nothing was sent.
        ReplyRejected
            If the model gives too few different contexts, also when asked again.
        ModelError
            If asking again cannot help; the message says what to do.

        Examples
        --------
        >>> factories = TinyPersonFactory.generate_person_factories(
        ...     2, "A group of friends are on a camping trip.", model="offline")
        >>> len({factory.context_text for factory in factories})
        2
        """
        check_count(number_of_factories, "number_of_factories")
        check_context(generic_context_text)
        factories: list[Self] | None = cls._generate_factories(
            number_of_factories,
            generic_context_text,
            settings.language(language),
            models.resolve(model, extra_body),
        )
        if factories is None and scope().recorded is None:
            wanted = count(number_of_factories, "different context", "different contexts")
            raise ReplyRejected(
                f"The model did not give {wanted}; the log says why. No factories were made. Ask "
                "for fewer, or call it again; in a simulation, after "
                "control.begin(retry_failures=True)."
            )
        for factory in factories or []:
            factory.model, factory.language = model, language
            if extra_body is not None:
                factory.extra_body = settings.check("extra_body", extra_body)
        return factories or []

    @classmethod
    @transactional(
        version="1",
        touches=(),
        ignore=("model",),
        request=lambda _cls, number, context, language, model: request_key(
            model.identity, contexts_request(context, number, [], language, "")
        ),
    )
    def _generate_factories(
        cls, number: int, context: str, language: str, model: ChatModel
    ) -> list[Self] | None:
        contexts = write_contexts(number, context, language, model)
        return None if contexts is None else [cls(text) for text in contexts]

    @classmethod
    def from_demography(
        cls,
        demography: Demography | Json | str | Path,
        context_text: str | None = None,
        simulation_id: str | None = None,
        *,
        seed: int = 0,
        **options: Any,
    ) -> Self:
        """Make a factory whose people match a demography.

        Parameters
        ----------
        demography : Demography, dict, str or path
            A demography, a dictionary as for `Demography.from_dict`, the path of a JSON or CSV
            file, or the name of a shipped demography such as ``"illustrative_town"``.
        context_text : str, optional
            Who the people are and where they are; by default taken from the demography.
        simulation_id, **options
            As for `TinyPersonFactory`.
        seed : int
            Another seed draws other people with the same numbers.

        Raises
        ------
        InvalidInput
            If the demography is invalid or its tables contradict each other; the message names
            the cell.

        Examples
        --------
        >>> factory = TinyPersonFactory.from_demography(
        ...     {"sex": {"female": 3, "male": 1}, "age": {"20-29": 1, "60-69": 1}},
        ...     "Regulars of a library", model="offline")
        >>> sorted(p.get("gender") for p in factory.generate_people(4))
        ['female', 'female', 'female', 'male']
        """
        try:  # so that the error names this method, and before any table is read
            inspect.signature(cls).bind(context_text, simulation_id, **options)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}.from_demography() {error}") from None
        read = profiles.read_demography(demography)
        seed, tables = check_seed(seed), read.to_dict()
        profiles.fitted(tables)
        factory = cls(context_text or profiles.context_of(read), simulation_id, **options)
        factory.demography, factory.seed = tables, seed
        return factory

    # -- making people -----------------------------------------------------------------

    @transactional(version="1", touches=(), request=first_request)
    def generate_person(
        self,
        agent_particularities: Particularities = None,
        temperature: float | None = 1.5,
        attempts: int = 5,
        profile: Json | None = None,
    ) -> TinyPerson | None:
        """Create one person, as one atomic step.

        Parameters
        ----------
        agent_particularities : str or dict, optional
            Requirements for this person: in words ("a 34-year-old nurse named Ana Souza"), or
            as fields (``{"name": "Ana Souza", "age": 34}``).
        temperature : float or None
            From 0 to 2; higher values give more varied people. None: the endpoint's default.
        attempts : int
            The most replies to ask for.
        profile : dict, optional
            Fields drawn from a demography (`Demography.profiles`). The person is checked
            against them. Fields that the schema does not have are added as ``demographics``.

        Returns
        -------
        TinyPerson or None
            None if no reply could be used; the reason is in the log and in `last_failure`.

        Raises
        ------
        InvalidInput
            If an argument is invalid or a required name is taken. Nothing was sent.
        ModelError
            If asking again cannot help (no key, unknown model, no endpoint); the message says
            what to do. Factory, people and registries are unchanged.
        """
        return make_person(self, agent_particularities, temperature, attempts, profile)

    @transactional(
        version="1",
        touches=(),
        request=lambda self, messages, temperature: request_key(
            self.chat_model().identity, person_messages(messages, temperature)
        ),
    )
    def _aux_model_call(self, messages: list[Json], temperature: float | None) -> Json:
        """Send messages that ask for a person; the reply is on disk before it is parsed.

        Returns
        -------
        dict
            ``role``, ``content``, ``finish_reason``, ``refusal`` and ``provenance``.
        """
        return model_call(self, messages, temperature)

    def _twin_of(self, person: TinyPerson, changes: Json, attempts: int) -> Twins[TinyPerson]:
        """Generate a twin of a person; see `TinyPerson.twin`."""
        return twins.twin(self, person, changes, attempts)

    @classmethod
    @transactional(
        version="1",
        touches=(),
        ignore=("model",),
        derived=("values", "seed", "texts"),
        request=lambda _cls, values, asked, temperature, attempts, seed, texts, model: (  # noqa: ARG005
            request_key(model.identity, twins.request(values, asked, temperature, seed, texts))
        ),
    )
    def _write_twin(
        cls,
        values: Json,
        asked: Json,
        temperature: float | None,
        attempts: int,
        seed: int,
        texts: Json,
        model: ChatModel,
    ) -> TinyPerson | None:
        """Create a twin. It has a line of its own, so the factory's line does not change."""
        return twins.write(values, asked, temperature, attempts, seed, texts, model)

    @transactional(version="1", touches=("agent",), edit=True)
    def _setup_agent(self, agent: TinyPerson, configuration: Json) -> None:
        """Set all fields of a configuration on a person, or none of them."""
        agent.define_all(configuration)

    def generate_people(
        self,
        number_of_people: int,
        agent_particularities: Particularities = None,
        temperature: float | None = 1.5,
        attempts: int = 5,
        *,
        concurrency: int = 1,
        on_person: Callable[[TinyPerson], object] | None = None,
        budget: Budget | None = None,
        executor: Executor | None = None,
        progress: bool | Callable[[Snapshot], object] = False,
        time_limit: float | None = None,
        batch: bool = False,
        keep: bool = True,
        poll: float = 10.0,
    ) -> People:
        """Create several people; each is an event of its own and is saved at once.

        With a demography (`from_demography`), the profiles are drawn first, so that the numbers
        match exactly; each person is then written to a profile and checked against it.

        After an interruption (Ctrl-C, an error, a limit), run the same call again to continue.
        Finished people are not asked for again, in this kernel or, in a simulation, in another.

        Parameters
        ----------
        number_of_people : int
            How many. Fewer are returned only where `generate_person` returned None; the log and
            ``people.missing`` say which, and why.
        agent_particularities, temperature, attempts
            As for `generate_person`; the particularities apply to each person.
        concurrency : int
            The most requests at a time. The people and their order are the same regardless of
            which reply arrives first. With 1 and without a demography, each prompt mentions the
            people made before, which gives more variety.
        on_person : callable, optional
            Called with each person, in order, as soon as the person is made.
        budget : Budget, optional
            A budget for this call; the simulation's own budget applies as well.
        executor : concurrent.futures.Executor, optional
            Sends the model calls to workers; replies are checked and saved in this process. For
            Dask: ``Client(...).get_executor()``. The workers receive the model with its key.
            Requests that a worker repeats count against the budget afterwards.
        progress : bool or callable
            True shows a progress bar; a function is called with a `Snapshot` at intervals.
        time_limit : float, optional
            The most seconds that the whole call may take.
        batch : bool
            Use the endpoint's Batch API: within a day, for half the price. Needs a simulation;
            after a restart of the kernel the same call finds its batch again.
        keep : bool
            Use False for more people than fit into memory: each is passed to `on_person` (such
            as the `add` of a `PeopleWriter`), and only the names stay in memory.
        poll : float
            Seconds between the first two requests for a batch's status.

        Returns
        -------
        People
            A list that displays as a table; empty with ``keep=False``.

        Raises
        ------
        InvalidInput
            If an argument is invalid. Nothing was sent.
        NobodyMade
            If no person at all could be made.
        BudgetExceeded, TimeLimitReached, ModelError
            The people made before stay in `last_job.people` and, in a simulation, on disk.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Customers of a bakery", model="offline")
        >>> [person.name for person in factory.generate_people(2)] == factory.generated_names
        True
        """
        order = Order(number_of_people, agent_particularities, temperature, attempts)
        options = JobOptions(
            concurrency=concurrency,
            on_person=on_person,
            budget=budget,
            executor=executor,
            progress=progress,
            time_limit=time_limit,
            batch=batch,
            keep=keep,
            poll=poll,
        )
        return self._job(order, options).run()

    def start_people(
        self,
        number_of_people: int,
        agent_particularities: Particularities = None,
        temperature: float | None = 1.5,
        attempts: int = 5,
        **options: Unpack[JobKeywords],
    ) -> PeopleJob:
        """Run `generate_people` in a background thread; returns the job, to wait for or cancel.

        Iterating over the job gives the people as they are made. The parameters are those of
        `generate_people`.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Customers of a bakery", model="offline")
        >>> [person.name for person in factory.start_people(2)] == factory.generated_names
        True
        """
        order = Order(number_of_people, agent_particularities, temperature, attempts)
        return self._job(order, read_options("start_people", options)).start()

    async def agenerate_people(
        self,
        number_of_people: int,
        agent_particularities: Particularities = None,
        temperature: float | None = 1.5,
        attempts: int = 5,
        **options: Unpack[JobKeywords],
    ) -> People:
        """`generate_people` as a coroutine; cancelling it keeps the people made so far.

        Examples
        --------
        >>> import asyncio
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Customers of a bakery", model="offline")
        >>> len(asyncio.run(factory.agenerate_people(2)))
        2
        """
        import asyncio  # slow to import

        order = Order(number_of_people, agent_particularities, temperature, attempts)
        job = self._job(order, read_options("agenerate_people", options)).start()
        try:
            # In a thread, which ends with the job even if this await is cancelled.
            return await asyncio.to_thread(job.wait)
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.shield(asyncio.to_thread(job.join))
            raise

    def estimate(
        self,
        number_of_people: int,
        agent_particularities: Particularities = None,
        attempts: int = 5,
        *,
        batch: bool = False,
        budget: Budget | None = None,
    ) -> Estimate:
        """Estimate calls, tokens and price of making so many people. Nothing is sent.

        Prompts are counted at four characters a token. The length of replies is taken from this
        factory's earlier replies in the simulation, else from the schema. Prices given in
        `budget` are used.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Customers of a bakery", model="offline")
        >>> factory.estimate(100).calls
        (100, 110)
        """
        return estimate(
            self, number_of_people, agent_particularities, attempts, batch=batch, budget=budget
        )

    def _job(self, order: Order, options: JobOptions) -> PeopleJob:
        self.last_job = PeopleJob(self, order, options, before=self.last_job)
        return self.last_job

    # -- inner workings ----------------------------------------------------------------

    def chat_model(self) -> ChatModel:
        """The factory's own model, else the one that is configured now."""
        return models.resolve(self.model, self.extra_body)

    def scope(self) -> Scope:
        """The scope in which its people are registered."""
        return scope(self.simulation_id)

    def _apply_change(self, change: Change) -> None:
        """Apply a change; its cost does not grow with the number of people made before."""
        small = {key: items for key, items in change.items() if key != "append"}
        for key, items in change.get("append", {}).items():
            getattr(self, key).extend(items)
        if small:
            keys = [key for part in small.values() for key in part]
            now = {key: getattr(self, key) for key in keys if hasattr(self, key)}
            for key, value in apply(now, small).items():
                setattr(self, key, value)
            for key in small.get("remove", ()):
                delattr(self, key)

    def __repr__(self) -> str:
        """Show the context and how many people were made, below a cell and in errors."""
        made = count(len(self.generated_names), "person", "people")
        context = cut(" ".join(self.context_text.split()), 60)
        return f"{type(self).__name__}({context!r}, name={self.name!r}, {made} made)"

    # -- state -------------------------------------------------------------------------

    def encode_complete_state(self) -> dict[str, Any]:
        """A deep copy of the factory's state: JSON values by attribute.

        A model given by name is part of the state; a model object is not, because it is code, and
        an `extra_body` with a secret is not, because states are saved.
        """
        own: Json = {
            "context_text": self.context_text,
            "generated_minibios": list(self.generated_minibios),
            "generated_names": list(self.generated_names),
            "last_failure": self.last_failure,
            "model": self.model if isinstance(self.model, str) else None,
            "language": self.language,
            "template": self.template,
            "instructions": self.instructions,
        }
        if self.demography is not None:
            own |= {"demography": copy.deepcopy(self.demography), "seed": self.seed}
        if self.extra_body is not None and not secrets_in(self.extra_body):
            own["extra_body"] = copy.deepcopy(self.extra_body)
        return super().encode_complete_state() | own

    def decode_complete_state(self, state: dict[str, Any]) -> Self:
        """Restore a state from `encode_complete_state`, and return the factory."""
        self.context_text = state["context_text"]
        self.last_job = getattr(self, "last_job", None)
        self.generated_minibios = list(state["generated_minibios"])
        self.generated_names = list(state["generated_names"])
        self.last_failure = state["last_failure"]
        if state["model"] is not None or not hasattr(self, "model"):
            self.model = state["model"]
        self.language = state["language"]
        self.template = state["template"]
        self.instructions = state["instructions"]
        self.demography = copy.deepcopy(state.get("demography"))
        self.seed = state.get("seed", 0)
        if "extra_body" in state or not hasattr(self, "extra_body"):
            self.extra_body = copy.deepcopy(state.get("extra_body"))
        return super().decode_complete_state(state)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a factory with a copy of the state; both use the same model object."""
        twin = super().__deepcopy__(memo)
        twin.model, twin.extra_body = self.model, copy.deepcopy(self.extra_body)
        return twin


def _template_text(given: str | Path | None, name: str) -> str | None:
    """The text of a custom template, checked now so that it cannot fail later."""
    if given is None:
        return None
    if not isinstance(given, (str, Path)):
        raise InvalidInput(f"{name} must be a text or a path, not {given!r:.80}. Nothing was sent.")
    path = expanded(given) if isinstance(given, Path) or str(given).endswith(".mustache") else None
    text = read_file(path).decode("utf-8") if path else str(given)
    prompts.check(text, person_values("-", None, [], [], 1, "-"), name)
    return text
