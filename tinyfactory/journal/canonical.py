"""The one way in which values become text and digests. Nothing is coerced in silence.

The rule, by exact type:

* None, True, 1, 1.0 and "x" are themselves, and all different from each other;
* text is kept to the letter: "é" in two normal forms is two texts;
* a tuple stays a tuple, a dictionary with keys other than text keeps them;
* an object of a class registered with `journaled` is kept as its complete state;
* all else (NaN, sets, bytes, numpy numbers, subclasses of the types above) is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tinyfactory.errors import DamagedRecord, NotSerialisable

# Marks an encoded value that JSON has no form for. A user's dictionary that
# holds this very key is written as pairs, so nothing can be mistaken.
MARK = "$"

Class = TypeVar("Class", bound=type)
_types: dict[str, type] = {}
_loaders: dict[str, Callable[[], type]] = {}


def journaled(cls: Class, name: str | None = None) -> Class:
    """Register a class whose objects may stand in arguments, results and under transactions.

    The class has ``encode_complete_state()`` and ``decode_complete_state(state)``; or it is
    a subclass of list. The latest definition of a name counts, so that a class can be
    edited in a notebook.
    """
    _types[name or type_name(cls)] = cls
    return cls


def journaled_when_needed(name: str, load: Callable[[], type]) -> None:
    """Have `load()` import the class of that name when the journal first meets it."""
    _loaders[name] = load


def type_name(cls: type) -> str:
    """The name under which a class stands in the journal: short for this package's own."""
    if cls.__module__.startswith("tinyfactory."):
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def is_journaled(value: object) -> bool:
    """Whether the value is an object (not a list) with a state of its own in the journal."""
    cls = type(value)
    return _types.get(type_name(cls)) is cls and not isinstance(value, list)


def journal_state(value: Any) -> dict[str, Any]:
    """The state of an object, without what tells equal objects of one run apart."""
    state = value.encode_complete_state()
    for key in getattr(value, "_not_in_journal", ()):
        state.pop(key, None)
    return dict(state)


def encode(value: Any, where: str = "value") -> Any:
    """The JSON form of a value.

    Raises
    ------
    NotSerialisable
        Naming the place, when JSON cannot hold the value exactly.

    Examples
    --------
    >>> encode((1, {"a": 2.0}))
    {'$': 'tuple', 'items': [1, {'a': 2.0}]}
    >>> encode({1, 2}, "arguments.tags")
    Traceback (most recent call last):
        ...
    tinyfactory.errors.NotSerialisable: arguments.tags is of type set, which the journal cannot ...
    """
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is str:
        _check_text(value, where)
        return value
    if kind is float:
        if math.isfinite(value):
            return value
        raise NotSerialisable(f"{where} is {value!r}, which JSON cannot hold. Nothing was done.")
    if kind is list:
        return [encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if kind is tuple:
        return {MARK: "tuple", "items": [encode(v, f"{where}[{i}]") for i, v in enumerate(value)]}
    if kind is dict:
        return _encode_dict(value, where)
    if _types.get(type_name(kind)) is kind:
        if isinstance(value, list):
            return {MARK: "list", "type": type_name(kind), "items": encode(list(value), where)}
        state = encode(journal_state(value), f"{where}.state")
        return {MARK: "object", "type": type_name(kind), "state": state}
    raise NotSerialisable(
        f"{where} is of type {kind.__qualname__}, which the journal cannot hold. Nothing was done. "
        "Use None, bool, int, float, str, list, tuple, dict, a person or a factory."
    )


def _encode_dict(value: dict[Any, Any], where: str) -> Any:
    if all(type(key) is str for key in value) and MARK not in value:
        for key in value:
            _check_text(key, where)
        return {key: encode(item, f"{where}.{key}") for key, item in value.items()}
    pairs = [[encode(k, f"{where} key"), encode(v, f"{where}[{k!r}]")] for k, v in value.items()]
    return {MARK: "dict", "items": pairs}


def _check_text(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotSerialisable(
            f"{where} holds half of a character pair, which is not valid text. Nothing was done."
        ) from None


def decode(value: Any) -> Any:
    """The value that `encode` wrote. Objects are new and not yet registered anywhere."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if MARK not in value:
        return {key: decode(item) for key, item in value.items()}
    match value:
        case {"$": "tuple", "items": items}:
            return tuple(decode(item) for item in items)
        case {"$": "dict", "items": items}:
            return {decode(k): decode(v) for k, v in items}
        case {"$": "list", "type": name, "items": items}:
            return _type_of(name)(decode(items))
        case {"$": "object", "type": name, "state": state}:
            cls = _type_of(name)
            return cls.__new__(cls).decode_complete_state(decode(state))
    raise DamagedRecord(f"The journal holds a value of unknown form {value.get(MARK)!r}.")


def _type_of(name: str) -> Any:
    if name not in _types and name in _loaders:
        _loaders[name]()
    try:
        return _types[name]
    except KeyError:
        raise DamagedRecord(
            f"The journal holds an object of class {name!r}, which is not defined here. "
            "The record is unharmed. Run the cell that defines the class, then run this again."
        ) from None


def objects_in(value: Any) -> Iterator[Any]:
    """The journaled objects that stand in a value, outermost only, in order."""
    if is_journaled(value):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from objects_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from objects_in(item)


def replace_objects(value: Any, swap: Callable[[Any], Any]) -> Any:
    """The value with each journaled object replaced by `swap(object)`."""
    if is_journaled(value):
        return swap(value)
    if isinstance(value, (list, tuple)):
        return type(value)(replace_objects(item, swap) for item in value)
    if isinstance(value, dict):
        return {key: replace_objects(item, swap) for key, item in value.items()}
    return value


def to_text(encoded: Any) -> str:
    """Encoded JSON as compact text, keys in their own order (so that a replay shows the same)."""
    return json.dumps(encoded, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def digest(*parts: Any) -> str:
    """SHA-256 over the parts with sorted keys, as 40 hex digits.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    >>> len({digest(1), digest(1.0), digest(True), digest("1")})
    4
    """
    text = json.dumps(
        parts, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
    )
    return digest_text(text)


def digest_text(text: str) -> str:
    """SHA-256 of a text, as 40 hex digits (160 bits: collisions stay out of reach)."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:40]
