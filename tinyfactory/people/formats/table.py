"""Read the rows of a table of people: the same for CSV, Parquet and data frames."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.formats.notes import Notes
from tinyfactory.people.formats.rows import agent_of

Json = dict[str, Any]

# Names that pandas gives to columns without one.
_UNNAMED = re.compile(r"Unnamed: \d+|__index_level_\d+__")
_WHOLE = re.compile(r"[0-9]{1,15}(\.0)?")
HOW = "Save it as CSV with commas, in UTF-8, with the names of the columns in its first line."


class Table:
    """The columns of a table, and the reader of its rows.

    A column without a name is left out if it only counts the rows, as the index of pandas does,
    or is empty.

    Parameters
    ----------
    columns : iterable of str
        Empty text for a column without a name.
    where : str
        The place of the table, for error messages.
    notes : Notes
        Takes what was left out.
    as_text : bool
        See `agent_of`.

    Raises
    ------
    InvalidInput
        When two columns have one name.

    Examples
    --------
    >>> table = Table(["", "name"], "a.csv", Notes())
    >>> table.agent([0, "Ana"], "line 2"), table.agent([1, "Bo"], "line 3")
    ({'name': 'Ana'}, {'name': 'Bo'})
    """

    def __init__(
        self, columns: Iterable[str], where: str, notes: Notes, *, as_text: bool = False
    ) -> None:
        given = [column.strip() for column in columns]
        self.columns = [name or f"Unnamed: {place}" for place, name in enumerate(given)]
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise InvalidInput(
                f"{where}: the names of columns must differ, and {twice!r} occurs twice. Nothing "
                f"was loaded. {HOW}"
            )
        self._where, self._notes, self._as_text = where, notes, as_text
        # The numbers seen so far in each column that may only count the rows.
        self._counting: dict[str, set[int]] = {
            name: set() for name in self.columns if _UNNAMED.fullmatch(name)
        }
        # The first number, and the one after the latest.
        self._may_follow: dict[str, tuple[int, int]] = {}
        self._nameless = {f"Unnamed: {place}" for place, name in enumerate(given) if not name}

    def agent(self, cells: Iterable[Any], where: str) -> Json:
        """Return the agent in a row."""
        row = dict(zip(self.columns, cells, strict=True))
        for column in self._counting:
            self._leave_out(column, row, where)
        return agent_of(row, where, as_text=self._as_text)

    def _leave_out(self, column: str, row: Json, where: str) -> None:
        value = row[column]
        if value is None or value == "":
            del row[column]
            return
        seen = self._counting[column]
        number = int(float(str(value))) if _WHOLE.fullmatch(str(value)) else None
        # The numbers of a table that was put together from several begin again.
        if number is not None and (number not in seen or number in self._may_follow[column]):
            if not seen:
                self._notes.add("A column without a name counts the rows; it was left out", where)
                self._may_follow[column] = (number, number)
            seen.add(number)
            self._may_follow[column] = (self._may_follow[column][0], number + 1)
            del row[column]
        elif column in self._nameless:
            raise InvalidInput(
                f"{where}: the names of columns must differ and must not be empty; column "
                f"{self.columns.index(column) + 1} has none, and holds {str(value)!r:.60}. Nothing "
                "was loaded. Give the column a name in the first line, or delete it."
            )
