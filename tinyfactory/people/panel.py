"""`Panel`: one question and the answers of several people; `ask_all` asks them."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Any, Generic, TypeVar

from tinyfactory import models
from tinyfactory.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cancelled,
    EndpointDown,
    EndpointUnreachable,
    NeverAnswered,
    NoChatEndpoint,
    NotConfigured,
    QuotaExhausted,
    TinyFactoryError,
    UnknownModel,
)
from tinyfactory.generation import pipeline
from tinyfactory.generation.pipeline import check_count, check_question, check_temperature
from tinyfactory.journal.scopes.scope import Scope, scope, working
from tinyfactory.journal.transactions.transaction import current_transaction
from tinyfactory.journal.values.stored_text import digest
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatModel
from tinyfactory.people.conversation import answer, model_for
from tinyfactory.people.formats.rows import frame_of
from tinyfactory.people.protocols import PersonLike
from tinyfactory.people.render.conversation import panel_html, panel_text
from tinyfactory.utils.logs import get_logger
from tinyfactory.utils.text import count

PeopleType = TypeVar("PeopleType", bound=Sequence[PersonLike])
logger = get_logger("tinyfactory")
# After one of these errors the same model cannot answer for other people either.
_STOPS = (
    NotConfigured,
    AuthenticationFailed,
    UnknownModel,
    QuotaExhausted,
    EndpointUnreachable,
    EndpointDown,
    NeverAnswered,
    NoChatEndpoint,
    BudgetExceeded,
    Cancelled,
)


class Panel(Generic[PeopleType]):
    """Answers in the order of the people, shown as text and as a static table.

    Attributes
    ----------
    question : str
    people : People
        A copy; another sequence of people keeps its class.
    answers : list of str
        Empty for a person who did not answer.
    reasons : list of str
        Why a person did not answer; empty for an answer.

    Examples
    --------
    >>> from tinyfactory.people import People, TinyPerson
    >>> people = People([TinyPerson("Ana", register=False), TinyPerson("Bo", register=False)])
    >>> Panel("Tea?", people, ["Yes, please.", ""], ["", "The model did not answer."])
    Tea?
    1 of 2 people answered.
     1. Ana: Yes, please.
     2. Bo: (no answer) The model did not answer.
    """

    def __init__(
        self,
        question: str,
        people: PeopleType,
        answers: Sequence[str],
        reasons: Sequence[str] | None = None,
    ) -> None:
        self.question = question
        self.people: PeopleType = people[:]  # type: ignore[assignment]  # of the same class
        self.answers = list(answers)
        self.reasons = [""] * len(self.answers) if reasons is None else list(reasons)

    def to_frame(self) -> Any:
        """Return a pandas data frame with the columns name, question, answer and reason."""
        names = ("name", "question", "answer", "reason")
        rows = [
            (person.name, self.question, answer, reason)
            for person, answer, reason in zip(self.people, self.answers, self.reasons, strict=True)
        ]
        return frame_of(rows, names)

    def __repr__(self) -> str:
        return panel_text(self)

    def _repr_html_(self) -> str:
        return panel_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def ask_all(
    people: PeopleType,
    question: str,
    model: str | ChatModel | None,
    temperature: float | None,
    concurrency: int,
    on_answer: Callable[[int, str, str], object] | None = None,
) -> Panel[PeopleType]:
    """See `People.ask`."""
    check_count(concurrency, "concurrency")
    check_question(question)
    check_temperature(temperature)
    round_ = _Round(people, question, model, temperature, on_answer)
    with ExitStack() as stack:
        for here in round_.scopes:
            stack.enter_context(working(here, round_))
        # Within a transaction events are numbered in order, so people are asked one by one.
        if concurrency == 1 or current_transaction() is not None:
            for numbers in round_.by_person:
                round_.ask(numbers)
        else:
            round_.ask_together(concurrency)
    if people and len(round_.errors) == len(people):
        raise round_.errors[min(round_.errors)]
    for number, error in sorted(round_.errors.items()):
        logger.warning("%s did not answer: %s", people[number].name, error)
    reasons = [str(round_.errors.get(number, "")) for number in range(len(people))]
    return Panel(question.strip(), people, round_.answers, reasons)


class _Round:
    """One question to several people: the answers and errors so far."""

    def __init__(
        self,
        people: Sequence[PersonLike],
        question: str,
        model: str | ChatModel | None,
        temperature: float | None,
        on_answer: Callable[[int, str, str], object] | None,
    ) -> None:
        self.people = people
        self.question = question
        self.temperature = temperature
        self.on_answer = on_answer
        self.answers = [""] * len(people)
        self.errors: dict[int, TinyFactoryError] = {}
        self._stopped: dict[str, TinyFactoryError] = {}
        given = None if model is None else models.resolve(model)
        self.models = [given or model_for(person, None) for person in people]
        places: dict[int, list[int]] = {}
        self.scopes: list[Scope] = []
        for number, person in enumerate(people):
            places.setdefault(id(person), []).append(number)
            # Equal people differ by the order of their first events, so threads must not set it.
            here = scope(person.simulation_id)
            if here.store is not None:
                here.line_of(person)
                if here not in self.scopes:
                    self.scopes.append(here)
        # A person who is listed twice is asked twice, one after the other.
        self.by_person = list(places.values())

    def __str__(self) -> str:
        return f"a question to {count(len(self.people), 'person', 'people')}"

    def ask(self, numbers: list[int]) -> None:
        """Ask one person, as often as the person is listed."""
        for number in numbers:
            person, model = self.people[number], self.models[number]
            kind = digest(dict(model.identity))
            try:
                if (error := self._stopped.get(kind)) is not None:
                    raise type(error)(f"Not asked, because of what came before: {error}")
                self.answers[number] = answer(person, self.question, model, self.temperature)
            except TinyFactoryError as error:
                self.errors[number] = error
                if isinstance(error, _STOPS):
                    self._stopped.setdefault(kind, error)
            if self.on_answer is not None:
                self.on_answer(number, self.answers[number], str(self.errors.get(number, "")))

    def ask_together(self, concurrency: int) -> None:
        """Ask several people at a time."""
        switch, around = event_loop.CancelToken(), pipeline.current_token()

        def work(numbers: list[int]) -> None:
            with pipeline.cancellable(switch):
                self.ask(numbers)

        pool = ThreadPoolExecutor(concurrency, thread_name_prefix="tinyfactory-panel")
        with ExitStack() as stack:
            if around is not None:
                stack.enter_context(around.calling(switch.cancel))
            futures: list[Future[Any]] = [
                pool.submit(contextvars.copy_context().run, work, numbers)
                for numbers in self.by_person
            ]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                switch.cancel()
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        for future in futures:
            if not future.cancelled():
                future.result()
