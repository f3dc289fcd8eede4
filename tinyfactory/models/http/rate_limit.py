"""How many requests may be under way at an endpoint, and how many may begin in a minute.

All requests to one endpoint pass one `Gate`, in the order in which they came.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tinyfactory import settings
from tinyfactory.models.chat import Usage

log = logging.getLogger("tinyfactory.models")

# Seconds of a queue before the log tells of it, and between two such lines.
_PATIENCE = 5.0
_REMINDER = 30.0
# A waiting request looks again so often, because settings may be changed meanwhile.
_LOOK = 1.0
# Tokens that an answer is taken to have, before any answer was seen.
_FIRST_GUESS = 1_000


@dataclass(slots=True, eq=False)
class Entry:
    """What one request takes of a window."""

    at: float
    amount: int


class Window:
    """At most so much in every stretch of `seconds`: a sliding window over what went out.

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
        """Seconds until `amount` more is within the limit; more than the limit counts as it."""
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
        """Count what goes out now."""
        self._entries.append(Entry(now, amount))
        self._sum += amount
        return self._entries[-1]

    def correct(self, entry: Entry, amount: int) -> None:
        """Count what it really took, in place of what it was taken for."""
        if self._entries and entry.at >= self._entries[0].at:  # else it has left the window
            self._sum += amount - entry.amount
            entry.amount = amount


@dataclass(slots=True, eq=False)
class Ticket:
    """The right to send one request: its number, and how many were under way with it."""

    number: int = 0
    among: int = 0
    tokens: Entry | None = None


class Gate:
    """Lets requests through to one endpoint as fast as it takes them, and no faster.

    How many are under way at once is not limited until the endpoint first says 429. Then it is
    halved, once for each burst, and grows by one for each window of successes: additive
    increase, multiplicative decrease (Chiu and Jain, "Analysis of the increase and decrease
    algorithms for congestion avoidance", 1989), as TCP does. A time that the endpoint names
    holds back everybody. The settings `requests_per_minute` and `tokens_per_minute` are held.

    The headers ``x-ratelimit-*`` are not read: their "reset" says when the whole allowance is
    back, not when the next request may go, and each provider writes it in a form of its own.

    To be used on one event loop only.

    Parameters
    ----------
    what : str
        The endpoint, for the log.

    Examples
    --------
    >>> async def one_request():
    ...     gate = Gate("http://localhost:11434/v1")
    ...     ticket = await gate.enter(lambda mean: 300 + mean)
    ...     gate.refused(ticket)
    ...     gate.leave(ticket)
    ...     return gate.limit
    >>> asyncio.run(one_request())
    1
    """

    def __init__(self, what: str) -> None:
        import anyio

        self.what = what
        self._places = anyio.CapacityLimiter(math.inf)
        self._turn = anyio.Lock(fast_acquire=True)  # serves those who wait in order
        self._held_until = 0.0
        self._requests, self._tokens = Window(), Window()
        self._answers = self._completion_tokens = 0
        self._serial = 0
        self._end_of_burst = 0  # the last request that went out before the last decrease
        self._successes = 0
        self._waiting = 0
        self._reminder: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> float:
        """How many may be under way at once; infinite until the endpoint first says 429."""
        return self._places.total_tokens

    @property
    def under_way(self) -> int:
        """How many are under way."""
        return self._places.borrowed_tokens

    async def enter(
        self,
        tokens: Callable[[int], int],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Ticket:
        """Wait for one's turn to send a request; every ticket must `leave` in the end.

        Parameters
        ----------
        tokens : callable
            An estimate of the tokens that the request takes, given the mean length of answers
            so far. Asked only where tokens are limited.
        waiting : callable
            Makes a context that is held while the request waits.
        """
        ticket = Ticket()
        if self._turn.locked() or self.under_way >= self.limit or self._obstacle(tokens)[0]:
            with waiting():
                await self._queue(ticket, tokens)
        else:
            self._places.acquire_on_behalf_of_nowait(ticket)
            self._let_through(ticket, tokens)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give the place to the next one."""
        self._places.release_on_behalf_of(ticket)

    def refused(self, ticket: Ticket, retry_after: float | None = None) -> None:
        """Slow down, because the endpoint said 429; to be called before the ticket leaves.

        Parameters
        ----------
        ticket : Ticket
        retry_after : float, optional
            Seconds that the endpoint asks to wait: nobody is let through until then.
        """
        if retry_after is not None:
            self._held_until = max(self._held_until, time.monotonic() + retry_after)
        if ticket.number <= self._end_of_burst:
            return  # it went out before the last decrease, and says nothing about the new limit
        self._places.total_tokens = max(1, max(self.under_way, ticket.among) // 2)
        self._end_of_burst, self._successes = self._serial, 0
        log.info("%s: too many requests; from now on %d at once", self.what, self.limit)

    def answered(self, ticket: Ticket) -> None:
        """Count a success; to be called before the ticket leaves."""
        # Where places are free, a success does not show that more would go.
        if ticket.number <= self._end_of_burst or self.under_way < self.limit:
            return
        self._successes += 1
        if self._successes >= self.limit:
            self._places.total_tokens += 1
            self._successes = 0

    def took(self, ticket: Ticket, usage: Usage | None) -> None:
        """Count the tokens that a request took, in place of the estimate; None for none."""
        if usage is not None and usage.completion_tokens:
            self._answers += 1
            self._completion_tokens += usage.completion_tokens
        if ticket.tokens is not None:
            taken = usage.prompt_tokens + usage.completion_tokens if usage is not None else 0
            if taken or usage is None:  # an endpoint that does not say took some all the same
                self._tokens.correct(ticket.tokens, taken)

    async def _queue(self, ticket: Ticket, tokens: Callable[[int], int]) -> None:
        """Wait behind those who came before, until a place is free and no limit stands against."""
        self._waiting += 1
        if self._reminder is None:
            self._remind_in(_PATIENCE, tokens)
        try:
            async with self._turn:
                await self._places.acquire_on_behalf_of(ticket)
                try:
                    await self._until_clear(tokens)
                except BaseException:
                    self.leave(ticket)
                    raise
                self._let_through(ticket, tokens)
        finally:
            self._waiting -= 1
            if not self._waiting and self._reminder is not None:
                self._reminder.cancel()
                self._reminder = None

    async def _until_clear(self, tokens: Callable[[int], int]) -> None:
        seconds = self._obstacle(tokens)[0]
        while seconds:
            await asyncio.sleep(min(seconds, _LOOK))
            seconds = self._obstacle(tokens)[0]

    def _let_through(self, ticket: Ticket, tokens: Callable[[int], int]) -> None:
        self._serial += 1
        ticket.number, ticket.among = self._serial, self.under_way
        now = time.monotonic()
        if settings.get("requests_per_minute") is not None:
            self._requests.add(1, now)
        if settings.get("tokens_per_minute") is not None:
            ticket.tokens = self._tokens.add(tokens(self._mean), now)

    def _obstacle(self, tokens: Callable[[int], int]) -> tuple[float, str]:
        """For how many seconds the next request cannot go, and what stands against it."""
        now = time.monotonic()
        found = (
            (self._held_until - now, "it asked to wait") if self._held_until > now else (0.0, "")
        )
        limit = settings.get("requests_per_minute")
        if limit is not None:
            found = max(found, (self._requests.wait(1, limit, now), f"{limit} requests a minute"))
        limit = settings.get("tokens_per_minute")
        if limit is not None:
            wait = self._tokens.wait(tokens(self._mean), limit, now)
            found = max(found, (wait, f"{limit} tokens a minute"))
        return found

    @property
    def _mean(self) -> int:
        return self._completion_tokens // self._answers if self._answers else _FIRST_GUESS

    def _remind_in(self, seconds: float, tokens: Callable[[int], int]) -> None:
        self._reminder = asyncio.get_running_loop().call_later(seconds, self._remind, tokens)

    def _remind(self, tokens: Callable[[int], int]) -> None:
        seconds, why = self._obstacle(tokens)
        why = f"{why}, for {seconds:.0f} s more" if seconds else f"it takes {self.limit:g} at once"
        log.info("%s: %d requests wait for their turn (%s)", self.what, self._waiting, why)
        self._remind_in(_REMINDER, tokens)
