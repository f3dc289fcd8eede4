"""The version of a method: a digest of its code and of all that the code names.

The method, the user's own functions and classes that it names, and constants enter it,
transitively. Python itself, installed packages and this package do not. `Version.holds` tells in
microseconds whether anything was redefined since.
"""

from __future__ import annotations

import enum
import functools
import importlib
import importlib.util
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from tinyfactory.journal.serializer import digest_text
from tinyfactory.journal.version import syntax
from tinyfactory.journal.version.function_code import (
    LOADED,
    FunctionCode,
    defaults_of,
    is_generated,
    mangled,
    read_code,
)
from tinyfactory.journal.version.names import Chain
from tinyfactory.journal.version.source import (
    Text,
    is_own,
    is_own_class,
    is_own_file,
    texts_of,
)

# The label of the method itself among the parts of its version.
ITSELF = ""
_MISSING: Any = object()
# Larger collections are data and no constants.
_MOST_ITEMS = 10_000
_MOST_LEVELS = 50
_Owner = type | None
_HELD = (FunctionType, MethodType, type, functools.partial, list, tuple, dict, set, frozenset)


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
            if names.get(name, _MISSING) is not value:
                return False
        for function, code, defaults, more in self._functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if function.__kwdefaults__ is not more:
                return False
        for cell, value in self._cells:
            if _content_of(cell) is not value:
                return False
        return all(cls.__mro__ is mro for cls, mro in self._mros)

    def look_up(self, names: dict[str, Any], name: str) -> Any:
        """The value of a global name, which is watched from now on."""
        value = names.get(name, _MISSING)
        self._lookups[id(names), name] = (names, name, value)
        return value

    def look_up_in(self, cls: type, name: str) -> Any:
        """The value of a class's own attribute, which is watched if the class is the user's."""
        names = vars(cls)
        value = names.get(name, _MISSING)
        if is_own_class(cls):
            self._lookups[id(cls), name] = (names, name, value)
        return value

    def look_into(self, cell: CellType) -> Any:
        """The value of a variable of a function around, which is watched from now on."""
        value = _content_of(cell)
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


def _content_of(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return _MISSING


# -- all that it names -------------------------------------------------------------------------


def version_of(function: FunctionType, owner: type, others: tuple[type, ...] = ()) -> Version:
    """The version of a method for objects of a class, and for arguments of other classes.

    Examples
    --------
    >>> def rate(): return 2
    >>> class Shop:
    ...     def price(self, number): return number * rate()
    >>> version = version_of(Shop.price, Shop)
    >>> list(version.parts), version.holds()
    (['', 'helper rate()'], True)
    >>> def rate(): return 3
    >>> version.holds()
    False
    """
    return _Walk(function, owner).version_with(others)


# The parts of all versions of this process, for messages.
_parts: dict[str, dict[str, str]] = {}


def parts_of(version: str) -> dict[str, str] | None:
    """The parts of a version that this process computed, or None."""
    return _parts.get(version)


class _Walk:
    """A walk over everything that a method names.

    Each thing gets a label and is read once, so that cycles end. The version is a digest of the
    things' own digests, and of the labels of what each name means.
    """

    def __init__(self, function: FunctionType, owner: type) -> None:
        self._method, self._owner = function, owner
        self.version = Version()
        self.parts = self.version.parts
        self._labels: dict[tuple[Any, ...], str] = {}
        self._held: list[Any] = []  # ids are part of labels' keys
        self._open: set[int] = set()  # collections that are being read
        self._waiting: deque[tuple[str, FunctionType, _Owner]] = deque()
        self._uses: list[tuple[str, str]] = []
        # Attributes of objects of unknown class are looked up in all classes that are known.
        self._others: dict[str, None] = {}
        self._classes: dict[type, None] = {}
        self._looked_up: set[tuple[type, str]] = set()

    def version_with(self, others: tuple[type, ...]) -> Version:
        """The version, if the arguments are of these other classes."""
        function, owner = self._method, self._owner
        for cls in (owner, *others):
            self._knows(cls)
        self._know_helpers(owner)
        self._waiting.append((ITSELF, function, owner))
        self._labels[id(function), id(owner)] = ITSELF
        while self._waiting:
            while self._waiting:
                self._function(*self._waiting.popleft())
            for cls in list(self._classes):
                for name in list(self._others):
                    if (cls, name) not in self._looked_up:
                        self._looked_up.add((cls, name))
                        token = self._attribute(cls, name)
                        if token is not None:
                            self._uses.append((f"{cls.__qualname__}.{name}", token))
        items = sorted([*self.parts.items(), *self._uses])
        kind = "syntax:"
        if any(part.startswith("loaded-") for part in self.parts.values()):
            kind = LOADED + ":"
        self.version.text = kind + digest_text(ascii(items))
        _parts[self.version.text] = self.parts
        return self.version

    def _knows(self, cls: type) -> None:
        if cls not in self._classes:
            self._classes[cls] = None
            self.version.watch_bases(cls)

    def _know_helpers(self, owner: type) -> None:
        """Know the classes that `__init__` names: objects of them may be attributes."""
        begin = getattr(owner, "__init__", None)
        if isinstance(begin, FunctionType) and is_own(begin):
            known = read_code(begin)
            for chain in known.names.free:
                value = self._value(begin, known, chain)
                if isinstance(value, type) and is_own_class(value):
                    self._knows(value)

    def _label(self, key: tuple[Any, ...], label: str) -> tuple[str, bool]:
        """The label of a thing, and whether it is new."""
        if key in self._labels:
            return self._labels[key], False
        taken = set(self._labels.values())
        number, unique = 1, label
        while unique in taken:
            number += 1
            unique = f"{label} ({number})"
        self._labels[key] = unique
        return unique, True

    def _part(self, key: tuple[Any, ...], label: str, content: str) -> str:
        """Add a part that consists of nothing else; its label."""
        label, _ = self._label((*key, content), label)
        self.parts[label] = digest_text(content)
        return label

    # -- functions ------------------------------------------------------------------------

    def _function(self, label: str, function: FunctionType, owner: _Owner) -> None:
        """Add a function and all that it names."""
        known = read_code(function)
        self.version.watch_function(function)

        def use(name: str, token: str | None) -> None:
            if token is not None:
                self._uses.append((f"{label} {name}", token))

        for name, value in defaults_of(function):
            text = syntax.constant(value)
            use(f"default {name}", text or self._token(value, f"{function.__name__}({name})"))
        for chain in known.names.free:
            use(".".join(chain), self._free(function, known, chain))
        for chain in known.names.types:
            value = self._value(function, known, chain)
            if isinstance(value, type) and is_own_class(value):
                self._knows(value)
        if owner is None:
            self._others.update(dict.fromkeys(n for chain in known.names.own for n in chain))
        else:
            for chain in known.names.own:
                name = mangled(chain[0], function)
                use("self." + name, self._attribute(owner, name))
                # The object may be of another class than the one that the method was found by.
                self._others.update(dict.fromkeys((name, *chain[1:])[owner is self._owner :]))
            for name in known.names.above:
                use("super." + name, self._above(function, owner, mangled(name, function)))
        self._others.update(dict.fromkeys(mangled(n, function) for n in known.names.others))
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            use("wrapped", self._token(wrapped, label, owner))
        self.parts[label] = known.digest

    def _free(self, function: FunctionType, known: FunctionCode, chain: Chain) -> str | None:
        """The token of a global name, or of a name of a function around, with its attributes."""
        if chain[0].startswith("__") and chain[0].endswith("__"):
            return None  # such as the path in __file__
        value = self._first(function, known, chain[0])
        if value is _MISSING:
            return None
        rebound = known.text is not None and chain[0] in known.text.rebound
        if not known.names.in_order and isinstance(value, ModuleType):
            # Any other name may be an attribute of the module.
            names = [name for (name,) in known.names.free]
            return self._all([self._follow(value, chain[0], (name,)) for name in names])
        return self._follow(value, chain[0], chain[1:], rebound=rebound)

    def _first(self, function: FunctionType, known: FunctionCode, name: str) -> Any:
        """The value of the first name of a chain."""
        if name in known.names.imports:
            return self._imported(function, *known.names.imports[name])
        free = function.__code__.co_freevars
        if name in free and function.__closure__ is not None:
            return self.version.look_into(function.__closure__[free.index(name)])
        return self.version.look_up(function.__globals__, name)

    def _value(self, function: FunctionType, known: FunctionCode, chain: Chain) -> Any:
        value = self._first(function, known, chain[0])
        for name in chain[1:]:
            if not isinstance(value, ModuleType):
                return _MISSING
            value = self.version.look_up(value.__dict__, name)
        return value

    def _imported(self, function: FunctionType, module: str, level: int, name: str) -> Any:
        """A module that the function imports itself, or a name out of it, if it is the user's."""
        try:
            package = str(function.__globals__.get("__package__") or "")
            full = importlib.util.resolve_name("." * level + module, package)
            if full.partition(".")[0] in sys.stdlib_module_names:
                return _MISSING
            found = sys.modules.get(full)
            if found is None:
                spec = importlib.util.find_spec(full)
                if spec is None or not is_own_file(str(spec.origin)):
                    return _MISSING
                found = importlib.import_module(full)
        except Exception:  # noqa: BLE001 - the function itself will tell
            return _MISSING
        return self.version.look_up(found.__dict__, name) if name else found

    def _follow(self, value: Any, label: str, rest: Chain, *, rebound: bool = False) -> str | None:
        """The token of a value, or of the attribute of it that is used."""
        while rest and isinstance(value, ModuleType):
            file = getattr(value, "__file__", None)
            if file is None or not is_own_file(file):
                return None
            text = next(texts_of(file, value.__dict__), None)
            rebound = text is not None and rest[0] in text.rebound | text.set_on_classes
            value = self.version.look_up(value.__dict__, rest[0])
            label, rest = f"{label}.{rest[0]}", rest[1:]
        if value is _MISSING or isinstance(value, ModuleType):
            return None
        cls = value if isinstance(value, type) else type(value)
        if rest and is_own_class(cls) and not isinstance(value, enum.Enum):
            self._knows(cls)
            self._others.update(dict.fromkeys(rest[1:]))
            return self._attribute(cls, rest[0])
        self._others.update(dict.fromkeys(rest))
        if rebound and not callable(value):
            return None
        return self._token(value, label)

    # -- values ---------------------------------------------------------------------------

    def _token(self, value: Any, label: str, owner: _Owner = None) -> str | None:
        """What stands for a value in the digest of that which names it; None if nothing does."""
        self._held.append(value)
        text = syntax.constant(value)
        if text is not None:
            return self._part((label,), f"constant {label}", text)
        kind = type(value)  # and not isinstance, which asks a proxy for its class
        if kind is FunctionType:
            return self._of_function(value, label, owner)
        if kind is MethodType:
            return self._token(value.__func__, label, _class_of(value.__self__))
        if issubclass(kind, (staticmethod, classmethod)):
            method = issubclass(kind, classmethod)
            return self._token(value.__func__, label, owner if method else None)
        if issubclass(kind, property):
            parts = (value.fget, value.fset, value.fdel)
            return self._all([self._token(part, label, owner) for part in parts if part])
        if issubclass(kind, functools.cached_property):
            return self._token(value.func, label, owner)
        if issubclass(kind, (functools.partial, functools.partialmethod)):
            given = [*value.args, *value.keywords.values()]
            names = [*map(str, range(len(value.args))), *value.keywords]
            tokens = [self._token(value.func, label, owner)]
            tokens += [self._token(v, f"{label}({n})") for n, v in zip(names, given, strict=True)]
            return self._all(tokens)
        if issubclass(kind, type):
            return self._class(value) if is_own_class(value) else None
        if issubclass(kind, (list, tuple, dict, set, frozenset)):
            return self._collection(value, label)
        if is_own_class(kind):
            return self._class(kind)
        with suppress(Exception):  # any object may be asked, and answer with any error
            if type(value.__wrapped__) is FunctionType:  # such as lru_cache
                return self._token(value.__wrapped__, label, owner)
        return None

    def _all(self, tokens: list[str | None]) -> str | None:
        return "|".join(token or "" for token in tokens) if any(tokens) else None

    def _of_function(self, function: FunctionType, label: str, owner: _Owner) -> str | None:
        method = getattr(function, "transactional", None)
        if method is not None and isinstance(getattr(method, "function", None), FunctionType):
            function = method.function
            if not is_own(function):
                return None
            if method.given_version:
                return self._part((id(function),), _name(function, label), method.given_version)
        if is_own(function):
            if owner is None and function is self._method:
                owner = self._owner
            found, new = self._label((id(function), id(owner)), _name(function, label))
            if new:
                self._waiting.append((found, function, owner))
            return found
        # The wrapper of a package around a function of the user's.
        inner = [getattr(function, "__wrapped__", None), *_cells(function)]
        inner += list(getattr(function, "registry", {}).values())  # singledispatch
        tokens = [self._token(f, label, owner) for f in inner if isinstance(f, FunctionType)]
        return self._all(list(dict.fromkeys(tokens)))

    def _collection(self, value: Any, label: str) -> str | None:
        """A collection with the content that it had when it was first seen.

        What is put into it later does not count: it may be the result of calls, which a replay
        does not make.
        """
        content = _first_content(value)
        if content is None or id(value) in self._open or len(self._open) > _MOST_LEVELS:
            return None
        self._open.add(id(value))
        texts: list[str] = []
        for place, item in content:
            text = syntax.constant(item)
            if text is None:
                text = self._token(item, f"{label}[{place!r}]")
            if text is not None:
                texts.append(f"{syntax.constant(place)}:{text}")
        self._open.remove(id(value))
        if isinstance(value, (set, frozenset)):
            texts.sort()
        return self._part((id(value),), f"constant {label}", f"{type(value).__name__}{texts}")

    # -- classes --------------------------------------------------------------------------

    def _attribute(self, cls: type, name: str) -> str | None:
        """The token of an attribute of a class, or of its objects."""
        self._knows(cls)
        for base in cls.__mro__:
            found = self.version.look_up_in(base, name)
            if found is not _MISSING:
                return self._member(found, base, cls, name) if is_own_class(base) else None
        if name != "__getattr__":
            return self._attribute(cls, "__getattr__")
        return None

    def _above(self, function: FunctionType, owner: type, name: str) -> str | None:
        """The token of an attribute after ``super()``."""
        free = function.__code__.co_freevars
        if "__class__" not in free or function.__closure__ is None:
            return None
        here = self.version.look_into(function.__closure__[free.index("__class__")])
        mro = owner.__mro__
        for base in mro[mro.index(here) + 1 :] if here in mro else ():
            found = self.version.look_up_in(base, name)
            if found is not _MISSING:
                return self._member(found, base, owner, name) if is_own_class(base) else None
        return None

    def _member(self, value: Any, definer: type, owner: type, name: str) -> str | None:
        label = f"{definer.__name__}.{name}"
        if not callable(value) and any(name in text.set_on_classes for text in _texts(definer)):
            return None
        text = syntax.constant(value)
        if text is not None:
            return self._part((label,), f"class attribute {label}", text)
        return self._token(value, label, owner)

    def _class(self, cls: type) -> str:
        """A class that is used as a whole: everything in it, and its bases."""
        self._knows(cls)
        if issubclass(self._owner, cls):
            # Of the method's own class only what is named counts.
            return f"class {cls.__name__}"
        label, new = self._label((id(cls),), f"class {cls.__name__}")
        if new:
            members = [f"{name}={token}" for name, token in self._members(cls)]
            members += [self._class(base) for base in cls.__mro__[1:] if is_own_class(base)]
            self.parts[label] = digest_text(ascii(members))
        return label

    def _members(self, cls: type) -> Iterator[tuple[str, str]]:
        for name, value in sorted(vars(cls).items()):
            inner = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            if name.startswith("_") and name.endswith("_"):
                # Set by Python, and not the same in each version of it.
                if not isinstance(inner, FunctionType) or is_generated(inner):
                    continue
            elif isinstance(value, enum.Enum) or name in getattr(cls, "__members__", ()):
                continue
            self.version.look_up_in(cls, name)
            token = self._member(value, cls, cls, name)
            if token is not None:
                yield name, token
        for name, default in _fields(cls):
            token = self._token(default, f"{cls.__name__}.{name}")
            yield f"field {name}", token or ""


def _texts(cls: type) -> list[Text]:
    """The texts in which a class may be defined."""
    functions = [value for value in vars(cls).values() if isinstance(value, FunctionType)]
    functions += [
        method.function
        for value in functions
        if (method := getattr(value, "transactional", None)) is not None
    ]
    known = [read_code(function).text for function in functions if is_own(function)]
    return list({id(text): text for text in known if text is not None}.values())


def _name(function: FunctionType, label: str) -> str:
    name = function.__qualname__.replace("<locals>.", "")
    return f"helper {label if '<lambda>' in name else name}()"


def _class_of(thing: Any) -> type:
    return thing if isinstance(thing, type) else type(thing)


def _cells(function: FunctionType) -> list[Any]:
    return [_content_of(cell) for cell in function.__closure__ or ()]


def _fields(cls: type) -> Iterator[tuple[str, Any]]:
    """Names and default values of the fields of a dataclass, a named tuple, an enumeration."""
    for name, field in vars(cls).get("__dataclass_fields__", {}).items():
        yield name, field.default_factory if callable(field.default_factory) else field.default
    for name, field in vars(cls).get("__pydantic_fields__", {}).items():
        yield name, field.default_factory or field.default
    for name, member in getattr(cls, "__members__", {}).items():
        yield name, member.value
    yield from vars(cls).get("_field_defaults", {}).items()


_contents: dict[int, tuple[Any, list[tuple[Any, Any]]]] = {}


def _first_content(value: Any) -> list[tuple[Any, Any]] | None:
    """Places and items of a collection when it was first seen; None for a large one."""
    known = _contents.get(id(value))
    if known is None:
        if len(value) > _MOST_ITEMS:
            return None
        items: Callable[[], Any] = getattr(value, "items", lambda: enumerate(list(value)))
        unordered = isinstance(value, (set, frozenset))
        content = [(None if unordered else k, v) for k, v in list(items()) if _may_count(v)]
        known = _contents[id(value)] = (value, content)
    return known[1]


def _may_count(value: Any) -> bool:
    """Whether a value can have a token; others are not held in memory."""
    kind = type(value)
    return kind in _HELD or syntax.constant(value) is not None or is_own_class(kind)
