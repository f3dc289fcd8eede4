"""`RequestWidget`: a widget that answers the requests of its page in order."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from tinyfactory.errors import InvalidInput

# The scripts and styles of all widgets.
STATIC = Path(__file__).parents[1] / "static"
# The most views of one widget whose last request is remembered.
_MOST_VIEWS = 8


class RequestWidget(anywidget.AnyWidget):
    """A widget that gets numbered requests from its page.

    A page sends a request (`wished`) and gets the new state with the number of its last request
    that was answered. So it can send one request at a time, combine those that came meanwhile,
    and tell old state from new. The threads that handle requests may overtake each other:
    requests that are older than a handled one are dropped, and so is state that was computed
    before state that was already sent.

    Parameters
    ----------
    failed : callable, optional
        Gets the error of a request, e.g. `BasePanel.failed`; by default it is raised.
    """

    _state = traitlets.Dict().tag(sync=True)

    def __init__(self, failed: Callable[[Exception], object] | None = None) -> None:
        self._failed = failed
        self._numbers = itertools.count(1)
        self._published = 0
        self._answered: dict[str, int] = {}
        self._held = 0
        self._short = threading.RLock()  # never held during a call of other code
        super().__init__()
        self.on_msg(lambda _, content, __: self._heard(content))

    def wished(self, wish: dict[str, Any]) -> None:
        """Handle a request of a page."""
        raise NotImplementedError

    def publish(self) -> None:
        """Send the state as it is now."""
        raise NotImplementedError

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send several changes as one."""
        with self.held():
            yield
        self.publish()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make changes without sending them yet."""
        with self._short:
            self._held += 1
        try:
            yield
        finally:
            with self._short:
                self._held -= 1

    def _heard(self, content: Any) -> None:
        match content:
            case {"view": str() as view, "id": int() as number, "wish": dict() as wish}:
                pass
            case _:
                return
        with self._short:
            if number <= self._answered.get(view, 0):
                return
            self._answered.pop(view, None)
            self._answered[view] = number  # at the end, so that the first is the oldest
            while len(self._answered) > _MOST_VIEWS:
                del self._answered[next(iter(self._answered))]
        try:
            with self.together():
                self.wished(wish)
        except Exception as error:
            self.publish()  # the page waits for an answer, also after an error
            if self._failed is None:
                raise
            self._failed(error)

    def _begin(self) -> int:
        """A number for the state that is about to be computed and sent."""
        with self._short:
            return next(self._numbers)

    def _show(self, number: int, state: dict[str, Any], **parts: Any) -> None:
        """Send the state of this number, unless newer state was sent."""
        with self._short:
            if number < self._published:
                return
            self._published = number
            with self.hold_sync():  # one message
                for name, part in parts.items():
                    setattr(self, name, part)
                self._state = state | {"number": number, "answered": dict(self._answered)}


def integer(value: Any, what: str) -> int:
    """A whole number from 0, of a request."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(f"{what} is a whole number from 0, not {value!r}.")
    return value
