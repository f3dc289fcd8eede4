"""`FieldRewriter`: have the model rewrite a field of a person; accept or reject the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from tinyfactory.errors import InvalidInput
from tinyfactory.people import TinyPerson
from tinyfactory.people.proposal import Proposal
from tinyfactory.people.render.comparison import proposal_html
from tinyfactory.people.schema.fields import parts, path_in_words
from tinyfactory.utils.concurrency import Aside
from tinyfactory.widgets.card.field_editor import LABEL, offer
from tinyfactory.widgets.parts.background import BackgroundWork, Task
from tinyfactory.widgets.parts.status_line import Hint


class FieldRewriter(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The choice of a field, a wish, and the proposal beside the present value.

    The model is called in a thread, so that the kernel stays usable. A proposal belongs to its
    person until it is accepted or rejected, also while another person is shown.

    Parameters
    ----------
    told : callable
        Gets a sentence, and the line of code that does the same or an empty text.
    changed : callable
        Called after the person changed.
    failed : callable
        Gets the error; nothing was changed.
    """

    def __init__(
        self,
        told: Callable[[str, str], object],
        changed: Callable[[], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._told, self._changed, self._failed = told, changed, failed
        self.person: TinyPerson | None = None
        self.factory: Any = None
        self.work = BackgroundWork(self._enable, failed, running="The model is being asked.")
        self._proposals: Aside[Proposal | None] = Aside()
        self.path = widgets.Dropdown(
            description="Field or part:", style=LABEL, layout=widgets.Layout(width="32em"),
            tooltip="What to ask the model for again",
        )  # fmt: skip
        self.wish = widgets.Text(
            "", description="Wish:", style=LABEL, layout=widgets.Layout(width="98%"),
            placeholder="What it shall be like, e.g. less cheerful; may stay empty",
        )  # fmt: skip
        self.ask_button = widgets.Button(
            description="Ask again", icon="refresh", button_style="primary",
            tooltip="Ask the model; nothing changes before Accept",
        )  # fmt: skip
        self.cancel_button = widgets.Button(
            description="Cancel", icon="stop", disabled=True, tooltip="Stop asking"
        )
        self.accept_button = widgets.Button(
            description="Accept", icon="check", button_style="primary",
            tooltip="Take what the model proposes; it can be undone",
        )  # fmt: skip
        self.reject_button = widgets.Button(
            description="Reject", icon="times", tooltip="Leave the person as they are"
        )
        self._shown = widgets.HTML()
        self._choice = widgets.VBox(
            [self._shown, widgets.HBox([self.accept_button, self.reject_button])]
        )
        self.ask_button.on_click(lambda _: self.work.click(self.ask))
        self.cancel_button.on_click(lambda _: self.cancel())
        self.accept_button.on_click(lambda _: self._caught(self.accept))
        self.reject_button.on_click(lambda _: self._caught(self.reject))
        super().__init__(
            children=[
                Hint("The model writes it once more; nothing changes before you accept it."),
                self.path,
                self.wish,
                widgets.HBox([self.ask_button, self.cancel_button]),
                self._choice,
            ]
        )

    def show(self, person: TinyPerson | None) -> None:
        """Offer the fields of this person."""
        if person is not self.person:
            self.work.forget_click()
        self.person = person
        known = [] if person is None else parts(person.persona)
        offer(self.path, [(told, path) for path, told in known])
        self._show_proposal()
        self.work.update()

    @property
    def proposal(self) -> Proposal | None:
        """The proposal for this person, until it is accepted or rejected."""
        return None if self.person is None else self._proposals.get(self.person)

    @property
    def running(self) -> bool:
        """Whether a model is being asked."""
        return self.work.running

    # -- actions -----------------------------------------------------------------------

    def ask(self) -> None:
        """Ask the model to rewrite the chosen field, and return at once.

        Raises
        ------
        InvalidInput
            While it is being asked, and without a person.
        """
        self.work.start(self._task)

    def _task(self) -> Task:
        person, path = self._someone(), str(self.path.value)
        wish, factory = self.wish.value.strip(), self.factory
        told = f"Asking the model again for {path_in_words(path)} of {person.name} …"
        self._told(told, "")
        return Task(
            lambda _: person.rewrite(path, wish=wish, factory=factory),
            lambda proposal: self._answered(person, proposal, path, wish),
            waiting=lambda seconds: self._told(f"{told} {seconds:.0f} s", ""),
        )

    def cancel(self) -> None:
        """Stop asking."""
        self.work.cancel()

    def accept(self) -> None:
        """Accept the proposal, as an edit that can be undone."""
        person, proposal = self._someone(), self._one()
        proposal.accept()
        self._forget(person)
        self._told(
            f"Accepted: {path_in_words(proposal.path)}. Undo, under Edit, takes it back.",
            "proposal.accept()",
        )
        self._changed()

    def reject(self) -> None:
        """Reject the proposal; the person stays unchanged."""
        person, proposal = self._someone(), self._one()
        proposal.reject()
        self._forget(person)
        self._told("Rejected. Nothing was changed.", "proposal.reject()")

    # -- outcome -----------------------------------------------------------------------

    def _answered(self, person: TinyPerson, proposal: Proposal, path: str, wish: str) -> None:
        self._proposals.put(person, proposal)
        asked = f", wish={wish!r}" if wish else ""
        self._show_proposal()
        self._told(
            f"A proposal for {path_in_words(path)} of {person.name}: accept or reject it.",
            f"proposal = person.rewrite({path!r}{asked})",
        )

    def _enable(self) -> None:
        self.ask_button.disabled = self.work.busy or self.person is None
        self.cancel_button.disabled = not self.work.can_cancel

    def _show_proposal(self) -> None:
        proposal = self.proposal
        self._shown.value = "" if proposal is None else proposal_html(proposal.comparison)
        self._choice.layout.display = "none" if proposal is None else ""

    def _forget(self, person: TinyPerson) -> None:
        self._proposals.put(person, None)
        self._show_proposal()

    def _someone(self) -> TinyPerson:
        if self.person is None:
            raise InvalidInput("There is nobody to ask about. Set `card.person` first.")
        return self.person

    def _one(self) -> Proposal:
        if self.proposal is None:
            raise InvalidInput("There is no proposal. Ask the model first.")
        return self.proposal

    def _caught(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the user has to see it
            self._failed(error)
