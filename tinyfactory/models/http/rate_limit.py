"""How many requests may be in flight at an endpoint, and how many may start in a minute.

All requests to one endpoint pass one `RateLimiter`, in the order of their arrival.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from tinyfactory import settings
from tinyfactory.models.chat import Usage
from tinyfactory.utils.logs import get_logger

log = get_logger("tinyfactory.models")

# Seconds that a queue lasts before the log mentions it, and between two such lines.
_FIRST_REMINDER = 5.0
_REMINDER = 30.0
# A waiting request checks this often, because settings may change meanwhile.
_RECHECK = 1.0
# Assumed length of a reply in tokens, until replies have arrived.
_FIRST_GUESS = 1_000


@dataclass(slots=True, eq=False)
class Entry:
    """An amount that counts against a window."""

    at: float
    amount: int


class Window:
    """A sliding window: a limit on the sum of amounts in any stretch of `seconds`.

    Not aiolimiter's leaky bucket, because that lets twice its limit through in the first
    period, fixes the limit when it is made, and cannot correct an amount afterwards.

    Parameters
    ----------
    seconds : float

    Examples
    --------
    >>> window = Window(60)
    >>> entry = window.add(900, now=0.0)
    >>> window.wait(300, limit=1000, now=20.0)
    40.0
    >>> window.correct(entry, 200)
    >>> window.wait(300, limit=1000, now=20.0)
    0.0
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds
        self._entries: deque[Entry] = deque()
        self._sum = 0

    def wait(self, amount: int, limit: int, now: float) -> float:
        """Seconds until `amount` fits within the limit; a larger amount counts as the limit."""
        while self._entries and self._entries[0].at + self.seconds <= now:
            self._sum -= self._entries.popleft().amount
        excess = self._sum + min(amount, limit) - limit
        for entry in self._entries:
            if excess <= 0:
                break
            excess -= entry.amount
            until = entry.at + self.seconds
            if excess <= 0:
                return until - now
        return 0.0

    def add(self, amount: int, now: float) -> Entry:
        """Count an amount from now on."""
        self._entries.append(Entry(now, amount))
        self._sum += amount
        return self._entries[-1]

    def correct(self, entry: Entry, amount: int) -> None:
        """Replace an estimated amount by the actual one."""
        if self._entries and entry.at >= self._entries[0].at:  # else it has left the window
            self._sum += amount - entry.amount
            entry.amount = amount


@dataclass(slots=True, eq=False)
class Permit:
    """Permission to send one request: its number, and how many were in flight with it."""

    number: int = 0
    in_flight: int = 0
    tokens: Entry | None = None


class _PerMinute(NamedTuple):
    """The two limits of the settings."""

    requests: int | None
    tokens: int | None


def _limits_per_minute() -> _PerMinute:
    return _PerMinute(settings.get("requests_per_minute"), settings.get("tokens_per_minute"))


class RateLimiter:
    """Lets requests through to one endpoint as fast as it accepts them.

    The number of requests in flight is unlimited until the endpoint first returns 429. Then it
    is halved, once for each burst, and grows by one for each window of successes: additive
    increase, multiplicative decrease (Chiu and Jain, "Analysis of the increase and decrease
    algorithms for congestion avoidance", 1989), as in TCP. If the endpoint asks to wait, all
    requests wait. The settings `requests_per_minute` and `tokens_per_minute` apply too.

    The headers ``x-ratelimit-*`` are not read: their "reset" says when the whole allowance is
    back, not when the next request may start, and each provider has its own format.

    Use it on one event loop only.

    Parameters
    ----------
    endpoint : str
        For the log.

    Examples
    --------
    >>> async def one_request():
    ...     limiter = RateLimiter("http://localhost:11434/v1")
    ...     permit = await limiter.acquire(lambda mean: 300 + mean)
    ...     limiter.throttled(permit)
    ...     limiter.release(permit)
    ...     return limiter.limit
    >>> asyncio.run(one_request())
    1
    """

    def __init__(self, endpoint: str) -> None:
        import anyio  # slow to import

        self.endpoint = endpoint
        self._slots = anyio.CapacityLimiter(math.inf)
        self._queue = anyio.Lock(fast_acquire=True)  # first in, first out
        self._held_until = 0.0
        self._requests, self._tokens = Window(), Window()
        self._replies = self._completion_tokens = 0
        self._serial = 0
        self._end_of_burst = 0  # the last request sent before the last decrease
        self._successes = 0
        self._waiting = 0
        self._reminder: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> float:
        """How many requests may be in flight; infinite until the endpoint first returns 429."""
        return self._slots.total_tokens

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._slots.borrowed_tokens

    async def acquire(
        self,
        tokens: Callable[[int], int],
        queueing: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> Permit:
        """Wait until a request may be sent. Every permit must be released.

        Parameters
        ----------
        tokens : callable
            Estimates the tokens that the request takes, given the mean length of replies so
            far. Called only if tokens are limited.
        queueing : callable
            Returns an async context manager that is entered while the request waits.
        """
        permit, per_minute = Permit(), _limits_per_minute()
        full = self._queue.locked() or self.in_flight >= self.limit
        if full or self._wait(tokens, per_minute)[0]:
            async with queueing():
                await self._wait_in_queue(permit, tokens)
        else:
            self._slots.acquire_on_behalf_of_nowait(permit)
            self._let_through(permit, tokens, per_minute)
        return permit

    def succeeded(self, permit: Permit, usage: Usage) -> None:
        """Count a success and the tokens that it used; call it before `release`."""
        if usage.completion_tokens:
            self._replies += 1
            self._completion_tokens += usage.completion_tokens
        used = usage.prompt_tokens + usage.completion_tokens
        if permit.tokens is not None and used:  # without a count the estimate stands
            self._tokens.correct(permit.tokens, used)
        # With slots free, a success does not show that more would be accepted.
        if permit.number <= self._end_of_burst or self.in_flight < self.limit:
            return
        self._successes += 1
        if self._successes >= self.limit:
            self._slots.total_tokens += 1
            self._successes = 0

    def failed(self, permit: Permit) -> None:
        """The endpoint returned an error: the request used no tokens."""
        if permit.tokens is not None:
            self._tokens.correct(permit.tokens, 0)

    def throttled(self, permit: Permit, retry_after: float | None = None) -> None:
        """Slow down, because the endpoint returned 429; call it before `release`.

        Parameters
        ----------
        permit : Permit
        retry_after : float, optional
            Seconds that the endpoint asks to wait: no request is let through until then.
        """
        if retry_after is not None:
            self._held_until = max(self._held_until, time.monotonic() + retry_after)
        if permit.number <= self._end_of_burst:
            return  # sent before the last decrease: it says nothing about the new limit
        self._slots.total_tokens = max(1, max(self.in_flight, permit.in_flight) // 2)
        self._end_of_burst, self._successes = self._serial, 0
        log.info("%s: too many requests; from now on %d at once", self.endpoint, self.limit)

    def release(self, permit: Permit) -> None:
        """Free the slot for the next request."""
        self._slots.release_on_behalf_of(permit)

    async def _wait_in_queue(self, permit: Permit, tokens: Callable[[int], int]) -> None:
        self._waiting += 1
        if self._reminder is None:
            self._remind_in(_FIRST_REMINDER, tokens)
        try:
            async with self._queue:
                await self._slots.acquire_on_behalf_of(permit)
                try:
                    per_minute = await self._until_clear(tokens)
                except BaseException:
                    self.release(permit)
                    raise
                self._let_through(permit, tokens, per_minute)
        finally:
            self._waiting -= 1
            if not self._waiting and self._reminder is not None:
                self._reminder.cancel()
                self._reminder = None

    async def _until_clear(self, tokens: Callable[[int], int]) -> _PerMinute:
        while True:
            per_minute = _limits_per_minute()
            seconds = self._wait(tokens, per_minute)[0]
            if not seconds:
                return per_minute
            await asyncio.sleep(min(seconds, _RECHECK))

    def _let_through(
        self, permit: Permit, tokens: Callable[[int], int], per_minute: _PerMinute
    ) -> None:
        self._serial += 1
        permit.number, permit.in_flight = self._serial, self.in_flight
        now = time.monotonic()
        if per_minute.requests is not None:
            self._requests.add(1, now)
        if per_minute.tokens is not None:
            permit.tokens = self._tokens.add(tokens(self._mean), now)

    def _wait(self, tokens: Callable[[int], int], per_minute: _PerMinute) -> tuple[float, str]:
        """Seconds until the next request may be sent, and the reason."""
        now = time.monotonic()
        longest = (
            (self._held_until - now, "it asked to wait") if self._held_until > now else (0.0, "")
        )
        limit = per_minute.requests
        if limit is not None:
            wait = self._requests.wait(1, limit, now)
            longest = max(longest, (wait, f"{limit} requests a minute"))
        limit = per_minute.tokens
        if limit is not None:
            wait = self._tokens.wait(tokens(self._mean), limit, now)
            longest = max(longest, (wait, f"{limit} tokens a minute"))
        return longest

    @property
    def _mean(self) -> int:
        return self._completion_tokens // self._replies if self._replies else _FIRST_GUESS

    def _remind_in(self, seconds: float, tokens: Callable[[int], int]) -> None:
        self._reminder = asyncio.get_running_loop().call_later(seconds, self._remind, tokens)

    def _remind(self, tokens: Callable[[int], int]) -> None:
        seconds, reason = self._wait(tokens, _limits_per_minute())
        reason = (
            f"{reason}, for {seconds:.0f} s more" if seconds else f"{self.limit:g} at once allowed"
        )
        log.info("%s: %d requests are waiting (%s)", self.endpoint, self._waiting, reason)
        self._remind_in(_REMINDER, tokens)
