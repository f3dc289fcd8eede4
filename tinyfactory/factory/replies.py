"""Sending a factory's requests, and reading what comes back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tinyfactory import settings
from tinyfactory.budget import Meter
from tinyfactory.errors import ReplyRejected
from tinyfactory.factory import profiles, spending
from tinyfactory.factory.requests import Json, Particularities, keyed, particularities_text
from tinyfactory.journal.reply_cache import Place, keep_reply
from tinyfactory.journal.scope import free
from tinyfactory.journal.transactional import current_transaction
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest
from tinyfactory.prompts.particularities import Constraints, contradiction, read_constraints

logger = logging.getLogger("tinyfactory")
_warned: set[str] = set()

# Counts what a job spends, beside what the simulation does.
job_meter: ContextVar[Meter | None] = ContextVar("tinyfactory_job_meter", default=None)
# Whether what is not in the journal yet is put off, to be asked for together.
put_off: ContextVar[bool] = ContextVar("tinyfactory_put_off", default=False)


@dataclass
class PutOff(Exception):
    """A request that waits to be sent with others, and where its reply will belong."""

    request: ChatRequest
    place: Place


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
    scope = free if transaction is None else transaction.scope
    meter = job_meter.get() or scope.meter
    asked = keyed(model, request)

    def ask(arrived: Callable[[Json], None]) -> Json:
        if put_off.get() and transaction is not None:
            raise PutOff(request, Place.of(transaction, asked))
        return spending.ask(model, request, meter, arrived).to_json()

    kept = keep_reply(
        asked,
        ask,
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
    # Who wrote is what the reply says: the offline writer may stand behind an address, too.
    offline = settings.OFFLINE in (model.identity.get("kind"), reply.model)
    source = "offline" if offline else "model"
    return {"source": source, "model": reply.model or str(model.identity.get("model", ""))}


def fixed_in(particularities: Particularities) -> Constraints:
    """What the particularities fix for certain; fields that were given outright all are."""
    return read_constraints(particularities_text(particularities))


def read_reply(message: Json, fixed: Constraints, asked: Particularities = None) -> dict[str, Any]:
    """The person that a reply describes, checked and in canonical form.

    Raises
    ------
    ReplyRejected, InvalidPersona
        With a reason that can be told to the model.
    """
    from tinyfactory.people.schema.normalise import check_generated
    from tinyfactory.people.schema.reply_parser import read_persona

    persona = read_persona(message["content"], message["finish_reason"], message["refusal"])
    check_generated(persona)
    reason = contradiction(fixed, persona) or profiles.strays(asked, persona)
    if reason is not None:
        raise ReplyRejected(reason)
    return persona
