"""Import the packages that an extra brings."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tinyfactory.errors import MissingPackage

__all__ = ["require"]


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
        When the module cannot be imported; the message has the lines for pip.

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
        raise MissingPackage(
            f"This needs {error.name or module}, which is not installed. "
            f"Run: pip install 'tinyfactory[{extra}]' "
            f"(in a checkout of tinyfactory: pip install -e '.[{extra}]')."
        ) from error
