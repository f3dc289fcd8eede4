"""Imports that wait until a name is used, and imports of the packages of an extra."""

from __future__ import annotations

import sys
from importlib import import_module

from tinyfactory.errors import MissingPackage

TYPE_CHECKING = False  # as type checkers read it; importing typing takes 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

__all__ = ["lazy_face", "require"]


def lazy_face(
    package: str, names: Mapping[str, str | None], *own: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package that imports its public names on first use.

    For type checkers, the package also imports the names under ``if TYPE_CHECKING:``.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    names : mapping
        For each public name, the module within the package that defines it; None for a name that
        is a module itself.
    *own : str
        Public names that the package itself defines, for `__dir__`.

    Returns
    -------
    tuple of callable
        To be assigned as ``__getattr__, __dir__ = lazy_face(__name__, {...})``.

    Examples
    --------
    >>> get, names = lazy_face("tinyfactory", {"TinyPerson": "people.person", "errors": None})
    >>> get("TinyPerson").__module__, get("errors").__name__, names()
    ('tinyfactory.people.person', 'tinyfactory.errors', ['TinyPerson', 'errors'])
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = names[name]
        if module is None:
            return import_module(f"{package}.{name}")
        value = getattr(import_module(f"{package}.{module}"), name)
        setattr(sys.modules[package], name, value)  # the next use comes without this call
        return value

    def public_names() -> list[str]:
        return sorted([*names, *own])

    return get, public_names


def require(module: str, extra: str) -> Any:
    """Import a package of an extra; every package that is missing gives the same error.

    Parameters
    ----------
    module : str
        The module to import, such as ``"pandas"``.
    extra : str
        The extra of this package that brings it, such as ``"populations"``.

    Raises
    ------
    MissingPackage
        When the module cannot be imported; the message has the line for pip.

    Examples
    --------
    >>> require("json", "tables").dumps([1])
    '[1]'
    >>> require("no_such_package", "tables")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tinyfactory.errors.MissingPackage: This needs no_such_package, which is not installed. ...
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = (error.name or module).partition(".")[0]
        raise MissingPackage(
            f"This needs {package}, which is not installed. Run: {install_command(extra)}"
        ) from error


def install_command(extra: str) -> str:
    """Return the command that installs an extra from where this package was installed.

    That is a folder, a file or a repository, as the package's metadata says, or an index.

    Examples
    --------
    >>> install_command("tables")  # doctest: +ELLIPSIS
    "pip install ...[tables]'"
    """
    # Slow to import, and seldom needed.
    import json
    from importlib import metadata
    from pathlib import Path
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    folder = Path(__file__).parents[2]
    try:
        told = json.loads(metadata.distribution("tinyfactory").read_text("direct_url.json") or "{}")
    except metadata.PackageNotFoundError:  # run from a folder that is not installed
        told = {"dir_info": {}, "url": folder.as_uri()} if _is_source(folder) else {}
    url = str(told.get("url", ""))
    if "dir_info" in told:
        folder = Path(url2pathname(urlsplit(url).path))
        editable = "-e " if told["dir_info"].get("editable") else ""
        if _is_source(folder):
            return f"pip install {editable}'{folder}[{extra}]'"
        url = ""
    if url:
        version_control = told.get("vcs_info", {}).get("vcs")
        url = f"{version_control}+{url}" if version_control else url
        return f"pip install 'tinyfactory[{extra}] @ {url}'"
    return f"pip install 'tinyfactory[{extra}]'"


def _is_source(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and (folder / "tinyfactory").is_dir()
