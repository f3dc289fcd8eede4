"""Creates one person: requests it, reads and checks the reply, sets it up, registers it."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from tinyfactory import prompts, settings
from tinyfactory.errors import InvalidInput, InvalidPersona, NameTaken, ReplyRejected
from tinyfactory.factory import profiles
from tinyfactory.generation.pipeline import (
    Doubtful,
    Outcome,
    Sender,
    Task,
    ask,
    check_asking,
    gave_up,
    generate,
    request_key,
    wait_for,
)
from tinyfactory.generation.reasoning import message_without_reasoning
from tinyfactory.journal import key as keys
from tinyfactory.journal.key import Method
from tinyfactory.journal.records import Record
from tinyfactory.journal.scopes.context import current_context
from tinyfactory.journal.scopes.lines import Slot
from tinyfactory.journal.scopes.scope import Scope
from tinyfactory.journal.transactions.transaction import Transaction, required_transaction
from tinyfactory.journal.values.changes import Change
from tinyfactory.journal.values.stored_text import digest
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest
from tinyfactory.people.person import TinyPerson
from tinyfactory.people.schema.field_names import check_names
from tinyfactory.people.schema.fields import reason
from tinyfactory.people.schema.foreign_layouts import spelling
from tinyfactory.people.schema.layout import empty
from tinyfactory.people.schema.normalise import check_generated, normalise
from tinyfactory.people.schema.reply_parser import read_contexts, read_persona
from tinyfactory.people.schema.reply_quality import age_against_work, one_word_name
from tinyfactory.prompts.particularities import (
    Constraints,
    Particularities,
    constraints_in,
    contradiction,
    particularities_text,
    read_particularities,
)
from tinyfactory.redaction import holds_secret
from tinyfactory.utils.logs import get_logger
from tinyfactory.utils.text import count

Json = dict[str, Any]

# How much of earlier people enters a prompt. Bounded, so that the thousandth person costs as much
# as the first.
RECENT_NAMES = 30
CONTRASTS = 6
CONTRAST_LENGTH = 160
logger = get_logger("tinyfactory")
# Fields of a profile that say whether and how a person works.
_ABOUT_WORK = re.compile(r"employ|work|labou?r|job|occupation|profession|status", re.IGNORECASE)
# The most requests for contexts that are still missing.
ROUNDS = 5


class PersonSource(Protocol):
    """The part of a `TinyPersonFactory` that is needed to create its people."""

    name: str
    context_text: str
    language: str | None
    template: str | None
    instructions: str | None
    demography: Json | None
    seed: int
    generated_names: list[str]
    generated_minibios: list[str]
    last_failure: str | None

    def chat_model(self) -> ChatModel:
        """The model that requests are sent to."""
        ...

    def scope(self) -> Scope:
        """The scope in which its people are registered."""
        ...

    def generate_person(self, *arguments: Any) -> TinyPerson | None:
        """Create one person."""
        ...

    def _aux_model_call(self, messages: list[Json], temperature: float | None) -> Json: ...

    def _setup_agent(self, agent: TinyPerson, configuration: Json) -> None: ...


class PersonDraft:
    """A person being created: `write` asks the model, then `install` sets the person up.

    A reply is a message, as `_aux_model_call` gives it: a dictionary with ``content``,
    ``finish_reason``, ``refusal`` and ``provenance``. A subclass that overrides
    `_aux_model_call` or `_setup_agent` has its method called for every person.

    Parameters
    ----------
    factory : PersonSource
    transaction : Transaction
        The call of `generate_person`.
    particularities, temperature, attempts, profile
        Its arguments.

    Attributes
    ----------
    outcome : Outcome
        The result of `write` so far.
    record : dict or None
        The stored event to replay, if one was found.
    person : TinyPerson or None
        The person that was set up.
    number : int
        The number of its slot in a job.

    Raises
    ------
    InvalidInput
        If an argument is invalid. Nothing was sent.
    """

    def __init__(
        self,
        factory: PersonSource,
        transaction: Transaction,
        particularities: Particularities,
        temperature: float | None,
        attempts: int,
        profile: Json | None = None,
    ) -> None:
        self.factory = factory
        self.transaction = transaction
        self.outcome: Outcome[Json, Json] = Outcome()
        self.record: Record | None = None
        self.person: TinyPerson | None = None
        self.number = 0 if transaction.slot is None else transaction.slot.number
        self._particularities = particularities
        self._temperature = temperature
        self._profile = profile
        self._wanted = wanted(particularities, temperature, attempts, profile)
        self._fixed = constraints_in(self._wanted)
        self._task: Task[Json, Json] = Task(self._request, self._read, attempts, "person")

    def _check(self) -> None:
        """Check what needs no check in a replay."""
        check_fields(self._particularities)
        name = self._fixed.name
        if name is not None and name in self.transaction.scope.people:
            raise NameTaken(
                f"The particularities require the name {name!r}, but someone in this "
                "simulation has it already. Nothing was sent. Choose another name."
            )

    async def write(self, sender: Sender) -> None:
        """Ask the model until a reply can be used or all attempts are used."""
        if not self.outcome.replied:
            self._check()

        async def fetch(request: ChatRequest, tx: Transaction) -> Json:
            if is_overridden(self.factory, "_aux_model_call"):
                return await sender.call(tx.slot, self._call_override, request)
            return await sender.message(request, tx, self._call_key)

        await generate(self._task, fetch, self.transaction, self.outcome)

    def write_now(self) -> None:
        """Run `write` in the calling thread, for a single call."""
        tx = self.transaction
        if is_overridden(self.factory, "_aux_model_call"):
            if not self.outcome.replied:
                self._check()

            # In the calling thread, so that Ctrl-C interrupts the user's method.
            async def fetch(request: ChatRequest, _: Transaction) -> Json:
                return self._call_override(request)

            _run_without_waiting(generate(self._task, fetch, tx, self.outcome))
            return
        wait_for(self.write, self.factory.chat_model(), tx)

    def install(self) -> TinyPerson | None:
        """Set the person up, register it, and stage the change of the factory.

        None if the person cannot be used after all, for example because its name was taken
        meanwhile; `write` then asks again with the reason.
        """
        persona, message = self.outcome.value or {}, self.outcome.reply or {}
        try:
            person = self._set_up(persona, message)
        except (ReplyRejected, InvalidPersona) as error:
            self.outcome.reject(str(error))
        except NameTaken:
            self.outcome.reject(
                f"The name {persona['name']} is taken by someone else; give another name."
            )
        else:
            self.transaction.stage(self._remember(person))
            return person
        return None

    def give_up(self) -> None:
        """End without a person: store and log the reason, and set `last_failure`."""
        why = gave_up(self.outcome, self.transaction)
        logger.error("%s made no person: %s", self.factory.name, why)
        self.transaction.stage({"set": {"last_failure": why}})

    # -- asking -------------------------------------------------------------------------

    def _request(self, rejected: str) -> ChatRequest:
        slot = self.transaction.slot
        return request_for(self.factory, slot, self._wanted, self._temperature, rejected)

    def _call_override(self, request: ChatRequest) -> Json:
        message = self.factory._aux_model_call(  # noqa: SLF001 - a name that subclasses override
            [dict(message) for message in request.messages], self._temperature
        )
        return message_without_reasoning(message)

    def _call_key(self, asked: Json) -> str:
        """The key of the call of `_aux_model_call` that a request stands for."""
        tx = self.transaction
        base = tx.next_base()
        if not tx.content:
            return base
        method: Method = type(self.factory)._aux_model_call.transactional  # type: ignore[attr-defined]  # noqa: SLF001
        content = {
            "class": tx.content["class"],
            "method": method.name,
            "version": method.version(type(self.factory)),
            "arguments": {"messages": asked["messages"], "temperature": asked["temperature"]},
            "request": asked,
        }
        return keys.event_key(base, content)

    # -- reading and setting up ---------------------------------------------------------

    def _read(self, message: Json) -> Json:
        own = self.factory.template or self.factory.instructions
        context = None if own else self.factory.context_text
        return read_reply(message, self._fixed, self._wanted, context)

    def _set_up(self, persona: Json, message: Json) -> TinyPerson:
        """Create the person with all its fields, and register it."""
        scope, profile = self.transaction.scope, self._profile
        origin = message["provenance"] | {"recipe": self._recipe()}
        if profile:
            persona = profiles.complete(profile, persona)
            origin = origin | {"profile": profile}
        simulation = scope.id if scope.store is not None else None
        if not is_overridden(self.factory, "_setup_agent"):
            self.transaction.skip_base()
            return TinyPerson(persona=persona, simulation_id=simulation, provenance=origin)
        person = TinyPerson(
            persona["name"], simulation_id=simulation, provenance=origin, register=False
        )
        self.factory._setup_agent(person, persona)  # noqa: SLF001 - subclasses override it
        person.register()
        return person

    def _recipe(self) -> Json:
        """The inputs of the first request besides the factory's state, for twins.

        Particularities that contain a key or another secret are left out, because people are
        shared.
        """
        particularities = self._particularities
        if particularities and holds_secret(json.dumps(particularities, ensure_ascii=False)):
            particularities = None
        names, _, ordinal = seen(self.factory, self.transaction.slot)
        return {
            "particularities": particularities,
            "temperature": self._temperature,
            "seen": len(names),
            "ordinal": ordinal,
        }

    def _remember(self, person: TinyPerson) -> Change:
        """The change of a factory that has made a person."""
        change: Change = {
            "append": {"generated_minibios": [person.minibio()], "generated_names": [person.name]}
        }
        slot = self.transaction.slot
        # In a job it is always set, so that an event does not depend on the slots before it.
        if self.factory.last_failure is not None or (
            slot is not None and slot.thing is self.factory
        ):
            change["set"] = {"last_failure": None}
        return change


def make_person(
    factory: PersonSource,
    particularities: Particularities,
    temperature: float | None,
    attempts: int,
    profile: Json | None = None,
) -> TinyPerson | None:
    """The body of `generate_person`: one person, or None with the reason staged."""
    tx = required_transaction()
    draft = PersonDraft(factory, tx, particularities, temperature, attempts, profile)
    while True:
        draft.write_now()
        if draft.outcome.value is None:
            draft.give_up()
            return None
        person = draft.install()
        if person is not None:
            return person


def model_call(factory: PersonSource, messages: list[Json], temperature: float | None) -> Json:
    """The body of `_aux_model_call`: send messages that ask for a person."""
    tx, model = required_transaction(), factory.chat_model()
    request = person_messages(messages, temperature)
    return wait_for(lambda sender: sender.message(request, tx), model, tx)


def first_request(
    factory: PersonSource,
    agent_particularities: Particularities,
    temperature: float | None,
    attempts: int,
    profile: Json | None = None,
) -> Json:
    """The first request of `generate_person`, as it enters the event's key."""
    asked = wanted(agent_particularities, temperature, attempts, profile)
    request = request_for(factory, current_context().slot, asked, temperature)
    template = _template_digest(*_templates(factory.template, factory.instructions))
    return request_key(factory.chat_model().identity, request) | {"template": template}


def wanted(
    particularities: Particularities, temperature: float | None, attempts: int, profile: Json | None
) -> Particularities:
    """What the model is asked for: the profile and the user's own particularities.

    Raises
    ------
    InvalidInput
        For arguments that cannot work, or that contradict each other.
    """
    check_asking(particularities, temperature, attempts)
    return profiles.asked(profile, particularities) if profile else particularities


def check_fields(particularities: Particularities) -> None:
    """Check the names and values of required fields.

    Raises
    ------
    InvalidInput
        For a misspelt field, and for a value that a person cannot have.
    """
    if not isinstance(particularities, dict):
        return
    check_names(particularities)
    fields = {key: value for key, value in particularities.items() if not empty(value)}
    for key in [key for key in fields if spelling(str(key)) == "age"]:
        read = constraints_in({"age": fields[key]})
        if read.age_range is not None:
            del fields[key]
    try:
        normalise(fields, partial=True)
    except InvalidPersona as error:
        why = reason(error)
        if why.startswith("age:"):
            why = f"{why[:-1]}, or a range such as '30-40'."
        raise InvalidInput(f"agent_particularities: {why} Nothing was sent.") from None


def request_for(
    factory: PersonSource,
    slot: Slot | None,
    wanted: Particularities,
    temperature: float | None,
    rejected: str = "",
) -> ChatRequest:
    """The request for the next person, or for the person of a slot."""
    values = person_values(
        factory.context_text, wanted, *seen(factory, slot), factory.language, rejected
    )
    return person_request(values, temperature, factory.template, factory.instructions)


def seen(factory: PersonSource, slot: Slot | None) -> tuple[list[str], list[str], int]:
    """The names and bios that a prompt may mention, and the number of the next person.

    All slots of a job get the same names and bios, regardless of the order of replies.
    """
    names, minibios = factory.generated_names, factory.generated_minibios
    if slot is None or slot.thing is not factory:
        return names, minibios, len(names) + 1
    return names[: slot.seen], minibios[: slot.seen], slot.seen + slot.number + 1


def read_reply(
    message: Json,
    fixed: Constraints,
    wanted: Particularities = None,
    context: str | None = None,
) -> Json:
    """The person that a reply describes, checked and in canonical form.

    Parameters
    ----------
    message : dict
    fixed, wanted
        What the user wants of this person.
    context : str, optional
        The context of a prompt that asks for a full name; None for a template of the user's.

    Raises
    ------
    ReplyRejected, InvalidPersona
        With a reason that the model can be told. `Doubtful` has a person that can be used.
    """
    persona = read_persona(
        message["content"], message.get("finish_reason", "stop"), message.get("refusal")
    )
    check_generated(persona)
    reason = contradiction(fixed, persona)
    if reason is None and isinstance(wanted, dict):
        reason = profiles.strays(wanted, persona)
    if reason is not None:
        raise ReplyRejected(reason)
    told = particularities_text(wanted)
    if context is not None and not _says_name(wanted, fixed):
        reason = one_word_name(persona, f"{context} {told}")
        if reason is not None:
            raise Doubtful(reason, "name", persona)
    if not _says_age_and_work(wanted) and (reason := age_against_work(persona)) is not None:
        raise Doubtful(reason, "age", persona)
    return persona


def _says_name(wanted: Particularities, fixed: Constraints) -> bool:
    return fixed.name is not None or (isinstance(wanted, dict) and "name" in wanted)


def _says_age_and_work(wanted: Particularities) -> bool:
    """Whether the user chose both the age and the work of a person."""
    said = read_particularities(particularities_text(wanted))
    work = said.occupation is not None or (
        isinstance(wanted, dict) and any(_ABOUT_WORK.search(key) for key in map(str, wanted))
    )
    return work and (said.age is not None or said.age_range is not None)


def is_overridden(factory: PersonSource, name: str) -> bool:
    """Whether the user's subclass overrides a method of `TinyPersonFactory`."""
    method = getattr(type(factory), name)
    return not method.__module__.startswith("tinyfactory.")


def _run_without_waiting(coroutine: Any) -> None:
    """Run a coroutine that never waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("the coroutine waited")


def write_contexts(number: int, context: str, language: str, model: ChatModel) -> list[str] | None:
    """Exactly `number` different contexts, or None if the model does not give so many."""
    contexts: list[str] = []

    def request(rejected: str) -> ChatRequest:
        missing = number - len(contexts)
        return contexts_request(context, missing, contexts, language, rejected)

    def read(reply: ChatReply) -> list[str]:
        missing = number - len(contexts)
        new = read_contexts(reply.text, reply.finish_reason, reply.refusal, expected=missing)
        known = {text.casefold() for text in contexts}
        contexts.extend(text for text in new if text.casefold() not in known)
        if len(contexts) < number:
            raise ReplyRejected(f"only {len(contexts)} of {number} contexts are there")
        return contexts[:number]

    tx = required_transaction()
    outcome = ask(Task(request, read, ROUNDS, "contexts"), model, tx)
    if outcome.value is None:
        attempts = count(outcome.attempt, "attempt", "attempts")
        why = f"no {number} different contexts in {attempts}; last: {outcome.reason}"
        logger.error("No factories were made: %s", why)
        tx.fail(why, keep=outcome.replied)
    return outcome.value


# -- requests ---------------------------------------------------------------------------


def person_values(
    context: str,
    particularities: Particularities,
    names: Sequence[str],
    minibios: Sequence[str],
    ordinal: int,
    language: str | None,
    rejected: str = "",
) -> Json:
    """The variables of a person's templates, with the latest names and some earlier bios."""
    return {
        "context": context.strip(),
        "particularities": particularities_text(particularities),
        "language": settings.language(language),
        "taken_names": "; ".join(names[-RECENT_NAMES:]),
        "others": "\n".join(f"- {bio[:CONTRAST_LENGTH]}" for bio in _spread(minibios)),
        "ordinal": ordinal,
        "rejected": rejected,
    }


def _spread(items: Sequence[str]) -> list[str]:
    """At most `CONTRASTS` items, evenly spaced, the last one among them."""
    if len(items) <= CONTRASTS:
        return list(items)
    step = (len(items) - 1) / (CONTRASTS - 1)
    return [items[round(i * step)] for i in range(CONTRASTS)]


def person_messages(messages: Sequence[Json], temperature: float | None) -> ChatRequest:
    """A request with these messages and the schema of a person."""
    from tinyfactory.people.schema.layout import shared_reply_schema

    return ChatRequest(tuple(messages), temperature, shared_reply_schema(), "persona")


def person_request(
    values: Json, temperature: float | None, template: str | None, instructions: str | None
) -> ChatRequest:
    """The request for one person: the fixed part first, so that providers can cache it."""
    template, instructions = _templates(template, instructions)
    return person_messages(_messages(instructions, template, values), temperature)


@lru_cache(maxsize=16)  # all people of a factory share the templates
def _template_digest(template: str, instructions: str) -> str:
    """A digest by which `explain` tells a changed template from changed values."""
    return digest(template, instructions)


def _templates(template: str | None, instructions: str | None) -> tuple[str, str]:
    """The template of a person's request and of the fixed part before it: own ones or packaged."""
    return (
        template or prompts.template("person.request"),
        instructions or prompts.template("person.instructions"),
    )


def contexts_request(
    context: str, number: int, already: Sequence[str], language: str, rejected: str
) -> ChatRequest:
    """The request for specific contexts within a general one."""
    from tinyfactory.people.schema.layout import schema_of_contexts

    values = {
        "context": context.strip(),
        "number": number,
        "already": "\n".join(f"- {text}" for text in already[-RECENT_NAMES:]),
        "language": language,
        "rejected": rejected,
    }
    messages = _messages(
        prompts.template("contexts.instructions"), prompts.template("contexts.request"), values
    )
    return ChatRequest(messages, 1.0, schema_of_contexts(number), "contexts", items=number)


def _messages(instructions: str, template: str, values: Json) -> tuple[Json, ...]:
    return (
        {"role": "system", "content": prompts.render(instructions, values, "the instructions")},
        {"role": "user", "content": prompts.render(template, values, "the template")},
    )


def check_context(context: Any) -> str:
    """Return the context, or raise `InvalidInput`."""
    if not isinstance(context, str) or not context.strip():
        raise InvalidInput(
            f"The context must be a string that is not empty, not {context!r:.80}. "
            'Say who the people are, e.g. "Nurses of a night shift in a small town".'
        )
    return context


def check_seed(seed: Any) -> int:
    """Return a whole number, or raise `InvalidInput`."""
    try:
        if isinstance(seed, bool):
            raise TypeError
        return operator.index(seed)  # numpy's whole numbers, too
    except TypeError:
        raise InvalidInput(f"seed is a whole number, not {seed!r:.80}. Nothing was sent.") from None
