"""Asks several people one question; each answer is an event on the person's own line."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tinyfactory import models
from tinyfactory.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cancelled,
    EndpointDown,
    EndpointUnreachable,
    NotConfigured,
    QuotaExhausted,
    TinyFactoryError,
    UnknownModel,
)
from tinyfactory.factory import requests, talking
from tinyfactory.factory.makers import model_for
from tinyfactory.generation import pipeline
from tinyfactory.journal.scope import scope
from tinyfactory.journal.serializer import digest
from tinyfactory.journal.transactional import current_transaction
from tinyfactory.models import event_loop

if TYPE_CHECKING:
    from tinyfactory.models.chat import ChatModel
    from tinyfactory.people import People
    from tinyfactory.people.panel import Panel

logger = logging.getLogger("tinyfactory")
# After these errors, asking the same model for the next person cannot help either.
_STOPS = (
    NotConfigured,
    AuthenticationFailed,
    UnknownModel,
    QuotaExhausted,
    EndpointUnreachable,
    EndpointDown,
    BudgetExceeded,
    Cancelled,
)


def ask_all(
    people: People,
    question: str,
    model: str | ChatModel | None,
    temperature: float | None,
    concurrency: int,
    on_answer: Callable[[int, str, str], object] | None = None,
) -> Panel[People]:
    """See `People.ask`."""
    from tinyfactory.people.panel import Panel

    requests.check_count(concurrency, "concurrency")
    talking.check_question(question)
    requests.check_asking(None, temperature, talking.ATTEMPTS)
    round_ = _Round(people, question, model, temperature, on_answer)
    # Within a transaction calls are numbered in order, so they run one after the other.
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
    """One question to all people."""

    def __init__(
        self,
        people: People,
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
        for number, person in enumerate(people):
            places.setdefault(id(person), []).append(number)
            # Equal people differ by whose line began first; that must not depend on threads.
            here = scope(person.simulation_id)
            if here.store is not None:
                here.line_of(person)
        # A person who is in the list twice is asked twice, one after the other.
        self.by_person = list(places.values())

    def ask(self, numbers: list[int]) -> None:
        """Ask one person, as often as the person is in the list."""
        for number in numbers:
            person, model = self.people[number], self.models[number]
            kind = digest(dict(model.identity))
            try:
                if (error := self._stopped.get(kind)) is not None:
                    raise type(error)(f"Not asked, because of what came before: {error}")
                self.answers[number] = talking.answer(
                    person, self.question, model, self.temperature
                )
            except TinyFactoryError as error:
                self.errors[number] = error
                if isinstance(error, _STOPS):
                    self._stopped.setdefault(kind, error)
            if self.on_answer is not None:
                self.on_answer(number, self.answers[number], str(self.errors.get(number, "")))

    def ask_together(self, concurrency: int) -> None:
        """Ask `concurrency` people at a time."""
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
