"""From a general context to specific ones."""

from __future__ import annotations

import logging

from tinyfactory.errors import BadResponse, ReplyRejected
from tinyfactory.factory import asking, replies
from tinyfactory.factory.steps import fail
from tinyfactory.models.chat import ChatModel

logger = logging.getLogger("tinyfactory")

# How often contexts that are missing are asked for.
ROUNDS = 5


def write_contexts(number: int, context: str, language: str, model: ChatModel) -> list[str] | None:
    """Exactly `number` different contexts, or None when the model cannot be brought to it."""
    from tinyfactory.people.reply import read_contexts

    contexts: list[str] = []
    reason, answered = "", False
    for _ in range(ROUNDS):
        missing = number - len(contexts)
        request = asking.contexts_request(context, missing, contexts, language, reason)
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
