"""Where a call has its place, and with it its key: alone, or in a group of calls that overlap."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal import key as keys
from tinyfactory.journal.key import Call
from tinyfactory.journal.parallel.group import Calls, Group, Member
from tinyfactory.journal.scopes.context import current_context, within
from tinyfactory.journal.scopes.lines import Line, Slot
from tinyfactory.journal.scopes.scope import Scope
from tinyfactory.journal.values.changes import Change, earlier
from tinyfactory.journal.values.parts import copied
from tinyfactory.journal.values.serializer import State
from tinyfactory.journal.values.state import StateCopy

Json = dict[str, Any]


class Place(NamedTuple):
    """A place that a call can take, and what it has there.

    `fork` is the place at which its group begins, and `first_key` the key of the first call of
    equal content in the group; this one is the one of `number`.
    """

    group: Group | None
    fork: str
    first_key: str
    number: int
    base: str
    key: str
    content: Json
    slot: Slot | None


def take_alone(calls: Calls, owner: Any, content: Json) -> tuple[str, str, Member] | None:
    """The base, the key and the place of a call that runs alone; None if it may not."""
    if calls.choices() is not None:
        return None
    base = calls.next_base()
    key = keys.event_key(base, content)
    member = calls.enter(None, base, key, 1)
    if member is None:
        return None
    _note(member, owner)
    return base, key, member


def _note(member: Member, owner: Any) -> None:
    """Remember how many people the prompts of the calls beside this one may mention."""
    member.thing = owner
    member.group.seen.setdefault(id(owner), len(getattr(owner, "generated_names", ())))


class Placer:
    """Finds the place of one call.

    Parameters
    ----------
    call : Call
    scope : Scope
    content : dict
        The content of the call if it runs alone.
    states : dict
        The encoded state of each object that the method may change.
    slot : Slot, optional
        The slot of a job that the call fills.
    looks_up : bool
        Whether the call is looked up in the journal.
    locks_owner : bool
        Whether the call keeps its object locked until it ends, so that the object is the same for
        it in any order.
    others : int
        How many places there were within the recorded call around this one. A thread or task that
        comes in another order than it was recorded finds its event at another place.
    """

    def __init__(
        self,
        call: Call,
        scope: Scope,
        content: Json,
        states: dict[str, State],
        slot: Slot | None,
        *,
        looks_up: bool,
        locks_owner: bool,
        others: int = 0,
    ) -> None:
        self.call = call
        self.scope = scope
        self.content = content
        self.states = states
        self.slot = slot
        self.looks_up = looks_up
        self.locks_owner = locks_owner
        self.others = others

    def take(self, calls: Calls) -> tuple[Place, Member]:
        """Take a place among the calls on the same object, or within the same call."""
        while True:
            place = self._choose(calls)
            found = None if not self.others or self._is_stored(place) else self._ahead(calls)
            if found is not None:
                return found
            member = calls.enter(place.group, place.fork, place.first_key, place.number)
            if member is not None:
                _note(member, self.call.owner)
                return place, member

    def _ahead(self, calls: Calls) -> tuple[Place, Member] | None:
        """Take a later place where this call is stored, if there is one."""
        for number, base in calls.later_places(self.others):
            key = keys.event_key(base, self.content)
            place = Place(None, base, key, 1, base, key, self.content, self.slot)
            if self._is_stored(place):
                member = calls.enter_ahead(number, base, key)
                if member is not None:
                    _note(member, self.call.owner)
                    return place, member
        return None

    def _choose(self, calls: Calls) -> Place:
        groups = calls.choices()
        if groups is None:
            return self._alone(calls)
        places = [self._alone(calls) if g is None else self._in_group(g) for g in groups]
        if self.looks_up:
            for place in places:
                if self._is_stored(place):
                    return place
        for place in places:
            if place.group is not None and place.group.has_failed(place.first_key):
                return place
        return places[0]

    def _alone(self, calls: Calls) -> Place:
        base = calls.next_base()
        key = keys.event_key(base, self.content)
        return Place(None, base, key, 1, base, key, self.content, self.slot)

    def _in_group(self, group: Group) -> Place:
        content, slot, owner = self.content, self.slot, self.call.owner
        seen = group.seen.get(id(owner))
        if seen is not None and slot is None and not self.locks_owner:
            # Its prompt must not depend on which of the others has ended.
            slot = Slot(owner, 0, seen, Line("none"))
            if self.call.method.request is not None:
                with within(current_context()._replace(slot=slot)):
                    content = keys.call_content(self.call, self.states)
        first_key = keys.event_key(group.fork, content)
        number = group.number_for(first_key)
        base, key = group.key(first_key, number, content)
        return Place(group, group.fork, first_key, number, base, key, content, slot)

    def _is_stored(self, place: Place) -> bool:
        """Whether there is an event at a place; in a group one that had others beside it."""
        scope, key = self.scope, place.key
        if scope.recorded is not None:
            key = scope.recorded.key_of(key, place.base, place.content)
        try:
            record = scope.store.get("event:" + key)
        except DamagedRecord:
            return True
        if record is None:
            return False
        idle = place.group is not None and not place.group.running
        return not idle or place.number > 1 or "beside" in record["meta"]


def bring_in_order(member: Member, change: Change | None) -> StateCopy | None:
    """Put the change of a replayed call before those that were made later when it was recorded.

    Returns
    -------
    StateCopy or None
        The state of the object before that, or None if nothing had to be done.
    """
    member.change = change
    later = member.later()
    if change is None or not later:
        return None
    before = StateCopy(member.thing)
    member.thing.decode_complete_state(copied(earlier(before.state, change, later)))
    return before
