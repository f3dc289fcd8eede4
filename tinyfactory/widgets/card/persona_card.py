"""`PersonaCard`: read a person, edit fields, and have the model rewrite one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import traitlets

from tinyfactory.journal.scopes.scope import scope
from tinyfactory.journal.timeline import event_of
from tinyfactory.people import TinyPerson
from tinyfactory.people.render.html import nobody_html
from tinyfactory.people.render.person import (
    body_html,
    head_html,
    json_html,
    origins_html,
    person_html,
    person_text,
)
from tinyfactory.widgets.card.field_editor import FieldEditor
from tinyfactory.widgets.card.field_rewriter import FieldRewriter
from tinyfactory.widgets.parts.base_panel import DEFAULT_BUTTON, BasePanel
from tinyfactory.widgets.parts.identity_trait import PersonTrait

NOBODY = "Nobody is shown. Set `card.person`, or choose someone in a list."


class PersonaCard(BasePanel):
    """Read a person, edit fields, and have the model rewrite one.

    Every edit is checked, is one event of the simulation, and can be undone. A rewrite is shown
    beside the present value before it is accepted. In code: `TinyPerson.revise`, `undo`,
    `rewrite` and `origins`.

    Parameters
    ----------
    person : TinyPerson, optional
    factory : TinyPersonFactory, optional
        Rewrites; by default the factory that made the person.

    Attributes
    ----------
    person : TinyPerson or None
        The shown person; can be set and observed.
    edited : int
        The number of edits made here, for other views to observe.
    error : BaseException or None
        The last error.

    Examples
    --------
    >>> ana = TinyPerson("Ana", {"age": 34}, register=False)
    >>> card = PersonaCard(ana)
    >>> card.edit("age", "35")
    >>> card.save()
    >>> ana.get("age"), card.status
    (35, 'Saved: Age: 34 → 35 (edited)')
    >>> card.undo()
    >>> print(card.code())
    person.revise({'age': 35})
    person.undo()
    """

    person = PersonTrait(None)
    edited = traitlets.Int(0)

    def __init__(self, person: TinyPerson | None = None, *, factory: Any = None) -> None:
        self._lines: list[str] = []
        self._head = widgets.HTML()
        self._reading, self._origins, self._json = (widgets.HTML() for _ in range(3))
        self.editor = FieldEditor(self._done, self.failed)
        self.rewriter = FieldRewriter(self._told, self._changed, self.failed)
        self.rewriter.factory = factory
        self._tabs = widgets.Tab(
            children=[self._reading, self.editor, self.rewriter, self._origins, self._json],
            titles=("Read", "Edit", "Ask again", "Where from", "JSON"),
            selected_index=0,
        )
        self._tabs.observe(lambda _: self._show(), "selected_index")
        self._shows: tuple[Callable[[TinyPerson], object], ...] = (
            lambda who: self._put(self._reading, body_html(who)),
            self.editor.show,
            self.rewriter.show,
            lambda who: self._put(self._origins, _origins_of(who)),
            lambda who: self._put(self._json, json_html(who)),
        )
        super().__init__([self._head, self._tabs])
        self.observe(lambda _: self._met(), "person")
        self.person = person
        self._met()

    # -- what code does ----------------------------------------------------------------

    def edit(self, path: str, text: str) -> None:
        """Type into a field; `save` checks and saves it."""
        self._tabs.selected_index = 1
        self.editor.type(path, text)

    def save(self) -> None:
        """Save the typed values as one edit.

        Raises
        ------
        InvalidInput
            For an invalid value; nothing is changed, and the typed text stays.
        """
        self.editor.save()

    def undo(self) -> None:
        """Undo the latest edit."""
        self._tabs.selected_index = 1
        self.editor.undo()

    def refresh(self) -> None:
        """Show the present values, after code changed the person."""
        self._show()

    def code(self) -> str:
        """The code of the edits made here to this person."""
        if self.person is None:
            return "from tinyfactory.widgets import PersonaCard\n\nPersonaCard(person)"
        return "\n".join(self._lines or ["person  # shows the same, without a kernel"])

    def close(self) -> None:
        """Close it, and cancel a rewrite."""
        self.rewriter.cancel()
        super().close()

    # -- how it goes on ----------------------------------------------------------------

    def _met(self) -> None:
        """Show another person, with no edits in `code` yet."""
        self._lines = []
        self.editor.show(self.person)
        self.rewriter.show(self.person)
        self._show()
        waiting = len(self.editor.drafts)
        if not self.rewriter.running:
            self.say(f"{waiting} of the fields have text that is not saved." if waiting else "")

    def _show(self) -> None:
        """Update the head and the open tab; the other tabs are updated when they are opened."""
        who, tab = self.person, self._tabs.selected_index or 0
        for number, button in ((1, self.editor.save_button), (2, self.rewriter.ask_button)):
            (button.add_class if number == tab else button.remove_class)(DEFAULT_BUTTON)
        self._tabs.layout.display = "none" if who is None else ""
        self._put(self._head, nobody_html(NOBODY) if who is None else head_html(who))
        if who is not None:
            self._shows[tab](who)
        self._code.refresh()

    def _put(self, shown: widgets.HTML, html: str) -> None:
        shown.value = html

    def _told(self, text: str, line: str) -> None:
        if line:
            self._lines.append(line)
        self.say(text)

    def _done(self, text: str, line: str) -> None:
        self._told(text, line)
        self._changed()

    def _changed(self) -> None:
        self._show()
        self.edited += 1

    # -- the static form ---------------------------------------------------------------

    def static_text(self) -> str:
        """The person as text."""
        return "PersonaCard(person=None)" if self.person is None else person_text(self.person)

    def static_html(self) -> str:
        """The person as a card."""
        return nobody_html(NOBODY) if self.person is None else person_html(self.person)


def _origins_of(person: TinyPerson) -> str:
    return origins_html(person, event_of(scope(person.simulation_id), person))
