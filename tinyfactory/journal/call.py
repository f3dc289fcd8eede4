"""A transactional method (`Method`) and one call of it (`Call`)."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cached_property
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.serializer import digest_text, type_name, with_state


class Method:
    """A transactional method: its code, its version, and what it declares.

    `touches` names the parameters (including ``"self"``) whose objects the method changes; None
    means all objects with a state. `request` returns the model request, which enters the key;
    parameters in `ignore` do not.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        given_version: str | None = None,
        touches: tuple[str, ...] | None = None,
        request: Callable[..., Any] | None = None,
        ignore: tuple[str, ...] = (),
    ) -> None:
        self.function = function
        self.name = function.__name__
        self.given_version = given_version
        self.touches = touches
        self.request = request
        self.ignore = ignore

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature, owner included."""
        return inspect.signature(self.function)

    @cached_property
    def version(self) -> str:
        """The given version, else a digest of the source, so that an edited method is new."""
        return self.given_version or _source_version(self.function)

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

    `things` are the owner (as ``"self"``) and the arguments by name, and `participants` those
    of them that the method may change.
    """

    __slots__ = ("arguments", "method", "owner", "participants", "things")

    def __init__(self, method: Method, owner: Any, arguments: dict[str, Any]) -> None:
        self.method = method
        self.owner = owner
        self.arguments = arguments
        self.things = things = {"self": owner, **arguments}
        if method.touches is None:
            found = {name: thing for name, thing in things.items() if type(thing) in with_state}
        else:
            found = {name: things[name] for name in method.touches}
        if len(found) > 1:
            # An object that is passed twice is copied and restored once.
            first = {id(thing): name for name, thing in reversed(found.items())}
            found = {name: thing for name, thing in found.items() if first[id(thing)] == name}
        self.participants = found

    @property
    def class_name(self) -> str:
        """The class under whose name the call is recorded."""
        owner = self.owner
        return type_name(owner if isinstance(owner, type) else type(owner))


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


def _source_version(function: Callable[..., Any]) -> str:
    """A digest of the function's code; comments and layout do not enter it."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        code = function.__code__
        return "code:" + digest_text(f"{code.co_code.hex()} {code.co_consts!r} {code.co_names!r}")
    return "source:" + digest_text(ast.dump(tree))
