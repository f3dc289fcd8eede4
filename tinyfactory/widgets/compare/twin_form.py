"""`TwinForm`: make a twin of a person, with one field changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from tinyfactory.errors import InvalidInput
from tinyfactory.people import TinyPerson
from tinyfactory.people.comparison import Twins
from tinyfactory.utils.text import legible
from tinyfactory.widgets.card.field_editor import LABEL, offer
from tinyfactory.widgets.parts.background import BackgroundWork, Task
from tinyfactory.widgets.parts.base_panel import DEFAULT_BUTTON

# The parameters of `TinyPerson.twin`, and the fields of a person that they change.
FIELDS = {
    "sex": "gender",
    "age": "age",
    "nationality": "nationality",
    "residence": "residence",
    "occupation": "occupation.title",
    "education": "education",
    "name": "name",
}


class TwinForm(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The choice of a person, a field and its new value; the model is called in a thread.

    Parameters
    ----------
    told : callable
        Gets a sentence about the progress.
    made : callable
        Gets the `Twins` and the line of code that makes them.
    failed : callable
        Gets the error; there is no twin then.
    """

    def __init__(
        self,
        told: Callable[[str], object],
        made: Callable[[Twins[TinyPerson], str], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._told, self._made = told, made
        self.factory: Any = None
        self.work = BackgroundWork(self._enable, failed, running="A twin is being made.")
        self._people: Sequence[TinyPerson] = ()
        narrow = {"style": LABEL, "layout": widgets.Layout(width="32em")}
        self.whose = widgets.Dropdown(
            description="Twin of:", tooltip="Who is to be written once more", **narrow
        )
        self.field = widgets.Dropdown(
            options=[(name.capitalize(), name) for name in FIELDS], value="sex",
            description="With another:", tooltip="What is changed on purpose", **narrow,
        )  # fmt: skip
        self.value = widgets.Text(
            "", description="Which is then:", tooltip="The twin's value of that field", **narrow
        )
        self.make_button = widgets.Button(
            description="Make twin", icon="clone", button_style="primary",
            tooltip="Ask the model for the same person with that one change",
        )  # fmt: skip
        self.make_button.add_class(DEFAULT_BUTTON)
        self.cancel_button = widgets.Button(
            description="Cancel", icon="stop", disabled=True, tooltip="Stop asking"
        )
        for choice in (self.whose, self.field):
            choice.observe(lambda _: self._hint(), "value")
        self.make_button.on_click(lambda _: self.work.click(self.make))
        self.cancel_button.on_click(lambda _: self.cancel())
        super().__init__(
            children=[
                self.whose,
                self.field,
                self.value,
                widgets.HBox([self.make_button, self.cancel_button]),
            ]
        )

    def show(self, people: Sequence[TinyPerson]) -> None:
        """Offer these people."""
        self._people = people
        numbered = [
            (f"{number}. {legible(person.name)}", str(number))
            for number, person in enumerate(people, 1)
        ]
        offer(self.whose, numbered)
        self._hint()
        self.work.update()

    @property
    def person(self) -> TinyPerson:
        """The chosen person.

        Raises
        ------
        InvalidInput
            Without people.
        """
        if self.whose.value is None:
            raise InvalidInput("There is nobody to make a twin of. Set `compare.people` first.")
        return self._people[int(self.whose.value) - 1]

    @property
    def running(self) -> bool:
        """Whether a model is being asked."""
        return self.work.running

    def make(self) -> None:
        """Make a twin for the present fields, and return at once.

        Raises
        ------
        InvalidInput
            While one is being made, and for an invalid value.
        """
        self.work.start(self._task)

    def cancel(self) -> None:
        """Stop asking."""
        self.work.cancel()

    def _task(self) -> Task:
        person, factory = self.person, self.factory
        change = {self.field.value: _value(self.field.value, self.value.value.strip())}
        told = f"Making a twin of {person.name} …"
        self._told(told)
        return Task(
            lambda _: person.twin(factory=factory, **change),
            lambda twins: self._show_twins(twins, change),
            waiting=lambda seconds: self._told(f"{told} {seconds:.0f} s"),
        )

    def _show_twins(self, twins: Twins[TinyPerson], change: dict[str, Any]) -> None:
        told = ", ".join(f"{name}={value!r}" for name, value in change.items())
        self._made(twins, f"person.twin({told})")

    def _enable(self) -> None:
        self.make_button.disabled = self.work.busy or not self._people
        self.cancel_button.disabled = not self.work.can_cancel

    def _hint(self) -> None:
        """Show the present value in the empty field."""
        now = None if self.whose.value is None else self.person.get(FIELDS[self.field.value])
        self.value.placeholder = "" if now in (None, "") else f"now: {legible(now)}"


def _value(field: str, text: str) -> Any:
    if not text:
        raise InvalidInput(f"What the twin's {field} is stands nowhere. Nothing was sent. Type it.")
    if field == "age":
        if not text.isdecimal() or int(text) > 120:
            raise InvalidInput(f"An age is a whole number from 0 to 120, not {text!r}.")
        return int(text)
    return text
