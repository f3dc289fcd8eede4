"""The objects that take part in a call: copied before they change, named, and compared at its end.

Those of `Call.participants` take part from the beginning. Another object joins before the body
assigns an attribute to it for the first time; classes that are registered with `journaled` are
watched for that. A replay finds an object by its name, which is its place in the arguments or in
attributes before the call: ``people[2]``, ``self.friend``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal.key import Call
from tinyfactory.journal.scopes.context import current_context, within
from tinyfactory.journal.values.changes import Change, difference
from tinyfactory.journal.values.parts import objects_by_place
from tinyfactory.journal.values.serializer import References, journal_state, watchers, with_state
from tinyfactory.journal.values.state import (
    StateCopy,
    forget_computed,
    has_encoder_of_package,
    is_blank,
    is_own,
    is_transient,
    objects_of,
)


class Participants:
    """The objects that take part in one call.

    Attributes
    ----------
    before : dict of str to StateCopy
        Copies of those that take part from the beginning, by name.
    joined : dict of int to tuple
        A name and a copy of each that joined, by id. The name is None if a replay cannot find it.
    known : set of int
        Ids of objects that take part or were made in the call, which stay alive with it.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.before: dict[str, StateCopy] = {}
        self.joined: dict[int, tuple[str | None, StateCopy]] = {}
        self.known = {id(thing) for thing in call.participants.values()}
        self._made: list[Any] = []
        self._places: dict[int, tuple[str, Any]] | None = None

    def copy(self) -> None:
        """Copy those that take part from the beginning."""
        for name, thing in self.call.participants.items():
            self.before[name] = StateCopy(thing)

    def detach(self, takes_part: Callable[[Any], bool]) -> None:
        """Have the body work on copies of the lists of these objects.

        Parameters
        ----------
        takes_part : callable
            Whether an object takes part in a call around this one, whose body may have lists of it.
        """
        for before in self.before.values():
            if not takes_part(before.thing):
                before.detach()

    def begin_again(self) -> None:
        """Forget those that joined."""
        self.joined, self._made, self._places = {}, [], None
        self.known.clear()
        self.known.update(map(id, self.call.participants.values()))

    # -- joining ------------------------------------------------------------------------

    def joins_with(self, thing: Any, attribute: str) -> bool | None:
        """Whether an object joins before an attribute is assigned to it; None if it does not.

        True if only attributes are to be copied that no encoder of the package saves: a person
        factory with many people is not copied as a whole for a counter in a subclass.
        """
        cls = type(thing)
        if is_blank(thing):
            # It is made in this call, so there is nothing to restore.
            self._made.append(thing)
            self.known.add(id(thing))
            return None
        if is_transient(cls, attribute):
            return None
        own = has_encoder_of_package(thing) and is_own(cls, attribute)
        return None if own and id(thing) in self.joined else own

    def join(self, thing: Any, *, own: bool) -> StateCopy:
        """Copy an object that joins."""
        name, earlier = self.name_of(thing), self.joined.get(id(thing))
        copy = StateCopy(thing, own=own)
        if earlier is not None:
            copy.state |= earlier[1].state
        self.joined[id(thing)] = name, copy
        if not own:
            self.known.add(id(thing))
        return copy

    def adopt(self, parts: list[StateCopy]) -> None:
        """Store what inner calls changed, because a call that declares `touches` is not rerun."""
        for part in parts:
            if id(part.thing) not in self.known:
                name = self.name_of(part.thing, parts)
                if name is not None:
                    self.joined[id(part.thing)] = name, part
                    self.known.add(id(part.thing))

    def note_made(self, thing: Any) -> None:
        """Note an object that is made in this call, so that there is nothing to restore."""
        self._made.append(thing)
        self.known.add(id(thing))

    def take_made(self, inner: Participants) -> None:
        """Note the objects that were made in an inner call."""
        for thing in inner._made:
            self.note_made(thing)

    def has_made(self, things: Sequence[Any]) -> bool:
        """Whether all these objects, which have no name, were made in the call."""
        return all(id(thing) in self.known for thing in things)

    # -- names --------------------------------------------------------------------------

    def name_of(self, thing: Any, copies: Sequence[StateCopy] = ()) -> str | None:
        """The name under which a replay of this call finds an object that was there before."""
        place = self._reachable(copies).get(id(thing))
        return None if place is None else place[0]

    def thing(self, name: str) -> Any:
        """The object of a name."""
        things = self.call.things
        if name not in things:
            things.update(self._reachable().values())
            if name not in things:
                raise DamagedRecord(f"{self.call.method.name} has no object {name!r} here.")
        return things[name]

    def _reachable(self, more: Sequence[StateCopy] = ()) -> dict[int, tuple[str, Any]]:
        """The objects that arguments and attributes of objects refer to, with their places, by id.

        As they were before the body: attributes of objects that changed are read from a copy.
        """
        if self._places is None:
            parts = [*more, *(part for _, part in self.joined.values()), *self.before.values()]
            copies = {id(part.thing): part.state for part in parts}
            self._places = {}
            waiting = [
                part
                for name, thing in self.call.things.items()
                for part in objects_by_place(thing, name)
            ]
            for name, thing in waiting:
                if id(thing) not in self._places:
                    self._places[id(thing)] = name, thing
                    waiting += objects_of(thing, name, copies.get(id(thing)))
        return self._places

    # -- changes ------------------------------------------------------------------------

    def all(self) -> list[StateCopy]:
        """All copies."""
        return [*self.before.values(), *(copy for _, copy in self.joined.values())]

    def stored(self) -> set[int]:
        """The ids of the objects whose changes this call stores."""
        joined = (part for name, part in self.joined.values() if name is not None and not part.own)
        return {id(part.thing) for part in (*self.before.values(), *joined)}

    def differences(self) -> dict[str, Change]:
        """How each object that has a name differs from its copy."""
        found: dict[str, Change] = {}
        for name, before in [*self.before.items(), *self.joined.values()]:
            thing = before.thing
            before.check_class()
            before.attach()
            now = before.now()
            change = difference(journal_state(thing, before.state), journal_state(thing, now))
            if change:
                forget_computed(thing)
                if name is not None:
                    found[name] = change
        return found


def references_within(thing: Any) -> References:
    """For the state of an object, which may refer to the object itself."""
    return References(lambda other: "self" if other is thing else None, once=False)


def together(change: Change, staged: Change, name: str) -> Change:
    """A change that was seen and one that was staged, of the same object."""
    keys = [key for part in (change, staged) for made in part.values() for key in made]
    if len(set(keys)) < len(keys):
        raise ValueError(f"{name} was changed twice in one call; stage one change.")
    kinds = dict.fromkeys((*change, *staged))
    return {
        kind: [*change.get(kind, ()), *staged.get(kind, ())]
        if kind == "remove"
        else {**change.get(kind, {}), **staged.get(kind, {})}
        for kind in kinds
    }


def unwatched() -> AbstractContextManager[None]:
    """Restore and replay states in the block: no assignment is the body's."""
    here = current_context()
    return _AS_IT_IS if here.transaction is None else within(here._replace(transaction=None))


_AS_IT_IS = nullcontext()


def _watch(cls: type) -> None:
    """Have objects of a class take part when one of their attributes is assigned or deleted."""
    for name, watched in (("__setattr__", _watched_set), ("__delattr__", _watched_delete)):
        methods = [vars(c)[name] for c in cls.__mro__ if name in vars(c)]
        plain = next(method for method in methods if not hasattr(method, "plain"))
        if getattr(methods[0], "plain", None) is not plain:
            method = watched(plain)
            method.plain = plain
            setattr(cls, name, method)


def _watched_set(plain: Callable[..., None]) -> Any:
    def __setattr__(self: Any, attribute: str, value: Any) -> None:  # noqa: N807
        tx = current_context().transaction
        if tx is not None and id(self) not in tx.known:
            tx.meet(self, attribute)
        plain(self, attribute, value)

    return __setattr__


def _watched_delete(plain: Callable[..., None]) -> Any:
    def __delattr__(self: Any, attribute: str) -> None:  # noqa: N807
        tx = current_context().transaction
        if tx is not None and id(self) not in tx.known:
            tx.meet(self, attribute)
        plain(self, attribute)

    return __delattr__


for _cls in with_state:
    _watch(_cls)
watchers.append(_watch)
