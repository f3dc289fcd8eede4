"""The keys of events and replies, and the heads of lines: all digests in a journal.

An event is found by its key. The key is a digest of the *base*, which is the place of the call in
its line, and of the *content* of the call (`call_content`): the class, the method and its version,
the arguments, the model request (with the model's identity, and the schema and the templates as
digests), and the state of every object that the method may change. Nothing else enters a key: no
API key, no time, no order of replies.

The base is, for

* a call on an object: the head of its line; the calls of a group that overlap have the same one,
  and the nth of equal content has a place beside it (`journal/parallel/group.py`, `beside_base`);
* a call in a slot of a job: the head of the slot's line (`slot_head`);
* a call within another: the outer key and a serial number (`nested_base`);
* a call on a class: the root of a new line (`line_root`).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import Any

from tinyfactory.errors import InvalidInput, NotSerialisable
from tinyfactory.journal.values.parts import copied, objects_by_place
from tinyfactory.journal.values.serializer import (
    State,
    encode,
    is_journaled_list,
    type_name,
    with_state,
)
from tinyfactory.journal.values.stored_text import digest
from tinyfactory.journal.version.former import former_versions
from tinyfactory.journal.version.source import capture, is_own_class
from tinyfactory.journal.version.version import version_of
from tinyfactory.journal.version.watch import Version

# At most so many classes' versions of one method are remembered.
_MOST_CLASSES = 100

# The derived parameters of methods that have some, by the name of the method.
derived_parameters: dict[str, tuple[str, ...]] = {}


class Method:
    """A transactional method: its code, its version, and what it declares.

    `touches` names the parameters (including ``"self"``) whose objects the method changes; None
    means all objects with a state. `request` returns the model request, which enters the key;
    parameters in `ignore` do not. The objects of the parameters in `locks` are locked during the
    call, although it does not change them before it commits. An `edit` asks no model, so it may
    run in a recording. Parameters in `derived` follow from the state of objects; a recording is
    searched without them.
    """

    def __init__(
        self,
        function: FunctionType,
        given_version: str | None = None,
        touches: tuple[str, ...] | None = None,
        request: Callable[..., Any] | None = None,
        ignore: tuple[str, ...] = (),
        locks: tuple[str, ...] = (),
        *,
        edit: bool = False,
        derived: tuple[str, ...] = (),
    ) -> None:
        self.function = function
        self.name = function.__name__
        self.given_version = given_version
        self.touches = touches
        self.request = request
        self.ignore = ignore
        self.locks = locks
        self.edit = edit
        self.derived = derived
        if derived:
            derived_parameters[self.name] = derived
        self._versions: dict[tuple[type, ...], Version] = {}
        if not given_version:
            capture(function)

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature, owner included."""
        return inspect.signature(self.function)

    def version(self, owner: type, *others: type) -> str:
        """The version for objects of a class: the given one, else a digest of the code.

        An edited method is new, and so is one that names a function or constant that was edited.
        `others` are the classes of objects in the arguments.
        """
        return self.given_version or self.version_in_parts(owner, *others).text

    def version_in_parts(self, *classes: type) -> Version:
        """The digest of the code with all that it covers."""
        known = self._versions.get(classes)
        if known is None or not known.holds():
            if len(self._versions) >= _MOST_CLASSES:
                self._versions.clear()
            known = version_of(self.function, classes[0], classes[1:])
            self._versions[classes] = known
        return known

    @cached_property
    def former_versions(self) -> tuple[str, ...]:
        """The versions that earlier releases gave; none for a given version."""
        return () if self.given_version else former_versions(self.function)

    def bind(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The call, with defaults filled in: f(1) and f(x=1) are the same call."""
        plain = self._plain
        if plain is not None:
            if not kwargs and len(args) == len(plain):
                return Call(self, owner, dict(zip(plain, args, strict=True)))
            arguments = _bind_plainly(plain, args, kwargs)
            if arguments is not None:
                return Call(self, owner, arguments)
        try:
            bound = self.signature.bind(owner, *args, **kwargs)
        except TypeError as error:  # its message does not name the method
            raise TypeError(f"{self.function.__qualname__}() {error}") from None
        bound.apply_defaults()
        names = list(bound.arguments)
        arguments = {name: bound.arguments[name] for name in names[1:]}
        return Call(self, owner, arguments)

    def run(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the body, with copies of lists and dictionaries.

        A replay does not run the body, so what it changes in an argument must not be seen.
        """
        memo: dict[int, Any] = {}
        try:
            args = tuple([copied(arg, memo) for arg in args])
            given = {name: copied(arg, memo) for name, arg in kwargs.items()}
        except RecursionError:
            raise NotSerialisable(
                f"An argument of {self.name} is nested too deeply. Nothing was done."
            ) from None
        for name, (place, default) in self._collections.items():
            if len(args) <= place and name not in given:
                given[name] = copied(default)
        return self.function(owner, *args, **given)

    @cached_property
    def _collections(self) -> dict[str, tuple[int, Any]]:
        """The parameters whose default is a list or the like, with their places."""
        return {
            name: (
                place - 1 if parameter.kind is not parameter.KEYWORD_ONLY else sys.maxsize,
                parameter.default,
            )
            for place, (name, parameter) in enumerate(self.signature.parameters.items())
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and isinstance(parameter.default, (list, dict, set, bytearray))
        }

    @cached_property
    def _plain(self) -> dict[str, Any] | None:
        """The parameters behind the owner, each with its default, if all are ordinary ones."""
        parameters = list(self.signature.parameters.values())
        ordinary = all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
        return {p.name: p.default for p in parameters[1:]} if ordinary else None


def _bind_plainly(
    plain: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    """What `Signature.bind` gives, in a tenth of its time; None where it is to be asked."""
    given = dict(zip(plain, args, strict=False))
    if len(args) > len(plain) or not kwargs.keys() <= plain.keys() - given.keys():
        return None
    given |= kwargs
    arguments = {name: given.get(name, default) for name, default in plain.items()}
    missing = any(value is inspect.Parameter.empty for value in arguments.values())
    return None if missing else arguments


class Call:
    """One call of a transactional method.

    `things` are the owner (as ``"self"``), the arguments by name, and objects within arguments by
    their place (``"people[2]"``); `participants` are those that the method may change.
    """

    __slots__ = ("arguments", "method", "owner", "participants", "things")

    def __init__(self, method: Method, owner: Any, arguments: dict[str, Any]) -> None:
        if type(owner) not in with_state:
            _check_owner(method, owner)
        self.method = method
        self.owner = owner
        self.arguments = arguments
        self.things = things = {"self": owner, **arguments}
        touches = method.touches
        found: dict[str, Any] = {}
        for name in tuple(things) if touches is None else touches:
            thing = things[name]
            if type(thing) in with_state:
                found[name] = thing
            elif isinstance(thing, (list, tuple, dict)):
                found.update(objects_by_place(thing, name))
            elif touches is not None:
                found[name] = thing
        if len(found) > 1:
            # An object that is passed twice is copied and restored once.
            first = {id(thing): name for name, thing in reversed(found.items())}
            found = {name: thing for name, thing in found.items() if first[id(thing)] == name}
        things.update(found)
        self.participants = found

    def is_within(self, name: str) -> bool:
        """Whether a name is the place of an object within an argument, which enters the key."""
        return name != "self" and name not in self.arguments

    @property
    def class_name(self) -> str:
        """The class under whose name the call is recorded."""
        return type_name(self.owner_class)

    @property
    def version(self) -> str:
        """The version of the method for the classes of the owner and of the arguments."""
        if self.method.given_version:
            return self.method.given_version
        classes = {type(thing) for _, thing in objects_by_place(self.arguments, "")}
        own = sorted(filter(is_own_class, classes), key=type_name)
        return self.method.version(self.owner_class, *own)

    @property
    def owner_class(self) -> type:
        """The class of the owner, or the owner itself for a class method."""
        owner = self.owner
        return owner if isinstance(owner, type) else type(owner)


def _check_owner(method: Method, owner: Any) -> None:
    """Fail for an object whose changes could be neither undone nor saved."""
    if isinstance(owner, type) or is_journaled_list(owner):
        return
    if not hasattr(owner, "encode_complete_state"):
        raise InvalidInput(
            f"{method.function.__qualname__} was called on an object of class "
            f"{type(owner).__qualname__}, which has no state that the journal knows. Nothing was "
            "done. Derive the class from TinyFactory, and use no @staticmethod."
        )


def check_method(function: Any, names_used: tuple[str, ...]) -> None:
    """Fail at decoration, not at the first call."""
    if not inspect.isfunction(function):
        raise InvalidInput(
            f"@transactional must decorate a method, not {function!r}. Put it below @classmethod."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidInput(
            f"{function.__qualname__} is a generator, which cannot be atomic. Return a list."
        )
    names = list(inspect.signature(function).parameters)
    if not names:
        raise InvalidInput(f"{function.__qualname__} has no parameter for its object (self).")
    unknown = [name for name in names_used if name != "self" and name not in names]
    if unknown:
        raise InvalidInput(f"{function.__qualname__} has no parameter {', '.join(unknown)}.")


Json = dict[str, Any]


def call_content(call: Call, states: dict[str, State]) -> Json:
    """Everything that enters the key of a call besides its base.

    Parameters
    ----------
    call : Call
    states : dict
        The encoded state of each object that the method may change, by parameter.

    Raises
    ------
    NotSerialisable
        If an argument cannot be stored as JSON. The method has not run then.
    """
    method = call.method
    arguments = call.arguments
    if method.ignore:
        arguments = {k: v for k, v in arguments.items() if k not in method.ignore}
    content = {
        "class": call.class_name,
        "method": method.name,
        "version": call.version,
        "arguments": encode(arguments, "arguments"),
        "request": None if method.request is None else method.request(call.owner, **call.arguments),
    }
    if states:
        # An object that was edited between two calls makes the second call a new event.
        content["state"] = digest(states)
    return content


def event_key(base: str, content: Json) -> str:
    """The key of an event."""
    return digest(base, content)


def retry_key(key: str) -> str:
    """The key of the same call made again, because the event under `key` must not be used."""
    return digest("again", key)


def variant_key(key: str, steps: list[str]) -> str:
    """The key of an event whose inner events differ from the stored ones."""
    return digest("otherwise", key, steps)


def reply_key(key: str, request: Json) -> tuple[str, str]:
    """The key of the reply to a request, and the digest of the request.

    `key` is the key of the call that makes the request. The request of each attempt contains the
    reason why the last reply was rejected, so a rejected reply is never returned to a retry.
    """
    asked = digest(request)
    return "reply:" + digest(key, asked), asked


def nested_base(key: str, serial: int) -> str:
    """The base of a call within another one."""
    return digest("nested", key, serial)


def beside_base(head: str, serial: int) -> str:
    """The base of a call that begins while another on the same object runs."""
    return digest("beside", head, serial)


def line_root(equal: str, occurrence: int) -> str:
    """The root of the line of the nth object of equal origin."""
    return digest(equal, occurrence)


def slot_head(head: str, number: int) -> str:
    """The head at which the line of a slot begins."""
    return digest("slot", head, number)


def next_head(key: str, result: Any, changes: Any, steps: list[str]) -> str:
    """The head of a line after an event: from its key, its result and its inner events."""
    return digest(key, result, changes, *([steps] if steps else []))


def joined_head(head: str, other: str) -> str:
    """The head after a call that ended while another on the same object ran."""
    return digest("join", head, other)


def fork_head(head: str, heads: list[str]) -> str:
    """The head after all slots of a fork."""
    return digest("join", head, heads)
