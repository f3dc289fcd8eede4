"""What making people will take, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinyfactory.budget import Budget, Meter
from tinyfactory.factory import person_generator, profiles
from tinyfactory.factory.job_options import Order, Way
from tinyfactory.factory.requests import Json, Particularities
from tinyfactory.factory.spending import prompt_tokens, usd_of
from tinyfactory.journal.timeline import history_of
from tinyfactory.models.chat import Usage

if TYPE_CHECKING:
    from tinyfactory.factory.person_factory import TinyPersonFactory

# How many requests are looked at for the length of a prompt.
_SAMPLE = 20
# Tokens of an answer where this simulation has none yet to go by. The schema asks for some
# forty sentences and labels: the offline model's people, who keep to it at the short end, take
# about 1,500 tokens at four characters each; endpoints that count otherwise or write more
# take up to twice that.
_ANSWER = (1_000, 3_000)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What making people will take; ranges are from the least to the most that is likely.

    Parameters
    ----------
    people : int
    calls : tuple of int
        From one a person to one in ten asked again; `most_calls` if every attempt were used.
    prompt_tokens, completion_tokens : tuple of int
    usd : tuple of float, or None
        US dollars; None where the model has no known price.
    most_calls : int
    measured : int
        How many answers of this simulation the length of an answer was taken from; 0 for
        the length that the schema makes likely.
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
            f"going by {self.measured} answers of this simulation"
            if self.measured
            else "going by what the schema asks for, as there are no answers yet"
        )
        return (
            f"{self.people:,} people with {self.model}{' by batch' if self.batch else ''}: "
            f"{low:,} to {high:,} calls, {tokens[0]:,} to {tokens[1]:,} tokens, {price} ({basis})."
        )


def estimate(
    factory: TinyPersonFactory,
    number: int,
    particularities: Particularities,
    attempts: int,
    *,
    batch: bool,
    budget: Budget | None = None,
) -> Estimate:
    """See `TinyPersonFactory.estimate`."""
    Order(number, particularities, None, attempts)  # what these refuse, the call would, too
    Way(budget=budget, batch=batch)
    model, meter = factory.chat_model(), Meter(budget, factory.scope().meter)
    identity = dict(model.identity)
    prompts = [
        prompt_tokens(person_generator.request_for(factory, profiles.asked(one, particularities)))
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


def _some_profiles(factory: TinyPersonFactory, number: int) -> list[Json | None]:
    if factory.demography is None:
        return [None]
    made = len(factory.generated_names)
    return [*profiles.draw(factory.demography, number, factory.seed, made, ())]


def _answers(factory: TinyPersonFactory) -> list[int]:
    """Tokens of the answers that the factory's latest people came from."""
    scope = factory.scope()
    if scope.store is None or not factory.generated_names:
        return []  # and its line is not begun by looking
    latest = history_of(scope, factory, latest=_SAMPLE)
    return [e.completion_tokens // e.attempts for e in latest if e.attempts and e.completion_tokens]
