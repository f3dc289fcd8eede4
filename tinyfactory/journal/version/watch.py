"""A version, and whether the names that it depends on still mean the same."""

from __future__ import annotations

from types import CellType, CodeType, FunctionType
from typing import Any

from tinyfactory.journal.version.source import is_own_class

# The value of a name that is not bound.
MISSING: Any = object()


class Version:
    """The version of a method for the class of its object.

    Attributes
    ----------
    text : str
        The version as it enters keys.
    parts : dict of str to str
        The digest of each thing that the version covers, by what it is called in messages.
    """

    __slots__ = ("_cells", "_functions", "_lookups", "_mros", "parts", "text")

    def __init__(self) -> None:
        self.text = ""
        self.parts: dict[str, str] = {}
        self._lookups: dict[tuple[int, str], tuple[Any, str, Any]] = {}
        self._functions: list[tuple[FunctionType, CodeType, Any, Any]] = []
        self._cells: list[tuple[CellType, Any]] = []
        self._mros: list[tuple[type, Any]] = []

    def holds(self) -> bool:
        """Whether all names still mean the same."""
        for names, name, value in self._lookups.values():
            if names.get(name, MISSING) is not value:
                return False
        for function, code, defaults, more in self._functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if function.__kwdefaults__ is not more:
                return False
        for cell, value in self._cells:
            if content_of(cell) is not value:
                return False
        return all(cls.__mro__ is mro for cls, mro in self._mros)

    def look_up(self, names: dict[str, Any], name: str) -> Any:
        """The value of a global name, which is watched from now on."""
        value = names.get(name, MISSING)
        self._lookups[id(names), name] = (names, name, value)
        return value

    def look_up_in(self, cls: type, name: str) -> Any:
        """The value of a class's own attribute, which is watched if the class is the user's."""
        names = vars(cls)
        value = names.get(name, MISSING)
        if is_own_class(cls):
            self._lookups[id(cls), name] = (names, name, value)
        return value

    def look_into(self, cell: CellType) -> Any:
        """The value of a variable of a function around, which is watched from now on."""
        value = content_of(cell)
        self._cells.append((cell, value))
        return value

    def watch_function(self, function: FunctionType) -> None:
        """Notice when a function is patched in place."""
        self._functions.append(
            (function, function.__code__, function.__defaults__, function.__kwdefaults__)
        )

    def watch_bases(self, cls: type) -> None:
        """Notice when a class gets other bases."""
        self._mros.append((cls, cls.__mro__))


def content_of(cell: CellType) -> Any:
    """The value of a variable of a function around; MISSING before it is set."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
