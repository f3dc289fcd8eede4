"""HTTP client of the Batch API: upload a file, create a batch, poll it, download its results."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tinyfactory import settings
from tinyfactory.errors import BadResponse, LimitExceeded, ModelError, RequestRejected
from tinyfactory.models import event_loop
from tinyfactory.models.chat import Json
from tinyfactory.models.event_loop import CancelToken
from tinyfactory.models.http.endpoint import Target, connections
from tinyfactory.models.http.refusals import Failure
from tinyfactory.models.http.responses import Retryable, as_error, bad_response
from tinyfactory.models.http.retry import Clock, Retry, RetryPolicy
from tinyfactory.models.http.wait import Wait
from tinyfactory.utils import bounded_json
from tinyfactory.utils.logs import get_logger

T = TypeVar("T")
# Pages of a hundred batches that are searched for one of ours.
_MOST_PAGES = 100
log = get_logger("tinyfactory.models")

# Enough for 200 MB over a home connection; the limit of a chat completion is too short.
_FILE_SECONDS = 900.0
# Clocks differ: one of our batches is at most this much older than its first submission.
_DAY = 86_400.0


class BatchClient:
    """`/files` and `/batches` of one endpoint; temporary failures are retried.

    Source: https://platform.openai.com/docs/api-reference/batch and ``.../files``. May be used
    from any event loop. Every method raises the same kinds of `ModelError` as a chat request;
    `RequestRejected` if the endpoint has no Batch API.

    Parameters
    ----------
    target : Target
    policy : RetryPolicy
    token : CancelToken, optional
        Cancelling it stops the method that is running.
    """

    def __init__(
        self, target: Target, policy: RetryPolicy, token: CancelToken | None = None
    ) -> None:
        self.target = target
        self.policy = policy
        self.token = token
        # Azure's path has no version.
        self.chat = f"{'' if target.azure_version else '/v1'}/chat/completions"

    async def upload(self, content: bytes) -> str:
        """Upload a file of rows; returns its id."""
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

        return await self._with_retries(attempt, _FILE_SECONDS)

    async def create(self, file: str, metadata: Json, since: float, *, look_first: bool) -> Json:
        """Create a batch from an uploaded file; returns the batch.

        Parameters
        ----------
        file : str
            Its id.
        metadata : dict
            Strings by which the batch is recognised later.
        since : float
            When the work began, in seconds since 1970.
        look_first : bool
            Whether the batch may have been created before.
        """
        # If a response was lost the batch may exist, and a second one would cost money.
        may_exist = look_first
        order = {
            "input_file_id": file,
            "endpoint": self.chat,
            "completion_window": "24h",
            "metadata": metadata,
        }

        async def attempt() -> Json:
            nonlocal may_exist
            if may_exist and (found := await self._find(metadata, since)) is not None:
                log.info("%s: found batch %s, created before", self.target.what, found["id"])
                return found
            may_exist = True
            answer = await self._send("post", "/batches", body=order)
            return self._object(answer, "id", "status")

        return await self._with_retries(attempt)

    async def retrieve(self, batch: str) -> Json:
        """A batch in its present state: `status`, `request_counts` and file ids."""

        async def attempt() -> Json:
            return self._object(await self._send("get", f"/batches/{batch}"), "id", "status")

        return await self._with_retries(attempt)

    async def download(self, file: str) -> bytes | None:
        """The content of a file; None if it no longer exists, for example after thirty days."""
        path = f"/files/{file}/content"

        async def attempt() -> bytes | None:
            answer = await connections(self.target).send("get", path, Wait(_FILE_SECONDS))
            if not isinstance(answer, Failure):
                return self._bytes(answer[0])
            if answer.status in (404, 410):
                return None
            raise self._error(answer, path)

        return await self._with_retries(attempt, _FILE_SECONDS)

    async def _find(self, metadata: Json, since: float) -> Json | None:
        """The batch with this metadata. A failed one does not count: it did and cost nothing."""
        last: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            options = {"params": {"limit": 100} | last}
            page = self._object(await self._send("get", "/batches", options=options), "data")
            batches = [
                b for b in page["data"] if isinstance(b, dict) and isinstance(b.get("id"), str)
            ]
            for batch in batches:
                if batch.get("metadata") == metadata and batch.get("status") != "failed":
                    return batch
            if not batches or not page.get("has_more"):
                return None
            created = batches[-1].get("created_at")
            if isinstance(created, (int, float)) and created < since - _DAY:
                return None
            last = {"after": batches[-1]["id"]}
        raise BadResponse(
            f"{self.target.endpoint} lists more than {100 * _MOST_PAGES:,} batches of the last "
            "day. Nothing was submitted, because the batch may be among the others. Ask one by "
            "one: batch=False."
        )

    async def _with_retries(self, attempt: Callable[[], Awaitable[T]], extra: float = 0.0) -> T:
        retry = Retry(self.policy, Clock(self.policy, extra), self.target.what)
        return await event_loop.arun(retry.run, attempt, token=self.token)

    async def _send(
        self, method: str, path: str, seconds: float | None = None, **content: Any
    ) -> bytes:
        limit: float = settings.get("timeout") if seconds is None else seconds
        answer = await connections(self.target).send(method, path, Wait(limit), **content)
        if isinstance(answer, Failure):
            raise self._error(answer, path)
        return self._bytes(answer[0])

    def _bytes(self, content: bytes | Json) -> bytes:
        if isinstance(content, bytes):
            return content
        raise bad_response("a stream", json.dumps(content).encode(), self.target)

    def _object(self, content: bytes, *names: str) -> Json:
        """The JSON object in a response; a `Retryable` is raised if it lacks one of the names."""
        try:
            body: Any = bounded_json.parse(content)
        except (ValueError, LimitExceeded):
            body = None
        if isinstance(body, dict) and all(
            isinstance(body.get(name), list if name == "data" else str) for name in names
        ):
            return body
        wanted = " and ".join(f"`{name}`" for name in names)
        raise bad_response(f"no JSON object with {wanted}", content, self.target)

    def _error(self, failure: Failure, path: str) -> ModelError | Retryable:
        endpoint = self.target.endpoint
        if failure.status in (404, 405, 501) and path in ("/files", "/batches"):
            return RequestRejected(
                f"{endpoint} has no Batch API at {path} ({failure}). No batch was submitted; "
                "finished work is saved. Ask for the people one by one: batch=False."
            )
        if failure.status == 404:
            return RequestRejected(
                f"{endpoint} does not know {path} ({failure}). Nothing new was submitted, because "
                "it would be paid for twice; finished work is saved. Use the key (and its "
                "project) that submitted it, or ask one by one: batch=False."
            )
        error = as_error(failure, self.target)
        if type(error) is RequestRejected:
            return RequestRejected(
                f"{self.target.what} rejected the batch ({failure}). It was not retried, because "
                "it would be rejected again; finished work is saved. Change what the message "
                "names, or ask one by one: batch=False."
            )
        return error
