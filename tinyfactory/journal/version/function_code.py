"""What is known of one function: its source, or else its code, and the names in it."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from tinyfactory.journal.values.stored_text import digest_text
from tinyfactory.journal.version import syntax
from tinyfactory.journal.version.names import Names, names_in, names_in_code
from tinyfactory.journal.version.source import Text, find, has_text, is_own
from tinyfactory.utils.logs import get_logger

logger = get_logger("tinyfactory")
# What digests of loaded code begin with, and versions that contain one.
LOADED = "loaded-{}.{}".format(*sys.version_info)


@dataclass(slots=True)
class FunctionCode:
    """What is known of a code object: the digest of its source, and the names in it."""

    code: CodeType
    digest: str
    names: Names
    text: Text | None


_codes: dict[int, FunctionCode] = {}


def read_code(function: FunctionType) -> FunctionCode:
    """What is known of the code of a function; its source is looked for once."""
    code = function.__code__
    known = _codes.get(id(code))
    if known is None:
        found = find(function)
        if found is None:
            known = FunctionCode(code, _loaded(code), names_in_code(code), None)
            if has_text(function) and is_own(function):
                _warn(function)
        else:
            node, text = found
            known = FunctionCode(code, syntax.digest(node), names_in(node), text)
        _codes[id(code)] = known  # holds the code, so that its id stays taken
    return known


def _warn(function: FunctionType) -> None:
    logger.warning(
        "The source of %s in %s is not the code that runs: the file was edited after it was "
        "imported, or a tool changed the code. Its calls are recorded under a digest of the code "
        "that runs. Restart the kernel or reload the module to continue with the source.",
        function.__qualname__,
        function.__code__.co_filename,
    )


def _loaded(code: CodeType) -> str:
    """A digest of code as this Python compiled it."""
    return f"{LOADED} " + digest_text(_code_text(code))


def _code_text(code: CodeType) -> str:
    constants = [
        _code_text(const) if isinstance(const, CodeType) else syntax.constant(const)
        for const in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars)
    return ascii((code.co_name, code.co_code.hex(), constants, names, code.co_flags & 0x0C))


def mangled(name: str, function: FunctionType) -> str:
    """The name of an attribute as the class has it: private names get the class's name."""
    if not name.startswith("__") or name.endswith("__"):
        return name
    within = function.__qualname__.replace(".<locals>", "").split(".")[:-1]
    cls = within[-1].lstrip("_") if within else ""
    return f"_{cls}{name}" if cls else name


def defaults_of(function: FunctionType) -> list[tuple[str, Any]]:
    """Default values that are named in the source, with the names of their parameters."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    values = function.__defaults__ or ()
    found = list(zip(names[len(names) - len(values) :], values, strict=True))
    return [*found, *(function.__kwdefaults__ or {}).items()]


def is_generated(function: FunctionType) -> bool:
    """Whether a method was made by a decorator such as `dataclass`, or is one of Python's."""
    inner: Any = inspect.unwrap(function)
    if not isinstance(inner, FunctionType):
        return True
    file = inner.__code__.co_filename
    return file.startswith("<attrs ") or (file == "<string>" and read_code(inner).text is None)
