"""The controls of a chat: a question with its buttons, and the choice of a person."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from tinyfactory.people import People, TinyPerson
from tinyfactory.utils.text import legible
from tinyfactory.widgets.parts.base_panel import DEFAULT_BUTTON

# More people are not listed, but code can set one of them, who is added to the list.
MOST_LISTED = 200
EVERYONE = -1
_LONGEST = 120


class QuestionRow(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A field for a question, and buttons that send it and cancel it.

    Parameters
    ----------
    send, cancel : callable
        Called by the buttons; Enter in the field presses Send.
    """

    def __init__(self, send: Callable[[], object], cancel: Callable[[], object]) -> None:
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
        self.send_button.on_click(lambda _: send())
        self.cancel_button.on_click(lambda _: cancel())
        row = widgets.HBox([self.send_button, self.cancel_button])
        super().__init__(children=[self.field, row])

    def give_back(self, question: str) -> None:
        """Put an unanswered question back, unless the next one is being typed."""
        if not self.field.value:
            self.field.value = question


class PersonChoice(widgets.Dropdown):  # type: ignore[misc]  # ipywidgets has no types
    """A drop-down of people by number, and "Everyone" when there are several.

    Each person is told apart by identity, so two people with the same content are two entries.
    """

    def __init__(self) -> None:
        self._offered: list[tuple[str, int]] = []
        self.offering = False  # a change of the value meanwhile is not the user's choice
        super().__init__(description="Talk to:", layout=widgets.Layout(width="98%"))

    def offer(self, people: People, person: TinyPerson | None) -> None:
        """List these people with this one chosen; None is everyone."""
        numbers = [*range(min(len(people), MOST_LISTED))]
        chosen = place_of(people, person)
        if chosen >= MOST_LISTED:
            numbers.append(chosen)
        options = [(_label(n, people[n]), n) for n in numbers]
        if len(people) > 1:
            options.append((f"Everyone ({len(people):,})", EVERYONE))
        self.offering = True
        try:
            if self._offered != options:
                self.options = self._offered = options
            if people:
                self.value = chosen
        finally:
            self.offering = False


def place_of(people: People, person: TinyPerson | None) -> int:
    """The number of this person, by identity; `EVERYONE` for None or a stranger."""
    return next((n for n, one in enumerate(people) if one is person), EVERYONE)


def _label(number: int, person: TinyPerson) -> str:
    parts = (person.name or "(no name yet)", person.get("age"), person.get("occupation.title"))
    told = ", ".join(str(part) for part in parts if part not in (None, ""))
    return f"{number + 1}. {legible(' '.join(told.split()))[:_LONGEST]}"
