"""Counterfactual twins: the same request again with one attribute changed.

The two texts show the effect of that attribute alone on the model, such as a different job for a
woman than for a man. (Changing one attribute and keeping the others: Kusner et al.,
"Counterfactual Fairness", NeurIPS 2017, https://arxiv.org/abs/1703.06856.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from tinyfactory.errors import InvalidInput, ReplyRejected
from tinyfactory.factory import profiles
from tinyfactory.factory.person_generator import (
    Json,
    PersonSource,
    person_request,
    person_values,
    read_reply,
)
from tinyfactory.generation.pipeline import (
    Task,
    ask,
    check_count,
    gave_up,
    message_of,
    provenance,
)
from tinyfactory.journal.transactions.transaction import required_transaction
from tinyfactory.journal.values.serializer import type_name
from tinyfactory.people.schema.field_names import FIELDS, check_names
from tinyfactory.prompts.particularities import constraints_in, particularities_text

if TYPE_CHECKING:
    from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest
    from tinyfactory.people import TinyPerson
    from tinyfactory.people.comparison import Twins

# For a person without a profile: the fields that the twin should share.
_FACTS = {
    "name": "name",
    "age": "age",
    "sex": "gender",
    "nationality": "nationality",
    "residence": "residence",
    "occupation": "occupation.title",
}
_MOST_TOLD = 20  # categories in an error


class TwinSource(PersonSource, Protocol):
    """The methods and attributes of a `TinyPersonFactory` that a twin needs."""

    @classmethod
    def _write_twin(cls, *arguments: Any) -> TinyPerson | None: ...


def twin(
    factory: TwinSource, person: TinyPerson, changes: Json, attempts: int
) -> Twins[TinyPerson]:
    """See `TinyPerson.twin`."""
    from tinyfactory.people.comparison import Twins

    check_count(attempts, "attempts")
    profile = _profile_of(person)
    if factory.scope().recorded is None:
        check_names(changes, profile, FIELDS.union(profile))
    changed = _changed(profile, changes)
    if factory.demography is not None:
        _check_fits(factory.demography, profile, changed)
    values, temperature, seed = _recipe(factory, person)
    asked = _renamed(person, profile | {key: new for key, (_, new) in changed.items()}, changed)
    asked = _recorded(factory, values, asked, changed)
    made = type(factory)._write_twin(  # noqa: SLF001 - the factory's own, for this module
        values,
        asked,
        temperature,
        attempts,
        seed,
        {"template": factory.template, "instructions": factory.instructions},
        factory.chat_model(),
    )
    if made is None:
        raise ReplyRejected(
            f"The model gave no usable twin of {person.name} in {attempts} attempts; the log says "
            "why. Nothing was changed. Call it again with more attempts, or another change."
        )
    made.provenance |= {"twin_of": person.name}
    return Twins(person, made, changed)


def write(
    values: Json,
    asked: Json,
    temperature: float | None,
    attempts: int,
    seed: int,
    texts: Json,
    model: ChatModel,
) -> TinyPerson | None:
    """The twin, not registered; None when no reply could be used."""
    from tinyfactory.people import TinyPerson

    tx, fixed = required_transaction(), constraints_in(asked)

    def read(reply: ChatReply) -> Json:
        own = texts["template"] or texts["instructions"]
        context = None if own else values["context"]
        return read_reply(message_of(model.identity, reply), fixed, asked, context)

    task = Task(
        lambda rejected: request(values | {"rejected": rejected}, asked, temperature, seed, texts),
        read,
        attempts,
        "twin",
    )
    outcome = ask(task, model, tx)
    if outcome.value is None or outcome.reply is None:
        gave_up(outcome, tx)
        return None
    return TinyPerson(
        persona=profiles.complete(asked, outcome.value),
        provenance=provenance(model.identity, outcome.reply) | {"profile": asked},
        register=False,
    )


def request(
    values: Json, asked: Json, temperature: float | None, seed: int, texts: Json
) -> ChatRequest:
    """The original's request with the twin's profile."""
    values = values | {"particularities": particularities_text(asked)}
    made = person_request(values, temperature, texts["template"], texts["instructions"])
    return replace(made, seed=seed)


def _profile_of(person: TinyPerson) -> Json:
    kept = person.provenance.get("profile")
    if isinstance(kept, dict):
        return profiles.without_bands(kept)
    facts = {key: person.get(path) for key, path in _FACTS.items()}
    return {key: value for key, value in facts.items() if value not in (None, "")}


def _changed(profile: Json, changes: Json) -> dict[str, tuple[Any, Any]]:
    from tinyfactory.people.schema.normalise import normalise

    if not changes:
        raise InvalidInput(
            'A twin differs in something; say in what: person.twin(sex="male"). Nothing was sent.'
        )
    said_nothing = [
        k for k, new in changes.items() if new is None or new != new or not f"{new}".strip()
    ]
    if said_nothing:
        raise InvalidInput(
            f"{', '.join(said_nothing)}: a twin has something else here; give the new value. "
            "Nothing was sent."
        )
    normalise(changes, partial=True)  # raises for impossible values, such as an age of -3
    names = {"gender": "sex", "sex": "gender"}
    changed = {}
    for key, new in changes.items():
        known = key if key in profile or names.get(key) not in profile else names[key]
        if profile.get(known) == new:
            raise InvalidInput(
                f"{known} is {new!r} already, so there is no twin. Nothing was sent."
            )
        changed[known] = (profile.get(known), new)
    return changed


def _check_fits(demography: Json, profile: Json, changed: dict[str, tuple[Any, Any]]) -> None:
    """Raise `InvalidInput` for a twin that the factory's demography does not allow."""
    fitted = profiles.fitted(demography)
    for key, (_, new) in changed.items():
        number = key.removesuffix("_band")
        if number != key and fitted.bands(number) is not None:
            raise InvalidInput(
                f"{key} follows from {number}. Nothing was sent. Change that: "
                f"person.twin({number}=...)."
            )
        if key in fitted.fields and fitted.category_of(key, new) is None:
            known = list(fitted.margins()[key])
            more = f" and {len(known) - _MOST_TOLD:,} more" if len(known) > _MOST_TOLD else ""
            raise InvalidInput(
                f"{key}: the demography of this person has no {new!r:.80}; it has "
                f"{', '.join(known[:_MOST_TOLD])}{more}. Nothing was sent. Use one of these, or "
                "give a factory without a demography: person.twin(..., factory=factory)."
            )
    told = profile | {key: new for key, (_, new) in changed.items()}
    for rule in fitted.impossible:
        met = all(fitted.category_of(key, told.get(key)) == word for key, word in rule.items())
        if met and rule.keys() & changed.keys():
            raise InvalidInput(
                f"{' and '.join(f'{key} {told[key]!r}' for key in rule)} are impossible together "
                "in the demography. Nothing was sent. Change both: "
                f"person.twin({', '.join(f'{key}=...' for key in rule)})."
            )


def _recipe(factory: TwinSource, person: TinyPerson) -> tuple[Json, float | None, int]:
    """The values of the original's templates, its temperature, and its seed."""
    recipe = person.provenance.get("recipe") or {}
    seen = recipe.get("seen", 0)
    values = person_values(
        factory.context_text,
        profiles.asked(person.provenance.get("profile"), recipe.get("particularities")),
        factory.generated_names[:seen],
        factory.generated_minibios[:seen],
        recipe.get("ordinal", 1),
        factory.language,
    )
    temperature = recipe.get("temperature", 1.5)
    original = person_request(values, temperature, factory.template, factory.instructions)
    # The offline model draws by this seed, so the twin is drawn like the original.
    return values, temperature, original.fingerprint()


def _recorded(
    factory: TwinSource, values: Json, asked: Json, changed: dict[str, tuple[Any, Any]]
) -> Json:
    """The profile of the recorded twin, in a replay; else `asked`.

    The original may have been edited since, or in the recording. It is known by its context and
    its number among the people of its factory.
    """
    recorded = factory.scope().recorded
    if recorded is None:
        return asked
    found = [
        arguments["asked"]
        for arguments in recorded.arguments_of(type_name(type(factory)), "_write_twin")
        if all(arguments["values"].get(key) == values[key] for key in ("context", "ordinal"))
        and arguments["asked"].keys() == asked.keys()
        and all(arguments["asked"].get(key) == new for key, (_, new) in changed.items())
    ]
    return asked if asked in found or not found else dict(found[0])


def _renamed(person: TinyPerson, profile: Json, changed: dict[str, tuple[Any, Any]]) -> Json:
    """Replace the name if sex or country changed and the user did not choose the name."""
    follows = {"sex", "gender", "country", "region", "nationality", "residence"} & changed.keys()
    if "name" in changed or not follows:
        return profile
    if "profile" not in person.provenance:
        return {key: value for key, value in profile.items() if key != "name"}
    return profiles.another_name(profile, [person.name])
