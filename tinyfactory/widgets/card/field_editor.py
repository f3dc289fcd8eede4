"""`FieldEditor`: edit the fields of a person; save, discard, undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from tinyfactory.errors import InvalidInput, InvalidPersona
from tinyfactory.people import TinyPerson
from tinyfactory.people.render.html import hint_html, status_html
from tinyfactory.people.render.person import revision_text
from tinyfactory.people.schema.fields import HINTS, Field, as_text, check, fields, reason
from tinyfactory.utils.concurrency import Aside
from tinyfactory.utils.text import count
from tinyfactory.widgets.parts.debounce import after_typing

LABEL = {"description_width": "14em"}
_ONE_LINE = ("line", "number")


def offer(choice: widgets.Dropdown, options: list[tuple[str, str]]) -> None:
    """Set the options; the chosen one stays chosen if it is among them, else the first is."""
    if tuple(options) == choice.options:
        return
    before, values = choice.value, [value for _, value in options]
    choice.options = options
    choice.value = before if before in values else next(iter(values), None)


class FieldRow(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """One field: its label, its text, and the error or a hint below it.

    Parameters
    ----------
    field : Field
    typed : callable
        Gets the row when its text changes.
    """

    def __init__(self, field: Field, typed: Callable[[FieldRow], object]) -> None:
        self.field = field
        kind = widgets.Text if field.kind in _ONE_LINE else widgets.Textarea
        self.input = kind(
            "", description=f"{field.label}:", style=LABEL, layout=widgets.Layout(width="98%")
        )
        self.input.observe(lambda _: typed(self), "value")
        self._said = widgets.HTML(layout=widgets.Layout(margin="0 0 0 14.4em"))
        super().__init__(children=[self.input, self._said])
        self.say("")

    def show(self, text: str) -> None:
        """Show a text, and fit the height of the field to it."""
        if isinstance(self.input, widgets.Textarea):
            self.input.rows = max(2, min(10, sum(1 + len(x) // 80 for x in text.split("\n"))))
        self.input.value = text

    def say(self, wrong: str) -> None:
        """Show the error below the field, or the hint if there is none."""
        self.wrong = wrong
        hint = HINTS[self.field.kind]
        self._said.value = status_html(wrong, wrong=True) if wrong else hint_html(hint)
        self._said.layout.display = "" if wrong or hint else "none"

    def close(self) -> None:
        """Close it with all widgets in it."""
        for widget in (self.input, self._said):
            for part in (widget.style, widget.layout, widget):
                part.close()
        self.layout.close()
        super().close()


class FieldEditor(widgets.VBox):  # type: ignore[misc]
    r"""The fields of one part of a person at a time, with Save, Discard and Undo.

    Unsaved text belongs to its person, also while another person is shown.

    Parameters
    ----------
    changed : callable
        Gets a sentence and the line of code that does the same, after the person changed.
    failed : callable
        Gets the error; nothing was changed.

    Examples
    --------
    >>> editor = FieldEditor(lambda said, code: print(said, code, sep="\n"), print)
    >>> ana = TinyPerson("Ana", {"age": 34}, register=False)
    >>> editor.show(ana)
    >>> editor.type("age", "35")
    >>> editor.save()
    Saved: Age: 34 → 35 (edited)
    person.revise({'age': 35})
    """

    def __init__(
        self, changed: Callable[[str, str], object], failed: Callable[[BaseException], object]
    ) -> None:
        self._changed, self._failed = changed, failed
        self.person: TinyPerson | None = None
        self._drafts: Aside[dict[str, str]] = Aside()
        self._rows: dict[tuple[str, str], FieldRow] = {}
        self._showing = False
        self.part = widgets.Dropdown(
            description="Part:", style=LABEL, layout=widgets.Layout(width="32em"),
            tooltip="Which part of the person to edit",
        )  # fmt: skip
        self.part.observe(lambda _: self._open(), "value")
        self._box = widgets.VBox()
        self.save_button = widgets.Button(
            description="Save", icon="check", button_style="primary",
            tooltip="Save what was typed, in all parts, as one step",
        )  # fmt: skip
        self.discard_button = widgets.Button(
            description="Discard", icon="times", tooltip="Show again what is saved"
        )
        self.undo_button = widgets.Button(
            description="Undo", icon="undo", tooltip="Take the latest edit back"
        )
        self._unsaved = widgets.HTML()
        self._settled = after_typing(self._saved_by_click)
        self.save_button.on_click(lambda _: self._clicked())
        self.discard_button.on_click(lambda _: self.discard())
        self.undo_button.on_click(lambda _: self._caught(self.undo))
        super().__init__(
            children=[
                self.part,
                self._box,
                widgets.HBox([self.save_button, self.discard_button, self.undo_button]),
                self._unsaved,
            ]
        )

    # -- fields ------------------------------------------------------------------------

    def show(self, person: TinyPerson | None) -> None:
        """Show the present values of this person."""
        if person is not self.person:
            self._settled.cancel()  # a click on Save for the person before
        self.person = person
        self._fields = [] if person is None else fields(person.persona)
        offer(self.part, [(title, title) for title in dict.fromkeys(self._titles())])
        self._open()

    @property
    def drafts(self) -> dict[str, str]:
        """The unsaved texts, by field."""
        return {} if self.person is None else self._drafts.of(self.person, dict)

    def type(self, path: str, text: str) -> None:
        """Type into a field, whose part is shown first."""
        self.row(path).input.value = text

    def row(self, path: str) -> FieldRow:
        """The row of a field, whose part is shown first."""
        self.part.value = self._field(path).section
        return self._row(self._field(path))

    def _field(self, path: str) -> Field:
        found = next((field for field in self._fields if field.path == path), None)
        if found is None:
            raise InvalidInput(f"{path!r} is no field of this person. Nothing was changed.")
        return found

    def _row(self, field: Field) -> FieldRow:
        key = (field.path, field.kind)
        if key not in self._rows:
            self._rows[key] = FieldRow(field, self._typed)
        return self._rows[key]

    def _open(self) -> None:
        """Show the rows of the chosen part, with unsaved texts where there are any."""
        shown = [field for field in self._fields if field.section == self.part.value]
        rows = [self._row(field) for field in shown]
        self._showing = True
        try:
            for row in rows:
                saved = self._saved(row.field)
                row.show(self.drafts.get(row.field.path, saved))
                row.say("")
        finally:
            self._showing = False
        self._box.children = rows
        known = {(field.path, field.kind) for field in fields({})}
        for key in [key for key, row in self._rows.items() if row not in rows and key not in known]:
            self._rows.pop(key).close()
        self._tell()

    def _saved(self, field: Field) -> str:
        return "" if self.person is None else as_text(field.kind, self.person.get(field.path))

    def _typed(self, row: FieldRow) -> None:
        if self._showing or self.person is None:
            return
        if row.input.value == self._saved(row.field):
            self.drafts.pop(row.field.path, None)
        else:
            self.drafts[row.field.path] = row.input.value
        row.say("")
        self._tell()

    def _tell(self) -> None:
        number = len(self.drafts)
        # Save stays enabled: the kernel may get Enter before the text that was typed before it.
        self.save_button.disabled = self.person is None
        self.discard_button.disabled = not number
        text = f"Not saved yet: {count(number, 'field', 'fields')}." if number else ""
        self._unsaved.value = hint_html(text)
        last = self._last()
        self.undo_button.disabled = last is None
        told = "" if last is None else f": {revision_text(last)}"
        self.undo_button.tooltip = f"Take the latest edit back{told}"

    def _last(self) -> Any:
        standing = [] if self.person is None else self.person.revisions
        return next((r for r in reversed(standing) if not r.undone), None)

    def _titles(self) -> list[str]:
        return [field.section for field in self._fields]

    def close(self) -> None:
        """Close it with the rows of all parts."""
        self._settled.cancel()
        for row in self._rows.values():
            row.close()
        self._rows = {}
        super().close()

    # -- actions -----------------------------------------------------------------------

    def save(self) -> None:
        """Save all unsaved texts as one edit.

        Raises
        ------
        InvalidInput
            For an invalid value, also shown below its field; nothing is changed then.
        """
        person, drafts = self._someone(), self.drafts
        changes, wrong = {}, {}
        for path, text in drafts.items():
            try:
                changes[path] = check(person.persona, self._field(path), text)
            except InvalidPersona as error:
                wrong[path] = str(error)
        if not wrong:
            try:
                revision = person.revise(changes) if changes else None
            except InvalidInput as error:  # of the values together, or of a name that is taken
                wrong["name" if "name" in changes else next(iter(changes))] = reason(error)
        if wrong:
            self._point_at(wrong)
            raise InvalidPersona(
                f"Nothing was changed: {' '.join(wrong.values())} What was typed still stands."
            )
        drafts.clear()
        self.show(person)
        if revision is None:
            self._changed("Nothing differs from what is saved.", "")
        else:
            self._changed(f"Saved: {revision_text(revision)}", f"person.revise({changes!r})")

    def discard(self) -> None:
        """Discard the unsaved texts."""
        self.drafts.clear()
        self._open()

    def undo(self) -> None:
        """Undo the latest edit."""
        revision = self._someone().undo()
        self.show(self.person)
        self._changed(f"Undone: {revision_text(revision)}", "person.undo()")

    def _someone(self) -> TinyPerson:
        if self.person is None:
            raise InvalidInput("There is nobody to edit here. Set `card.person` first.")
        return self.person

    def _point_at(self, wrong: dict[str, str]) -> None:
        """Show the first part with an error, and the errors below their fields."""
        sections = [self._field(path).section for path in wrong]
        if self.part.value not in sections:
            self.part.value = sections[0]
        for path, words in wrong.items():
            self._row(self._field(path)).say(words)

    def _clicked(self) -> None:
        self.save_button.disabled = True
        self._settled.soon()

    def _saved_by_click(self) -> None:
        self._caught(self.save)
        self._tell()

    def _caught(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the user has to see it
            self._failed(error)
