"""One call while a recording is replayed: its recorded event, and what this run has had of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tinyfactory.journal.cells import Execution
from tinyfactory.journal.key import Call, event_key
from tinyfactory.journal.records import Record
from tinyfactory.journal.scope import Line, Undo, origins
from tinyfactory.journal.serializer import decode, objects_in

if TYPE_CHECKING:  # slow to import, and needed for recordings only
    from tinyfactory.journal.recording.replay import RecordedStore
    from tinyfactory.journal.recording.turns import Turn

Enter = Callable[[Any, bool], Any]


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

    def entering(self, key: str, enter: Enter) -> tuple[Callable[[Any], Any], list[Any]]:
        """How the objects in an event's result are registered, and a list that they are added to.

        An object that the event made before is used again. `enter` is called with each other
        object, and whether the event was applied before.
        """
        before = self.store.turns.made_by(key)
        made: list[Any] = []

        def swap(thing: Any) -> Any:
            known = None if before is None else next(before, None)
            made.append(enter(thing, before is not None) if known is None else known)
            return made[-1]

        return swap, made

    def apply_once(
        self, key: str, changes: Mapping[str, Any], things: Mapping[str, Any], made: list[Any]
    ) -> tuple[list[tuple[str, Any]], Undo]:
        """The changes that are still to be made, and a function that undoes this call.

        Parameters
        ----------
        key : str
        changes : dict
            By the name of the object.
        things : dict
            The objects by name.
        made : list
            The objects in the result.
        """
        turns, changed = self.store.turns, self._changed([things[name] for name in changes])
        self.repeated = self.was_applied(key, changed)
        left = [
            (n, change) for n, change in changes.items() if not turns.has_changed(key, things[n])
        ]
        return left, turns.note(key, changed, made)

    def note(self, key: str, things: Iterable[Any], result: Any) -> None:
        """Remember an event that was stored in this run, so that it is not applied again."""
        changed, made = self._changed(things), objects_in(result)
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
        self, key: str, result: Any, before: Mapping[str, Callable[[], object]]
    ) -> tuple[Record, Any, Undo]:
        """End a call whose body ran over recorded events: with its recorded result.

        Parameters
        ----------
        key : str
        result : object
            The result of the body, whose objects are used.
        before : dict
            By the name of each object that takes part, a function that restores its state. An
            object that the event was applied to before stays as it was.

        Returns
        -------
        tuple
            The record, the result, and a function that undoes this call.
        """
        record, participants = self.store.get("event:" + key) or {}, self.call.participants
        for name, restore in before.items():
            if self.store.turns.has_changed(key, participants[name]):
                restore()
        made = objects_in(result)
        for thing in made:
            origins.put(thing, key)
        stored: list[Any] = []
        decode(record["result"], stored.append)
        if len(stored) == len(made):
            left = iter(made)
            result = decode(record["result"], lambda _: next(left))
        return record, result, self.store.turns.note(key, participants.values(), made)
