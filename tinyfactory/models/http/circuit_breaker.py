"""Stop asking an endpoint that is down, and check with one call at a time whether it is back.

Not purgatory: it lets calls through again after a time instead of one by one, it cannot end calls
that are already retrying, and it needs a store for its state.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinyfactory.errors import EndpointDown, EndpointUnavailable
from tinyfactory.utils.logs import get_logger

log = get_logger("tinyfactory.models")

# Number of calls in a row that must fail, each after its own retries.
THRESHOLD = 5


class _Probe:
    """The one call that checks whether the endpoint is back."""

    def __init__(self) -> None:
        self.failed = False  # at least once; the call may still retry
        self.has_result = asyncio.Event()  # it has failed once, or has ended


class CircuitBreaker:
    """Opens when the endpoint is down, and closes when it answers again.

    While it is open, one call at a time is admitted as a probe. Other calls wait for the
    probe's first result: if the endpoint answers they go on, otherwise they fail too. Calls that
    were retrying when the breaker opened give up. (The pattern is Nygard's circuit breaker,
    "Release It!", 2007.)

    Use it on one event loop only.

    Parameters
    ----------
    endpoint : str
        For messages.
    threshold : int
        How many calls in a row must fail before it opens.

    Examples
    --------
    >>> async def down():
    ...     breaker = CircuitBreaker("http://localhost:11434/v1", threshold=1)
    ...     breaker.record_failure("HTTP 503")
    ...     return breaker.is_open, await breaker.admit()
    >>> asyncio.run(down())
    (True, True)
    """

    def __init__(self, endpoint: str, threshold: int = THRESHOLD) -> None:
        self.endpoint = endpoint
        self.threshold = threshold
        self.is_open = False
        self._failures = 0
        self._since = ""
        self._reason = ""
        self._probe: _Probe | None = None
        self._on_open: set[Callable[[], None]] = set()

    async def admit(self) -> bool:
        """Admit a call; True if it is the probe, which must call `end_probe`.

        Raises
        ------
        EndpointDown
            If the endpoint is down and another call has just seen that it still is.
        """
        while self.is_open:
            probe = self._probe
            if probe is None:
                self._probe = _Probe()
                log.info("%s: down since %s; checking if it is back", self.endpoint, self._since)
                return True
            await probe.has_result.wait()
            if probe.failed:
                raise self.not_sent()
        return False

    def probe_failed(self) -> None:
        """An attempt of the probe failed: calls waiting for its result fail, it may retry."""
        if self._probe is not None:
            self._probe.failed = True
            self._probe.has_result.set()

    def end_probe(self) -> None:
        """The probe has ended, with or without an answer."""
        if self._probe is not None:
            self._probe.has_result.set()
            self._probe = None

    def record_success(self) -> None:
        """A call was answered: the endpoint is up."""
        if self.is_open:
            log.info("%s: it answers again", self.endpoint)
        self.is_open, self._failures = False, 0

    def record_failure(self, reason: str, *, for_all: bool = False) -> None:
        """Count a call that was not answered after all its retries.

        Parameters
        ----------
        reason : str
        for_all : bool
            Open at once: the endpoint has never answered, so other calls need not try either.
        """
        self._failures += 1
        self._reason = reason
        if self._failures == 1:
            self._since = time.strftime("%H:%M:%S")
        if (for_all or self._failures >= self.threshold) and not self.is_open:
            self.is_open = True
            # The error of a call that opens it alone says the same.
            log.log(logging.INFO if for_all else logging.WARNING, "%s", self._state())
            for callback in list(self._on_open):
                callback()

    @contextmanager
    def on_open(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, call `callback` when the breaker opens."""
        self._on_open.add(callback)
        try:
            yield
        finally:
            self._on_open.discard(callback)

    def not_sent(self) -> EndpointDown:
        """The error for a call of which no request was sent."""
        return EndpointDown(f"{self._state()} This request was not sent.")

    def given_up(self, attempts: int) -> EndpointUnavailable:
        """The error for a call that stops retrying because the breaker is open."""
        return EndpointUnavailable(
            f"{self._state()} This request was asked {attempts} times and given up."
        )

    def _state(self) -> str:
        many = self._failures > 1
        calls = f"{self._failures} calls in a row were" if many else "one call was"
        return (
            f"{self.endpoint} is down: since {self._since} {calls} not answered, the last with: "
            f"{self._reason}. Finished work is saved. When the "
            "server is up again, run it again: one request then checks whether it answers, and "
            "the others follow. Or choose another: tinyfactory.configure(base_url=...)."
        )
