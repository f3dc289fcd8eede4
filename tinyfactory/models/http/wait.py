"""How long a request waits: for the first words of its reply, then for each further piece."""

from __future__ import annotations

import asyncio
import time

from tinyfactory import settings
from tinyfactory.models.http.refusals import Failure
from tinyfactory.models.http.retry import Clock
from tinyfactory.models.progress import Progress

# Seconds for the first words: a small model on this machine reads a long prompt in silence.
_FIRST_HERE, _FIRST_ELSEWHERE = 600.0, 120.0


def first_words(*, is_local: bool) -> tuple[float, str]:
    """Seconds to wait for the first words, and the setting that says so."""
    for name in ("first_token_timeout", "timeout"):
        seconds = settings.given(name)
        if seconds is not None:
            return seconds, name
    return (_FIRST_HERE if is_local else _FIRST_ELSEWHERE), "first_token_timeout"


class Wait:
    """The wait of one request. While words arrive, the call's clock stands still.

    Parameters
    ----------
    seconds : float
        For the first words, or for a reply that is not streamed.
    setting : str
        The setting that limits this wait, for the failure's message.
    silence : float, optional
        Seconds between two pieces of a reply; by default `seconds`.
    clock : Clock, optional
    progress : Progress, optional
        Gets the number of words.

    Attributes
    ----------
    writing : float
        Seconds during which words arrived.
    """

    def __init__(
        self,
        seconds: float,
        setting: str = "",
        *,
        silence: float | None = None,
        clock: Clock | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._seconds = seconds
        self._setting = setting
        self._silence = seconds if silence is None else silence
        self._clock = clock
        self._progress = progress or Progress()
        self._progress.words = 0
        self._began = time.monotonic()
        self._since: float | None = None
        self._timeout: asyncio.Timeout | None = None
        self.writing = 0.0

    @property
    def seconds(self) -> float:
        """Seconds until the first words."""
        return self._seconds

    @property
    def passed(self) -> float:
        """Seconds since the request was sent."""
        return time.monotonic() - self._began

    def limited(self) -> asyncio.Timeout:
        """The block that ends with `TimeoutError` when the wait is over."""
        self._began = time.monotonic()
        self._timeout = asyncio.timeout(self._seconds)
        return self._timeout

    def arrived(self, words: int) -> None:
        """So many words have arrived: begin the wait for the next piece."""
        if self._since is None:
            self._since = time.monotonic()
            if self._clock is not None:
                self._clock.pause()
        self._progress.words = words
        self.at_most(self._silence)

    def at_most(self, seconds: float) -> None:
        """Wait so many seconds more."""
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + seconds)

    def end(self) -> None:
        """No more words arrive: the call's clock goes on."""
        if self._since is not None:
            self.writing, self._since = time.monotonic() - self._since, None
            if self._clock is not None:
                self._clock.resume()

    def failure(self, words: int = 0, comments: int = 0) -> Failure:
        """What went wrong when the wait was over."""
        setting, seconds = ("timeout", self._silence) if words else (self._setting, self._seconds)
        limit = f"{round(seconds, 1):g}"
        told = f"no word came for {limit} s" if words else f"it took more than {limit} s to answer"
        if comments:
            told += ", although it kept the connection alive"
        advice = ""
        if setting:
            told += f"; the setting {setting} allows no more"
            advice = (
                "If the server needs longer, allow more time: tinyfactory.configure("
                f"{setting}={2 * seconds:g})."
            )
        return Failure(told, kind="timeout", advice=advice)
