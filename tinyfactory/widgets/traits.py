"""Traits for people, who are equal by content and still not the same person."""

from __future__ import annotations

from typing import Any

import traitlets

from tinyfactory.people import TinyPerson


class ByIdentity(traitlets.Any):
    """Any value; another one that equals it is another one, and is told of.

    Examples
    --------
    >>> class Holder(traitlets.HasTraits):
    ...     held = ByIdentity()
    >>> holder, seen = Holder(held=[1]), []
    >>> holder.observe(seen.append, "held")
    >>> holder.held = [1]
    >>> len(seen)
    1
    """

    def set(self, obj: Any, value: Any) -> None:
        """Take a value, and tell of it if it is another object than before."""
        before = obj._trait_values.get(self.name)  # noqa: SLF001 - as `TraitType.set` itself
        super().set(obj, value)
        now = obj._trait_values[self.name]  # noqa: SLF001
        if before is not now and before == now:
            obj._notify_trait(self.name, before, now)  # noqa: SLF001


class OnePerson(ByIdentity):
    """A person, or None."""

    info_text = "a TinyPerson or None"

    def validate(self, obj: Any, value: Any) -> TinyPerson | None:
        """Refuse what is no person."""
        if value is not None and not isinstance(value, TinyPerson):
            self.error(obj, value)
        return value
