"""What one run of a notebook has had of a recording, cell by cell."""

from __future__ import annotations

import threading
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinyfactory.journal.cells import Execution, say
from tinyfactory.utils.concurrency import open_after_fork

_AGAIN = (
    "This cell was run before in this recording, so its calls give the same results again and "
    "change nothing. To start from the beginning, open the recording again."
)
_ELSEWHERE = (
    "Another cell made this call before in this recording, so this one gives the same result and "
    "changes nothing. To start from the beginning, open the recording again."
)


class Option(NamedTuple):
    """A recorded event or line that a call or an object may be.

    Attributes
    ----------
    key : str
        The event's key, or the line's root.
    number : int
        Among equal ones. Options of one number are alternatives.
    cell : str
        The cell that it was recorded in, if it is recorded.
    base : str
        The place of the event.
    """

    key: str
    number: int
    cell: str
    base: str = ""


class Turn(NamedTuple):
    """What a call or an object was found to be.

    `repeated` is true in a cell that is run again. The other parts are those that it is given
    back with.
    """

    option: Option
    repeated: bool
    kind: str
    cell: str
    execution: str


class _Kind:
    """The options of equal calls that no cell has had."""

    def __init__(self, options: Iterable[Option]) -> None:
        self._options: dict[int, list[Option]] = defaultdict(list)
        self._places: dict[str, int] = {}
        self._cells: dict[str, dict[int, None]] = defaultdict(dict)
        for option in sorted(options, key=lambda option: option.number):
            self._options[option.number].append(option)
            self._cells[option.cell][option.number] = None
            self._places.setdefault(option.base, option.number)
        for options_of in self._options.values():
            self._places |= {option.key: option.number for option in options_of}
        self._free = dict.fromkeys(self._options)

    def best(self, execution: Execution | None, exact: str, base: str) -> Option | None:
        """The option that fits a call best, or None when all are taken."""
        pool = self._free
        if execution is not None:
            # The cells of a notebook are few.
            alike = [
                (likeness, {n: None for n in numbers if n in self._free})
                for cell, numbers in self._cells.items()
                if (likeness := execution.likeness(cell))
            ]
            alike = [(likeness, numbers) for likeness, numbers in alike if numbers]
            if alike:
                best = max(likeness for likeness, _ in alike)
                pool = {n: None for likeness, own in alike if likeness == best for n in own}
        if not pool:
            return None
        places = [self._places.get(place) for place in (exact, base) if place]
        number = next((n for n in places if n in pool), None)
        options = self._options[min(pool) if number is None else number]
        return min(options, key=lambda option: (option.key != exact, option.base != base))

    def shared(self, execution: Execution, count: int, exact: str) -> Option | None:
        """The option for the next call of a further cell, whoever has had it, or None.

        Parameters
        ----------
        execution : Execution
            The execution of the cell. Options of a cell with its source come first.
        count : int
            How many equal calls it has made.
        exact : str
            The key that the event has at the place of the call.
        """
        likeness: dict[int, int] = defaultdict(int)
        for cell, numbers in self._cells.items():
            for number in numbers:
                likeness[number] = max(likeness[number], execution.likeness(cell))
        for number in sorted(self._options, key=lambda n: (-likeness[n], n))[count : count + 1]:
            return min(self._options[number], key=lambda option: option.key != exact)
        return None

    def take(self, option: Option) -> None:
        """Take an option and its alternatives."""
        self._free.pop(option.number, None)

    def give_back(self, option: Option) -> None:
        """Undo `take`."""
        self._free[option.number] = None


@dataclass(slots=True)
class _Applied:
    """The objects that an event has changed and made in this run."""

    things: list[weakref.ref[Any]]
    made: list[weakref.ref[Any]]


class Turns:
    """Gives each call its recorded event: the nth equal one to the nth, and again in a second run.

    A cell that is run again gets the events that it got before, in the same order. Otherwise a
    call gets the first event that no cell has had: of those that this cell was recorded with, if
    there are any, and the one at the very place of the call, if there is one. A further cell, after
    others have had all events, gets the same from the first on.
    """

    def __init__(self) -> None:
        self._lock = open_after_fork(threading.RLock())
        # Equal calls so far, by execution and kind of call.
        self._counts: Counter[tuple[str, str]] = Counter()
        # What each cell got, by cell and kind, and what is left, by kind.
        self._got: dict[tuple[str, str], list[Option]] = defaultdict(list)
        self._kinds: dict[str, _Kind] = {}
        self._had: dict[str, list[str]] = defaultdict(list)  # keys, by execution
        # Cells of executions whose source is that of an earlier cell.
        self._copies: dict[str, str] = {}
        self._decided: set[str] = set()
        self._again: set[str] = set()  # executions of cells that are run again
        self._told: set[str] = set()
        self._applied: dict[str, _Applied] = {}
        self._edits: dict[tuple[str, str], list[tuple[weakref.ref[Any], Any]]] = defaultdict(list)

    # -- turns ---------------------------------------------------------------------------

    def take(
        self,
        kind: str,
        execution: Execution | None,
        options: Callable[[], Iterable[Option]],
        *,
        exact: str = "",
        base: str = "",
        tell: bool = True,
        shared: bool = False,
    ) -> Turn | None:
        """The recorded event or line of a call or an object, or None when there is none left.

        Parameters
        ----------
        kind : str
            The same for equal calls.
        execution : Execution or None
            The execution of the cell that makes the call.
        options : callable
            All recorded events of this kind.
        exact, base : str
            The key that the event has at the place of the call, and that place.
        tell : bool
            Whether to say that the cell is run again. An object is looked up when it is called for
            the first time, which may be in another cell than that of `execution`.
        shared : bool
            Whether a cell that has had none may have those of other cells.
        """
        number = "" if execution is None else execution.number
        with self._lock:
            left = self._kinds.get(kind)
            if left is None:
                left = self._kinds[kind] = _Kind(options())
            count, cell = self._counts[number, kind], self._cell(execution)
            had = self._got[cell, kind]
            if count < len(had):
                following = left.best(None, exact, base)
                if execution is None or not self._is_copy(execution, had[count], following):
                    self._counts[number, kind] += 1
                    self._had[number].append(had[count].key)
                    self._again.add(number)
                    if tell:
                        self._say(number, _AGAIN)
                    return Turn(had[count], True, kind, cell, number)
                cell = self._cell(execution)
            best = left.best(execution, exact, base)
            if best is None and shared and execution is not None and not self._got[cell, kind]:
                best = left.shared(execution, count, exact)
                if best is not None:
                    self._counts[number, kind] += 1
                    self._had[number].append(best.key)
                    if tell:
                        self._say(number, _ELSEWHERE)
                    return Turn(best, True, kind, cell, number)
            if best is None:
                return None
            self._counts[number, kind] += 1
            self._got[cell, kind].append(best)
            self._had[number].append(best.key)
            left.take(best)
            return Turn(best, False, kind, cell, number)

    def give_back(self, turn: Turn) -> None:
        """Undo a turn, for a call that was rolled back."""
        with self._lock:
            self._counts[turn.execution, turn.kind] -= 1
            self._had[turn.execution].remove(turn.option.key)
            if not turn.repeated:
                self._got[turn.cell, turn.kind].remove(turn.option)
                self._kinds[turn.kind].give_back(turn.option)

    def had_by(self, execution: Execution | None) -> tuple[set[str], set[str], set[str]]:
        """The keys that any cell has had, that this cell has had, and that this execution has."""
        with self._lock:
            cell = self._cell(execution)
            own = {o.key for (c, _), had in self._got.items() if c == cell for o in had}
            other = {o.key for had in self._got.values() for o in had}
            return other, own, set(self._had["" if execution is None else execution.number])

    def forget(self, keys: Iterable[str]) -> None:
        """Let these events be had again, because their object went back to before them."""
        gone = set(keys)
        with self._lock:
            for key in gone:
                self._applied.pop(key, None)
            for (_, kind), had in self._got.items():
                for option in [option for option in had if option.key in gone]:
                    had.remove(option)
                    self._kinds[kind].give_back(option)

    def _cell(self, execution: Execution | None) -> str:
        if execution is None:
            return ""
        return self._copies.get(execution.number, execution.cell)

    def _is_copy(self, execution: Execution, had: Option, following: Option | None) -> bool:
        """Whether this is another cell with the source of an earlier one, and no second run.

        Without the ids of cells only the recording can tell: it is another cell if the next event
        was recorded in a cell of the same source, and not in the cell of the event before.
        """
        if execution.id or execution.number in self._decided:
            return False
        self._decided.add(execution.number)
        if following is None:
            return False
        (cell, _, source), before = following.cell.partition(":"), had.cell.partition(":")[0]
        if source != execution.source or (cell and cell == before):
            return False
        self._copies[execution.number] = f"{execution.cell}#{len(self._copies) + 2}"
        return True

    def _say(self, number: str, text: str) -> None:
        if number not in self._told:
            self._told.add(number)
            say(text)

    # -- objects -------------------------------------------------------------------------

    def has_changed(self, key: str, thing: Any) -> bool:
        """Whether an event's change was made on this object."""
        applied = self._applied.get(key)
        return applied is not None and any(ref() is thing for ref in applied.things)

    def made_by(self, key: str) -> list[Any] | None:
        """The objects that an event made, None for those that are gone; None for a new event."""
        applied = self._applied.get(key)
        return None if applied is None else [ref() for ref in applied.made]

    def note(self, key: str, things: Iterable[Any], made: Iterable[Any]) -> Callable[[], None]:
        """Remember what an event changed and made; returns a function that undoes this."""
        before = self._applied.get(key)
        changed = [weakref.ref(thing) for thing in things if not self.has_changed(key, thing)]
        if before is not None:
            changed = [ref for ref in before.things if ref() is not None] + changed
        self._applied[key] = _Applied(changed, [weakref.ref(thing) for thing in made])

        def undo() -> None:
            if before is None:
                self._applied.pop(key, None)
            else:
                self._applied[key] = before

        return undo

    # -- edits ---------------------------------------------------------------------------

    def once(self, execution: Execution, thing: Any, what: str, make: Callable[[], Any]) -> Any:
        """Make an edit, or return the result of this cell's first run."""
        kind, cell = f"{what} {id(thing)}", self._cell(execution)
        count, had = self._counts[execution.number, kind], self._edits[cell, kind]
        # Without the ids of cells, two cells may have one source. It is a second run if a call
        # before this one was found to be.
        again = bool(execution.id) or execution.number in self._again
        if again and count < len(had) and had[count][0]() is thing:
            self._counts[execution.number, kind] += 1
            self._say(execution.number, _AGAIN)
            return had[count][1]
        result = make()
        self._counts[execution.number, kind] += 1
        had[count:] = [(weakref.ref(thing), result)]
        return result
