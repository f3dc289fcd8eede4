"""What a model proposes for one field or part of a person, to be compared and decided."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.comparison import Comparison

if TYPE_CHECKING:
    from tinyfactory.people.person import TinyPerson
    from tinyfactory.people.revisions import Revision
    from tinyfactory.people.schema.provenance import Origin


class Proposal:
    """A rewritten field or part; the person is as before until it is accepted.

    Shown as the comparison of what stands with what is proposed.

    Attributes
    ----------
    person : TinyPerson
    path : str
        The field or part, dotted.
    before, after : object
        What stands there, None for nothing, and what is proposed.
    comparison : Comparison
        The person as they are (left) and as they would be (right).
    decided : str
        ``""``, ``"accepted"`` or ``"rejected"``.
    """

    def __init__(
        self, person: TinyPerson, path: str, after: Any, changed: TinyPerson, origin: Origin
    ) -> None:
        self.person = person
        self.path = path
        self.before: Any = person.get(path)
        self.after = copy.deepcopy(after)
        self.comparison = Comparison(person, changed)
        self.decided = ""
        self._origin = origin

    def accept(self) -> Revision:
        """Put what is proposed in its place, as a revision that can be undone.

        Raises
        ------
        InvalidInput
            When it was decided before, or the field was changed meanwhile.
        """
        self._undecided()
        if self.person.get(self.path) != self.before:
            raise InvalidInput(
                f"{self.path} was changed after this was proposed. Nothing was changed. Ask for "
                "another proposal."
            )
        revision = self.person._revised(  # noqa: SLF001 - two files of one idea
            {self.path: self.after}, "rewritten", self._origin
        )
        if revision is None:  # never: a proposal differs from what stands
            raise InvalidInput(f"{self.path} is as proposed already. Nothing was changed.")
        self.decided = "accepted"
        return revision

    def reject(self) -> None:
        """Leave the person as they are.

        Raises
        ------
        InvalidInput
            When it was decided before.
        """
        self._undecided()
        self.decided = "rejected"

    def _undecided(self) -> None:
        if self.decided:
            raise InvalidInput(f"This proposal was {self.decided} already. Nothing was changed.")

    def __repr__(self) -> str:
        return repr(self.comparison)

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}
