"""Making a twin: a person once more, with one field changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from tinyfactory.errors import InvalidInput
from tinyfactory.people import TinyPerson
from tinyfactory.utils.text import legible
from tinyfactory.widgets.editing import LABEL, offer
from tinyfactory.widgets.later import after_typing
from tinyfactory.widgets.page import DEFAULT_BUTTON
from tinyfactory.widgets.work import Work

if TYPE_CHECKING:
    from tinyfactory.people.comparison import Twins

# What a twin can differ in, as `TinyPerson.twin` names it, and where it stands in a person.
FIELDS = {
    "sex": "gender",
    "age": "age",
    "nationality": "nationality",
    "residence": "residence",
    "occupation": "occupation.title",
    "education": "education",
    "name": "name",
}


class TwinMaker(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Whose twin, which field, which value; the model works in a thread.

    Parameters
    ----------
    told : callable
        Given a sentence that says how things stand.
    made : callable
        Given the `Twins` and the line of code that makes them.
    failed : callable
        Given the error, when there is no twin.
    """

    def __init__(
        self,
        told: Callable[[str], object],
        made: Callable[[Twins[TinyPerson], str], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._told, self._made, self._failed = told, made, failed
        self.factory: Any = None
        self.work: Work | None = None
        self._people: Sequence[TinyPerson] = ()
        self._starting = threading.Lock()
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
        self._settled = after_typing(self._start)
        for choice in (self.whose, self.field):
            choice.observe(lambda _: self._hint(), "value")
        self.make_button.on_click(lambda _: self._clicked())
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
        """Make twins of these people."""
        self._people = people
        numbered = [
            (f"{number}. {legible(person.name)}", str(number))
            for number, person in enumerate(people, 1)
        ]
        offer(self.whose, numbered)
        self._hint()
        self._idle()

    @property
    def person(self) -> TinyPerson:
        """Who is to be written once more.

        Raises
        ------
        InvalidInput
            When nobody is there.
        """
        if self.whose.value is None:
            raise InvalidInput("There is nobody to make a twin of. Set `compare.people` first.")
        return self._people[int(self.whose.value) - 1]

    @property
    def running(self) -> bool:
        """Whether a model is being asked."""
        return self.work is not None and self.work.running

    def make(self) -> None:
        """Ask for a twin with what stands in the fields, and return at once.

        Raises
        ------
        InvalidInput
            While one is being made, and for what cannot work.
        """
        with self._starting:
            if self.running:
                raise InvalidInput("A twin is being made. Wait, or call cancel().")
            person, factory = self.person, self.factory
            change = {self.field.value: _value(self.field.value, self.value.value.strip())}
            self.make_button.disabled, self.cancel_button.disabled = True, False
            told = f"Making a twin of {person.name} …"
            self._told(told)
            self.work = Work(
                lambda: person.twin(factory=factory, **change),
                lambda twins: self._ended(twins, change),
                self._stopped,
                lambda seconds: self._told(f"{told} {seconds:.0f} s"),
            )
        self.work.start()

    def cancel(self) -> None:
        """Stop asking."""
        if self.work is not None and self.running:
            self.cancel_button.disabled = True
            self.work.cancel()

    def _clicked(self) -> None:
        # At once, so that a double click does not pay twice.
        if not self.make_button.disabled:
            self.make_button.disabled = True
            self._settled.soon()

    def _start(self) -> None:
        try:
            self.make()
        except Exception as error:  # noqa: BLE001 - whatever it is, the user has to see it
            self._failed(error)
            self._idle()

    def _ended(self, twins: Twins[TinyPerson], change: dict[str, Any]) -> None:
        self._idle()
        told = ", ".join(f"{name}={value!r}" for name, value in change.items())
        self._made(twins, f"person.twin({told})")

    def _stopped(self, error: BaseException) -> None:
        self._idle()
        self._failed(error)

    def _idle(self) -> None:
        with self._starting:  # so that nobody who looked before the end has the last word
            self.make_button.disabled = self.running or not self._people
            self.cancel_button.disabled = not self.running

    def _hint(self) -> None:
        """Say in the empty field what stands now."""
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
