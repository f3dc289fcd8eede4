"""Estimates calls, tokens and price of a job."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfactory.budget import Budget, Meter
from tinyfactory.factory import profiles
from tinyfactory.factory.job_options import JobOptions, Order
from tinyfactory.factory.person_generator import Json, PersonSource, check_fields, request_for
from tinyfactory.generation.pipeline import prompt_tokens, usd_of
from tinyfactory.journal.timeline import history_of
from tinyfactory.models.chat import Usage
from tinyfactory.prompts.particularities import Particularities

# How many requests are built to measure the length of prompts.
_SAMPLE = 20
# Tokens of a reply while this simulation has none yet. The schema asks for about forty sentences
# and labels. The offline model's people are at the short end, with about 1,500 tokens at four
# characters each; endpoints that count differently or write more take up to twice that.
_ANSWER = (1_000, 3_000)


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate of a job; ranges go from the least to the most that is likely.

    Parameters
    ----------
    people : int
    calls : tuple of int
        From one per person to one more for every tenth; `most_calls` if all attempts are used.
    prompt_tokens, completion_tokens : tuple of int
    usd : tuple of float, or None
        US dollars; None where the model has no known price.
    most_calls : int
    measured : int
        How many replies of this simulation the length of replies was taken from; 0 if it was
        taken from the schema.
    model : str
    batch : bool
        Whether the price is that of a batch.
    """

    people: int
    calls: tuple[int, int]
    prompt_tokens: tuple[int, int]
    completion_tokens: tuple[int, int]
    usd: tuple[float, float] | None
    most_calls: int
    measured: int
    model: str
    batch: bool = False

    def __str__(self) -> str:
        low, high = self.calls
        tokens = (
            self.prompt_tokens[0] + self.completion_tokens[0],
            self.prompt_tokens[1] + self.completion_tokens[1],
        )
        price = (
            "price unknown"
            if self.usd is None
            else "free"
            if self.usd[1] == 0
            else f"{self.usd[0]:.2f} to {self.usd[1]:.2f} USD"
        )
        basis = (
            f"based on {self.measured} replies in this simulation"
            if self.measured
            else "based on the schema, as there are no answers yet"
        )
        return (
            f"{self.people:,} people with {self.model}{' by batch' if self.batch else ''}: "
            f"{low:,} to {high:,} calls, {tokens[0]:,} to {tokens[1]:,} tokens, {price} ({basis})."
        )


def estimate(
    factory: PersonSource,
    number: int,
    particularities: Particularities,
    attempts: int,
    *,
    batch: bool,
    budget: Budget | None = None,
) -> Estimate:
    """See `TinyPersonFactory.estimate`."""
    Order(number, particularities, None, attempts)  # these check the arguments as the call would
    JobOptions(budget=budget, batch=batch)
    check_fields(particularities)
    model, meter = factory.chat_model(), Meter(budget, factory.scope().meter)
    identity = dict(model.identity)
    prompts = [
        prompt_tokens(request_for(factory, None, profiles.asked(one, particularities), None))
        for one in _some_profiles(factory, min(number, _SAMPLE))
    ]
    answers = _answers(factory)
    shortest, longest = (min(answers), max(answers)) if answers else _ANSWER
    calls = (number, number + -(-number // 10))
    prompt = (calls[0] * min(prompts), calls[1] * max(prompts))
    completion = (calls[0] * shortest, calls[1] * longest)
    usd = [
        usd_of(identity, Usage(p, c), meter, batch=batch)
        for p, c in zip(prompt, completion, strict=True)
    ]
    return Estimate(
        people=number,
        calls=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        usd=None if usd[0] is None or usd[1] is None else (usd[0], usd[1]),
        most_calls=number * attempts,
        measured=len(answers),
        model=str(identity.get("model") or identity.get("deployment") or identity.get("kind")),
        batch=batch,
    )


def _some_profiles(factory: PersonSource, number: int) -> list[Json | None]:
    if factory.demography is None:
        return [None]
    made = len(factory.generated_names)
    return [*profiles.draw(factory.demography, number, factory.seed, made, ())]


def _answers(factory: PersonSource) -> list[int]:
    """The tokens of the replies for the factory's latest people."""
    scope = factory.scope()
    if scope.store is None or not factory.generated_names:
        return []  # reading the history would begin the factory's line
    latest = history_of(scope, factory, latest=_SAMPLE)
    return [e.completion_tokens // e.attempts for e in latest if e.attempts and e.completion_tokens]
