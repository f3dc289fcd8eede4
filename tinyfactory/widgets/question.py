"""A field for a question, and two buttons: to send it, and to give it up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from tinyfactory.widgets.later import after_typing
from tinyfactory.widgets.page import DEFAULT_BUTTON


class QuestionRow(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Enter in the field, or Send, sends what stands there, once.

    Parameters
    ----------
    send, cancel : callable
        What the buttons do; `send`, or what it begins, ends with `idle` called.
    """

    def __init__(self, send: Callable[[], Any], cancel: Callable[[], Any]) -> None:
        self.field = widgets.Text(
            description="Question:", placeholder="Ask something, and press Enter",
            layout=widgets.Layout(width="98%"),
        )  # fmt: skip
        self.send_button = widgets.Button(
            description="Send", icon="paper-plane", button_style="primary",
            tooltip="Ask; Enter in the field does the same",
        )  # fmt: skip
        self.send_button.add_class(DEFAULT_BUTTON)
        self.cancel_button = widgets.Button(
            description="Cancel", icon="stop", disabled=True,
            tooltip="Give the question up; what was answered before stays",
        )  # fmt: skip
        self._settled = after_typing(send)
        self.send_button.on_click(lambda _: self._clicked())
        self.cancel_button.on_click(lambda _: cancel())
        row = widgets.HBox([self.send_button, self.cancel_button])
        super().__init__(children=[self.field, row])

    def idle(self, *, waiting: bool, nobody: bool) -> None:
        """What can be pressed now."""
        self.send_button.disabled = waiting or nobody
        self.cancel_button.disabled = not waiting

    def give_back(self, question: str) -> None:
        """Put a question back that was not answered, unless the next one is being typed."""
        if not self.field.value:
            self.field.value = question

    def _clicked(self) -> None:
        # At once, so that a double click does not pay twice.
        if not self.send_button.disabled:
            self.send_button.disabled = True
            self._settled.soon()
