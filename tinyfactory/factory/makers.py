"""Finds the factory that made a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory import models
from tinyfactory.factory.base import TinyFactory
from tinyfactory.journal.scope import scope

if TYPE_CHECKING:
    from tinyfactory.factory.person_factory import TinyPersonFactory
    from tinyfactory.models.chat import ChatModel
    from tinyfactory.people import TinyPerson


def maker_of(person: TinyPerson) -> TinyPersonFactory | None:
    """The factory in this process that made the person, even if it was renamed; or None."""
    from tinyfactory.factory.person_factory import TinyPersonFactory

    here = scope(person.simulation_id)
    names = {person.name, *(r.changes["name"][0] for r in person.revisions if "name" in r.changes)}
    for factory in list(TinyFactory.all_factories.values()):
        if not isinstance(factory, TinyPersonFactory) or factory.scope() is not here:
            continue
        if not names.isdisjoint(factory.generated_names):
            return factory
    return None


def model_for(person: TinyPerson, model: str | ChatModel | None) -> ChatModel:
    """The model for a person: the given one, its factory's, or the configured one."""
    if model is None and (maker := maker_of(person)) is not None:
        return maker.chat_model()
    return models.resolve(model)
