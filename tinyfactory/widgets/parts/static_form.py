"""`StaticForm`: what a saved notebook shows without a kernel."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

import ipywidgets as widgets

from tinyfactory.journal.cells import current_execution
from tinyfactory.people.render.html import escape

# A counter, so that a notebook that is run again stores the same output.
_numbers = count(1)
# Seconds without a change before the notebook's output is updated.
_SETTLED = 1.0
_VIEW = "application/vnd.jupyter.widget-view+json"


class StaticForm(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A box whose cell also stores its content as text and static HTML, kept up to date.

    Displaying it makes two outputs: the widget, and its static form. A CSS rule in the widget
    hides the static form. Without the widget there is no such rule: on GitHub, in nbviewer, in
    print, and in a notebook that is opened without its kernel.
    """

    def __init__(self, children: Sequence[widgets.Widget] = ()) -> None:
        self._mark = f"tf-saved-{next(_numbers)}"
        self._stored: list[Any] = []
        self._settling: threading.Timer | None = None
        self._at_end_of_cell = False
        hidden = f".{self._mark}, .jp-OutputArea-child:has(.{self._mark})"
        rule = widgets.HTML(f"<style>{hidden} {{ display: none }}</style>")
        rule.layout.display = "none"
        super().__init__(children=[*children, rule])

    def static_text(self) -> str:
        """The output for programs that show only text."""
        return f"{type(self).__name__}()"

    def static_html(self) -> str:
        """The output for programs that show no widgets."""
        return f"<pre>{escape(self.static_text())}</pre>"

    def store(self) -> None:
        """Write the present static form into the cells where this was displayed."""
        for output in self._stored:
            output.update(self._static_bundle(), raw=True)

    def store_soon(self) -> None:
        """Call `store` after a moment, and at the end of the cell that runs now.

        A change that a cell makes is stored with it, however soon the kernel ends.
        """
        if self._stored and not self._at_end_of_cell and current_execution() is not None:
            from IPython import get_ipython

            self._at_end_of_cell = True
            get_ipython().events.register("post_run_cell", self._end_cell)
        if self._stored and (self._settling is None or not self._settling.is_alive()):
            self._settling = threading.Timer(_SETTLED, self.store)
            self._settling.daemon = True
            self._settling.start()

    def _end_cell(self, _: object) -> None:
        from IPython import get_ipython

        get_ipython().events.unregister("post_run_cell", self._end_cell)
        self._at_end_of_cell = False
        if self._settling is not None:
            self._settling.cancel()
        self.store()

    def _static_bundle(self) -> dict[str, str]:
        html = f'<div class="{self._mark}">{self.static_html()}</div>'
        return {"text/plain": self.static_text(), "text/html": html}

    def _ipython_display_(self) -> None:
        from IPython import display as ipython

        display: Any = ipython.display  # which has no types
        view = self._repr_mimebundle_()
        told = f"{type(self).__name__}: interactive while the kernel runs. Last output:"
        display({_VIEW: view[_VIEW], "text/plain": told}, raw=True)
        self._stored.append(display(self._static_bundle(), raw=True, display_id=True))

    def __repr__(self) -> str:
        return self.static_text()
