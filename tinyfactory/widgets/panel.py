"""What every widget here has: a status line, errors in it, and the code that does the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from tinyfactory.people.render.html import code_html
from tinyfactory.widgets.explain import in_plain_words
from tinyfactory.widgets.page import PANEL, Page
from tinyfactory.widgets.saved import StaticForm
from tinyfactory.widgets.shared import Status


class Panel(StaticForm):
    """A box of widgets with a status line and a "Code" button below it.

    A subclass makes its widgets, calls `super().__init__(children)`, and says by `code` which
    lines of Python do what was last done with it. What it ends in are traits that are not
    synchronised: they can be set and observed, and are never sent to the page.

    Parameters
    ----------
    children : sequence of Widget
        What stands above the status line.
    below : sequence of Widget
        What stands between it and the code.
    ready : str
        What the status line says at first.
    lines : str
        What stands on the button that shows the code.

    Attributes
    ----------
    error : BaseException or None
        What went wrong last; the status line says it in plain words.
    """

    error = traitlets.Instance(BaseException, allow_none=True)

    def __init__(
        self,
        children: Sequence[widgets.Widget],
        *,
        below: Sequence[widgets.Widget] = (),
        ready: str = "",
        lines: str = "Code",
    ) -> None:
        self._status = Status()
        if ready:
            self._status.say(ready)
        self._code = CodeView(self.code, lines)
        super().__init__([*children, self._status, *below, self._code, Page()])
        self.add_class(PANEL)

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

    def failed(self, error: BaseException, kept: str = "") -> None:
        """Show an error, with what was kept, and keep it."""
        self.error = error
        self._status.say(f"{in_plain_words(error)} {kept}".strip(), wrong=True)
        self._code.refresh()
        self.store_soon()

    def guarded(self, handler: Callable[..., Any]) -> Callable[..., None]:
        """A handler whose errors stand in the panel: ipywidgets would only log them."""

        @functools.wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> None:
            try:
                handler(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, the user has to see it
                self.failed(error)

        return guarded

    def close(self) -> None:
        """Close it and every widget within: ipywidgets would keep those for ever."""
        for widget in [*_parts(self)]:
            widget.close()
        super().close()


def _parts(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """All that a widget is made of; layouts and styles are widgets, too."""
    for child in getattr(widget, "children", ()):
        yield from _parts(child)
        yield child
    yield from (part for name in ("style", "layout") if (part := getattr(widget, name, None)))


class CodeView(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A button that shows lines of Python, to be read, copied and learnt from.

    Parameters
    ----------
    code : callable
        Gives the lines as they are now.
    label : str
        What stands on the button.
    """

    def __init__(self, code: Callable[[], str], label: str = "Code") -> None:
        self._lines = code
        self.toggle = widgets.ToggleButton(
            False, description=label, icon="code", tooltip="Show the Python that does the same",
            layout=widgets.Layout(width="auto", align_self="flex-start"),
        )  # fmt: skip
        self._shown = widgets.HTML()
        self._shown.layout.display = "none"
        self.toggle.observe(lambda _: self.refresh(), "value")
        super().__init__(children=[self.toggle, self._shown])

    def refresh(self) -> None:
        """Show the lines as they are now, if they are asked for."""
        if self.toggle.value:
            self._shown.value = code_html(self._lines())
        self._shown.layout.display = "" if self.toggle.value else "none"
