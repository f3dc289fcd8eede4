"""Imports at first use: lazy packages, and packages that only an extra installs."""

from __future__ import annotations

# `import tinyfactory` runs this module, so even the standard library is imported when needed:
# typing alone takes 10 ms. Type checkers take this for True.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any


def lazy_names(
    package: str, modules: dict[str, str], *own: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that imports its names at first use.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    modules : dict of str to str
        By public name the module in the package that defines it; ``""`` for a module of that
        name itself.
    *own : str
        Public names that the package itself defines.

    Examples
    --------
    >>> find, names = lazy_names("tinyfactory", {"control": "", "Budget": "budget"})
    >>> find("Budget").__name__, find("control").__name__, names()
    ('Budget', 'tinyfactory.control', ['Budget', 'control'])
    """

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        if not modules[name]:
            return import_module(f"{package}.{name}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return find, lambda: sorted([*modules, *own])


class extra:  # noqa: N801 - used like a statement
    """Around the import of a package that an extra installs.

    Parameters
    ----------
    name : str
        The extra.
    purpose : str
        The subject of the message, such as "A table".

    Raises
    ------
    MissingPackage
        When the package is not installed.

    Examples
    --------
    >>> with extra("tables", "A table"):
    ...     import no_such_package
    Traceback (most recent call last):
        ...
    tinyfactory.errors.MissingPackage: A table needs no_such_package, which is not installed. Run...
    """

    def __init__(self, name: str, purpose: str) -> None:
        self.name = name
        self.purpose = purpose

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, ImportError):
            from tinyfactory.errors import MissingPackage

            raise MissingPackage(
                f"{self.purpose} needs {error.name}, which is not installed. "
                f"Run: pip install 'tinyfactory[{self.name}]' (the error was: {error})"
            ) from error
