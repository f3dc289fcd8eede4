"""`PersonPreview`: the selected person beside the list, and their card on request."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from tinyfactory.people import TinyPerson
from tinyfactory.people.render.html import hint_html, nobody_html
from tinyfactory.people.render.person import person_html
from tinyfactory.widgets.card.persona_card import PersonaCard

# Larger HTML is not sent to the page in one message.
_MOST_BYTES = 150_000


class PersonPreview(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A person as static HTML, and a button that shows their `PersonaCard` instead.

    Parameters
    ----------
    changed : callable
        Is called after an edit in the card.

    Examples
    --------
    >>> reading = PersonPreview(lambda: None)
    >>> reading.show(TinyPerson("Ana Souza", register=False))
    >>> reading.card is None
    True
    """

    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._person: TinyPerson | None = None
        self.card: PersonaCard | None = None
        self._html = widgets.HTML()
        self._edit = widgets.ToggleButton(
            False, description="Edit", icon="pencil",
            layout=widgets.Layout(width="auto", align_self="flex-start"),
            tooltip="Edit this person, undo, ask the model again, see where each field came from",
        )  # fmt: skip
        self._edit.observe(lambda _: self._turn(), "value")
        super().__init__(
            [self._edit, self._html], layout=widgets.Layout(min_width="0", width="auto")
        )
        self.show(None)

    def show(self, person: TinyPerson | None) -> None:
        """Show a person; None shows nobody."""
        self._person = person
        self._edit.layout.display = "none" if person is None else ""
        self.refresh()

    def refresh(self) -> None:
        """Show the person as they are now."""
        if self._edit.value and self.card is not None:
            self.card.person = self._person
            return
        html = (
            nobody_html("Nobody is listed.") if self._person is None else person_html(self._person)
        )
        size = len(html.encode("utf-8", "replace"))
        if size > _MOST_BYTES:
            html = hint_html(
                f"This person is too long to be shown here ({size / 1e6:.1f} MB). `selected` of "
                "this widget holds all of it."
            )
        self._html.value = html

    def close(self) -> None:
        """Close the HTML and the card, also the one that is hidden."""
        for widget in (self._html, self.card):
            if widget is not None:
                widget.close()
        super().close()

    def _turn(self) -> None:
        """Switch between the HTML and the card, which is made once."""
        if self._edit.value and self.card is None:
            self.card = PersonaCard()
            self.card.observe(lambda _: self._changed(), "edited")
        shown = self.card if self._edit.value else self._html
        self.children = [self._edit, shown]
        self.refresh()
