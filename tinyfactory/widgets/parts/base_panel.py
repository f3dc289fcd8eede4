"""`BasePanel`: the base of all widgets, with a status line, errors, and code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from tinyfactory.people.render.html import code_html
from tinyfactory.widgets.parts.error_text import in_plain_words
from tinyfactory.widgets.parts.request_widget import STATIC
from tinyfactory.widgets.parts.static_form import StaticForm
from tinyfactory.widgets.parts.status_line import Status

# CSS classes that page.css and page.js use.
PANEL = "tf-panel"
DEFAULT_BUTTON = "tf-default"


class Page(anywidget.AnyWidget):
    """Invisible: loads the style of all panels, and makes Enter press a panel's default button.

    ipywidgets cannot tell Enter in a field from leaving it, and its own inputs stay white in a
    dark page. A page that does not load it still works.
    """

    _esm = STATIC / "page.js"
    _css = STATIC / "page.css"

    def __init__(self) -> None:
        super().__init__()
        self.layout.display = "none"


class BasePanel(StaticForm):
    """A box of widgets with a status line and a "Code" button below it.

    A subclass makes its widgets, calls `super().__init__(children)`, and returns in `code` the
    lines of Python that do the same. Its results are traits that are not synchronised: they can
    be set and observed, and are never sent to the page.

    Parameters
    ----------
    children : sequence of Widget
        Shown above the status line.
    below : sequence of Widget
        Shown between the status line and the code.
    ready : str
        The first text of the status line.
    lines : str
        The label of the button that shows the code.

    Attributes
    ----------
    error : BaseException or None
        The last error; the status line explains it.
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
        """The text of the status line."""
        return str(self._status.text)

    def code(self) -> str:
        """The lines of Python that do the same."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Show a text, and clear the last error."""
        self.error = None
        self._status.say(text)
        self._code.refresh()
        self.store_soon()

    def failed(self, error: BaseException, kept: str = "") -> None:
        """Show an error, followed by what was saved."""
        self.error = error
        self._status.say(f"{in_plain_words(error)} {kept}".strip(), wrong=True)
        self._code.refresh()
        self.store_soon()

    def guarded(self, handler: Callable[..., Any]) -> Callable[..., None]:
        """Wrap a handler so that the panel shows its errors; ipywidgets would only log them."""

        @functools.wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> None:
            try:
                handler(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, the user has to see it
                self.failed(error)

        return guarded

    def close(self) -> None:
        """Close it with all widgets in it; ipywidgets would keep them for ever."""
        for widget in [*_parts(self)]:
            widget.close()
        super().close()


def _parts(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """All widgets in a widget; layouts and styles are widgets, too."""
    for child in getattr(widget, "children", ()):
        yield from _parts(child)
        yield child
    yield from (part for name in ("style", "layout") if (part := getattr(widget, name, None)))


class CodeView(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A button that shows lines of Python.

    Parameters
    ----------
    code : callable
        Returns the present lines.
    label : str
        The label of the button.
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
        """Update the lines, if they are shown."""
        if self.toggle.value:
            self._shown.value = code_html(self._lines())
        self._shown.layout.display = "" if self.toggle.value else "none"
