"""Editing a person, one step at a time: each step is checked, kept, and can be taken back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.serializer import same
from tinyfactory.journal.transactional import transactional
from tinyfactory.people.abilities import ability
from tinyfactory.people.schema import edits
from tinyfactory.people.schema.normalise import normalise
from tinyfactory.people.schema.provenance import Origin, origins_of, with_origins
from tinyfactory.people.schema.values import plain

if TYPE_CHECKING:
    from tinyfactory.people.proposal import Proposal

Json = dict[str, Any]
Source = Literal["edited", "rewritten"]
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Revision:
    """One edit of a person: what stood before and after, by dotted path; None where nothing did.

    `source` says who wrote what is new: the one who edits (``"edited"``), or a model that was
    asked for it (``"rewritten"``).
    """

    number: int
    changes: dict[str, tuple[Any, Any]]
    source: Source
    undone: bool


class Revises:
    """A person's edits; a part of `TinyPerson`."""

    _persona: Json
    provenance: Json
    # What was done, oldest first: an edit, or ``{"undoes": number}``. Only ever added to.
    _revisions: list[Json]
    # How many rewritings were proposed: the next one is asked for anew.
    _proposals: int

    def _change(self, persona: Json) -> None:
        raise NotImplementedError  # TinyPerson's

    def revise(self, changes: Mapping[str, Any]) -> Revision | None:
        """Change fields as one step that can be taken back: all of them, or none.

        In a simulation the step is kept, on the person's own line. `define` changes fields
        without a trace.

        Parameters
        ----------
        changes : mapping
            New values by field, as `get` names them: ``{"age": 35, "occupation.title":
            "midwife"}``. None takes a field away.

        Returns
        -------
        Revision or None
            None when all of that stands already, so that nothing was done.

        Raises
        ------
        InvalidPersona
            For a value that cannot be; nothing is changed.
        NameTaken
            For a new name that someone else bears; nothing is changed.

        Examples
        --------
        >>> from tinyfactory import TinyPerson
        >>> ana = TinyPerson("Ana", {"age": 34}, register=False)
        >>> ana.revise({"age": 35}).changes
        {'age': (34, 35)}
        >>> ana.origins()["age"], ana.undo().number, ana.get("age")
        ('edited', 1, 34)
        """
        return self._revised(changes, "edited", "edited")

    @property
    def revisions(self) -> list[Revision]:
        """The edits so far, oldest first, those that were taken back among them."""
        gone = {record["undoes"] for record in self._revisions if "undoes" in record}
        return [
            Revision(
                number=record["number"],
                changes={
                    ".".join(change["way"]): (
                        copy.deepcopy(change.get("before")),
                        copy.deepcopy(change.get("after")),
                    )
                    for change in record["changes"]
                },
                source=record["source"],
                undone=record["number"] in gone,
            )
            for record in self._revisions
            if "number" in record
        ]

    def undo(self) -> Revision:
        """Take the latest edit back that still stands; a step of its own.

        Raises
        ------
        InvalidInput
            When no edit stands.
        NameTaken
            When the name of before was taken by someone else meanwhile; nothing is changed.
        """
        standing = [revision.number for revision in self.revisions if not revision.undone]
        if not standing:
            raise InvalidInput("There is no edit to take back. Nothing was changed.")
        self._take_back(standing[-1])
        return self.revisions[standing[-1] - 1]

    def rewrite(
        self, path: str, *, wish: str = "", factory: Any = None, attempts: int = 5
    ) -> Proposal:
        """Ask the model for one field or part anew; nothing changes until it is accepted.

        It is told the rest of the person, what stands there now, and the wish. What it answers
        is checked as part of this person. Asked again, it is asked for yet another one.

        Parameters
        ----------
        path : str
            The field or part: ``"beliefs"``, ``"occupation"``, ``"behaviors.routines.morning"``.
        wish : str
            What it shall be like, in words.
        factory : TinyPersonFactory, optional
            Whose model, context and language count; by default the factory here that made the
            person, else the model and language that are configured.
        attempts : int
            How many replies to ask for at most.

        Returns
        -------
        Proposal
            To compare, and to `accept()` or `reject()`.

        Raises
        ------
        InvalidInput
            For what is no field, before anything is sent.
        ReplyRejected, ModelError, BudgetExceeded
            When no usable reply is to be had.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Bakers in Vienna", model="offline")
        >>> baker = factory.generate_person()
        >>> proposal = baker.rewrite("beliefs")
        >>> proposal.before == baker.get("beliefs") != proposal.after
        True
        >>> proposal.accept().source, baker.get("beliefs") == proposal.after
        ('rewritten', True)
        """
        proposal: Proposal = ability("rewrite")(self, path, wish, factory, attempts)
        return proposal

    @property
    def proposals(self) -> int:
        """How many rewritings were proposed so far, accepted or not."""
        return self._proposals

    def origins(self) -> dict[str, Origin]:
        """Where each field came from, by dotted path; see `tinyfactory.people.schema.provenance`.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Bakers in Vienna", model="offline")
        >>> found = factory.generate_person({"age": 34}).origins()
        >>> found["age"], found["beliefs"]
        ('asked', 'offline')
        """
        return origins_of(self._persona, self.provenance)

    # -- as steps ----------------------------------------------------------------------

    def _revised(
        self, changes: Mapping[str, Any], source: Source, origin: Origin
    ) -> Revision | None:
        if not isinstance(changes, Mapping) or not changes:
            raise InvalidInput(
                'What to change is given by field, e.g. {"age": 35}. Nothing was changed.'
            )
        if not differences(self._persona, edits.defined(self._persona, list(changes.items()))):
            return None
        self._revise(plain(dict(changes)), source, origin)
        return self.revisions[-1]

    @transactional(version="1", touches=("self",))
    def _revise(self, changes: Json, source: Source, origin: Origin) -> None:
        before = self._persona
        self._change(edits.defined(before, list(changes.items())))
        found = differences(before, self._persona)
        record = {
            "number": sum("number" in record for record in self._revisions) + 1,
            "changes": found,
            "source": source,
            "origins": copy.deepcopy(self.provenance.get("origins")),
        }
        self._revisions = [*self._revisions, record]
        self.provenance = with_origins(self.provenance, [change["way"] for change in found], origin)

    @transactional(version="1", touches=("self",))
    def _take_back(self, number: int) -> None:
        record = next(r for r in self._revisions if r.get("number") == number)
        self._change(normalise(without(self._persona, record["changes"]), partial=True))
        self._revisions = [*self._revisions, {"undoes": number}]
        rest = {key: value for key, value in self.provenance.items() if key != "origins"}
        kept = copy.deepcopy(record["origins"])
        self.provenance = rest if kept is None else rest | {"origins": kept}


def differences(before: Any, after: Any, way: tuple[str, ...] = ()) -> list[Json]:
    """What differs between two personas, as far down as both are objects.

    Examples
    --------
    >>> differences({"age": 34}, {"age": 35, "style": "Calm."})
    [{'way': ['age'], 'before': 34, 'after': 35}, {'way': ['style'], 'after': 'Calm.'}]
    """
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            found
            for key in dict.fromkeys((*before, *after))
            for found in differences(before.get(key, _ABSENT), after.get(key, _ABSENT), (*way, key))
        ]
    if same(before, after):
        return []
    sides = {"before": before, "after": after}
    return [
        {"way": list(way)} | {k: copy.deepcopy(v) for k, v in sides.items() if v is not _ABSENT}
    ]


def without(persona: Json, changes: list[Json]) -> Json:
    """The persona with these changes taken back; what was changed elsewhere since stays."""
    draft = copy.deepcopy(persona)
    for change in changes:
        *way, leaf = change["way"]
        here = draft
        for step in way:
            inner = here.get(step)
            here = here.setdefault(step, {}) if isinstance(inner, dict) else _fresh(here, step)
        if "before" in change:
            here[leaf] = copy.deepcopy(change["before"])
        else:
            here.pop(leaf, None)
    return draft


def _fresh(here: Json, step: str) -> Json:
    here[step] = {}
    inner: Json = here[step]
    return inner
