"""Which execution of which notebook cell runs now.

A cell is known by the id that the notebook sends with it (JupyterLab, Notebook), else by its
source (other frontends, nbconvert, IPython in a terminal). IPython is never imported here: where it
is not loaded, there are no cells.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from tinyfactory.journal.values.stored_text import digest_text
from tinyfactory.utils.concurrency import Aside

# Digits of the digests of ids and sources. They tell the cells of a notebook apart.
_DIGITS = 12


class Execution(NamedTuple):
    """One execution of a cell.

    Attributes
    ----------
    number : str
        Different for each execution.
    id : str
        A digest of the cell's id; empty where the frontend sends none.
    source : str
        A digest of the cell's source.

    Examples
    --------
    >>> Execution("1", "", "b1946ac92492").cell
    ':b1946ac92492'
    """

    number: str
    id: str
    source: str

    @property
    def cell(self) -> str:
        """The cell: its id, else its source."""
        return self.id or f":{self.source}"

    @property
    def mark(self) -> str:
        """The cell as it is stored with an event."""
        return f"{self.id}:{self.source}"

    def likeness(self, mark: str) -> int:
        """Compare with the mark of an event: 2 for the same cell, 1 for the same source, else 0.

        Examples
        --------
        >>> here = Execution("1", "a", "x")
        >>> [here.likeness(mark) for mark in ("a:y", ":x", "b:x", "b:y", "")]
        [2, 1, 1, 0, 0]
        """
        cell, _, source = mark.partition(":")
        if self.id and cell == self.id:
            return 2
        return int(source == self.source)


# The last execution that was looked up, and the message or the count and source that it is of.
_last: tuple[Any, Execution] = (None, Execution("", "", ""))


def current_execution() -> Execution | None:
    """The execution of a cell that runs now; None outside IPython, and in a widget's callback.

    Examples
    --------
    >>> current_execution() is None  # this is no cell
    True
    """
    global _last
    ipython = sys.modules.get("IPython")
    get_shell = getattr(ipython, "get_ipython", None)
    shell = None if get_shell is None else get_shell()
    if shell is None:
        return None
    get_parent = getattr(shell, "get_parent", None)
    message = get_parent() if get_parent is not None else None
    last, execution = _last
    if message:
        if message is not last:
            found = _of_message(message)
            if found is None:
                return None
            _last = message, (execution := found)
        return execution
    sources = shell.user_ns.get("In") or [""]
    if (shell.execution_count, sources[-1]) != last:
        execution = Execution(str(shell.execution_count), "", _digest(sources[-1]))
        _last = (shell.execution_count, sources[-1]), execution
    return execution


def _of_message(message: dict[str, Any]) -> Execution | None:
    header = message.get("header") or {}
    if header.get("msg_type") != "execute_request":
        return None
    cell = (message.get("metadata") or {}).get("cellId") or ""
    source = (message.get("content") or {}).get("code") or ""
    return Execution(
        str(header.get("msg_id")), _digest(str(cell)) if cell else "", _digest(str(source))
    )


def _digest(text: str) -> str:
    # A text of a frontend may hold half of a character pair.
    return digest_text(text.encode("utf-8", "replace").decode())[:_DIGITS]


def say(text: str) -> None:
    """Show one line below the cell."""
    print(text)  # noqa: T201 - for the person at the notebook


# The execution of the cell that made an object, while a simulation is open.
births: Aside[Execution] = Aside()


class SecondRuns:
    """Notices when a cell is run again and makes new results, in one run of a simulation."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], str] = {}
        self._told: set[str] = set()

    def note(self, call: str, execution: Execution) -> None:
        """Note a new call that has ended well.

        Parameters
        ----------
        call : str
            The same for equal calls.
        execution : Execution
            The execution of the cell that made the call.
        """
        self._first.setdefault((execution.cell, call), execution.number)

    def tell(self, name: str, call: str, execution: Execution) -> None:
        """Say once for each execution that a call, of a method of this name, was made before."""
        first = self._first.get((execution.cell, call), execution.number)
        if first == execution.number or execution.number in self._told:
            return
        self._told.add(execution.number)
        same = "This cell" if execution.id else "A cell of this source"
        say(
            f"{same} was run before, so {name} is a second call and its result is new. To have "
            "the first result again, run the cells again from control.begin(...) on."
        )
