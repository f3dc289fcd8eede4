"""The factory that made a person, found in the registry of factories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tinyfactory import models
from tinyfactory.errors import InvalidInput
from tinyfactory.journal.scope import Scope, factories, scope
from tinyfactory.models.chat import ChatModel
from tinyfactory.people.comparison import Twins
from tinyfactory.people.protocols import Json, Person, PersonLike


class Maker(Protocol):
    """What a person needs of a `TinyPersonFactory`."""

    language: str | None
    generated_names: Sequence[str]

    @property
    def context_text(self) -> str: ...  # noqa: D102
    def scope(self) -> Scope: ...  # noqa: D102
    def chat_model(self) -> ChatModel: ...  # noqa: D102
    def _twin_of(self, person: Any, changes: Json, attempts: int) -> Any: ...


def maker_of(person: PersonLike) -> Maker | None:
    """Return the factory of this process that made the person, also if renamed since."""
    here = scope(person.simulation_id)
    names = {person.name, *(r.changes["name"][0] for r in person.revisions if "name" in r.changes)}
    for factory in list(factories.values()):
        if (
            hasattr(factory, "_twin_of")
            and factory.scope() is here
            and not names.isdisjoint(factory.generated_names)
        ):
            maker: Maker = factory
            return maker
    return None


def model_for(person: PersonLike, model: str | ChatModel | None) -> ChatModel:
    """Return the model that speaks for a person: the given, its maker's, or the configured one."""
    if model is None and (maker := maker_of(person)) is not None:
        return maker.chat_model()
    return models.resolve(model)


def twin_of(person: Person, changes: Json, factory: Any, attempts: int) -> Twins[Person]:
    """Have a factory generate a twin of a person; see `TinyPerson.twin`."""
    maker = maker_of(person) if factory is None else factory
    if maker is None:
        raise InvalidInput(
            f"No factory here made {person.name}, so the request to repeat is unknown. Nothing "
            "was sent. Give a factory: person.twin(..., factory=factory)."
        )
    if not hasattr(maker, "_twin_of"):
        raise InvalidInput(
            f"factory must be a TinyPersonFactory, not {type(maker).__name__}. Nothing was sent."
        )
    twins: Twins[Person] = maker._twin_of(person, changes, attempts)  # noqa: SLF001
    return twins
