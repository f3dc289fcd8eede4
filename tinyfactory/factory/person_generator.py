"""How a person is made: asked for, read, checked, and asked for again with the reason."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from tinyfactory.errors import BadResponse, InvalidPersona, NameTaken, ReplyRejected
from tinyfactory.factory import profiles, replies, requests
from tinyfactory.factory.requests import Json, Particularities
from tinyfactory.factory.steps import fail, transaction
from tinyfactory.journal.fork import slot_of, wait_for_turn
from tinyfactory.journal.serializer import Change
from tinyfactory.models.chat import ChatRequest
from tinyfactory.redaction import Secrets

if TYPE_CHECKING:
    from tinyfactory.factory.person_factory import TinyPersonFactory
    from tinyfactory.people import TinyPerson

from tinyfactory.models.chat import ChatModel

logger = logging.getLogger("tinyfactory")


def make_person(
    factory: TinyPersonFactory,
    particularities: Particularities,
    temperature: float | None,
    attempts: int,
    profile: Json | None = None,
) -> TinyPerson | None:
    """One person, registered and staged to be remembered; or None, with the reason staged."""
    requests.check_asking(particularities, temperature, attempts)
    asked = profiles.asked(profile, particularities)
    fixed = replies.fixed_in(asked)
    _check_name_is_free(fixed.name)
    reason, answered = "", False
    for attempt in range(1, attempts + 1):
        request = _request(factory, asked, temperature, reason)
        try:
            message = factory._aux_model_call(  # noqa: SLF001 - a name that users of it know
                [dict(m) for m in request.messages], temperature
            )
            persona = replies.read_reply(message, fixed, asked)
            recipe = _recipe(factory, particularities, temperature)
            person = _set_up(factory, message, persona, profile, recipe)
        except (ReplyRejected, InvalidPersona) as error:
            reason, answered = str(error), True
        except BadResponse as error:
            reason, answered = str(error), False
        else:
            wait_for_turn()
            try:
                person.register()
            except NameTaken:
                reason = f"The name {person.name} is taken by someone else; give another name."
                answered = True
            else:
                transaction().stage(_remembering(factory, person))
                return person
        logger.info("Attempt %d of %d gave no person: %s", attempt, attempts, reason)
    wait_for_turn()  # before it is told: a rehearsal ends here, and is not told of
    why = f"no usable reply in {attempts} attempts; last: {reason}"
    logger.error("%s made no person: %s", factory.name, why)
    fail(why, {"last_failure": why}, keep=answered)
    return None


def first_request(
    factory: TinyPersonFactory,
    agent_particularities: Particularities,
    temperature: float | None,
    attempts: int,
    profile: Json | None = None,
) -> Json:
    """What the step asks first, as it enters its key."""
    requests.check_asking(agent_particularities, temperature, attempts)
    asked = profiles.asked(profile, agent_particularities)
    request = _request(factory, asked, temperature)
    template = requests.template_digest(factory.template, factory.instructions)
    return requests.keyed(factory.chat_model(), request) | {"template": template}


def request_for(factory: TinyPersonFactory, particularities: Particularities) -> ChatRequest:
    """The request for the next person, with what is fixed about them."""
    return _request(factory, particularities, None)


def _request(
    factory: TinyPersonFactory,
    particularities: Particularities,
    temperature: float | None,
    rejected: str = "",
) -> ChatRequest:
    names, minibios, ordinal = _seen(factory)
    values = requests.person_values(
        factory.context_text,
        particularities,
        names,
        minibios,
        ordinal,
        requests.language_or_default(factory.language),
        rejected,
    )
    return filled(factory, values, temperature)


def filled(factory: TinyPersonFactory, values: Json, temperature: float | None) -> ChatRequest:
    """The factory's request with these values in it."""
    return requests.person_request(values, temperature, factory.template, factory.instructions)


def _recipe(
    factory: TinyPersonFactory, particularities: Particularities, temperature: float | None
) -> Json:
    """What, beside the factory's own state, the first request was made of.

    Particularities that hold a key or the like are left out: a person may be given away.
    """
    names, _, ordinal = _seen(factory)
    if particularities and Secrets().what_in(json.dumps(particularities, ensure_ascii=False)):
        particularities = None
    return {
        "particularities": particularities,
        "temperature": temperature,
        "seen": len(names),
        "ordinal": ordinal,
    }


def _seen(factory: TinyPersonFactory) -> tuple[list[str], list[str], int]:
    """Names and bios that a prompt may tell of, and the number of the person to be made.

    People made together are told the same, whichever of them comes first.
    """
    forked = slot_of(factory)
    names, minibios = factory.generated_names, factory.generated_minibios
    if forked is None:
        return names, minibios, len(names) + 1
    fork, slot = forked
    return names[: fork.seen], minibios[: fork.seen], fork.seen + slot + 1


def _set_up(
    factory: TinyPersonFactory,
    message: Json,
    persona: Json,
    profile: Json | None,
    recipe: Json,
) -> TinyPerson:
    from tinyfactory.people import TinyPerson

    provenance = message["provenance"] | {"recipe": recipe}
    if profile:
        persona = profiles.complete(profile, persona)
        provenance = provenance | {"profile": profile}
    person = TinyPerson(
        persona["name"],
        simulation_id=_simulation_id(),
        provenance=provenance,
        register=False,
    )
    factory._setup_agent(person, persona)  # noqa: SLF001 - a name that users of it know
    return person


def _simulation_id() -> str | None:
    here = transaction().scope
    return here.id if here.store is not None else None


def _check_name_is_free(name: str | None) -> None:
    if name is not None and name in transaction().scope.registry("person"):
        raise NameTaken(
            f"The name {name!r} is fixed in the particularities, and someone in this "
            "simulation bears it already. Nothing was sent. Choose another name."
        )


def _remembering(factory: TinyPersonFactory, person: TinyPerson) -> Change:
    """The change that has a factory remember a person.

    Of people made together, how many before are remembered yet depends on chance.
    """
    change: Change = {
        "append": {"generated_minibios": [person.minibio()], "generated_names": [person.name]}
    }
    if factory.last_failure is not None or slot_of(factory) is not None:
        change["set"] = {"last_failure": None}
    return change


# How often contexts that are missing are asked for.
ROUNDS = 5


def write_contexts(number: int, context: str, language: str, model: ChatModel) -> list[str] | None:
    """Exactly `number` different contexts, or None when the model cannot be brought to it."""
    from tinyfactory.people.schema.reply_parser import read_contexts

    contexts: list[str] = []
    reason, answered = "", False
    for _ in range(ROUNDS):
        missing = number - len(contexts)
        request = requests.contexts_request(context, missing, contexts, language, reason)
        try:
            reply = replies.send(model, request)
            new = read_contexts(reply.text, reply.finish_reason, reply.refusal, expected=missing)
        except (ReplyRejected, BadResponse) as error:
            reason, answered = str(error), isinstance(error, ReplyRejected)
        else:
            known = {text.casefold() for text in contexts}
            contexts += [text for text in new if text.casefold() not in known]
            if len(contexts) >= number:
                return contexts[:number]
            reason, answered = f"only {len(contexts)} of {number} contexts are there", True
        logger.info("Contexts are asked for again: %s", reason)
    why = f"no {number} different contexts in {ROUNDS} replies; last: {reason}"
    logger.error("No factories were made: %s", why)
    fail(why, {}, keep=answered)
    return None
