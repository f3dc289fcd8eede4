"""Sending a factory's requests, and reading what comes back."""

from __future__ import annotations

import logging
from typing import Any

from tinyfactory.errors import ReplyRejected
from tinyfactory.factory import spending
from tinyfactory.factory.asking import Json, Particularities, keyed, particularities_text
from tinyfactory.journal.replies import keep_reply
from tinyfactory.journal.scope import free
from tinyfactory.journal.transactions import current_transaction
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest
from tinyfactory.prompts.wishes import Wishes, contradiction, read_wishes

logger = logging.getLogger("tinyfactory")
_warned: set[str] = set()


def send(model: ChatModel, request: ChatRequest) -> ChatReply:
    """The reply to a request; kept on disk on arrival when a simulation is open.

    Raises
    ------
    BudgetExceeded
        When asking could exceed the budget of the simulation; nothing is sent then.
    ModelError
        When no reply is to be had, saying what to do.
    """
    _say_once_when_nothing_is_kept(model)
    transaction = current_transaction()
    meter = free.meter if transaction is None else transaction.scope.meter
    kept = keep_reply(
        keyed(model, request),
        lambda arrived: spending.ask(model, request, meter, arrived).to_json(),
        lambda reply: spending.usd_of_reply(model, request, meter, reply),
    )
    return ChatReply.from_json(kept)


def _say_once_when_nothing_is_kept(model: ChatModel) -> None:
    transaction = current_transaction()
    kept = transaction is not None and transaction.scope.store is not None
    if kept or model.identity.get("kind") == "offline" or "unkept" in _warned:
        return
    _warned.add("unkept")
    logger.warning(
        "No simulation is open, so what the model answers is not kept, and running this again "
        "asks again. To keep it: tinyfactory.control.begin() before the first call."
    )


def provenance(model: ChatModel, reply: ChatReply) -> Json:
    """Where a person comes from, as the person keeps it."""
    source = "offline" if model.identity.get("kind") == "offline" else "model"
    return {"source": source, "model": reply.model or str(model.identity.get("model", ""))}


def fixed_in(particularities: Particularities) -> Wishes:
    """What the particularities fix for certain; fields that were given outright all are."""
    return read_wishes(particularities_text(particularities)).fixed()


def read_reply(message: Json, fixed: Wishes) -> dict[str, Any]:
    """The person that a reply describes, checked and in canonical form.

    Raises
    ------
    ReplyRejected, InvalidPersona
        With a reason that can be told to the model.
    """
    from tinyfactory.people.reply import read_persona
    from tinyfactory.people.spec import check_generated

    persona = read_persona(message["content"], message["finish_reason"], message["refusal"])
    check_generated(persona)
    reason = contradiction(fixed, persona)
    if reason is not None:
        raise ReplyRejected(reason)
    return persona
