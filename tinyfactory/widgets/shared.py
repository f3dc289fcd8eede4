"""What the widgets share: a status line, a number with its noun, a long text cut short."""

from __future__ import annotations

import ipywidgets as widgets

from tinyfactory.people.render.html import hint_html, status_html


class Status(widgets.HTML):  # type: ignore[misc]  # ipywidgets has no types
    """One line that says how things stand, read out by screen readers; text only.

    Examples
    --------
    >>> status = Status()
    >>> status.say("Ready.")
    >>> status.text, status.wrong
    ('Ready.', False)
    """

    def __init__(self) -> None:
        super().__init__()
        self.text, self.wrong = "", False

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show a text; as an error when something went wrong."""
        self.text, self.wrong = text, wrong
        self.value = status_html(text, wrong=wrong)


class Hint(widgets.HTML):  # type: ignore[misc]
    """One line that is there to be read, and is not read out by itself; text only."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.say(text)

    def say(self, text: str) -> None:
        """Show a text; nothing stands there for an empty one."""
        self.text = text
        self.value = hint_html(text)
        self.layout.display = "" if text else "none"
