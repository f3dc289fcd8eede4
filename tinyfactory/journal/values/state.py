"""The state of an object: by default all its attributes, copied.

A class without `encode_complete_state` of its own has every attribute of its objects in their
state, except

* names in `_transient`, a tuple that any class in the line of inheritance may have;
* machinery: chat models, locks, threads, loggers, executors, caches, open files;
* values of `functools.cached_property`, which are dropped whenever a state is restored.

These stay with the live object. Registered objects (other factories, people) stay themselves in
a copied state: a rollback restores which object an attribute refers to, and never makes a second
one. A class of this package lists the attributes that its own `encode_complete_state` saves in
`_encoded`; its subclasses add their own attributes to these.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import NotSerialisable
from tinyfactory.journal.values.changes import same
from tinyfactory.journal.values.parts import copied, objects_by_place
from tinyfactory.journal.values.serializer import State, encode, is_journaled, is_journaled_list
from tinyfactory.redaction import Secrets

_NUMBERS = frozenset({type(None), bool, int})
_CONTAINERS = frozenset({list, tuple, dict})
_JSON = _NUMBERS | _CONTAINERS | {float, str, set}
# Packages whose objects stay with the live object: they do something, and hold no result.
_MACHINERY = (
    *("_thread.", "threading.", "multiprocessing.", "subprocess.", "concurrent.futures."),
    *("asyncio.", "_asyncio.", "queue.", "_queue.", "contextvars.", "_contextvars.", "logging."),
    *("io.", "_io.", "tempfile.", "socket.", "_socket.", "ssl.", "sqlite3.", "weakref."),
    *("_weakref.", "diskcache.", "tinyfactory.models.", "tinyfactory.journal."),
    *("tinyfactory.generation.", "tinyfactory.budget.", "tinyfactory.factory."),
    *("tinyfactory.widgets.", "tinyfactory.utils."),
)
# What `TinyFactory` itself saves.
_NAMES = ("name", "simulation_id")
_CACHE = type(functools.lru_cache(len))
# Texts in which no secret was found, so that each is searched once.
_searched: set[str] = set()
_MOST_SEARCHED = 20_000


# -- which attributes --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layout:
    """What is known about the attributes of a class.

    `encoded` are saved by an encoder of the class itself, `slots` and `computed` are the names of
    its slots and cached properties. `shared` are lists and the like that are attributes of the
    class, so that all objects share them.
    """

    encoded: frozenset[str]
    slots: tuple[str, ...]
    computed: frozenset[str]
    shared: tuple[tuple[type, str], ...]


_layouts: dict[type, _Layout | None] = {}


def _layout(cls: type) -> _Layout | None:
    """The layout of a class; None if its encoder saves all of the state."""
    try:
        return _layouts[cls]
    except KeyError:
        return _layouts.setdefault(cls, _read_layout(cls))


def _read_layout(cls: type) -> _Layout | None:
    line = cls.__mro__
    encoder = next((c for c in line if "encode_complete_state" in vars(c)), cls)
    of_package = "_encoded" in vars(encoder)
    if "_encoded" in vars(cls) or (encoder is cls and not of_package):
        return None
    encoded = set(_union(cls, "_encoded"))
    if not of_package:
        # Attributes that a class with an encoder of its own uses are its decision.
        for above in line[line.index(encoder) :]:
            encoded |= _names_used(above)
    slots = tuple(name for c in line for name in _slots(c))
    computed = [
        name
        for c in line
        for name, value in vars(c).items()
        if isinstance(value, functools.cached_property)
    ]
    shared = tuple(
        (c, name)
        for c in line
        if "_encoded" not in vars(c)
        for name, value in vars(c).items()
        if type(value) in (list, dict, set) and not name.startswith("__")
    )
    return _Layout(frozenset(encoded), slots, frozenset(computed), shared)


def _union(cls: type, name: str) -> frozenset[str]:
    """The names in a tuple that several classes in the line of inheritance may have."""
    return frozenset(n for c in cls.__mro__ for n in _as_names(vars(c).get(name)))


def _as_names(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _slots(cls: type) -> Iterator[str]:
    """The names of the slots that a class adds, as they are attributes."""
    for name in _as_names(vars(cls).get("__slots__")):
        private = name.startswith("__") and not name.endswith("__")
        if name not in ("__dict__", "__weakref__"):
            yield f"_{cls.__name__.lstrip('_')}{name}" if private else name


def _names_used(cls: type) -> set[str]:
    """The names and texts that the methods of a class use."""
    names: set[str] = set()
    for value in vars(cls).values():
        functions = [value, *(getattr(value, part, None) for part in ("__func__", "fget", "fset"))]
        codes = [getattr(getattr(f, "__wrapped__", f), "__code__", None) for f in functions]
        while codes:
            code = codes.pop()
            if code is not None:
                names.update(code.co_names, (c for c in code.co_consts if isinstance(c, str)))
                codes += [c for c in code.co_consts if hasattr(c, "co_names")]
    return names


def has_own_state(cls: type) -> bool:
    """Whether objects of a class have attributes beside those that an encoder saves."""
    return _layout(cls) is not None


def has_encoder_of_package(thing: Any) -> bool:
    """Whether an encoder of the package saves more of an object than its name."""
    layout = _layout(type(thing))
    return layout is not None and len(layout.encoded) > len(_NAMES)


def is_blank(thing: Any) -> bool:
    """Whether an object has no attributes yet."""
    if getattr(thing, "__dict__", None):
        return False
    slots = (n for c in type(thing).__mro__ for n in _slots(c))
    return not any(hasattr(thing, name) for name in slots)


def is_transient(cls: type, name: str) -> bool:
    """Whether a class declares that an attribute is no part of the state."""
    return name in _union(cls, "_transient")


def is_own(cls: type, name: str) -> bool:
    """Whether an attribute is in the state of a class, but saved by no encoder of the package."""
    layout = _layout(cls)
    return layout is not None and name not in layout.encoded


def _own_attributes(thing: Any) -> dict[str, Any]:
    """The attributes in the state by default, not copied; also machinery."""
    cls = type(thing)
    layout = _layout(cls)
    if layout is None:
        return {}
    hidden = layout.encoded | layout.computed | _union(cls, "_transient")
    found = {name: value for name, value in vars(thing).items() if name not in hidden}
    for name in layout.slots:
        if name not in hidden and hasattr(thing, name):
            found[name] = getattr(thing, name)
    return found


def _is_machinery(value: Any) -> bool:
    kind = type(value)
    if kind in _JSON or is_journaled(value) or isinstance(value, type):
        return False
    if kind not in _machinery:
        # Chat models are a protocol, so a model may be of any class.
        model = callable(getattr(kind, "complete", None))
        names = [f"{cls.__module__}." for cls in kind.__mro__]
        _machinery[kind] = (
            issubclass(kind, _CACHE) or model or any(name.startswith(_MACHINERY) for name in names)
        )
    return _machinery[kind]


_machinery: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


# -- copying and restoring ---------------------------------------------------------------


def own_state(thing: Any) -> State:
    """A copy of the attributes of an object that are in its state by default.

    Raises
    ------
    NotSerialisable
        For an attribute that holds a secret, or that JSON cannot hold. The message has the line
        that keeps it out of the state.
    """
    state: State = {}
    copier: _Copier | None = None
    for name, value in _own_attributes(thing).items():
        if type(value) not in _NUMBERS:
            if _is_machinery(value):
                continue
            copier = copier or _Copier(type(thing))
            value = copier.copy(value, name)
        state[name] = value
    return state


class _Copier:
    """Copies the attributes of one object; refuses what a replay could not restore."""

    def __init__(self, cls: type) -> None:
        self._class = cls
        self._attribute = ""
        self._seen: dict[int, str] = {}
        self._secrets: Secrets | None = None

    def copy(self, value: Any, name: str) -> Any:
        self._attribute = name
        try:
            return self._copy(value, name)
        except RecursionError:
            raise self._refusal(name, "is nested too deeply") from None

    def _copy(self, value: Any, where: str) -> Any:
        kind = type(value)
        if kind in _NUMBERS:
            return value
        if kind is str:
            self._check_text(value, where)
            return value
        if kind is float:
            if not math.isfinite(value):
                raise self._refusal(where, f"is {value!r}, which JSON cannot hold")
            return value
        if is_journaled(value):
            return value
        if kind is tuple:
            return tuple(self._copy(item, f"{where}[{i}]") for i, item in enumerate(value))
        if kind is not list and kind is not dict and not is_journaled_list(value):
            what = f"is of type {kind.__qualname__}, which the journal cannot hold"
            raise self._refusal(where, what)
        first = self._seen.setdefault(id(value), where)
        if first != where:
            inside = where.startswith(first)
            two = f"is the same {kind.__qualname__} as {first}, and a replay would make two of it"
            raise self._refusal(where, "contains itself" if inside else two)
        if kind is dict:
            copies = {}
            for key, item in value.items():
                self._copy(key, f"{where} key")
                copies[key] = self._copy(item, f"{where}[{key!r}]")
            return copies
        return kind([self._copy(item, f"{where}[{i}]") for i, item in enumerate(value)])

    def _check_text(self, text: str, where: str) -> None:
        if where == self._attribute:
            text = f"{where.strip('_')}={text}"
        if len(text) < 12 or text in _searched:
            return
        self._secrets = self._secrets or Secrets()
        # "service_api_key" is found as the words that it is made of.
        if self._secrets.key_in(text) or self._secrets.key_in(text.replace("_", " ")):
            raise self._refusal(
                where, "holds what looks like a key or a password, which is never stored"
            )
        if len(_searched) >= _MOST_SEARCHED:
            _searched.clear()
        _searched.add(text)

    def _refusal(self, where: str, what: str) -> NotSerialisable:
        cls = self._class
        names = (*_as_names(vars(cls).get("_transient")), self._attribute)
        line = ", ".join(f'"{name}"' for name in names) + ("," if len(names) == 1 else "")
        return NotSerialisable(
            f"{cls.__name__}.{where} {what}. Nothing was done. Use None, bool, int, float, str, "
            "list, tuple, dict, a person or a factory; or keep the attribute out of the state "
            f"with this line in class {cls.__name__}: _transient = ({line})"
        )


def restore_own(thing: Any, state: State) -> None:
    """Restore the attributes that `own_state` copied; others of the kind disappear."""
    layout = _layout(type(thing))
    if layout is None:
        return
    now = _own_attributes(thing)
    for name, value in now.items():
        if name not in state and not _is_machinery(value):
            _delete(thing, name, layout)
    hidden = layout.encoded | layout.computed | _union(type(thing), "_transient")
    for name, value in state.items():
        if name in hidden:
            continue
        if name not in layout.slots:
            vars(thing).pop(name, None)  # so that their order is the same again
        # A list that did not change stays the one that the caller may have as well.
        kept = name in now and same(now[name], value)
        _set(thing, name, now[name] if kept else copied(value), layout)
    forget_computed(thing)


def _set(thing: Any, name: str, value: Any, layout: _Layout) -> None:
    if name in layout.slots:
        object.__setattr__(thing, name, value)
    else:
        vars(thing)[name] = value


def _delete(thing: Any, name: str, layout: _Layout) -> None:
    if name in layout.slots:
        object.__delattr__(thing, name)
    else:
        del vars(thing)[name]


def forget_computed(thing: Any) -> None:
    """Drop the values of cached properties, which were computed from another state."""
    layout = _layout(type(thing))
    for name in layout.computed if layout is not None else ():
        vars(thing).pop(name, None)


def objects_of(thing: Any, where: str, state: State | None = None) -> Iterator[tuple[str, Any]]:
    """The registered objects that attributes of an object refer to, each with its place.

    Parameters
    ----------
    where : str
        The place of the object itself.
    state : dict, optional
        A copy of its state; by default its present attributes.
    """
    attributes = _own_attributes(thing) if state is None else state
    for name, value in attributes.items():
        yield from objects_by_place(value, f"{where}.{name}")


def _copy_of_shared(value: Any) -> Any:
    """A copy of a list or the like; None for one that holds more than JSON, such as functions."""
    if isinstance(value, set):
        return set(value)
    try:
        encode(value)
    except NotSerialisable:
        return None
    return copied(value)


class StateCopy:
    """The state of an object at one moment, to which it can be restored.

    Parameters
    ----------
    thing : object
    own : bool
        Whether only attributes are copied that no encoder of the package saves.
    """

    __slots__ = ("_given", "_live", "_shared", "own", "state", "thing")

    def __init__(self, thing: Any, *, own: bool = False) -> None:
        self.thing = thing
        self.own = own
        self.state = self.now()
        # Lists and the like that `detach` replaced, each with the copy in its place.
        self._given: dict[str, tuple[Any, Any]] = {}
        self._live: dict[str, Any] = {}
        self._shared: list[tuple[type, str, Any, Any]] = []
        layout = _layout(type(thing))
        if layout is not None:
            self._shared = [
                (cls, name, value, copy)
                for cls, name in layout.shared
                if (copy := _copy_of_shared(value := vars(cls).get(name))) is not None
            ]
            # An attribute that refers to machinery is no part of the state, but may be replaced.
            self._live = {n: v for n, v in _own_attributes(thing).items() if _is_machinery(v)}

    def now(self) -> State:
        """The present state of the object, copied."""
        if self.own:
            return own_state(self.thing)
        state: State = copied(self.thing.encode_complete_state())
        return state

    def detach(self) -> None:
        """Give the object copies of its own lists and dictionaries before a body runs.

        The caller may have one of them under another name. A replay does not change that, so the
        body must not either.
        """
        layout = _layout(type(self.thing))
        if layout is None:
            return
        for name, given in _own_attributes(self.thing).items():
            value = self.state.get(name)
            if type(value) in _CONTAINERS or is_journaled_list(value):
                copy = copied(value)
                self._given[name] = given, copy
                _set(self.thing, name, copy, layout)

    def attach(self) -> None:
        """Give the object those back that the body left as they were."""
        given, self._given = self._given, {}
        layout = _layout(type(self.thing))
        if not given or layout is None:
            return
        now = _own_attributes(self.thing)
        for name, (value, copy) in given.items():
            if now.get(name) is copy and same(copy, value):
                _set(self.thing, name, value, layout)

    def restore(self) -> None:
        """Restore the object."""
        given, self._given = self._given, {}
        layout = _layout(type(self.thing))
        if layout is not None:
            for name, (value, _) in given.items():
                _set(self.thing, name, value, layout)
        if self.own:
            restore_own(self.thing, self.state)
        else:
            self.thing.decode_complete_state(copied(self.state))
        for name, value in self._live.items():
            object.__setattr__(self.thing, name, value)
        for _, _, shared, before in self._shared:
            if not same(shared, before):
                shared.clear()
                (shared.extend if isinstance(shared, list) else shared.update)(before)

    def check_class(self) -> None:
        """Raise an error if a list or the like was changed that all objects of a class share.

        Raises
        ------
        NotSerialisable
            Because it belongs to no object, a replay could not change it.
        """
        for cls, name, shared, before in self._shared:
            if not same(shared, before) and not is_transient(type(self.thing), name):
                raise NotSerialisable(
                    f"{cls.__name__}.{name} is an attribute of the class, which all its objects "
                    "share, and was changed. Nothing was stored, and it is as before. Set it in "
                    f"__init__ instead: self.{name} = ..."
                )
