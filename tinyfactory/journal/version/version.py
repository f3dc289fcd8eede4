"""The version of a method: a digest of its code and of all that the code names.

The method, the user's own functions and classes that it names, and constants enter it,
transitively. Python itself, installed packages and this package do not. `Version.holds` tells in
microseconds whether anything was redefined since.
"""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import importlib.util
import inspect
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, TypeGuard, TypeVar

from tinyfactory.journal.values.stored_text import digest_text
from tinyfactory.journal.version import syntax
from tinyfactory.journal.version.content import first_content
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
    texts_of_module,
)
from tinyfactory.journal.version.watch import MISSING, Version, content_of

Kind = TypeVar("Kind")
# The label of the method itself among the parts of its version.
ITSELF = ""
_MOST_LEVELS = 50
_Owner = type | None
# Types of values that count by themselves, and not by the expression that they come from.
_LASTING = (
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    functools.partial,
    functools.partialmethod,
    functools.cached_property,
    property,
    staticmethod,
    classmethod,
    MemberDescriptorType,
    GetSetDescriptorType,
    type(functools.lru_cache(print)),
)
# Texts that a module or cell may be compiled from, and its global names.
_Place = tuple[list[Text], dict[str, Any]]


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
        if _is(begin, FunctionType) and is_own(begin):
            known = read_code(begin)
            for chain in known.names.free:
                value = self._value(begin, known, chain)
                if _is(value, type) and is_own_class(value):
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
            if _is(value, type) and is_own_class(value):
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
        if _is_set_by_python(chain[0]):
            return None
        value = self._first(function, known, chain[0])
        if value is MISSING:
            return None
        text = known.text
        if text is not None and chain[0] in text.rebound and not callable(value):
            return None
        if not known.names.in_order and _is(value, ModuleType):
            # Any other name may be an attribute of the module.
            names = [name for (name,) in known.names.free]
            nowhere: _Place = ([], function.__globals__)
            return _all([self._follow(value, chain[0], (name,), nowhere) for name in names])
        local = chain[0] in known.names.imports or chain[0] in function.__code__.co_freevars
        place: _Place = ([], function.__globals__)
        if text is not None and not local:
            module = sys.modules.get(str(function.__globals__.get("__name__")))
            same = module is not None and vars(module) is function.__globals__
            found = _place_of(module) if same else None
            place = found or ([text], function.__globals__)
        return self._follow(value, chain[0], chain[1:], place)

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
            if not _is(value, ModuleType):
                return MISSING
            value = self.version.look_up(value.__dict__, name)
        return value

    def _imported(self, function: FunctionType, module: str, level: int, name: str) -> Any:
        """A module that the function imports itself, or a name out of it, if it is the user's."""
        try:
            package = str(function.__globals__.get("__package__") or "")
            full = importlib.util.resolve_name("." * level + module, package)
            if full.partition(".")[0] in sys.stdlib_module_names:
                return MISSING
            found = sys.modules.get(full)
            if found is None:
                spec = importlib.util.find_spec(full)
                if spec is None or not is_own_file(str(spec.origin)):
                    return MISSING
                found = importlib.import_module(full)
        except Exception:  # noqa: BLE001 - the function itself will tell
            return MISSING
        return self.version.look_up(found.__dict__, name) if name else found

    def _follow(self, value: Any, label: str, rest: Chain, place: _Place) -> str | None:
        """The token of a value, or of the attribute of it that is used.

        `place` has the texts that may bind the name, and the names in them.
        """
        name = label
        while rest and _is(value, ModuleType):
            found = _place_of(value)
            if found is None:
                return None
            place, name, rest = found, rest[0], rest[1:]
            texts, names = place
            value, label = self.version.look_up(names, name), f"{label}.{name}"
            changed = any(name in text.rebound | text.set_on_classes for text in texts[:1])
            if changed and not callable(value):
                return None
        if value is MISSING or _is(value, ModuleType):
            return None
        defined = self._definition(value, name, label, place)
        cls = value if _is(value, type) else type(value)
        if rest and is_own_class(cls) and not issubclass(cls, enum.Enum):
            self._knows(cls)
            self._others.update(dict.fromkeys(rest[1:]))
            return _all([self._attribute(cls, rest[0]), defined])
        self._others.update(dict.fromkeys(rest))
        return _all([self._token(value, label), defined])

    def _definition(self, value: Any, name: str, label: str, place: _Place) -> str | None:
        """The token of the expression that a name is assigned, for a value that may change.

        Its content does not count: it may be the result of calls, which a replay does not make.
        """
        texts, names = place
        if not texts or not _may_change(value):
            return None
        # If there are several texts, the one with the present content, as after a reload.
        same = [text for text in texts if _is_written(value, text.assigned.get(name))]
        text = [*same, *texts][0]
        if name in text.assigned:
            return self._expressions(text.assigned[name], label, place)
        if name in text.imported:
            module, level, original = text.imported[name]
            with suppress(ImportError, ValueError):
                package = str(names.get("__package__") or "")
                full = importlib.util.resolve_name("." * level + module, package)
                found = _place_of(sys.modules.get(full))
                if found is not None:
                    return self._definition(value, original, label, found)
        return None

    def _expressions(self, found: list[ast.expr], label: str, place: _Place) -> str:
        content = ";".join(map(syntax.canonical, found))
        label, new = self._label((label, content), f"value {label}")
        if new:
            self.parts[label] = digest_text(content)
            names = place[1]
            for node in (node for expression in found for node in ast.walk(expression)):
                if not isinstance(node, ast.Name) or _is_set_by_python(node.id):
                    continue
                value = self.version.look_up(names, node.id)
                if _is(value, type):
                    token = self._attribute(value, "__init__") if is_own_class(value) else None
                else:
                    token = self._follow(value, node.id, (), place)
                if token is not None:
                    self._uses.append((f"{label} {node.id}", token))
        return label

    # -- values ---------------------------------------------------------------------------

    def _token(self, value: Any, label: str, owner: _Owner = None) -> str | None:
        """The token of a value in the digest of the code that names it; None if it has none."""
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
            return _all([self._token(part, label, owner) for part in parts if part])
        if issubclass(kind, functools.cached_property):
            return self._token(value.func, label, owner)
        if issubclass(kind, (functools.partial, functools.partialmethod)):
            given = [*value.args, *value.keywords.values()]
            names = [*map(str, range(len(value.args))), *value.keywords]
            tokens = [self._token(value.func, label, owner)]
            tokens += [self._token(v, f"{label}({n})") for n, v in zip(names, given, strict=True)]
            return _all(tokens)
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
        tokens = [self._token(f, label, owner) for f in inner if _is(f, FunctionType)]
        return _all(list(dict.fromkeys(tokens)))

    def _collection(self, value: Any, label: str) -> str | None:
        """The items of a tuple; of a collection that may change only functions and classes in it.

        They are those that it held when it was first seen.
        """
        content = first_content(value)
        if content is None or id(value) in self._open or len(self._open) > _MOST_LEVELS:
            return None
        self._open.add(id(value))
        texts: list[str] = []
        fixed = isinstance(value, (tuple, frozenset))
        for place, item in content:
            text = syntax.constant(item) if fixed else None
            if text is None and syntax.constant(item) is None:
                text = self._token(item, f"{label}[{place!r}]")
            if text is not None:
                texts.append(f"{syntax.constant(place)}:{text}")
        self._open.remove(id(value))
        if not texts:
            return None
        if isinstance(value, (set, frozenset)):
            texts.sort()
        return self._part((id(value),), f"constant {label}", f"{type(value).__name__}{texts}")

    # -- classes --------------------------------------------------------------------------

    def _attribute(self, cls: type, name: str) -> str | None:
        """The token of an attribute of a class, or of its objects."""
        self._knows(cls)
        for base in (*cls.__mro__, *filter(is_own_class, inspect.getmro(type(cls)))):
            found = self.version.look_up_in(base, name)
            if found is not MISSING:
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
            if found is not MISSING:
                return self._member(found, base, owner, name) if is_own_class(base) else None
        return None

    def _member(self, value: Any, definer: type, owner: type, name: str) -> str | None:
        label = f"{definer.__name__}.{name}"
        if not callable(value) and any(name in text.set_on_classes for text in _texts(definer)):
            return None
        text = syntax.constant(value)
        if text is not None:
            return self._part((label,), f"class attribute {label}", text)
        defined = None
        if _may_change(value):
            module = sys.modules.get(definer.__module__)
            whole = _place_of(module)
            names = vars(module) if module is not None else {}
            texts = _texts(definer) or (whole[0] if whole is not None else [])
            every = [found.assigned_in(definer).get(name) for found in texts]
            same = [found for found in every if _is_written(value, found)]
            expressions = next(filter(None, [*same, *every]), None)
            if expressions is not None:
                defined = self._expressions(expressions, label, (texts, names))
        return _all([self._token(value, label, owner), defined])

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
                if not _is(inner, FunctionType) or is_generated(inner):
                    continue
            elif _is(value, enum.Enum) or name in _enumerated(cls):
                continue
            self.version.look_up_in(cls, name)
            token = self._member(value, cls, cls, name)
            if token is not None:
                yield name, token
        for name, default in _fields(cls):
            token = self._token(default, f"{cls.__name__}.{name}")
            yield f"field {name}", token or ""


def _all(tokens: list[str | None]) -> str | None:
    """One token for several; None if there is none."""
    return "|".join(token or "" for token in tokens) if any(tokens) else None


def _may_change(value: Any) -> bool:
    """Whether a value is neither a constant nor something that is called or looked up by itself."""
    return not issubclass(type(value), _LASTING) and syntax.constant(value) is None


def _place_of(module: Any) -> _Place | None:
    """The text of a module of the user's, and its names."""
    file = getattr(module, "__file__", None)
    if file is None or not is_own_file(file):
        return None
    return texts_of_module(module), module.__dict__


def _is_written(value: Any, expressions: list[ast.expr] | None) -> bool:
    """Whether a value is what the last of these expressions says, as it is written."""
    if not expressions or type(value) not in (list, dict, set):
        return False
    try:
        return bool(ast.literal_eval(expressions[-1]) == value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False


def _texts(cls: type) -> list[Text]:
    """The texts in which a class may be defined."""
    functions = [value for value in vars(cls).values() if _is(value, FunctionType)]
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


def _is(value: Any, kind: type[Kind]) -> TypeGuard[Kind]:
    """As `isinstance`, which would ask a proxy for its class."""
    return issubclass(type(value), kind)


def _class_of(thing: Any) -> type:
    return thing if _is(thing, type) else type(thing)


def _cells(function: FunctionType) -> list[Any]:
    return [content_of(cell) for cell in function.__closure__ or ()]


def _is_set_by_python(name: str) -> bool:
    """Whether a name is one such as ``__file__``, whose value differs between machines."""
    return name.startswith("__") and name.endswith("__")


def _enumerated(cls: type) -> Mapping[str, Any]:
    return cls.__members__ if issubclass(cls, enum.Enum) else {}


def _fields(cls: type) -> Iterator[tuple[str, Any]]:
    """Names and default values of the fields of a dataclass, a named tuple, an enumeration."""
    for name, field in vars(cls).get("__dataclass_fields__", {}).items():
        yield name, field.default_factory if callable(field.default_factory) else field.default
    for name, field in vars(cls).get("__pydantic_fields__", {}).items():
        yield name, field.default_factory or field.default
    for name, member in _enumerated(cls).items():
        yield name, member.value
    yield from vars(cls).get("_field_defaults", {}).items()
