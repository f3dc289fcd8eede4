"""What stands in a saved notebook: people, also where no widget can be shown."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

import ipywidgets as widgets

from tinyfactory.people.render.html import escape

# From a counter, so that a notebook that is run again stores the same.
_numbers = count(1)
# What changes many times a second is written into the notebook once it has settled.
_SETTLED = 1.0
_VIEW = "application/vnd.jupyter.widget-view+json"


class StaticForm(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A box whose cell also holds what it shows as text and static HTML, kept up to date.

    Displaying it makes two outputs, the widget and its static form. A rule that comes with the
    widget hides the static form. Where there is no widget, there is no rule: on GitHub, in
    nbviewer, on paper, and in a notebook that is opened again without its kernel.
    """

    def __init__(self, children: Sequence[widgets.Widget] = ()) -> None:
        self._mark = f"tf-saved-{next(_numbers)}"
        self._stored: list[Any] = []
        self._settling: threading.Timer | None = None
        hidden = f".{self._mark}, .jp-OutputArea-child:has(.{self._mark})"
        rule = widgets.HTML(f"<style>{hidden} {{ display: none }}</style>")
        rule.layout.display = "none"
        super().__init__(children=[*children, rule])

    def static_text(self) -> str:
        """What stands in the output for programs that show text alone."""
        return f"{type(self).__name__}()"

    def static_html(self) -> str:
        """What stands in the output where no widget can be shown."""
        return f"<pre>{escape(self.static_text())}</pre>"

    def store(self) -> None:
        """Write the static form as it is now into the cells where this was displayed."""
        for output in self._stored:
            output.update(self._static_bundle(), raw=True)

    def store_soon(self) -> None:
        """`store`, once things have settled."""
        if self._stored and (self._settling is None or not self._settling.is_alive()):
            self._settling = threading.Timer(_SETTLED, self.store)
            self._settling.daemon = True
            self._settling.start()

    def _static_bundle(self) -> dict[str, str]:
        html = f'<div class="{self._mark}">{self.static_html()}</div>'
        return {"text/plain": self.static_text(), "text/html": html}

    def _ipython_display_(self) -> None:
        from IPython import display as ipython

        display: Any = ipython.display  # which has no types
        view = self._repr_mimebundle_()
        told = f"{type(self).__name__}: live while its kernel runs; what it showed stands below."
        display({_VIEW: view[_VIEW], "text/plain": told}, raw=True)
        self._stored.append(display(self._static_bundle(), raw=True, display_id=True))

    def __repr__(self) -> str:
        return self.static_text()
