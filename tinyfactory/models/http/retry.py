"""When to send a failed request again: how often, after which pause, and for how long in all."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tinyfactory import settings
from tinyfactory.errors import EndpointUnavailable, InvalidInput, ModelError, NeverAnswered
from tinyfactory.models.http.circuit_breaker import CircuitBreaker
from tinyfactory.models.http.responses import Retryable
from tinyfactory.models.progress import Progress
from tinyfactory.utils.logs import get_logger

if TYPE_CHECKING:
    from stamina.instrumentation import RetryDetails, RetryHook

T = TypeVar("T")
log = get_logger("tinyfactory.models")
# Seconds of a pause that a user should know of.
_LONG = 5.0


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


@dataclass(slots=True)
class Health:
    """An endpoint in this process: whether it has answered, and whether its trouble was told."""

    answered: bool = False
    told: bool = False


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
    """The attempts of one call: this decides whether to go on and when, stamina does it.

    Parameters
    ----------
    policy : RetryPolicy
    clock : Clock
        Holds the total time limit.
    what : str
        Model and endpoint, for the log and messages.
    breaker : CircuitBreaker, optional
        While it is open nothing is retried, and pauses end when it opens.
    health : Health, optional
        Of the endpoint. If it has not answered once, the setting `give_up_after` counts.
    progress : Progress, optional
        Its note says what went wrong and when the next attempt is made.

    Attributes
    ----------
    is_hopeless : bool
        Whether the call was given up because the endpoint has never answered.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        clock: Clock,
        what: str,
        breaker: CircuitBreaker | None = None,
        health: Health | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._what = what
        self._breaker = breaker
        self._health = health or Health(answered=True)
        self._progress = progress or Progress()
        self.is_hopeless = False  # given up because the endpoint has never answered
        self._attempts = 0
        self._slow = 0
        self._pausing = self._gave_up = False
        self._most = policy.attempts
        self._throttled = 0.0  # the time of the last 429
        self._last: Retryable | None = None
        self._failures: Counter[type[ModelError]] = Counter()
        self._seen: Counter[str] = Counter()

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

        attempts = stamina.retry_context(
            on=self._decide, attempts=self._policy.attempts, timeout=None
        )  # the clock's timeout also cuts pauses short
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
                            self._note("now ")
                            return await attempt()
            raise AssertionError("stamina raises the last failure itself")
        except Retryable as failure:
            error = self._final(failure)
        except TimeoutError:
            if not timeout.expired():
                raise
            error = self._out_of_time()
        self._health.told = False  # the next call is told of again
        # Outside of the handlers, so that no cause (it may hold a header with a key) is attached.
        raise error

    def _decide(self, failure: Exception) -> bool | float:
        """Stamina's hook: False to stop, or the seconds to wait."""
        if not isinstance(failure, Retryable):
            return False
        self._last = failure
        self._failures[type(failure.error)] += 1
        self._seen[failure.label] += 1
        pause = self._pause_after(failure)
        if pause is None:
            log.info("%s: attempt %d failed: %s", self._what, self._attempts, failure.error)
            return False
        self._tell(failure, pause)
        self._pausing = True
        _silence_stamina()
        return pause

    def _pause_after(self, failure: Retryable) -> float | None:
        """Seconds until the next attempt; None to stop."""
        if self._attempts >= self._policy.attempts:
            return None
        self._slow += failure.is_slow
        seen = self._slow if failure.is_slow else self._failures[type(failure.error)]
        if failure.at_most is not None and seen >= failure.at_most:
            return None
        if self._clock.left <= (failure.retry_after or 0.0) or self._is_down():
            return None
        pause = self._pause(failure)
        if failure.throttled:
            self._throttled = self._clock.used
        else:
            self.is_hopeless = self._has_failed_long_enough(pause)
        return None if self.is_hopeless else pause

    def _pause(self, failure: Retryable) -> float:
        """Seconds until the next attempt."""
        policy = self._policy
        jitter = random.uniform(0, policy.wait_jitter)
        if failure.retry_after is not None:
            # Requests that were refused together would otherwise come back together.
            return failure.retry_after + jitter
        if failure.pause is not None:
            return failure.pause
        return min(
            policy.wait_initial * 2.0 ** min(self._attempts - 1, 60) + jitter, policy.wait_max
        )

    def _has_failed_long_enough(self, pause: float) -> bool:
        """Whether an endpoint that has never answered has failed for long enough."""
        if self._health.answered or self._seen.total() < 2:  # a slow reply may have failed once
            return False
        limit: float = settings.get("give_up_after")
        return self._clock.used + pause - self._throttled >= limit

    def _tell(self, failure: Retryable, pause: float) -> None:
        """Show what went wrong and what comes next: in the job's progress and in the log."""
        self._most = min(self._policy.attempts, failure.at_most or self._policy.attempts)
        if failure.retry_after is not None:
            until = time.strftime("%H:%M:%S", time.localtime(time.time() + pause))
            self._note("", f", waiting until {until} as it asks")
        else:
            self._note("", f", next in {pause:.2g} s" if pause < 10 else f", next in {pause:.0f} s")
        # A single failure of an endpoint that has answered before is nothing that a user must see,
        # nor is a short wait for a rate limit, nor a failure after which the error follows at once.
        known = self._health.answered or failure.throttled
        lasts = not known or (self._attempts > 1 and not failure.throttled) or pause >= _LONG
        visible = lasts and failure.at_most is None
        level = logging.WARNING if visible and not self._health.told else logging.INFO
        self._health.told = self._health.told or visible
        note, number = self._progress.note, self._attempts
        log.log(level, "%s: %s (attempt %d failed: %s)", self._what, note, number, failure.error)

    def _note(self, now: str, following: str = "") -> None:
        label = self._last.label if self._last is not None else ""
        attempt = f"{now}try {self._attempts} of {self._most}"
        self._progress.note = f"{label}, {attempt}{following}"

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
            until = time.strftime("%H:%M:%S", time.localtime(time.time() + wait))
            return EndpointUnavailable(
                f"{self._what} asks to wait {wait:.0f} s (until {until}), but only "
                f"{max(left, 0):.0f} of the {limit:g} s allowed for one request are left, so the "
                f"request was given up ({failure.error}). Finished work is saved. Run it again in "
                f"{wait:.0f} s, or allow more time: "
                f"tinyfactory.configure(time_limit={limit + wait:.0f})."
            )
        if left <= 0:
            return self._out_of_time()
        told = (
            f"{failure.error} It was asked {self._attempts} times in {self._clock.used:.1f} s: "
            f"{self.counts}. Finished work is saved; "
        )
        if not self.is_hopeless:
            return EndpointUnavailable(f"{told}run it again to ask again.")
        return NeverAnswered(
            f"{told}it was given up because the endpoint has not answered once. Check the server "
            "and the base URL, then run it again. To wait longer for such a server: "
            "tinyfactory.configure(give_up_after=...), or TINYFACTORY_GIVE_UP_AFTER (seconds)."
        )

    @property
    def counts(self) -> str:
        """The failures so far by kind, the most frequent first."""
        return ", ".join(f"{number} × {label}" for label, number in self._seen.most_common())

    def _out_of_time(self) -> ModelError:
        if self._gave_up and self._breaker is not None and self._breaker.is_open:
            return self._breaker.given_up(self._attempts)
        if self._last is not None and self._last.is_slow:
            # More time for all attempts would not help.
            return EndpointUnavailable(f"{self._last.error} Finished work is saved.")
        last = f"the last failure: {self._last.error}" if self._last else "no answer came"
        seen = f"; seen: {self.counts}" if self._seen else ""
        log.info("%s: attempt %d: out of time", self._what, self._attempts)
        return EndpointUnavailable(
            f"{self._what} gave no usable answer within {self._clock.limit:g} s ({last}{seen}). "
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
