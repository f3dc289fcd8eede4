"""Asking again: what a retry can mend is retried, with pauses, within a total limit of time."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tinyfactory import settings
from tinyfactory.errors import EndpointUnavailable, ModelError

if TYPE_CHECKING:
    from stamina.instrumentation import RetryDetails, RetryHook

    from tinyfactory.models.http.circuit_breaker import Breaker
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

T = TypeVar("T")
log = logging.getLogger("tinyfactory.models")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often to ask an endpoint again.

    The pause before retry number n is ``wait_initial * 2 ** (n - 1)`` plus a random part below
    `wait_jitter`, never above `wait_max`; an endpoint that names a time is waited for instead.

    Parameters
    ----------
    attempts : int
        At most so many attempts for one request.
    time_limit : float, optional
        Seconds for all of them together; by default the setting of that name.
    wait_initial, wait_max, wait_jitter : float
        Seconds.

    Examples
    --------
    >>> RetryPolicy(attempts=3).attempts
    3
    """

    attempts: int = 10
    time_limit: float | None = None
    wait_initial: float = 0.5
    wait_max: float = 30.0
    wait_jitter: float = 1.0

    def clock(self) -> Clock:
        """A clock for one request, with the limit as it is now."""
        return Clock(settings.get("time_limit") if self.time_limit is None else self.time_limit)


class Mendable(Exception):
    """An attempt failed, and another may succeed; `error` is raised when none does.

    Parameters
    ----------
    error : ModelError
    retry_after : float, optional
        Seconds that the endpoint asks to wait.
    pause : float, optional
        Seconds to wait in place of the policy's.
    at_most : int, optional
        Attempts that may fail in this way, where more are known to be useless.
    """

    def __init__(
        self,
        error: ModelError,
        *,
        retry_after: float | None = None,
        pause: float | None = None,
        at_most: int | None = None,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        self.pause = pause
        self.at_most = at_most


async def retrying(
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    what: str,
    clock: Clock,
    breaker: Breaker | None = None,
) -> T:
    """Await `attempt` until it succeeds, fails for good, or the policy's limits are reached.

    Parameters
    ----------
    attempt : callable
        Raises `Mendable` for what is worth another attempt; every other error passes.
    policy : RetryPolicy
    what : str
        The model and where it runs, for the log and for messages.
    clock : Clock
        Holds the total limit.
    breaker : Breaker, optional
        When it is open, or opens meanwhile, nothing is asked again.

    Raises
    ------
    ModelError
        The error of the last `Mendable`, or `EndpointUnavailable` when time ran out.
    """
    import stamina  # here, so that its import does not count against the limit

    attempts = _Attempts(what, clock, policy.wait_jitter, breaker)
    tries = stamina.retry_context(
        on=attempts.decide,
        attempts=policy.attempts,
        timeout=None,  # the limit below cuts a pause short as well, which this would not
        wait_initial=policy.wait_initial,
        wait_max=policy.wait_max,
        wait_jitter=policy.wait_jitter,
    )
    telling = breaker.telling(attempts.give_up) if breaker is not None else nullcontext()
    try:
        async with clock.start() as limit:
            with telling:
                async for trial in tries:
                    with trial:
                        attempts.number, attempts.pausing = trial.num, False
                        return await attempt()
            raise AssertionError("stamina raises the last failure itself")
    except Mendable as failure:
        error = attempts.final(failure)
    except TimeoutError:
        if not limit.expired():
            raise
        error = attempts.out_of_time()
    # Raised out here, so that no cause (it may hold a header with a key) comes along.
    raise error


class _Attempts:
    """What happened so far, and whether to go on: the backoff hook that stamina asks."""

    def __init__(self, what: str, clock: Clock, jitter: float, breaker: Breaker | None) -> None:
        self.what = what
        self.clock = clock
        self.limit = clock.limit
        self.jitter = jitter
        self.breaker = breaker
        self.number = 0
        self.pausing = self.gave_up = False
        self.last: Mendable | None = None
        self.failures: Counter[type[ModelError]] = Counter()

    def decide(self, failure: Exception) -> bool | float:
        if not isinstance(failure, Mendable):
            return False
        self.last = failure
        kind = type(failure.error)
        self.failures[kind] += 1
        log.info("%s: attempt %d failed: %s", self.what, self.number, failure.error)
        if failure.at_most is not None and self.failures[kind] >= failure.at_most:
            return False
        if failure.retry_after is not None and failure.retry_after > self.clock.left:
            return False
        if self._down():
            return False
        self.pausing = True
        _keep_stamina_quiet()
        if failure.retry_after is None:
            return failure.pause if failure.pause is not None else True
        log.info("%s: waiting %.1f s as it asks", self.what, failure.retry_after)
        # All who were refused together come back together, unless each adds a little.
        return failure.retry_after + random.uniform(0, self.jitter)

    def final(self, failure: Mendable) -> ModelError:
        """The error to raise for a failure that is not asked again."""
        if (down := self._down()) and isinstance(failure.error, EndpointUnavailable):
            return down
        wait = failure.retry_after
        if wait is not None and wait > self.clock.left:
            return EndpointUnavailable(
                f"{self.what} asks to wait {wait:.0f} s, but of the {self.limit:g} s allowed for "
                f"one request {max(self.clock.left, 0):.0f} s are left, so it was not waited for "
                f"({failure.error}). What was finished before is kept. Run it again in "
                f"{wait:.0f} s, or allow more time: "
                f"tinyfactory.configure(time_limit={self.limit + wait:.0f})."
            )
        if isinstance(failure.error, EndpointUnavailable):
            return EndpointUnavailable(
                f"{failure.error} It was asked {self.number} times in "
                f"{self.clock.used:.1f} s. What was finished before is kept; "
                "run it again to ask again."
            )
        return failure.error

    def out_of_time(self) -> ModelError:
        if self.gave_up and (down := self._down()):
            return down
        last = f"the last failure: {self.last.error}" if self.last else "no answer came"
        error = EndpointUnavailable(
            f"{self.what} gave no usable answer within {self.limit:g} s ({last}). What was "
            "finished before is kept; run it again to ask again, or allow more time: "
            f"tinyfactory.configure(time_limit={2 * self.limit:g})."
        )
        log.info("%s: attempt %d: out of time", self.what, self.number)
        return error

    def give_up(self) -> None:
        """End a pause or the wait for a turn; a request in flight may still be answered."""
        if self.pausing or self.clock.is_stopped:
            self.gave_up = True
            self.clock.ring()

    def _down(self) -> ModelError | None:
        """The error to give up with, when the endpoint was found to be down meanwhile."""
        if self.breaker is None or not self.breaker.is_open:
            return None
        asked = f"This request was asked {self.number} times and given up."
        return EndpointUnavailable(f"{self.breaker.trouble()} {asked}")


class _QuietHook:
    """A hook of stamina's that does not hear of our retries: they are logged here, once."""

    def __init__(self, hook: RetryHook) -> None:
        self._hook = hook

    def __call__(self, details: RetryDetails) -> AbstractContextManager[None] | None:
        return None if isinstance(details.caused_by, Mendable) else self._hook(details)


def _keep_stamina_quiet() -> None:
    """Wrap the hooks of stamina, whose default prints a warning for every retry."""
    from stamina import instrumentation

    hooks = instrumentation.get_on_retry_hooks()
    if not all(isinstance(hook, _QuietHook) for hook in hooks):
        instrumentation.set_on_retry_hooks(
            [hook if isinstance(hook, _QuietHook) else _QuietHook(hook) for hook in hooks]
        )


class Clock:
    """The total limit of one call; it stands still while the call waits in our own queue.

    Parameters
    ----------
    limit : float
        Seconds.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._before = 0.0
        self._since: float | None = None
        self._timeout: asyncio.Timeout | None = None

    def start(self) -> asyncio.Timeout:
        """What cuts off, with `TimeoutError`, the block that is run in it."""
        self._since = time.monotonic()
        self._timeout = asyncio.timeout(self.limit)
        return self._timeout

    @property
    def used(self) -> float:
        """Seconds that count."""
        return self._before + (time.monotonic() - self._since if self._since is not None else 0.0)

    @property
    def left(self) -> float:
        """Seconds until the limit."""
        return self.limit - self.used

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still."""
        return self._since is None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within the block no time passes."""
        self._before, self._since = self.used, None
        self._ring_at(None)
        try:
            yield
        finally:
            self._since = time.monotonic()
            self._ring_at(asyncio.get_running_loop().time() + self.left)

    def ring(self) -> None:
        """Cut off the block now."""
        self._ring_at(asyncio.get_running_loop().time())

    def _ring_at(self, when: float | None) -> None:
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(when)
