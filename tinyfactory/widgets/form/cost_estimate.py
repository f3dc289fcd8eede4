"""The estimated cost of a run in a sentence, before anything is sent."""

from __future__ import annotations

from typing import Any

from tinyfactory.budget import Budget
from tinyfactory.factory import TinyPersonFactory, profiles
from tinyfactory.factory.estimate import Estimate
from tinyfactory.factory.job_options import Order
from tinyfactory.models.chat import ChatModel
from tinyfactory.populations import Demography
from tinyfactory.settings import OFFLINE
from tinyfactory.utils.text import count


def draft(
    context: str,
    model: str | ChatModel | None,
    demography: Demography | None,
    seed: int,
    simulation_id: str | None,
) -> TinyPersonFactory:
    """A factory for an estimate, which is not registered.

    A registered one would get a number, and shift the numbers of the factories that make people.
    """
    if demography is not None and not context.strip():
        context = profiles.context_of(demography)
    state: dict[str, Any] = {
        "simulation_id": simulation_id,
        "context_text": context,
        "generated_minibios": [],
        "generated_names": [],
        "last_failure": None,
        "model": model if isinstance(model, str) else None,
        "language": None,
        "template": None,
        "instructions": None,
        "demography": demography.to_dict() if demography is not None else None,
        "seed": seed,
    }
    factory = TinyPersonFactory.__new__(TinyPersonFactory).decode_complete_state(state)
    factory.model = model
    return factory


def estimate_in_words(factory: TinyPersonFactory, order: Order, budget: Budget | None) -> str:
    """The estimated cost of an order.

    Examples
    --------
    >>> bakers = draft("Bakers in Vienna", "offline", None, 0, None)
    >>> estimate_in_words(bakers, Order(3), None)
    '3 people will be free: the offline writer makes them here, and no model is asked.'
    """
    if factory.chat_model().identity.get("kind") == OFFLINE:
        people = count(order.total, "person", "people")
        return f"{people} will be free: the offline writer makes them here, and no model is asked."
    found = factory.estimate(order.total, order.particularities, order.attempts, budget=budget)
    kept = factory.scope().store is not None
    return told(found, budget, kept=kept)


def told(found: Estimate, budget: Budget | None, *, kept: bool) -> str:
    """An estimate in words; `kept` says whether there is a journal to replay from."""
    tokens = [p + c for p, c in zip(found.prompt_tokens, found.completion_tokens, strict=True)]
    people = count(found.people, "person", "people")
    low, high = (_round(number) for number in tokens)
    work = f"{_range(*found.calls)} calls of {found.model}, {_range(low, high)} tokens"
    if found.usd is None:
        price = f"{people}: price unknown, {work}."
    elif found.usd[1] == 0:
        price = f"{people} will be free: {work}."
    else:
        price = f"{people} will cost about {_money(*found.usd)}: {work}."
    if kept:
        price += " What the journal holds is free."
    limit = None if budget is None else budget.usd
    if limit is not None and found.usd is not None and found.usd[1] > limit:
        price += f" The budget of {limit:g} USD may end before."
    if budget is not None and budget.calls is not None and found.calls[0] > budget.calls:
        price += f" The budget of {count(budget.calls, 'call', 'calls')} is too small for all."
    return price


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _round(tokens: int) -> int:
    """Round to two digits: an estimate is no more exact."""
    digits = max(len(str(tokens)) - 2, 0)
    return round(tokens, -digits)


def _money(low: float, high: float) -> str:
    if high < 0.01:
        return "less than 0.01 USD"
    return f"{low:.2f} USD" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f} USD"
