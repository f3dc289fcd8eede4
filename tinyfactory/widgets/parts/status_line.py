"""A status line and a hint."""

from __future__ import annotations

import ipywidgets as widgets

from tinyfactory.people.render.html import hint_html, status_html


class Status(widgets.HTML):  # type: ignore[misc]  # ipywidgets has no types
    """The status line, which screen readers read out; text only.

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
        """Show a text, as an error if `wrong`."""
        self.text, self.wrong = text, wrong
        self.value = status_html(text, wrong=wrong)


class Hint(widgets.HTML):  # type: ignore[misc]
    """One line of text, which screen readers do not read out by themselves."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.say(text)

    def say(self, text: str) -> None:
        """Show a text; an empty one hides the line."""
        self.text = text
        self.value = hint_html(text)
        self.layout.display = "" if text else "none"
