"""A proposed rewrite of one field or part of a person."""

from __future__ import annotations

import copy
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.comparison import Comparison
from tinyfactory.people.protocols import PersonLike, Revisable
from tinyfactory.people.revisions import Revision
from tinyfactory.people.schema.provenance import Origin


class Proposal:
    """A rewritten field or part. The person changes only when it is accepted.

    Shown as a comparison of the present value with the proposed one.

    Attributes
    ----------
    person : TinyPerson
    path : str
        The field or part, dotted.
    before, after : object
        The present value, None if missing, and the proposed one.
    comparison : Comparison
        The person before (left) and after (right) accepting it.
    decided : str
        ``""``, ``"accepted"`` or ``"rejected"``.
    """

    def __init__(
        self, person: Revisable, path: str, after: Any, changed: PersonLike, origin: Origin
    ) -> None:
        self.person = person
        self.path = path
        self.before: Any = person.get(path)
        self.after = copy.deepcopy(after)
        self.comparison: Comparison[PersonLike] = Comparison(person, changed)
        self.decided = ""
        self._origin = origin

    def accept(self) -> Revision:
        """Apply the proposal, as a revision that can be undone.

        Raises
        ------
        InvalidInput
            When it was decided already, or the field has changed since.
        """
        self._undecided()
        if self.person.get(self.path) != self.before:
            raise InvalidInput(
                f"{self.path} was changed after this was proposed. Nothing was changed. Ask for "
                "another proposal."
            )
        revision = self.person._revised(  # noqa: SLF001 - the package's own
            {self.path: self.after}, "rewritten", self._origin
        )
        if revision is None:  # never: a proposal differs from the present value
            raise InvalidInput(f"{self.path} is as proposed already. Nothing was changed.")
        self.decided = "accepted"
        return revision

    def reject(self) -> None:
        """Discard the proposal; the person stays the same.

        Raises
        ------
        InvalidInput
            When it was decided already.
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
