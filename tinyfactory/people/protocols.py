"""What renderings, formats and comparisons need of a person, a comparison and a panel.

They take these protocols, so that they need not import the classes, which import them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from tinyfactory.people.revisions import Revision, Source
from tinyfactory.people.schema.provenance import Origin
from tinyfactory.people.schema.word_diff import Difference

Json = dict[str, Any]
Person = TypeVar("Person", bound="PersonLike")


class PersonLike(Protocol):
    """A person."""

    simulation_id: str | None
    provenance: Json

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def persona(self) -> Json: ...  # noqa: D102
    @property
    def revisions(self) -> Sequence[Revision]: ...  # noqa: D102
    def get(self, key: str, default: Any = None) -> Any: ...  # noqa: D102
    @property
    def conversation(self) -> list[Json]: ...  # noqa: D102
    @property
    def proposals(self) -> int: ...  # noqa: D102
    def minibio(self) -> str: ...  # noqa: D102
    def origins(self) -> dict[str, Origin]: ...  # noqa: D102
    def to_dict(self) -> Json: ...  # noqa: D102


class Revisable(PersonLike, Protocol):
    """A person that can be edited."""

    def _with_persona(self, persona: Json) -> PersonLike: ...
    def _revised(
        self, changes: Mapping[str, Any], source: Source, origin: Origin
    ) -> Revision | None: ...


class ComparisonLike(Protocol):
    """A comparison of two people."""

    names: tuple[str, str]
    asked: dict[str, list[Any]]
    fields: tuple[Difference, ...]
    share: float
    left_words: list[tuple[str, int]]
    right_words: list[tuple[str, int]]

    @property
    def differences(self) -> tuple[Difference, ...]: ...  # noqa: D102


class PanelLike(Protocol):
    """One question and the answers of several people."""

    question: str
    answers: list[str]
    reasons: list[str]

    @property
    def people(self) -> Sequence[PersonLike]: ...  # noqa: D102


def is_person(value: object) -> bool:
    """Tell whether a value is a person, without reading its fields."""
    return hasattr(type(value), "persona")
