"""Values as JSON, and back.

The rules, by exact type; nothing is coerced silently:

* None, True, 1, 1.0 and "x" are themselves, and all different from each other;
* text is kept exactly: "é" in two normal forms is two texts;
* a tuple stays a tuple, and a dictionary keeps keys that are not text;
* an object of a class registered with `journaled` is stored as its complete state; in the result
  and the changes of an event, an object that the call already had is stored as a reference to it;
* everything else (NaN, sets, bytes, numpy numbers, subclasses of these types) is refused.
"""

from __future__ import annotations

import functools
import math
import types
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tinyfactory.errors import DamagedRecord, NotSerialisable, TinyFactoryError, UnknownRecord
from tinyfactory.journal.values.stored_text import MARK

# What a key of a dictionary may be besides text and numbers.
_KEYS = ("tuple", "object", "same")
# A reference to an object by its number has fewer characters.
_MOST_DIGITS = 10

Class = TypeVar("Class", bound=type)
# Types that most values are made of.
_NUMBERS = frozenset({type(None), bool, int})
LEAVES = _NUMBERS | {float, str}


State = dict[str, Any]
_types: dict[str, type] = {}
# The classes whose objects have a state and are not lists, with their names in the journal.
with_state: dict[type, str] = {}
# Called with each class that is registered and has a state.
watchers: list[Callable[[type], None]] = []


def journaled(cls: Class, name: str | None = None) -> Class:
    """Register a class whose objects may be arguments and results of transactional methods.

    The class has ``encode_complete_state()`` and ``decode_complete_state(state)``; or it is
    a subclass of list. The latest definition of a name counts, so that a class can be
    edited in a notebook.
    """
    own = _name_of(cls)
    # Objects of an earlier definition still have a state, so `with_state` keeps their class.
    if name in (None, own) and not issubclass(cls, list):
        with_state[cls] = own
        for watch in watchers:
            watch(cls)
    _types[name or own] = cls
    return cls


def type_name(cls: type) -> str:
    """The name of a class in the journal: short for this package's own."""
    return with_state.get(cls) or _name_of(cls)


def _name_of(cls: type) -> str:
    if cls.__module__.startswith("tinyfactory."):
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def is_journaled(value: object) -> bool:
    """Whether the value is an object (not a list) of a registered class."""
    return type(value) in with_state


def is_journaled_list(value: object) -> bool:
    """Whether the value is of a registered class of lists."""
    return isinstance(value, list) and _types.get(type_name(type(value))) is type(value)


def journal_state(value: Any, state: dict[str, Any] | None = None) -> dict[str, Any]:
    """The state of an object without the fields that tell equal objects apart.

    Parameters
    ----------
    value : object
    state : dict, optional
        Its complete state, if that was encoded already.
    """
    state = value.encode_complete_state() if state is None else state
    hidden = getattr(value, "_not_in_journal", ())
    return {key: part for key, part in state.items() if key not in hidden}


class References:
    """The objects in one encoding: those that have a name, and those written so far.

    Parameters
    ----------
    name_of : callable, optional
        The name under which an object is found again when the value is decoded, or None.
    once : bool
        Whether an object that occurs again is written as a reference. Otherwise only an object
        within itself is; that is the form of arguments and states.
    """

    def __init__(self, name_of: Callable[[Any], str | None] | None = None, *, once: bool) -> None:
        self.name_of = name_of
        self.once = once
        self.numbers: dict[int, int] = {}
        # The objects that were written, by number, and those that were referred to, by name.
        self.objects: list[Any] = []
        self.named: dict[str, Any] = {}
        self.uses = 0
        # Those of the objects that are not within others.
        self.outermost: list[Any] = []
        self.depth = 0
        # The lists, tuples and dictionaries that the encoder is in.
        self.around: set[int] = set()


def encode(
    value: Any,
    where: str = "value",
    references: References | Callable[[], References] | None = None,
) -> Any:
    """The JSON form of a value.

    Parameters
    ----------
    where : str
        The name of the value in an error message.
    references : References or callable, optional
        How objects are written, or a function that gives this and is called if there is one.

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
    try:
        return _encode_plain(value)
    except (_NotPlain, UnicodeEncodeError, RecursionError):
        pass
    if references is None:
        references = References(once=False)
    elif not isinstance(references, References):
        references = references()
    try:
        return _encode_any(value, where, references)
    except RecursionError:
        raise NotSerialisable(
            f"{where} is nested too deeply, which the journal cannot hold. Nothing was done."
        ) from None


def _encode(value: Any, where: str, references: References) -> Any:
    try:
        return _encode_plain(value)
    except (_NotPlain, UnicodeEncodeError, RecursionError):
        return _encode_any(value, where, references)


class _NotPlain(Exception):
    """A value that `_encode_plain` does not know."""


_NOT_PLAIN = _NotPlain()


def _encode_plain(value: Any) -> Any:
    """Encode what most values are made of, fast: the place of a part is not written down."""
    kind = type(value)
    if kind is dict:
        encoded = {}
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or key == MARK:
                raise _NOT_PLAIN
            of = type(item)
            plain = of in _NUMBERS or (of is str and item.isascii())
            encoded[key] = item if plain else _encode_plain(item)
        return encoded
    if kind is list:
        return [
            item
            if (of := type(item)) in _NUMBERS or (of is str and item.isascii())
            else _encode_plain(item)
            for item in value
        ]
    if kind in _NUMBERS:
        return value
    if kind is str:
        value.encode()
        return value
    if kind is float and math.isfinite(value):
        return value
    raise _NOT_PLAIN


def _encode_any(value: Any, where: str, references: References) -> Any:
    """Encode any value, or name the place of a part that cannot be encoded."""
    kind = type(value)
    if kind in _NUMBERS:
        return value
    if kind is str:
        _check_text(value, where)
        return value
    if kind is float:
        if math.isfinite(value):
            return value
        raise NotSerialisable(f"{where} is {value!r}, which JSON cannot hold. Nothing was done.")
    if kind is not list and kind is not tuple and kind is not dict:
        return _encode_object(value, where, references)
    number = id(value)
    if number in references.around:
        raise NotSerialisable(f"{where} contains itself, which JSON cannot hold. Nothing was done.")
    references.around.add(number)
    encoded: Any
    if kind is dict:
        encoded = _encode_dict(value, where, references)
    else:
        encoded = _encode_items(value, where, references)
    references.around.discard(number)
    return {MARK: "tuple", "items": encoded} if kind is tuple else encoded


def _encode_object(value: Any, where: str, references: References) -> Any:
    """Encode an object of a registered class, or a reference to it."""
    kind = type(value)
    name = type_name(kind)
    if _types.get(name) is not kind:
        known = kind in with_state
        raise NotSerialisable(
            f"{where} is of an earlier definition of class {kind.__qualname__}. Nothing was done. "
            "Create the object again, then run this again."
            if known
            else f"{where} is of type {kind.__qualname__}, which the journal cannot hold. Nothing "
            "was done. Use None, bool, int, float, str, list, tuple, dict, a person or a factory."
        )
    if isinstance(value, list):
        return {MARK: "list", "type": name, "items": _encode(list(value), where, references)}
    references.uses += 1
    number = references.numbers.get(id(value))
    known_as = None if references.name_of is None else references.name_of(value)
    if known_as is not None:
        references.named[known_as] = value
    elif number is not None:
        known_as = f"#{number}"
    if known_as is not None:
        return {MARK: "same", "as": known_as}
    references.numbers[id(value)] = len(references.objects)
    references.objects.append(value)
    if not references.depth:
        references.outermost.append(value)
    references.depth += 1
    state = _encode(journal_state(value), f"{where}.state", references)
    references.depth -= 1
    if not references.once:
        del references.numbers[id(value)]
    return {MARK: "object", "type": name, "state": state}


def _encode_items(items: Iterable[Any], where: str, references: References) -> list[Any]:
    return [_encode(item, f"{where}[{i}]", references) for i, item in enumerate(items)]


def _encode_dict(value: dict[Any, Any], where: str, references: References) -> Any:
    if all(type(key) is str for key in value) and MARK not in value:
        for key in value:
            _check_text(key, where)
        return {key: _encode(item, f"{where}.{key}", references) for key, item in value.items()}
    pairs = [
        [_encode(k, f"{where} key", references), _encode(v, f"{where}[{k!r}]", references)]
        for k, v in value.items()
    ]
    return {MARK: "dict", "items": pairs}


def _check_text(text: str, where: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotSerialisable(
            f"{where} holds half of a character pair, which is not valid text. Nothing was done."
        ) from None


class Known:
    """The objects that references in one encoding stand for.

    Parameters
    ----------
    find : callable, optional
        The object of a name, or None.
    live : sequence of object
        Objects to use, by number, in place of those that are decoded.
    begun : callable, optional
        Called with each object before it gets its state.
    enter_inner : callable, optional
        Called with each new object that is within another one, after the outermost one, which
        `decode` swaps.
    """

    def __init__(
        self,
        find: Callable[[str], Any] | None = None,
        live: Sequence[Any] = (),
        begun: Callable[[Any], object] = lambda _: None,
        enter_inner: Callable[[Any], object] | None = None,
    ) -> None:
        self._find = find
        self._live = live
        self._begun = begun
        self._enter_inner = enter_inner
        self.made: list[Any] = []
        self.named: dict[str, Any] = {}
        self.uses = 0

    def begin(self, thing: Any) -> tuple[int, Any]:
        """The number of an object that is decoded now, and the object to use for it or None."""
        self.uses += 1
        number = len(self.made)
        live = self._live[number] if number < len(self._live) else None
        self.made.append(thing if live is None else live)
        self._begun(thing)
        return number, live

    def enter_from(self, number: int) -> None:
        """Enter the new objects from a number on: one is before those that are within it."""
        if self._enter_inner is not None:
            for i in range(number, len(self.made)):
                if i >= len(self._live) or self._live[i] is None:
                    self._enter_inner(self.made[i])

    def get(self, name: str) -> Any:
        """The object that a reference stands for; None if nothing was given to find it."""
        self.uses += 1
        if self._find is None:
            return None
        number = name[1:_MOST_DIGITS] if name.startswith("#") else ""
        if number.isdecimal():
            found = self.made[int(number)] if int(number) < len(self.made) else None
        else:
            found = self.named[name] = self._find(name)
        if found is None:
            raise DamagedRecord(f"The journal refers to an object {name!r:.80}, not here.")
        return found


def decode(value: Any, swap: Callable[[Any], Any] | None = None, known: Known | None = None) -> Any:
    """The value that `encode` wrote. Objects are new and not yet registered anywhere.

    Parameters
    ----------
    swap : callable, optional
        Called with each of the outermost objects; its result replaces the object.
    known : Known, optional
        Finds the objects that are stored as references.
    """
    if type(value) in LEAVES:
        return value
    try:
        return _decode(value, swap, known or Known())
    except RecursionError:
        raise DamagedRecord("The journal holds a value that is nested too deeply.") from None


def _decode(value: Any, swap: Callable[[Any], Any] | None, known: Known) -> Any:
    if type(value) is list:
        return [item if type(item) in LEAVES else _decode(item, swap, known) for item in value]
    if type(value) in LEAVES:
        return value
    if MARK not in value:
        return {
            key: item if type(item) in LEAVES else _decode(item, swap, known)
            for key, item in value.items()
        }
    match value:
        case {"$": "tuple", "items": list(items)}:
            return tuple(_decode(items, swap, known))
        case {"$": "dict", "items": list(items)} if all(map(_is_pair, items)):
            return _decode_pairs(items, swap, known)
        case {"$": "list", "type": str(name), "items": list(items)}:
            return _type_of(name, of_list=True)(_decode(items, swap, known))
        case {"$": "same", "as": str(name)}:
            return known.get(name)
        case {"$": "object", "type": str(name), "state": dict(state)}:
            return _decode_object(_type_of(name), state, swap, known)
    raise DamagedRecord(f"The journal holds a value of unknown form {value.get(MARK)!r:.80}.")


def _decode_pairs(
    items: list[Any], swap: Callable[[Any], Any] | None, known: Known
) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, item in items:
        name, value = _decode(key, None, known), _decode(item, swap, known)
        try:
            found[name] = value
        except TypeError:  # a list in a tuple, for example
            what = type(name).__name__
            raise DamagedRecord(f"The journal holds a {what} as a key, which is none.") from None
    return found


def _decode_object(cls: Any, state: State, swap: Callable[[Any], Any] | None, known: Known) -> Any:
    thing = cls.__new__(cls)
    number, live = known.begin(thing)  # its own state may refer to it
    state = _decode(state, None, known)  # also of a live one, for the numbers of those in it
    if live is None:
        thing = _restored(thing, state)
        live = known.made[number] = thing if swap is None else swap(thing)
    if swap is not None:
        known.enter_from(number + 1)
    return live


def _is_pair(item: Any) -> bool:
    """Whether a value is a key and a value; a list, for example, cannot be a key."""
    if type(item) is not list or len(item) != 2:
        return False
    key = item[0]
    return type(key) in LEAVES or (type(key) is dict and key.get(MARK) in _KEYS)


def _restored(thing: Any, state: State) -> Any:
    """A new object in a stored state."""
    cls = type(thing)
    check_names(cls, state)
    try:
        return thing.decode_complete_state(state)
    except TinyFactoryError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnknownRecord(
            f"The journal holds a {cls.__name__} whose state cannot be used "
            f"({type(error).__name__}: {error}). The event is unharmed. If the class was edited, "
            "let its decode_complete_state accept the earlier state."
        ) from error


# Names that objects of a class may have in a state, as far as they were looked at.
_allowed: weakref.WeakKeyDictionary[type, set[str]] = weakref.WeakKeyDictionary()
_PLAIN = (type(None), bool, int, float, str, list, tuple, dict, set, frozenset)
_DATA = (property, functools.cached_property, types.MemberDescriptorType)


def check_names(cls: type, state: Iterable[Any]) -> None:
    """Refuse a state that would replace more of an object than its data.

    A state may come from another machine. It holds names of attributes, and must not replace a
    method or what Python itself uses, such as ``__class__``.

    Raises
    ------
    DamagedRecord
        For such a name.

    Examples
    --------
    >>> class Shop:
    ...     def sell(self): ...
    >>> check_names(Shop, {"town": "Wien", "_prices": []})
    >>> check_names(Shop, {"sell": 1})
    Traceback (most recent call last):
        ...
    tinyfactory.errors.DamagedRecord: The journal holds a state of Shop with 'sell', which is ...
    """
    allowed = _allowed.setdefault(cls, set())
    for name in state:
        if type(name) is not str or name not in allowed:
            if type(name) is not str or not _is_data(cls, name):
                raise DamagedRecord(
                    f"The journal holds a state of {cls.__name__} with {name!r:.80}, which is no "
                    "attribute with data. It was not restored. Use a journal or a recording of "
                    "this class."
                )
            allowed.add(name)


def _is_data(cls: type, name: str) -> bool:
    """Whether objects of a class may have data under a name."""
    if name.startswith("__") and name.endswith("__"):
        return False
    for above in cls.__mro__:
        if name in vars(above):
            found = vars(above)[name]
            if isinstance(found, _DATA):
                return True
            # The package's own classes have no defaults for data on the class.
            own = above.__module__.startswith("tinyfactory.")
            data = type(found) in _PLAIN or is_journaled(found) or is_journaled_list(found)
            return data and not own
    return True


def _type_of(name: str, *, of_list: bool = False) -> Any:
    try:
        found = _types[name]
        if issubclass(found, list) is of_list:
            return found
        raise DamagedRecord(f"The journal holds an object of class {name!r} in another form.")
    except KeyError:
        raise DamagedRecord(
            f"The journal holds an object of class {name!r}, which is not defined here. "
            "The event is unharmed. Run the cell that defines the class, then run this again."
        ) from None
