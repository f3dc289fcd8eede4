"""Budgets: what a run may spend, checked before each call, and what it has spent.

The journal knows no model: what a call may take at most, and what it took, is handed in.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tinyfactory import settings
from tinyfactory.errors import BudgetExceeded, InvalidInput, UnknownPrice
from tinyfactory.utils.concurrency import open_after_fork
from tinyfactory.utils.text import price_in_words

Prices = Mapping[str, tuple[float, float]]
# Sums of floats are off in the last digits; that is no money.
_CENT_DUST = 1e-9
_KEPT = (
    "All steps that were finished are kept. Raise the budget, Budget({name}=...), and run again: "
    "they are replayed and cost nothing."
)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one run of a simulation may spend, from `begin` to `end`.

    Before each call of a model an upper bound of what it can take is set aside: the prompt at
    four characters a token, and an answer of the request's `max_tokens` (4,000 tokens where it
    has none). A call that could exceed a limit is not made. What is replayed costs nothing.

    Parameters
    ----------
    calls : int, optional
        Requests to a model. One that had to be repeated counts each time, and is not repeated
        where that would exceed the limit.
    tokens : int, optional
        Of prompts and answers together.
    usd : float, optional
        US dollars.
    prices : dict, optional
        US dollars for a million tokens of prompt and of answer, by the model's name, where
        they are not known or not right: ``{"llama3.2": (0, 0)}``.

    Raises
    ------
    InvalidInput
        For limits and prices that cannot be.

    Examples
    --------
    >>> Budget(calls=100, usd=0.5)
    Budget(calls=100, tokens=None, usd=0.5, prices={})
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    prices: Prices = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("calls", "tokens"):
            limit = getattr(self, name)
            if limit is not None and (type(limit) is not int or limit < 0):
                raise InvalidInput(
                    f"Budget({name}=...) is a whole number of 0 or more, not {limit!r}. "
                    "Nothing was begun."
                )
        if self.usd is not None and not settings.is_amount(self.usd):
            raise InvalidInput(
                f"Budget(usd=...) is an amount of 0 or more, not {self.usd!r}. Nothing was begun."
            )
        settings.check_prices(self.prices)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has spent so far.

    Calls that were broken off count with their upper bound, because the endpoint may charge
    for them. `usd` is the sum of what has a price, None when nothing that was asked has one;
    with `unknown_price` it is less than the whole.
    """

    calls: int = 0
    tokens: int = 0
    usd: float | None = 0.0
    unknown_price: bool = False

    def __str__(self) -> str:
        price = price_in_words(self.usd)
        if self.unknown_price and self.usd is not None:
            price += " and more of unknown price"
        return f"{self.calls:,} calls, {self.tokens:,} tokens, {price}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call takes: requests, tokens, and US dollars where a price is known."""

    calls: int
    tokens: int
    usd: float | None


class Meter:
    """Counts what a run spends and holds it to a budget; safe to share between threads.

    Parameters
    ----------
    budget : Budget, optional
        Without one everything is counted and nothing refused.
    within : Meter, optional
        Of the whole of which this is a part: what is spent here is spent there, too, and both
        budgets hold.

    Examples
    --------
    >>> meter = Meter(Budget(calls=1))
    >>> reservation = meter.try_reserve(Cost(calls=1, tokens=5000, usd=None))
    >>> reservation.settle(Cost(calls=1, tokens=1200, usd=None))
    >>> meter.spent.tokens
    1200
    >>> meter.try_reserve(Cost(calls=1, tokens=5000, usd=None))
    Traceback (most recent call last):
        ...
    tinyfactory.errors.BudgetExceeded: The budget of this run allows 1 calls; 1 are spent and ...
    """

    def __init__(self, budget: Budget | None = None, within: Meter | None = None) -> None:
        self.budget = budget or Budget()
        self._within = within
        self._changed = threading.Condition(open_after_fork(threading.RLock()))
        self._calls = self._tokens = 0
        self._usd = 0.0
        self._priced = self._unpriced = 0
        self._reserved: dict[int, Cost] = {}
        self._serial = 0

    @property
    def prices(self) -> Prices:
        """Prices that were given, by the model's name."""
        outer = self._within.prices if self._within is not None else {}
        return {**outer, **self.budget.prices}

    @property
    def spent(self) -> Spent:
        """What is spent by now; what is only set aside does not count."""
        with self._changed:
            usd = self._usd if self._priced or not self._unpriced else None
            return Spent(self._calls, self._tokens, usd, self._unpriced > 0)

    def try_reserve(self, bound: Cost, seconds: float = 0.0) -> Reservation | None:
        """Set aside what a call can take at most.

        Parameters
        ----------
        bound : Cost
        seconds : float
            How long to wait for calls under way, if it depends on what they take in the end.

        Returns
        -------
        Reservation or None
            None when that is still open after the wait; to be tried again.

        Raises
        ------
        BudgetExceeded
            When the call could exceed the budget whatever the others take.
        UnknownPrice
            When there is a limit in US dollars, and no price.
        """
        if self._within is None:
            return self._try_reserve(bound, seconds)
        outer = self._within.try_reserve(bound, seconds)
        if outer is None:
            return None
        try:
            reservation = self._try_reserve(bound, seconds)
        except BaseException:
            outer.release()
            raise
        if reservation is None:
            outer.release()
            return None
        reservation.outer = outer
        return reservation

    def _try_reserve(self, bound: Cost, seconds: float) -> Reservation | None:
        if self.budget.usd is not None and bound.usd is None:
            raise UnknownPrice(
                f"The budget of this run allows {self.budget.usd:g} USD, and the price of this "
                "model is unknown. Nothing was sent. Say what a million tokens of prompt and of "
                'answer cost: Budget(usd=..., prices={"model": (0.4, 1.6)}), or limit calls or '
                "tokens instead."
            )
        with self._changed:
            if self._exceeded_by(bound, *self._reserved.values()):
                self._refuse_if_hopeless(bound)
                self._changed.wait(seconds)
                if self._exceeded_by(bound, *self._reserved.values()):
                    self._refuse_if_hopeless(bound)
                    return None
            self._serial += 1
            self._reserved[self._serial] = bound
            return Reservation(self, self._serial, bound)

    def settle(self, number: int, cost: Cost | None) -> None:
        """Put what a call took in place of what was set aside for it; None for nothing."""
        with self._changed:
            if self._reserved.pop(number, None) is not None and cost is not None:
                self._calls += cost.calls
                self._tokens += cost.tokens
                self._usd += cost.usd or 0.0
                self._priced += cost.usd is not None
                self._unpriced += cost.usd is None
            self._changed.notify_all()

    def enlarge(self, number: int, bound: Cost) -> None:
        """Set aside `bound` in place of what was, without waiting for others.

        Raises
        ------
        BudgetExceeded
            When that and what is set aside for others could exceed the budget.
        """
        with self._changed:
            others = [cost for key, cost in self._reserved.items() if key != number]
            over = self._exceeded_by(bound, *others)
            if over is not None:
                name, limit, spent, more = over
                raise BudgetExceeded(
                    f"The budget of this run allows {limit:,} {name}, and {spent:,} are spent. A "
                    f"request that was not answered was not sent again: with it, calls under way "
                    f"may take {more:,}. {_KEPT.format(name=name.lower())}"
                )
            self._reserved[number] = bound

    def _refuse_if_hopeless(self, bound: Cost) -> None:
        over = self._exceeded_by(bound)
        if over is None:
            return
        name, limit, spent, more = over
        raise BudgetExceeded(
            f"The budget of this run allows {limit:,} {name}; {spent:,} are spent and the next "
            f"call may take {more:,}. It was not sent. {_KEPT.format(name=name.lower())}"
        )

    def _exceeded_by(
        self, *costs: Cost
    ) -> tuple[str, int | float, int | float, int | float] | None:
        """The first limit that these on top would exceed: its name, size, what is spent, more."""
        budget = self.budget
        calls = sum(cost.calls for cost in costs)
        tokens = sum(cost.tokens for cost in costs)
        usd = math.fsum(cost.usd or 0.0 for cost in costs)
        if budget.calls is not None and self._calls + calls > budget.calls:
            return "calls", budget.calls, self._calls, calls
        if budget.tokens is not None and self._tokens + tokens > budget.tokens:
            return "tokens", budget.tokens, self._tokens, tokens
        if budget.usd is not None and self._usd + usd > budget.usd + _CENT_DUST:
            return "USD", budget.usd, round(self._usd, 6), round(usd, 6)
        return None


class Reservation:
    """What is set aside for one call; to be settled once, however the call ends."""

    def __init__(self, meter: Meter, number: int, bound: Cost) -> None:
        self._meter = meter
        self._number = number
        self.bound = bound
        self.outer: Reservation | None = None

    def one_more(self) -> None:
        """Set aside one more request, because the last was not answered.

        Only a request: what no answer came to is hardly ever charged for.

        Raises
        ------
        BudgetExceeded
            When it could exceed the budget; it must not be sent then.
        """
        if self.outer is not None:
            self.outer.one_more()
        bound = replace(self.bound, calls=self.bound.calls + 1)
        self._meter.enlarge(self._number, bound)
        self.bound = bound

    def settle(self, cost: Cost) -> None:
        """Count what the call took."""
        self._settle(cost)

    def keep(self) -> None:
        """Count the bound: the call was broken off, and what it took will never be known."""
        self._settle(self.bound)

    def release(self) -> None:
        """Count nothing: nothing went out."""
        self._settle(None)

    def _settle(self, cost: Cost | None) -> None:
        self._meter.settle(self._number, cost)
        if self.outer is not None:
            self.outer._settle(cost)  # noqa: SLF001 - the same class
