"""Whom one talks to: a list to choose from, in which people of the same content are two."""

from __future__ import annotations

import ipywidgets as widgets

from tinyfactory.people import People, TinyPerson
from tinyfactory.utils.text import legible

# People in the list; another one can be set from code, and stands there then, too.
MOST_LISTED = 200
EVERYONE = -1
_LONGEST = 120


class Whom(widgets.Dropdown):  # type: ignore[misc]  # ipywidgets has no types
    """A drop-down of people by number, with everyone at its end where there are several."""

    def __init__(self) -> None:
        self._offered: list[tuple[str, int]] = []
        self.offering = False  # what is chosen meanwhile was not chosen by anyone
        super().__init__(description="Talk to:", layout=widgets.Layout(width="98%"))

    def offer(self, people: People, person: TinyPerson | None) -> None:
        """Have these people to choose from, and this one chosen; everyone for None."""
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
    """Where this very person stands; `EVERYONE` for None."""
    return next((n for n, one in enumerate(people) if one is person), EVERYONE)


def _label(number: int, person: TinyPerson) -> str:
    parts = (person.name or "(no name yet)", person.get("age"), person.get("occupation.title"))
    told = ", ".join(str(part) for part in parts if part not in (None, ""))
    return f"{number + 1}. {legible(' '.join(told.split()))[:_LONGEST]}"
