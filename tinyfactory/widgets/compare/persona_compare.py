"""`PersonaCompare`: two to four people side by side, and twins of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ipywidgets as widgets
import traitlets

from tinyfactory.errors import InvalidInput
from tinyfactory.people import Comparison, People, TinyPerson
from tinyfactory.people.comparison import Twins
from tinyfactory.people.render.comparison import comparison_text, side_by_side_html
from tinyfactory.people.render.html import nobody_html
from tinyfactory.people.render.person import people_html, people_text
from tinyfactory.widgets.compare.twin_form import TwinForm
from tinyfactory.widgets.parts.base_panel import BasePanel
from tinyfactory.widgets.parts.identity_trait import IdentityTrait

MOST = 4
NOBODY = "Two to four people can be compared. Set `compare.people`, or choose some in a list."
ALONE = "One person is here. Choose another one, or make a twin."


class PersonaCompare(BasePanel):
    """See how people differ, field by field and word by word, and make twins.

    In code: `tinyfactory.people.compare` and `TinyPerson.twin`.

    Parameters
    ----------
    people : iterable of TinyPerson, or Comparison
        At most four people; or the two of a comparison or of twins.
    factory : TinyPersonFactory, optional
        Makes twins; by default the factory that made the person.

    Attributes
    ----------
    people : People
        The shown people; can be set, also to a comparison or twins, and observed.
    only_differences : bool
        Whether equal fields are hidden.
    twins : Twins or None
        The last twins.
    error : BaseException or None
        The last error.

    Examples
    --------
    >>> ana = TinyPerson("Ana", {"age": 34, "style": "Calm."}, register=False)
    >>> bo = TinyPerson("Bo", {"age": 60, "style": "Calm."}, register=False)
    >>> compare = PersonaCompare([ana, bo])
    >>> [field.path for field in compare.comparisons[0].differences]
    ['name', 'age']
    >>> print(compare.code())
    from tinyfactory.people import compare
    <BLANKLINE>
    compare(people[0], people[1])
    """

    people = IdentityTrait(People())
    only_differences = traitlets.Bool(False)
    twins = traitlets.Instance(Twins, allow_none=True)

    def __init__(
        self, people: Iterable[TinyPerson] | Comparison[TinyPerson] = (), *, factory: Any = None
    ) -> None:
        self._line = ""
        self.comparisons: list[Comparison[TinyPerson]] = []
        self._given: Comparison[TinyPerson] | None = None
        self._only = widgets.Checkbox(
            False, description="Only what differs", indent=False,
            tooltip="Leave out what is the same in all",
        )  # fmt: skip
        self._shown = widgets.HTML()
        self.maker = TwinForm(self.say, self._made, self.failed)
        self.maker.factory = factory
        self._twin = widgets.ToggleButton(
            False, description="Make a twin", icon="clone",
            tooltip="Write one of them once more, with one thing changed",
        )  # fmt: skip
        self.maker.layout.display = "none"
        traitlets.link((self, "only_differences"), (self._only, "value"))
        self._twin.observe(lambda change: self._open(change.new), "value")
        row = widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 1em")
        buttons = widgets.HBox([self._twin, self._only], layout=row)
        super().__init__([buttons, self.maker], below=[self._shown])
        self.observe(lambda _: self._show(), "only_differences")
        self.observe(lambda _: self._met(), "people")
        self.people = people
        if not self.people:
            self._met()

    # -- what code does ----------------------------------------------------------------

    def make_twin(self, person: TinyPerson, **change: Any) -> Twins[TinyPerson]:
        """Make a twin, wait for it, and show both. The arguments are those of `TinyPerson.twin`.

        Raises
        ------
        TinyFactoryError
            As `TinyPerson.twin`; the shown people stay.
        """
        twins = person.twin(factory=self.maker.factory, **change)
        told = ", ".join(f"{name}={value!r}" for name, value in change.items())
        self._made(twins, f"person.twin({told})")
        return twins

    def code(self) -> str:
        """The code that compares the same people."""
        if self._line:
            return f"twins = {self._line}\ntwins"
        lines = ["from tinyfactory.people import compare", ""]
        return "\n".join(
            lines + [f"compare(people[0], people[{n}])" for n in range(1, max(2, len(self.people)))]
        )

    # -- showing -----------------------------------------------------------------------

    @traitlets.validate("people")
    def _check(self, proposal: Any) -> People:
        value = proposal["value"]
        given = value if isinstance(value, Comparison) else None
        people = People(value if given is None else given.people)
        if len(people) > MOST:
            raise InvalidInput(
                f"At most {MOST} people stand side by side, and these are {len(people)}. "
                f"Nothing was changed. Choose some of them: people[:{MOST}]."
            )
        self._given = given
        return people

    def _met(self) -> None:
        """Compare the present people."""
        people, given = self.people, self._given
        self._line = ""
        self.twins = given if isinstance(given, Twins) else None
        self.comparisons = (
            [given] if given is not None else [Comparison(people[0], p) for p in people[1:]]
        )
        self.maker.show(people)
        self._twin.disabled = not people
        self._show()
        if not self.maker.running:
            self.say("" if self.comparisons or not people else ALONE)

    def _show(self) -> None:
        self._only.disabled = not self.comparisons
        self._shown.value = self.static_html()
        self._code.refresh()
        self.store_soon()

    def _made(self, twins: Twins[TinyPerson], line: str) -> None:
        self.people = twins
        self._line = line
        self.say(f"A twin of {twins.original.name}: what was not asked for is marked.")

    def _open(self, opened: bool) -> None:
        self.maker.layout.display = "" if opened else "none"

    # -- the static form ---------------------------------------------------------------

    def static_text(self) -> str:
        """The differences as text."""
        if self.comparisons:
            return "\n\n".join(map(comparison_text, self.comparisons))
        return people_text(self.people)

    def static_html(self) -> str:
        """The people side by side."""
        if self.comparisons:
            return side_by_side_html(self.comparisons, only_differences=self.only_differences)
        return people_html(self.people) if self.people else nobody_html(NOBODY)
