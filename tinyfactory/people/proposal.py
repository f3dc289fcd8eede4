"""`Proposal`: a proposed rewrite of one field or part of a person; `rewrite` asks for one."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

from tinyfactory import models, prompts, settings
from tinyfactory.errors import InvalidInput, ReplyRejected
from tinyfactory.generation.pipeline import (
    Task,
    ask,
    check_count,
    gave_up,
    provenance,
    request_key,
)
from tinyfactory.journal.transactional import transactional
from tinyfactory.journal.transactions.transaction import required_transaction
from tinyfactory.journal.values.stored_text import digest
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest
from tinyfactory.people.comparison import Comparison
from tinyfactory.people.conversation import Maker, maker_of
from tinyfactory.people.protocols import Json, PersonLike, Revisable
from tinyfactory.people.revisions import Revision
from tinyfactory.people.schema import edits
from tinyfactory.people.schema.provenance import Origin
from tinyfactory.people.schema.reply_parser import read_part
from tinyfactory.people.schema.reply_quality import check_written, split_lists
from tinyfactory.utils.logs import get_logger

logger = get_logger("tinyfactory")
# Not in the prompt: memories of another tool, which may be megabytes.
_NOT_IN_PROMPT = ("agent_state",)


class Proposal:
    """A rewritten field or part. The person changes only when it is accepted.

    Shown as a comparison of the present value with the proposed one.

    Attributes
    ----------
    person : TinyPerson
    path : str
        The field or part, dotted.
    before, after : object
        The present value, None if missing, and the proposed one.
    comparison : Comparison
        The person before (left) and after (right) accepting it.
    decided : str
        ``""``, ``"accepted"`` or ``"rejected"``.
    """

    def __init__(
        self, person: Revisable, path: str, after: Any, changed: PersonLike, origin: Origin
    ) -> None:
        self.person = person
        self.path = path
        self.before: Any = person.get(path)
        self.after = copy.deepcopy(after)
        self.comparison: Comparison[PersonLike] = Comparison(person, changed)
        self.decided = ""
        self._origin = origin

    def accept(self) -> Revision:
        """Apply the proposal, as a revision that can be undone.

        Raises
        ------
        InvalidInput
            When it was decided already, or the field has changed since.
        """
        self._undecided()
        if self.person.get(self.path) != self.before:
            raise InvalidInput(
                f"{self.path} has changed since this proposal. Nothing was changed. Ask for "
                "another one."
            )
        revision = self.person._revised(  # noqa: SLF001 - the package's own
            {self.path: self.after}, "rewritten", self._origin
        )
        if revision is None:
            # In a replay the cell was run before, so the proposal was accepted before.
            made = [r for r in self.person.revisions if r.changes.get(self.path, ())[1:]]
            made = [r for r in made if r.changes[self.path][1] == self.after and not r.undone]
            if not made:
                raise InvalidInput(
                    f"{self.path} has the proposed value already. Nothing was changed."
                )
            revision = made[-1]
        self.decided = "accepted"
        return revision

    def reject(self) -> None:
        """Discard the proposal; the person stays the same.

        Raises
        ------
        InvalidInput
            When it was decided already.
        """
        self._undecided()
        self.decided = "rejected"

    def _undecided(self) -> None:
        if self.decided:
            raise InvalidInput(f"This proposal was {self.decided} already. Nothing was changed.")

    def __repr__(self) -> str:
        return repr(self.comparison)

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def rewrite(
    person: Revisable, path: str, wish: str, factory: Maker | None, attempts: int
) -> Proposal:
    """See `TinyPerson.rewrite`."""
    check_count(attempts, "attempts")
    if not isinstance(wish, str):
        raise InvalidInput(f"wish must be a text, not {wish!r}. Nothing was sent.")
    part = edits.part_of(person.persona, path)
    factory = factory or maker_of(person)
    around = {
        "context": factory.context_text if factory is not None else "",
        "language": settings.language(factory.language if factory is not None else None),
    }
    model = factory.chat_model() if factory is not None else models.resolve(None)
    found: Json | None = propose(person, part.path, wish.strip(), attempts, around, model)
    if found is None:
        raise ReplyRejected(
            f"The model gave no usable {part.path} in {attempts} attempts; the log says why. "
            "Nothing was changed. Call it again with more attempts, or another wish."
        )
    changed = person._with_persona(  # noqa: SLF001 - the package's own
        edits.with_part(person.persona, part, found["value"])
    )
    after = changed.get(part.path)
    return Proposal(person, part.path, after, changed, found["origin"])


@transactional(
    version="1",
    touches=(),
    locks=("self",),
    ignore=("model",),
    derived=("around",),
    request=lambda person, path, wish, attempts, around, model: request_key(  # noqa: ARG005 - given by name
        model.identity, request_for(person, path, wish, around)
    ),
)
def propose(
    person: Revisable, path: str, wish: str, attempts: int, around: Json, model: ChatModel
) -> Json | None:
    """Ask a model for a new value of a field; the proposal is one event of the person."""
    part, tx = edits.part_of(person.persona, path), required_transaction()

    def read(reply: ChatReply) -> Json:
        value = read_part(reply.text, reply.finish_reason, reply.refusal, part.key)
        value = split_lists(value, part.path)
        changed = edits.with_part(person.persona, part, value)
        check_written(changed, part.path)
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
    person: Revisable, path: str, wish: str, around: Json, rejected: str = ""
) -> ChatRequest:
    """Build the request: instructions, the rest of the person, then the field and the wish."""
    persona = person.persona
    part = edits.part_of(persona, path)
    rest = edits.rest_of(persona, part)
    for key in _NOT_IN_PROMPT:
        rest.pop(key, None)
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
    # For a model with a seed: another one for each proposal.
    seed = int(digest("rewrite", request.fingerprint(), person.proposals)[:15], 16)
    return replace(request, seed=seed)


def _check_name(person: Revisable, name: str) -> None:
    holder = required_transaction().scope.people.get(name)
    if name != person.name and holder not in (None, person):
        raise ReplyRejected(f"The name {name} is taken by someone else; give another name.")
