"""One call while a recording is replayed: its recorded event, and what this run has had of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinyfactory.journal.cells import Execution
from tinyfactory.journal.key import Call, event_key
from tinyfactory.journal.records import Record
from tinyfactory.journal.scopes.context import Undo
from tinyfactory.journal.scopes.lines import Line
from tinyfactory.journal.values.state import StateCopy

if TYPE_CHECKING:  # slow to import, and needed for recordings only
    from tinyfactory.journal.recording.replay import RecordedStore
    from tinyfactory.journal.recording.turns import Turn


class RecordedCall:
    """The part of a transaction that concerns the recording.

    An event is applied once to each object. When a cell is run again, its events give the same
    objects and change only new ones, such as a second factory that its constructor made.

    Parameters
    ----------
    store : RecordedStore
    call : Call

    Attributes
    ----------
    repeated : bool
        Whether the event was applied before in this run, to the same objects.
    """

    def __init__(self, store: RecordedStore, call: Call) -> None:
        self.store = store
        self.call = call
        self.repeated = False
        self._turn: Turn | None = None
        self._made_again = ""

    # -- look-up -----------------------------------------------------------------------

    def find(
        self, content: Record, key: str, base: str, line: Line | None, execution: Execution | None
    ) -> tuple[str, Line | None]:
        """The key and the line of the recorded event of an outermost call, wherever it was made.

        They stay as they are if there is none.
        """
        on_class = isinstance(self.call.owner, type)
        for its_key, its_content in self._as_released(content, key, base):
            self._turn = self.store.turn(
                its_content,
                key=its_key,
                base=base,
                root="" if on_class or line is None else line.root,
                execution=execution,
                derived=self.call.method.derived,
                edit=self.call.method.edit,
            )
            if self._turn is not None:
                break
        else:
            return key, line
        key = self._turn.option.key
        if on_class:  # of several equal calls, the line of the one that was found
            root = (self.store.recording.get("event:" + key) or {})["line"]
            line = Line(root, self.store.get("line:" + root))
        return key, line

    def inner_key(self, content: Record, key: str, base: str) -> str:
        """The key of the recorded event of a call within another; `key` if there is none."""
        for its_key, its_content in self._as_released(content, key, base):
            found = self.store.inner_key(its_content, its_key, base)
            if self.holds([found]):
                return found
        return key

    def _as_released(self, content: Record, key: str, base: str) -> Iterator[tuple[str, Record]]:
        """The key and content of the call in this release, then those in earlier ones."""
        yield key, content
        for version in self.call.method.former_versions:
            former = content | {"version": version}
            yield event_key(base, former), former

    def runs_anew(self, key: str, record: Record, state: Any) -> bool:
        """Whether this is a recorded edit that is made for the first time, on another state.

        Its recorded change would undo later edits, and it needs no model.
        """
        first = self._turn is not None and not self._turn.repeated
        anew = self.call.method.edit and first and record["state"] != state
        if anew:
            self._made_again = key
        return anew

    def was_applied(self, key: str, things: Iterable[Any]) -> bool:
        """Whether an event was applied in this run, to all these objects."""
        turns = self.store.turns
        return turns.made_by(key) is not None and all(turns.has_changed(key, t) for t in things)

    def give_back(self) -> None:
        """Undo the look-up, because the call was rolled back."""
        if self._turn is not None:
            self.store.turns.give_back(self._turn)
            self._turn = None

    # -- replay ------------------------------------------------------------------------

    def begin_replay(self, key: str, things: Iterable[Any]) -> list[Any] | None:
        """Find out whether the event was applied before, to the same `things`.

        Returns
        -------
        list or None
            The objects that it made then, to be used again: by their numbers in the record, None
            for those that are gone. None if it was not applied before.
        """
        self.repeated = self.was_applied(key, self._changed(things))
        return self.store.turns.made_by(key)

    def apply_once(
        self, key: str, changes: Mapping[str, Any], things: Mapping[str, Any], made: Sequence[Any]
    ) -> tuple[list[tuple[str, Any]], Undo]:
        """The changes that are still to be made, and a function that undoes this call.

        Parameters
        ----------
        key : str
        changes : dict
            By the name of the object.
        things : dict
            The objects by name.
        made : sequence
            The objects in the result and the changes, by their numbers.
        """
        turns, changed = self.store.turns, self._changed(things.values())
        left = [
            (n, change) for n, change in changes.items() if not turns.has_changed(key, things[n])
        ]
        return left, turns.note(key, changed, made)

    def note(self, key: str, things: Iterable[Any], made: Sequence[Any]) -> None:
        """Remember an event that was stored in this run, so that it is not applied again."""
        changed = self._changed(things)
        for own in filter(None, (key, self._made_again)):
            self.store.turns.note(own, changed, made)

    def _changed(self, things: Iterable[Any]) -> list[Any]:
        owner = [] if isinstance(self.call.owner, type) else [self.call.owner]
        return [*{id(thing): thing for thing in (*owner, *things)}.values()]

    # -- a body that ran over recorded events ---------------------------------------------

    def holds(self, keys: Iterable[str]) -> bool:
        """Whether all these events are in the recording."""
        return all("event:" + key in self.store.recording for key in keys)

    def settle(
        self, key: str, before: Sequence[StateCopy], made: Sequence[Any]
    ) -> tuple[Record, Undo]:
        """End a call whose body ran over recorded events.

        Parameters
        ----------
        key : str
        before : sequence of StateCopy
            The objects that take part, as they were before the body. One that the event was
            applied to before is restored, because the body has changed it again.
        made : sequence
            The objects in the result and the changes, by their numbers.

        Returns
        -------
        tuple
            The record, and a function that undoes this call.
        """
        turns = self.store.turns
        for copy in before:
            if turns.has_changed(key, copy.thing):
                copy.restore()
        record = self.store.get("event:" + key) or {}
        return record, turns.note(key, [copy.thing for copy in before], made)
