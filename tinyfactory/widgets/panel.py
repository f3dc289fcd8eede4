"""What every widget here has: a status line, errors in it, and the code that does the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from tinyfactory.people.render import escape
from tinyfactory.widgets.explain import in_plain_words
from tinyfactory.widgets.saved import StaticForm
from tinyfactory.widgets.shared import Status


class Panel(StaticForm):
    """A box of widgets with a status line and a "Code" button below it.

    A subclass makes its widgets, calls `super().__init__(children)`, and says by `code` which
    lines of Python do what was last done with it.

    Attributes
    ----------
    error : BaseException or None
        What went wrong last; the status line says it in plain words.
    """

    def __init__(self, children: Sequence[widgets.Widget], *, ready: str = "") -> None:
        self.error: BaseException | None = None
        self._status = Status()
        if ready:
            self._status.say(ready)
        self._code = CodeView(self.code)
        super().__init__([*children, self._status, self._code])

    @property
    def status(self) -> str:
        """What the status line says."""
        return str(self._status.text)

    def code(self) -> str:
        """The lines of Python that do the same."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Show how things stand; what went wrong before is over."""
        self.error = None
        self._status.say(text)
        self._code.refresh()
        self.store_soon()

    def failed(self, error: BaseException) -> None:
        """Show an error and keep it."""
        self.error = error
        self._status.say(in_plain_words(error), wrong=True)

    def guarded(self, handler: Callable[..., Any]) -> Callable[..., None]:
        """A handler whose errors stand in the panel: ipywidgets would only log them."""

        @functools.wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> None:
            try:
                handler(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, the user has to see it
                self.failed(error)

        return guarded


class CodeView(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A button that shows lines of Python, to be read, copied and learnt from.

    Parameters
    ----------
    code : callable
        Gives the lines as they are now.
    """

    def __init__(self, code: Callable[[], str]) -> None:
        self._lines = code
        self.toggle = widgets.ToggleButton(
            False, description="Code", icon="code", tooltip="Show the Python that does the same"
        )
        self._shown = widgets.HTML()
        self._shown.layout.display = "none"
        self.toggle.observe(lambda _: self.refresh(), "value")
        super().__init__(children=[self.toggle, self._shown])

    def refresh(self) -> None:
        """Show the lines as they are now, if they are asked for."""
        if self.toggle.value:
            self._shown.value = (
                '<pre class="tf-code" style="white-space: pre-wrap; padding: 0.5em; color: '
                "var(--jp-ui-font-color1, inherit); background: var(--jp-layout-color2, "
                f'rgba(128, 128, 128, 0.1))">{escape(self._lines())}</pre>'
            )
        self._shown.layout.display = "" if self.toggle.value else "none"
