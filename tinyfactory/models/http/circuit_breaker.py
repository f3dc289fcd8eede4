"""When an endpoint is down: stop asking it, and look with one call whether it is back.

Own rather than purgatory: that lets calls through again after a time, not one by one, has no
way to end the calls that are already asking again, and wants a store for its state.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tinyfactory.errors import EndpointDown
from tinyfactory.models import event_loop
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.rate_limit import Gate

log = logging.getLogger("tinyfactory.models")

# So many calls must have failed in a row, each after its own retries.
THRESHOLD = 5


class _Probe:
    """The one call that looks whether the endpoint is back."""

    def __init__(self) -> None:
        self.failed = False  # once; it may go on asking
        self.told = asyncio.Event()  # it has failed once, or has ended


class Breaker:
    """Opens when the endpoint is down, and closes when it has answered.

    While it is open one call at a time is let through, as a probe. Calls that come together
    with it wait for its first answer: after the server was mended they all go on, else they
    fail as it does. Calls that were asking again when it opened give up. (The pattern is
    Nygard's circuit breaker, "Release It!", 2007.)

    To be used on one event loop only.

    Parameters
    ----------
    endpoint : str
        For messages.
    threshold : int
        How many calls in a row must have failed.

    Examples
    --------
    >>> async def down():
    ...     breaker = Breaker("http://localhost:11434/v1", threshold=1)
    ...     breaker.failed("HTTP 503")
    ...     return breaker.is_open, await breaker.admit()
    >>> asyncio.run(down())
    (True, True)
    """

    def __init__(self, endpoint: str, threshold: int = THRESHOLD) -> None:
        self.endpoint = endpoint
        self.threshold = threshold
        self.is_open = False
        self._failed = 0
        self._since = ""
        self._trouble = ""
        self._probe: _Probe | None = None
        self._asking_again: set[Callable[[], None]] = set()

    async def admit(self) -> bool:
        """Let a call through; True when it goes as the probe, which must `end` then.

        Raises
        ------
        EndpointUnavailable
            When the endpoint is down, and another call has just seen that it still is.
        """
        while self.is_open:
            probe = self._probe
            if probe is None:
                self._probe = _Probe()
                log.info(
                    "%s: down since %s; looking whether it is back", self.endpoint, self._since
                )
                return True
            await probe.told.wait()
            if probe.failed:
                raise self.refusal()
        return False

    def end(self) -> None:
        """The probe has ended, whatever came of it."""
        if self._probe is not None:
            self._probe.told.set()
            self._probe = None

    def missed(self) -> None:
        """The probe's attempt was not answered; it may go on, those who wait for it do not."""
        if self._probe is not None:
            self._probe.failed = True
            self._probe.told.set()

    def answered(self) -> None:
        """Some call was answered: the endpoint is up."""
        if self.is_open:
            log.info("%s: it answers again", self.endpoint)
        self.is_open, self._failed = False, 0

    def failed(self, trouble: str) -> None:
        """Count a call that was not answered, after all its retries."""
        self._failed += 1
        self._trouble = trouble
        if self._failed == 1:
            self._since = time.strftime("%H:%M:%S")
        if self._failed >= self.threshold and not self.is_open:
            self.is_open = True
            log.warning("%s", self.trouble())
            for give_up in list(self._asking_again):
                give_up()

    def refusal(self) -> EndpointDown:
        """The error for a call of which nothing went out."""
        return EndpointDown(f"{self.trouble()} This request was not sent.")

    def trouble(self) -> str:
        """What is wrong since when, and what to do."""
        return (
            f"{self.endpoint} is down: since {self._since} {self._failed} calls in a row were not "
            f"answered, the last with: {self._trouble}. What was finished before is kept. When "
            "the server is up again, run it again: one request then looks whether it answers, "
            "and the others follow. Or choose another: tinyfactory.configure(base_url=...)."
        )

    @contextmanager
    def telling(self, give_up: Callable[[], None]) -> Iterator[None]:
        """Within the block, `give_up` is called when the breaker opens."""
        self._asking_again.add(give_up)
        try:
            yield
        finally:
            self._asking_again.discard(give_up)


_forgotten: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who may send to an endpoint now."""

    gate: Gate
    breaker: Breaker


def to(target: Target) -> Traffic:
    """The one for this endpoint and key; to be called on the private loop."""
    endpoint = target.endpoint
    key = (
        "traffic",
        target.base_url,
        target.azure_version,
        target.key,
        _forgotten.get(endpoint, 0),
    )
    return event_loop.kept(key, lambda: Traffic(Gate(endpoint), Breaker(endpoint)))


def forget(endpoint: str) -> None:
    """Begin anew with this address, for a server that took the place of another."""
    _forgotten[endpoint] += 1
