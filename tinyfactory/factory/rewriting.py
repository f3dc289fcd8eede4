"""Asks the model to rewrite one field or part of a person."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinyfactory import models, prompts
from tinyfactory.errors import InvalidInput, ReplyRejected
from tinyfactory.factory import requests
from tinyfactory.factory.makers import maker_of
from tinyfactory.factory.person_generator import transaction
from tinyfactory.generation.pipeline import Task, ask, gave_up, provenance, request_key
from tinyfactory.journal.serializer import digest
from tinyfactory.journal.transactional import transactional
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest

if TYPE_CHECKING:
    from tinyfactory.factory.person_factory import TinyPersonFactory
    from tinyfactory.people import TinyPerson
    from tinyfactory.people.proposal import Proposal

Json = dict[str, Any]
logger = logging.getLogger("tinyfactory")
_NOT_TOLD = ("agent_state",)


def rewrite(
    person: TinyPerson, path: str, wish: str, factory: TinyPersonFactory | None, attempts: int
) -> Proposal:
    """See `TinyPerson.rewrite`."""
    from tinyfactory.people import TinyPerson
    from tinyfactory.people.proposal import Proposal
    from tinyfactory.people.schema import edits

    requests.check_count(attempts, "attempts")
    if not isinstance(wish, str):
        raise InvalidInput(f"wish must be a string, not {wish!r:.80}. Nothing was sent.")
    part = edits.part_of(person.persona, path)
    factory = factory or maker_of(person)
    around = {
        "context": factory.context_text if factory is not None else "",
        "language": requests.language_or_default(factory.language if factory is not None else None),
    }
    model = factory.chat_model() if factory is not None else models.resolve(None)
    found: Json | None = propose(person, part.path, wish.strip(), attempts, around, model)
    if found is None:
        raise ReplyRejected(
            f"The model gave no usable {part.path} in {attempts} attempts; the log says why. "
            "Nothing was changed. Call it again with more attempts, or another wish."
        )
    changed = TinyPerson(
        persona=edits.with_part(person.persona, part, found["value"]), register=False
    )
    after = changed.get(part.path)
    return Proposal(person, part.path, after, changed, found["origin"])


@transactional(
    version="1",
    touches=(),
    ignore=("model",),
    request=lambda person, path, wish, attempts, around, model: request_key(  # noqa: ARG005 - given by name
        model.identity, request_for(person, path, wish, around)
    ),
)
def propose(
    person: TinyPerson, path: str, wish: str, attempts: int, around: Json, model: ChatModel
) -> Json | None:
    """A model's new value for a field, as an event on the person's own line."""
    from tinyfactory.people.schema import edits
    from tinyfactory.people.schema.reply_parser import read_part

    part, tx = edits.part_of(person.persona, path), transaction()

    def read(reply: ChatReply) -> Json:
        value = read_part(reply.text, reply.finish_reason, reply.refusal, part.key)
        changed = edits.with_part(person.persona, part, value)
        edits.check_rewrite(person.persona, changed, part)
        _check_name(person, changed.get("name", ""))
        return {"value": value, "origin": provenance(model.identity, reply)["source"]}

    task = Task(
        lambda rejected: request_for(person, path, wish, around, rejected), read, attempts, path
    )
    outcome = ask(task, model, tx)
    if outcome.value is None:
        logger.error("No new %s for %s: %s", path, person.name, outcome.reason)
        gave_up(outcome, tx)
        return None
    tx.stage({"set": {"proposals": person.proposals + 1}})
    return outcome.value


def request_for(
    person: TinyPerson, path: str, wish: str, around: Json, rejected: str = ""
) -> ChatRequest:
    """The request: instructions, the rest of the person, then the field and the wish."""
    from tinyfactory.people.schema import edits

    persona = person.persona
    part = edits.part_of(persona, path)
    rest = {
        key: value for key, value in edits.rest_of(persona, part).items() if key not in _NOT_TOLD
    }
    values = {
        "context": around["context"],
        "language": around["language"],
        "person": json.dumps(rest, ensure_ascii=False),
        "field": part.path,
        "key": part.key,
        "description": part.schema.get("description", ""),
        "now": json.dumps(person.get(part.path), ensure_ascii=False),
        "wish": wish,
        "rejected": rejected,
    }
    messages = (
        {
            "role": "system",
            "content": prompts.render(
                prompts.template("rewrite.instructions"), values, "the instructions"
            ),
        },
        {
            "role": "user",
            "content": prompts.render(prompts.template("rewrite.request"), values, "the template"),
        },
    )
    request = ChatRequest(messages, 1.0, part.reply_schema(), "rewrite")
    # The offline model draws by this seed; it differs each time the field is rewritten.
    seed = int(digest("rewrite", request.fingerprint(), person.proposals)[:15], 16)
    return replace(request, seed=seed)


def _check_name(person: TinyPerson, name: str) -> None:
    if name == person.name or transaction().scope.registry("person").get(name) in (None, person):
        return
    raise ReplyRejected(f"The name {name} is taken by someone else; give another name.")
