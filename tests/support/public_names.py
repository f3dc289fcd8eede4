"""The public names and signatures, which tests/frozen/public.json lists.

`python -m tests.support.public_names` writes that file again. Do so after adding a name, or after
changing one with an alias for the old name and a line in CHANGELOG.md.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import types
from typing import Any

import tinyfactory
from tests.support.frozen import FOLDER

SNAPSHOT = FOLDER / "public.json"
MODULES = (
    "tinyfactory",
    "tinyfactory.control",
    "tinyfactory.errors",
    "tinyfactory.factory",
    "tinyfactory.journal",
    "tinyfactory.models",
    "tinyfactory.models.loopback",
    "tinyfactory.people",
    "tinyfactory.populations",
    "tinyfactory.populations.reporting",
    "tinyfactory.prompts",
    "tinyfactory.settings",
    "tinyfactory.widgets",
)
# Classes of objects that public methods return, wherever they are defined.
RETURNED = ("Estimate", "Event", "History", "LineInfo", "Missing", "PeopleJob", "Snapshot", "Spent",
            "Twins")  # fmt: skip
# They begin with an underscore, but subclasses override them and users of TinyTroupe know them.
KNOWN = ("_aux_model_call", "_setup_agent")
# Headings that may follow the attributes in a docstring.
SECTIONS = {"Raises", "Notes", "Examples", "Methods", "Parameters"}

Snapshot = dict[str, str]


def snapshot() -> Snapshot:
    """Every public name with its signature, a class's members by dotted name."""
    found: Snapshot = {}
    first: dict[Any, str] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for public in _names(module):
            _describe(found, first, f"{name}.{public}", getattr(module, public))
    for name, cls in _returned().items():
        _describe(found, first, f"returned: {name}", cls)
        if cls in first and first[cls].startswith("returned"):
            found[f"returned: {name}"] = ", a class"  # which nobody but the package makes
    return dict(sorted(found.items()))


def differences(now: Snapshot, stored: Snapshot) -> list[str]:
    """One line for each name that is gone, changed or new."""
    gone = [f"gone: {name}{stored[name]}" for name in stored if name not in now]
    changed = [
        f"changed: {name}{stored[name]} is now {name}{now[name]}"
        for name in stored
        if name in now and now[name] != stored[name]
    ]
    return [*gone, *changed, *(f"new: {name}{now[name]}" for name in now if name not in stored)]


def _names(module: types.ModuleType) -> list[str]:
    """The names in a module's `__all__`, else its names without an underscore."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and getattr(value, "__module__", module.__name__) == module.__name__
    )


def _returned() -> dict[str, type]:
    """The classes that are returned, found by name: their modules are not public."""
    found: dict[str, type] = {}
    for place in pkgutil.walk_packages(tinyfactory.__path__, "tinyfactory."):
        if place.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(place.name)).items():
            if name in RETURNED and isinstance(value, type) and value.__module__ == place.name:
                assert name not in found, f"two classes are called {name}"
                found[name] = value
    return found


def _describe(found: Snapshot, first: dict[Any, str], name: str, value: Any) -> None:
    if isinstance(value, types.ModuleType):
        found[name] = ", a module"
    elif isinstance(value, type) and value in first:
        found[name] = f" = {first[value]}"
    elif isinstance(value, type):
        first[value] = name
        found[name] = _constructor(value)
        for member in _members(value):
            found[f"{name}.{member}"] = _member(value, member)
    elif callable(value):
        found[name] = _signature(value)
    else:
        found[name] = ", a value"


def _own(cls: type) -> list[type]:
    """The class and its bases that are defined in this package."""
    return [base for base in cls.__mro__ if base.__module__.startswith("tinyfactory")]


def _constructor(cls: type) -> str:
    if issubclass(cls, Exception):
        return f" is a {', '.join(base.__name__ for base in cls.__bases__)}"
    # The signature of a class in C, or of a protocol, differs between versions of Python.
    own = inspect.isfunction(cls.__init__) and not getattr(cls, "_is_protocol", False)
    return _signature(cls) if own else ", a class"


def _members(cls: type) -> list[str]:
    """The members that the class has from this package, including inherited ones."""
    names = set()
    for base in _own(cls):
        # A field of a dataclass without a default is only an annotation.
        names |= {*vars(base), *inspect.get_annotations(base), *_documented(base)}
    public = {name for name in names if not name.startswith("_")}
    return sorted(public | (names & set(KNOWN)))


def _documented(cls: type) -> set[str]:
    """The attributes in the class's docstring; all others are internal."""
    lines = iter((cls.__doc__ or "").splitlines())
    names: set[str] = set()
    if not any(line.strip() == "Attributes" for line in lines):
        return names
    indent = len(next(lines)) - len("-" * 10)  # of the line under the heading
    for line in lines:
        if line.strip().startswith("---"):
            break  # the next heading's
        if line[:indent].isspace() and line[indent : indent + 1].strip():
            names |= set(re.split(r",\s*", line.split(" : ")[0].strip()))
    return {name for name in names if name.isidentifier()} - SECTIONS


def _member(cls: type, name: str) -> str:
    value = inspect.getattr_static(cls, name, None)
    if isinstance(value, classmethod | staticmethod):
        value = value.__func__
    # A property in place of an attribute is no change for code that reads it.
    return _signature(value) if inspect.isfunction(value) else ", an attribute"


def _signature(function: Any) -> str:
    """Names, kinds and defaults; annotations may become more exact."""
    signature = inspect.signature(function)
    text = str(
        signature.replace(
            parameters=[_plain(parameter) for parameter in signature.parameters.values()],
            return_annotation=signature.empty,
        )
    )
    return f"{text}, awaited" if inspect.iscoroutinefunction(function) else text


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter without annotation; callers do not use the names of *args and **kwargs."""
    gathers: dict[Any, str] = {parameter.VAR_POSITIONAL: "args", parameter.VAR_KEYWORD: "kwargs"}
    name = gathers.get(parameter.kind, parameter.name)
    return parameter.replace(name=name, annotation=parameter.empty)


def main() -> None:
    """Write the snapshot."""
    SNAPSHOT.write_text(json.dumps(snapshot(), indent=1) + "\n", encoding="utf-8")
    print(f"{SNAPSHOT.name}: written")


if __name__ == "__main__":
    main()
