"""When to send a failed request again: how often, after which pause, and for how long in all."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tinyfactory import settings
from tinyfactory.errors import EndpointUnavailable, InvalidInput, ModelError
from tinyfactory.models.http.circuit_breaker import CircuitBreaker
from tinyfactory.models.http.responses import Retryable
from tinyfactory.utils.logs import get_logger

if TYPE_CHECKING:
    from stamina.instrumentation import RetryDetails, RetryHook

T = TypeVar("T")
log = get_logger("tinyfactory.models")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often to send a request again.

    The pause before retry n is ``wait_initial * 2 ** (n - 1)`` plus a random part below
    `wait_jitter`, at most `wait_max`. If the endpoint names a time, that time counts instead.

    Parameters
    ----------
    attempts : int
        At most this many attempts for one request.
    time_limit : float, optional
        Seconds for all attempts together; by default the setting of that name.
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

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            raise InvalidInput(
                f"attempts must be a whole number of 1 or more, not {self.attempts!r:.80}. "
                "Nothing was sent."
            )
        settings.check("time_limit", self.time_limit)
        for name in ("wait_initial", "wait_max", "wait_jitter"):
            if not settings.is_amount(getattr(self, name)):
                raise InvalidInput(
                    f"{name} must be a number of seconds of 0 or more, not "
                    f"{getattr(self, name)!r:.80}. Nothing was sent."
                )


class Clock:
    """The time that one call has used of its limit. It stops while the call waits in our queue.

    Parameters
    ----------
    policy : RetryPolicy
    extra : float
        Seconds on top of the policy's limit.
    least : float
        The least default of the limit, where the user has set none.
    """

    def __init__(self, policy: RetryPolicy, extra: float = 0.0, least: float = 0.0) -> None:
        limit = policy.time_limit or settings.given("time_limit")
        self.limit: float = extra + (limit or max(settings.get("time_limit"), least))
        self._used = 0.0
        self._since: float | None = time.monotonic()
        self._timeout: asyncio.Timeout | None = None

    @property
    def used(self) -> float:
        """Seconds used."""
        return self._used + (time.monotonic() - self._since if self._since is not None else 0.0)

    @property
    def left(self) -> float:
        """Seconds until the limit."""
        return self.limit - self.used

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block no time passes."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def pause(self) -> None:
        """Stop the clock until `resume`."""
        self._used, self._since = self.used, None
        self._expire_at(None)

    def resume(self) -> None:
        """Let the clock go on."""
        self._since = time.monotonic()
        self._expire_at(asyncio.get_running_loop().time() + self.left)

    def timeout(self) -> asyncio.Timeout:
        """A block that ends with `TimeoutError` when the limit is reached."""
        self._timeout = asyncio.timeout(self.left)
        return self._timeout

    def expire(self) -> None:
        """End the block of `timeout` now."""
        self._expire_at(0.0)

    def _expire_at(self, when: float | None) -> None:
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(when)


class Retry:
    """The attempts of one call: stamina makes the pauses, this decides whether to go on.

    Parameters
    ----------
    policy : RetryPolicy
    clock : Clock
        Holds the total time limit.
    what : str
        Model and endpoint, for the log and messages.
    breaker : CircuitBreaker, optional
        While it is open nothing is retried, and pauses end when it opens.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        clock: Clock,
        what: str,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._what = what
        self._breaker = breaker
        self._attempts = 0
        self._slow = 0
        self._pausing = self._gave_up = False
        self._last: Retryable | None = None
        self._failures: Counter[type[ModelError]] = Counter()

    async def run(self, attempt: Callable[[], Awaitable[T]], first: Retryable | None = None) -> T:
        """Await `attempt` until it succeeds, fails for good, or a limit is reached.

        Parameters
        ----------
        attempt : callable
            Raises `Retryable` if another attempt may succeed; other errors are passed on.
        first : Retryable, optional
            The failure of the first attempt, if that was made already.

        Raises
        ------
        ModelError
            The error of the last `Retryable`, or `EndpointUnavailable` when time ran out.
        """
        import stamina  # slow to import; most calls need no retry

        policy = self._policy
        attempts = stamina.retry_context(
            on=self._decide,
            attempts=policy.attempts,
            timeout=None,  # the clock's timeout also cuts pauses short
            wait_initial=policy.wait_initial,
            wait_max=policy.wait_max,
            wait_jitter=policy.wait_jitter,
        )
        breaker = self._breaker
        watched = breaker.on_open(self._end_pause) if breaker is not None else nullcontext()
        try:
            async with self._clock.timeout() as timeout:
                with watched:
                    async for trial in attempts:
                        with trial:
                            self._attempts, self._pausing = trial.num, False
                            if first is not None and trial.num == 1:
                                raise first
                            return await attempt()
            raise AssertionError("stamina raises the last failure itself")
        except Retryable as failure:
            error = self._final(failure)
        except TimeoutError:
            if not timeout.expired():
                raise
            error = self._out_of_time()
        # Outside of the handlers, so that no cause (it may hold a header with a key) is attached.
        raise error

    def _decide(self, failure: Exception) -> bool | float:
        """Stamina's hook: False to stop, True to back off, or the seconds to wait."""
        if not isinstance(failure, Retryable):
            return False
        self._last = failure
        kind = type(failure.error)
        self._failures[kind] += 1
        log.info("%s: attempt %d failed: %s", self._what, self._attempts, failure.error)
        self._slow += failure.is_slow
        seen = self._slow if failure.is_slow else self._failures[kind]
        if failure.at_most is not None and seen >= failure.at_most:
            return False
        if self._clock.left <= (failure.retry_after or 0.0) or self._is_down():
            return False
        self._pausing = True
        _silence_stamina()
        if failure.retry_after is None:
            return True if failure.pause is None else failure.pause
        log.info("%s: waiting %.1f s as it asks", self._what, failure.retry_after)
        # Requests that were refused together would otherwise come back together.
        return failure.retry_after + random.uniform(0, self._policy.wait_jitter)

    def _end_pause(self) -> None:
        """The breaker opened: stop pausing. A request in flight may still be answered."""
        if self._pausing:
            self._gave_up = True
            self._clock.expire()

    def _is_down(self) -> bool:
        return self._breaker is not None and self._breaker.is_open

    def _final(self, failure: Retryable) -> ModelError:
        """The error to raise for a failure that is not retried."""
        if not isinstance(failure.error, EndpointUnavailable):
            return failure.error
        if self._breaker is not None and self._breaker.is_open:
            return self._breaker.given_up(self._attempts)
        wait, left, limit = failure.retry_after, self._clock.left, self._clock.limit
        if wait is not None and wait > left:
            return EndpointUnavailable(
                f"{self._what} asks to wait {wait:.0f} s, but only {max(left, 0):.0f} of the "
                f"{limit:g} s allowed for one request are left, so the request was given up "
                f"({failure.error}). Finished work is saved. Run it again in {wait:.0f} s, or "
                f"allow more time: tinyfactory.configure(time_limit={limit + wait:.0f})."
            )
        if left <= 0:
            return self._out_of_time()
        return EndpointUnavailable(
            f"{failure.error} It was asked {self._attempts} times in {self._clock.used:.1f} s. "
            "Finished work is saved; run it again to ask again."
        )

    def _out_of_time(self) -> ModelError:
        if self._gave_up and self._breaker is not None and self._breaker.is_open:
            return self._breaker.given_up(self._attempts)
        if self._last is not None and self._last.is_slow:
            # More time for all attempts would not help.
            return EndpointUnavailable(f"{self._last.error} Finished work is saved.")
        last = f"the last failure: {self._last.error}" if self._last else "no answer came"
        log.info("%s: attempt %d: out of time", self._what, self._attempts)
        return EndpointUnavailable(
            f"{self._what} gave no usable answer within {self._clock.limit:g} s ({last}). "
            "Finished work is saved; run it again to ask again, or allow more time: "
            f"tinyfactory.configure(time_limit={2 * self._clock.limit:g})."
        )


class _QuietHook:
    """A hook of stamina's that ignores our retries, which we log ourselves."""

    def __init__(self, hook: RetryHook) -> None:
        self._hook = hook

    def __call__(self, details: RetryDetails) -> AbstractContextManager[None] | None:
        return None if isinstance(details.caused_by, Retryable) else self._hook(details)


def _silence_stamina() -> None:
    """Wrap the hooks of stamina; its default prints a warning for every retry."""
    from stamina import instrumentation  # slow to import

    hooks = instrumentation.get_on_retry_hooks()
    if not all(isinstance(hook, _QuietHook) for hook in hooks):
        instrumentation.set_on_retry_hooks(
            [hook if isinstance(hook, _QuietHook) else _QuietHook(hook) for hook in hooks]
        )
