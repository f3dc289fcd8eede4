"""A person and their counterfactual twin: what changed, and what changed along with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinyfactory.people.comparison import Comparison

if TYPE_CHECKING:
    from tinyfactory.people.person import TinyPerson


class Twins(Comparison):
    """Two people who were asked for alike but for what was changed on purpose.

    Parameters
    ----------
    original, twin : TinyPerson
    changed : mapping
        What was changed, as ``{"sex": ("female", "male")}``.

    Attributes
    ----------
    original, twin : TinyPerson
        The twin is in no registry.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> ana = TinyPerson("Ana", {"age": 30, "style": "Quick."}, register=False)
    >>> old = TinyPerson("Ana", {"age": 70, "style": "Quick."}, register=False)
    >>> Twins(ana, old, {"age": (30, 70)}).share
    0.0
    """

    def __init__(
        self, original: TinyPerson, twin: TinyPerson, changed: Mapping[str, tuple[Any, Any]]
    ) -> None:
        super().__init__(original, twin, changed)
        self.original = original
        self.twin = twin
