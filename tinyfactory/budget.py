"""Budgets: limits on what a run may spend, checked before each call, and what it has spent.

The cost of a call, estimated and actual, is passed in; this module knows no model.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tinyfactory import settings
from tinyfactory.errors import BudgetExceeded, InvalidInput, UnknownPrice
from tinyfactory.utils.concurrency import open_after_fork
from tinyfactory.utils.text import cost_in_words, count

Prices = Mapping[str, tuple[float, float]]
# Tolerance for rounding errors in sums of floats.
_ROUNDING = 1e-9
_HOW_TO_CONTINUE = (
    "Finished work is saved. Raise the budget, Budget({name}=...), and run again: finished calls "
    "are replayed and cost nothing."
)


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on what one run of a simulation may spend, from `begin` to `end`.

    Before each model call an upper bound of its cost is reserved: the prompt at four characters
    a token, and a reply of the bound that is sent with it (4,000 tokens for a person). A call that
    could exceed a limit is not made. Replayed calls cost nothing.

    Parameters
    ----------
    calls : int, optional
        Requests to a model. Each retry counts, and is not made if it would exceed the limit.
    tokens : int, optional
        Of prompts and replies together.
    usd : float, optional
        US dollars.
    prices : dict, optional
        US dollars for a million tokens of prompt and of reply, by the model's name, if they are
        unknown or wrong: ``{"llama3.2": (0, 0)}``.

    Raises
    ------
    InvalidInput
        For invalid limits and prices.

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
                    f"Budget({name}=...) must be a whole number of 0 or more, not {limit!r}. "
                    "Nothing was started."
                )
        if self.usd is not None and not settings.is_amount(self.usd):
            raise InvalidInput(
                f"Budget(usd=...) must be an amount of 0 or more, not {self.usd!r}. Nothing was "
                "started."
            )
        settings.check("prices", self.prices)


_NO_BUDGET = Budget()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has spent so far.

    An interrupted call counts with its upper bound, because the endpoint may charge for it. `usd`
    is the sum of the calls with a known price, None if there are only others; with
    `unknown_price` it is less than the total.
    """

    calls: int = 0
    tokens: int = 0
    usd: float | None = 0.0
    unknown_price: bool = False

    def __str__(self) -> str:
        cost = cost_in_words(self.tokens, self.usd, more=self.unknown_price)
        return f"{count(self.calls, 'call', 'calls')}, {cost}"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one call: requests, tokens, and US dollars if the price is known."""

    calls: int
    tokens: int
    usd: float | None


class Meter:
    """Counts what a run spends and enforces its budget; threads may share it.

    Parameters
    ----------
    budget : Budget, optional
        Without one everything is counted and nothing refused.
    within : Meter, optional
        The meter of the whole run, if this one counts a part of it. Spending counts in both,
        and both budgets apply.

    Attributes
    ----------
    prices : mapping
        The prices in both budgets, by the model's name.

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
        self.budget = budget or _NO_BUDGET
        self.prices: Prices = self.budget.prices
        if within is not None:
            self.prices = {**within.prices, **self.prices}
        self._within = within
        self._lock = open_after_fork(threading.RLock())
        self._calls = self._tokens = 0
        self._usd = 0.0
        self._priced = self._unpriced = 0
        self._reserved: dict[int, Cost] = {}
        self._serial = 0

    @property
    def spent(self) -> Spent:
        """What is spent so far, without reservations."""
        with self._lock:
            usd = self._usd if self._priced or not self._unpriced else None
            return Spent(self._calls, self._tokens, usd, self._unpriced > 0)

    def try_reserve(self, bound: Cost) -> Reservation | None:
        """Reserve the most that a call can cost.

        Parameters
        ----------
        bound : Cost

        Returns
        -------
        Reservation or None
            None if the actual cost of running calls decides; try again later.

        Raises
        ------
        BudgetExceeded
            If the call could exceed the budget regardless of the running calls.
        UnknownPrice
            If there is a limit in US dollars and no price is known.
        """
        if self._within is None:
            return self._try_reserve(bound)
        outer = self._within.try_reserve(bound)
        if outer is None:
            return None
        try:
            reservation = self._try_reserve(bound)
        except BaseException:
            outer.release()
            raise
        if reservation is None:
            outer.release()
            return None
        reservation.outer = outer
        return reservation

    def _try_reserve(self, bound: Cost) -> Reservation | None:
        if self.budget.usd is not None and bound.usd is None:
            raise UnknownPrice(
                f"The budget of this run allows {self.budget.usd:g} USD, and the price of this "
                "model is unknown. Nothing was sent. Give the price of a million tokens of prompt "
                'and of reply, Budget(usd=..., prices={"model": (0.4, 1.6)}), or limit calls or '
                "tokens instead."
            )
        with self._lock:
            if self._exceeded_by(bound, *self._reserved.values()):
                self._refuse_if_hopeless(bound)
                return None
            self._serial += 1
            self._reserved[self._serial] = bound
            return Reservation(self, self._serial, bound)

    def settle(self, number: int, cost: Cost | None) -> None:
        """Replace a reservation by the actual cost of its call; None if it cost nothing."""
        with self._lock:
            if self._reserved.pop(number, None) is not None and cost is not None:
                self._calls += cost.calls
                self._tokens += cost.tokens
                self._usd += cost.usd or 0.0
                self._priced += cost.usd is not None
                self._unpriced += cost.usd is None

    def enlarge(self, number: int, bound: Cost) -> None:
        """Raise a reservation to `bound`, without waiting for other calls.

        Raises
        ------
        BudgetExceeded
            If all reservations together could then exceed the budget.
        """
        with self._lock:
            others = [cost for key, cost in self._reserved.items() if key != number]
            over = self._exceeded_by(bound, *others)
            if over is not None:
                name, limit, spent, more = over
                raise BudgetExceeded(
                    f"The budget of this run allows {limit:,} {name}, and {spent:,} are spent. A "
                    f"failed request was not retried: with it, running calls may take {more:,}. "
                    f"{_HOW_TO_CONTINUE.format(name=name.lower())}"
                )
            self._reserved[number] = bound

    def _refuse_if_hopeless(self, bound: Cost) -> None:
        over = self._exceeded_by(bound)
        if over is None:
            return
        name, limit, spent, more = over
        raise BudgetExceeded(
            f"The budget of this run allows {limit:,} {name}; {spent:,} are spent and the next "
            f"call may take {more:,}. It was not sent. "
            f"{_HOW_TO_CONTINUE.format(name=name.lower())}"
        )

    def _exceeded_by(
        self, *costs: Cost
    ) -> tuple[str, int | float, int | float, int | float] | None:
        """The first limit that these costs would exceed: its name, value, spent, and the costs."""
        budget = self.budget
        calls = sum(cost.calls for cost in costs)
        tokens = sum(cost.tokens for cost in costs)
        usd = math.fsum(cost.usd or 0.0 for cost in costs)
        if budget.calls is not None and self._calls + calls > budget.calls:
            return "calls", budget.calls, self._calls, calls
        if budget.tokens is not None and self._tokens + tokens > budget.tokens:
            return "tokens", budget.tokens, self._tokens, tokens
        if budget.usd is not None and self._usd + usd > budget.usd + _ROUNDING:
            return "USD", budget.usd, round(self._usd, 6), round(usd, 6)
        return None


class Reservation:
    """The reservation for one call; settle, keep or release it once when the call has ended."""

    def __init__(self, meter: Meter, number: int, bound: Cost) -> None:
        self._meter = meter
        self._number = number
        self.bound = bound
        self.outer: Reservation | None = None

    def one_more(self) -> None:
        """Reserve one more request, because the last one failed.

        Only a request, no tokens: endpoints hardly ever charge for a failed one.

        Raises
        ------
        BudgetExceeded
            If it could exceed the budget; then it must not be sent.
        """
        if self.outer is not None:
            self.outer.one_more()
        bound = replace(self.bound, calls=self.bound.calls + 1)
        self._meter.enlarge(self._number, bound)
        self.bound = bound

    def settle(self, cost: Cost) -> None:
        """Count the actual cost of the call."""
        self._settle(cost)

    def keep(self) -> None:
        """Count the bound: the call was interrupted, so its actual cost is unknown."""
        self._settle(self.bound)

    def release(self) -> None:
        """Count nothing: nothing was sent."""
        self._settle(None)

    def _settle(self, cost: Cost | None) -> None:
        self._meter.settle(self._number, cost)
        if self.outer is not None:
            self.outer._settle(cost)  # noqa: SLF001 - the same class
