"""The Batch API over HTTP: a file of requests goes up, a batch runs, files of answers come down."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tinyfactory import settings
from tinyfactory.errors import ModelError, RequestRejected
from tinyfactory.models import event_loop
from tinyfactory.models.chat import Json
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.responses import Failure, as_error, bad_response, scrub
from tinyfactory.models.http.retry import Clock, Mendable, RetryPolicy, retrying
from tinyfactory.models.openai import clients

T = TypeVar("T")
log = logging.getLogger("tinyfactory.models")

# 200 MB over a home's line; what a chat completion is given would cut it off.
_FILE_SECONDS = 900.0
# Clocks differ; a batch of ours is not older than its first submission by more than this.
_DAY = 86_400.0


class BatchEndpoint:
    """`/files` and `/batches` of one endpoint; what a retry can mend is retried.

    Source: https://platform.openai.com/docs/api-reference/batch and ``.../files``. May be used
    from any event loop. Every method raises a `ModelError` of the kinds that a chat request
    has; `RequestRejected` where the endpoint has no Batch API.

    Parameters
    ----------
    target : Target
    policy : RetryPolicy
    """

    def __init__(self, target: Target, policy: RetryPolicy) -> None:
        self.target = target
        self.policy = policy
        # Azure knows the path without the version that OpenAI's has.
        self.chat = f"{'' if target.azure_version else '/v1'}/chat/completions"

    async def upload(self, content: bytes) -> str:
        """Put a file of rows there; its id."""
        file = ("file", ("tinyfactory.jsonl", content, "application/jsonl"))

        async def attempt() -> str:
            answer = await self._send(
                "post",
                "/files",
                _FILE_SECONDS,
                body={"purpose": "batch"},
                files=[file],
                options={"headers": {"Content-Type": "multipart/form-data"}},
            )
            return str(self._object(answer, "id")["id"])

        return await self._retrying(attempt, _FILE_SECONDS)

    async def create(self, file: str, metadata: Json, since: float, *, look_first: bool) -> Json:
        """Have the rows of a file worked off; the batch.

        Parameters
        ----------
        file : str
        metadata : dict
            Of texts; by these the batch is known again.
        since : float
            When the work began, in seconds since 1970.
        look_first : bool
            Whether it may have been created before.
        """
        # A request whose answer was lost may have been heard, and a second batch is paid for too.
        perhaps_there = look_first
        order = {
            "input_file_id": file,
            "endpoint": self.chat,
            "completion_window": "24h",
            "metadata": metadata,
        }

        async def attempt() -> Json:
            nonlocal perhaps_there
            if perhaps_there and (found := await self._find(metadata, since)) is not None:
                log.info("%s: found batch %s, made before", self.target.what, found["id"])
                return found
            perhaps_there = True
            answer = await self._send("post", "/batches", body=order)
            return self._object(answer, "id", "status")

        return await self._retrying(attempt)

    async def _find(self, metadata: Json, since: float) -> Json | None:
        """The batch with this metadata, unless it failed: then it cost and gave nothing."""
        last: dict[str, str] = {}
        while True:
            options = {"params": {"limit": 100} | last}
            page = self._object(await self._send("get", "/batches", options=options), "data")
            batches = [b for b in page["data"] if isinstance(b, dict) and "id" in b]
            for batch in batches:
                if batch.get("metadata") == metadata and batch.get("status") != "failed":
                    return batch
            if not batches or not page.get("has_more"):
                return None
            if (batches[-1].get("created_at") or since) < since - _DAY:
                return None
            last = {"after": str(batches[-1]["id"])}

    async def look(self, batch: str) -> Json:
        """A batch as it is now: its `status`, `request_counts` and files."""

        async def attempt() -> Json:
            return self._object(await self._send("get", f"/batches/{batch}"), "id", "status")

        return await self._retrying(attempt)

    async def content(self, file: str) -> bytes | None:
        """What is in a file; None when it is no longer there, as after thirty days."""

        async def attempt() -> bytes | None:
            path = f"/files/{file}/content"
            answer = await clients(self.target).send("get", path, _FILE_SECONDS)
            if not isinstance(answer, Failure):
                return answer[0]
            if answer.status in (404, 410):
                return None
            raise self._error(answer, path)

        return await self._retrying(attempt, _FILE_SECONDS)

    async def _retrying(self, attempt: Callable[[], Awaitable[T]], extra: float = 0.0) -> T:
        clock = Clock(self.policy.clock().limit + extra)
        return await event_loop.arun(retrying, attempt, self.policy, self.target.what, clock)

    async def _send(
        self, method: str, path: str, seconds: float | None = None, **content: Any
    ) -> bytes:
        limit: float = settings.get("timeout") if seconds is None else seconds
        answer = await clients(self.target).send(method, path, limit, **content)
        if isinstance(answer, Failure):
            raise self._error(answer, path)
        return answer[0]

    def _object(self, content: bytes, *names: str) -> Json:
        """The JSON object in an answer; a `Mendable` where it lacks one of the names."""
        try:
            body: Any = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict) and all(body.get(name) is not None for name in names):
            return body
        excerpt = scrub(content[:200].decode("utf-8", "replace"), *self.target.secrets())
        wanted = " and ".join(f"`{name}`" for name in names)
        raise bad_response(f"no JSON object with {wanted}", excerpt, self.target.endpoint)

    def _error(self, failure: Failure, path: str) -> ModelError | Mendable:
        endpoint = self.target.endpoint
        if failure.status in (404, 405, 501) and path in ("/files", "/batches"):
            return RequestRejected(
                f"{endpoint} has no Batch API at {path} ({failure}). No batch was submitted; what "
                "was finished before is kept. Ask for the people one by one: batch=False."
            )
        if failure.status == 404:
            return RequestRejected(
                f"{endpoint} does not know {path} ({failure}). Nothing new was submitted, because "
                "it would be paid for twice; what was finished before is kept. Use the key (and "
                "its project) that submitted it, or ask one by one: batch=False."
            )
        error = as_error(failure, self.target.model, endpoint)
        if type(error) is RequestRejected:
            return RequestRejected(
                f"{self.target.what} refuses the batch ({failure}). Nothing was retried, because "
                "it would be refused again; what was finished before is kept. Change what the "
                "message names, or ask one by one: batch=False."
            )
        return error
