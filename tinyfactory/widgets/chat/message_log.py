"""`MessageLog`: a conversation that grows; screen readers read out each new message."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import anywidget
import traitlets

from tinyfactory.utils.text import cut, legible
from tinyfactory.widgets.parts.request_widget import STATIC

# Limits that keep a message below 200 kB in any script.
_MOST_LINES = 40
_MOST_CHARACTERS = 40_000
_LONGEST = 8_000


@dataclass(frozen=True, slots=True)
class Line:
    """One message: by the user (``"user"``) or by the person (``"assistant"``)."""

    role: Literal["user", "assistant"]
    who: str
    text: str


class MessageLog(anywidget.AnyWidget):
    """The last lines of a conversation, as text.

    `add` sends only the new lines. A page that opens later requests all lines.

    Parameters
    ----------
    label : str
        The name for screen readers.

    Attributes
    ----------
    lines : list of Line
        The shown lines: at most 40, with 40,000 characters; a long line is cut short.
    note : str
        A text above the lines.

    Examples
    --------
    >>> log = MessageLog("Conversation")
    >>> log.show([Line("user", "You", "Tea?")])
    >>> log.add([Line("assistant", "Ana", "Yes.")])
    >>> [line.text for line in log.lines]
    ['Tea?', 'Yes.']
    """

    _esm = STATIC / "log.js"
    _css = STATIC / "log.css"
    _label = traitlets.Unicode().tag(sync=True)

    def __init__(self, label: str) -> None:
        self.lines: list[Line] = []
        self.note = ""
        self._number = 0
        self._lock = threading.Lock()
        super().__init__(_label=label)
        self.on_msg(lambda _, content, __: self._heard(content))

    def show(self, lines: Sequence[Line], note: str = "") -> None:
        """Show these lines only."""
        with self._lock:
            self.lines, self.note = _fitting(lines), note
            self._number += 1
            self._send_all(None)

    def add(self, lines: Sequence[Line], note: str = "") -> None:
        """Add these lines at the end; the oldest may be dropped."""
        with self._lock:
            new = _fitting(lines)
            self.lines, self.note = _fitting([*self.lines, *new]), note
            self._number += 1
            self.send(
                {
                    "kind": "add",
                    "number": self._number,
                    "lines": [asdict(line) for line in new],
                    "keep": len(self.lines),
                    "note": note,
                }
            )

    def _heard(self, content: Any) -> None:
        match content:
            case {"view": str() as view, "wish": "all"}:
                with self._lock:
                    self._send_all(view)

    def _send_all(self, view: str | None) -> None:
        self.send(
            {
                "kind": "all",
                "view": view,
                "number": self._number,
                "lines": [asdict(line) for line in self.lines],
                "note": self.note,
            }
        )


def _fitting(lines: Sequence[Line]) -> list[Line]:
    """The last lines within the limits, without control characters."""
    kept: list[Line] = []
    room = _MOST_CHARACTERS
    for line in reversed(lines[-_MOST_LINES:]):
        short = Line(line.role, _short(line.who, 200), _short(line.text, _LONGEST))
        room -= len(short.who) + len(short.text)
        if room < 0:
            break
        kept.insert(0, short)
    return kept


def _short(text: str, most: int) -> str:
    return legible(cut(text, most))
