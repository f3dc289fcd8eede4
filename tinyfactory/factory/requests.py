"""Builds the requests of a person factory from the prompts, and checks arguments."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from typing import Any

from tinyfactory import prompts
from tinyfactory.errors import InvalidInput
from tinyfactory.generation.arguments import (
    check_count,
    check_temperature,
    language_or_default,
)
from tinyfactory.journal.serializer import digest
from tinyfactory.models.chat import ChatRequest

Json = dict[str, Any]
Particularities = str | dict[str, Any] | None

# How much of earlier people enters a prompt. Bounded, so that the thousandth person costs as much
# as the first.
RECENT_NAMES = 30
CONTRASTS = 6
CONTRAST_LENGTH = 160


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
        "language": language_or_default(language),
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


def particularities_text(particularities: Particularities) -> str:
    """The particularities as prompt text: words unchanged, fields as JSON."""
    if particularities is None:
        return ""
    if isinstance(particularities, dict):
        return json.dumps(particularities, ensure_ascii=False) if particularities else ""
    return particularities.strip()


def person_messages(messages: Sequence[Json], temperature: float | None) -> ChatRequest:
    """A request with these messages and the schema of a person."""
    from tinyfactory.people.schema.layout import shared_reply_schema

    return ChatRequest(tuple(messages), temperature, shared_reply_schema(), "persona")


def person_request(
    values: Json, temperature: float | None, template: str | None, instructions: str | None
) -> ChatRequest:
    """The request for one person: the fixed part first, so that providers can cache it."""
    messages = _messages(
        instructions or prompts.template("person.instructions"),
        template or prompts.template("person.request"),
        values,
    )
    return person_messages(messages, temperature)


def template_digest(template: str | None, instructions: str | None) -> str:
    """A digest by which `explain` tells a changed template from changed values."""
    return digest(
        template or prompts.template("person.request"),
        instructions or prompts.template("person.instructions"),
    )


def contexts_request(
    context: str, number: int, already: Sequence[str], language: str, rejected: str
) -> ChatRequest:
    """The request for specific contexts within a general one."""
    from tinyfactory.people.schema.layout import contexts_schema

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
    return ChatRequest(messages, 1.0, contexts_schema(), "contexts")


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


def check_asking(particularities: Any, temperature: Any, attempts: Any) -> None:
    """Raise `InvalidInput` for invalid arguments of `generate_person`."""
    check_count(attempts, "attempts")
    check_temperature(temperature)
    if particularities is not None and not isinstance(particularities, (str, dict)):
        raise InvalidInput(
            "agent_particularities must be a string or a dictionary of fields, "
            f"not {type(particularities).__name__}. Nothing was sent."
        )
