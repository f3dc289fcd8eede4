"""`IdentityTrait`: a trait that changes when it gets another object, even an equal one."""

from __future__ import annotations

from typing import Any

import traitlets

from tinyfactory.people import TinyPerson


class IdentityTrait(traitlets.TraitType[Any, Any]):
    """Any value, compared by identity.

    Two people with equal content are two people, and comparing 100,000 of them takes long.

    Examples
    --------
    >>> class Shelf(traitlets.HasTraits):
    ...     book = IdentityTrait(None)
    >>> shelf, seen = Shelf(book=["a"]), []
    >>> shelf.observe(lambda change: seen.append(change.new), "book")
    >>> shelf.book = ["a"]
    >>> seen
    [['a']]
    """

    def __init__(self, default: Any = None, **options: Any) -> None:
        super().__init__(default, allow_none=True, **options)

    def set(self, obj: Any, value: Any) -> None:
        """Set a value, and notify observers if it is another object."""
        value = self._validate(obj, value)
        values = obj._trait_values  # noqa: SLF001 - as traitlets' own `set`
        before = values.get(self.name, self.default_value)
        values[self.name] = value
        if value is not before:
            obj._notify_trait(self.name, before, value)  # noqa: SLF001


class PersonTrait(IdentityTrait):
    """A person, or None."""

    info_text = "a TinyPerson or None"

    def validate(self, obj: Any, value: Any) -> TinyPerson | None:
        """Reject anything but a person or None."""
        if value is not None and not isinstance(value, TinyPerson):
            self.error(obj, value)
        return value
