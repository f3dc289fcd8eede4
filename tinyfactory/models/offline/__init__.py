"""The offline model: a seeded writer behind the `ChatModel` protocol.

No network and no language model: tables and a small grammar. What it writes is marked.
"""

from __future__ import annotations

import json

from tinyfactory.models.chat import ChatReply, ChatRequest, Json, Usage
from tinyfactory.models.offline.mark import OFFLINE_MARK

__all__ = ["OFFLINE_MARK", "OfflineModel"]

_VERSION = 1  # raised whenever the same request would be answered differently
_NO_MODEL = (
    "This is tinyfactory's offline model. No language model is at work here, so it cannot "
    "answer freely; it writes people and contexts from tables. To talk to a person, configure "
    "a model, e.g. tinyfactory.configure(model='gpt-4.1-mini', api_key=...)."
)


class OfflineModel:
    """Writes people and contexts without network, key or model.

    The answer follows from the request and the seed alone, on every machine; names come
    from Faker's tables, so another release of Faker may give other names. It is safe to
    share between threads and tasks: nothing is kept between calls but read-only tables.

    Parameters
    ----------
    seed : int
        Another seed gives other people for the same requests.

    Notes
    -----
    The token counts in `ChatReply.usage` are estimates (four characters a token) so that
    progress and reports have something to show. Nothing is paid for.

    Examples
    --------
    >>> import asyncio, json
    >>> request = ChatRequest(
    ...     ({"role": "user", "content": "<context>A bakery in Lisbon</context>"},),
    ...     schema_name="persona",
    ... )
    >>> reply = asyncio.run(OfflineModel(seed=7).complete(request))
    >>> person = json.loads(reply.text)
    >>> person["residence"], person["other_facts"][-1] == OFFLINE_MARK
    ('Lisbon, Portugal', True)
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @property
    def identity(self) -> Json:
        """What tells this model apart in a journal."""
        return {"kind": "offline", "model": "offline", "version": _VERSION, "seed": self.seed}

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request; it never fails and never waits."""
        text = self._answer(request)
        prompt = sum(len(str(m.get("content", ""))) for m in request.messages)
        return ChatReply(
            text=text,
            model="offline",
            usage=Usage(prompt_tokens=prompt // 4, completion_tokens=len(text) // 4),
            requests=0,
        )

    def _answer(self, request: ChatRequest) -> str:
        from tinyfactory.models.offline.contexts import write_contexts
        from tinyfactory.models.offline.generic import instance
        from tinyfactory.models.offline.reading import read_brief
        from tinyfactory.models.offline.talk import rewrite, talk
        from tinyfactory.models.offline.writing import write_persona
        from tinyfactory.utils.random import Dice, digest

        drawn = request.fingerprint() if request.seed is None else request.seed
        dice = Dice(digest(self.seed, drawn))
        match request.schema_name:
            case "persona":
                answer = write_persona(read_brief(request), self.seed, dice)
            case "contexts":
                answer = {"contexts": write_contexts(read_brief(request), dice)}
            case "talk":
                return talk(request)
            case "rewrite":
                answer = rewrite(request, self.seed, dice)
            case _ if request.schema is None:
                return _NO_MODEL
            case _:
                answer = instance(request.schema, dice)
        return json.dumps(answer, ensure_ascii=False, indent=1)

    def __repr__(self) -> str:
        return f"OfflineModel(seed={self.seed})"
