"""The files of a batch: rows of requests in JSON Lines, and rows of replies."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import (
    BadResponse,
    InvalidInput,
    LimitExceeded,
    ModelError,
    PromptRefused,
)
from tinyfactory.models.batch.client import BatchClient
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.capabilities import Capabilities
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.refusals import Failure, read_error
from tinyfactory.models.http.request import body
from tinyfactory.models.http.responses import (
    Retryable,
    as_error,
    failed_reply,
    read_completion,
    read_reply,
)
from tinyfactory.utils import bounded_json
from tinyfactory.utils.logs import get_logger

log = get_logger("tinyfactory.models")

# The most that one file may hold, from OpenAI's documentation.
MOST_ROWS = 50_000
MOST_BYTES = 200_000_000
# More lines than any result file has; the rest is not read.
_MOST_LINES = 4 * MOST_ROWS
_LINE = re.compile(rb"[^\n]+")
# A batch takes at most a day, and some endpoints allow a week.
_DAYS = 30 * 86_400.0
# How often an incomplete file is downloaded.
_DOWNLOADS = 3


# --- requests ------------------------------------------------------------------------------------


def digest(identity: Json, requests: Mapping[str, ChatRequest]) -> str:
    """A hash of a set of requests, independent of the endpoint's capabilities."""
    total = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for name in sorted(requests):
        total.update(json.dumps([name, requests[name].to_json()], sort_keys=True).encode())
    return total.hexdigest()[:40]


def request_row(
    name: str, path: str, target: Target, request: ChatRequest, accepted: Capabilities
) -> bytes:
    r"""The row of one request, with the same body as a request that is sent alone.

    Examples
    --------
    >>> request = ChatRequest(({"role": "user", "content": "Hello"},))
    >>> path, target = "/v1/chat/completions", Target("http://x/v1", "m", None)
    >>> request_row("7", path, target, request, Capabilities())[:70]
    b'{"custom_id": "7", "method": "POST", "url": "/v1/chat/completions", "b'
    """
    row = {
        "custom_id": name,
        "method": "POST",
        "url": path,
        "body": body(target, accepted.messages(request), accepted.parameters(request)),
    }
    # In ASCII, because some readers also split lines at U+2028.
    return json.dumps(row).encode() + b"\n"


def fill(
    rows: Iterable[bytes], *, most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES
) -> tuple[int, bytes]:
    r"""Put as many rows into one file as it may hold: their number, and the file.

    Examples
    --------
    >>> fill([b"one\n", b"two\n", b"three\n"], most_bytes=10)
    (2, b'one\ntwo\n')
    """
    taken: list[bytes] = []
    size = 0
    for row in rows:
        size += len(row)
        if len(taken) == most_rows or size > most_bytes:
            break
        taken.append(row)
    if not taken:
        raise InvalidInput(
            f"One request alone has {size:,} bytes, but a batch may have only {most_bytes:,}. It "
            "was not submitted. Shorten the texts in the request."
        )
    return len(taken), b"".join(taken)


# --- replies -------------------------------------------------------------------------------------


def reply_rows(content: bytes) -> Iterator[tuple[str, Json] | None]:
    """The rows of a result file, each with its `custom_id`; None for a line that is no row."""
    most = settings.limits().line_bytes
    # Not `split`, which would hold all lines at once.
    for found in islice(_LINE.finditer(content), _MOST_LINES):
        line = found[0]
        if not line.strip():
            continue
        try:
            row: Any = bounded_json.parse(line) if len(line) <= most else None
        except (ValueError, LimitExceeded):
            row = None
        name = row.get("custom_id") if isinstance(row, dict) else None
        yield (name, row) if isinstance(name, str) else None


def read_row(
    row: Json, target: Target, sent: Json, seconds: float, *, structured: bool = False
) -> ChatReply | Failure:
    """The reply in a row, or why there is none.

    Parameters
    ----------
    row : dict
        ``{"custom_id", "response": {"status_code", "body"}, "error": {"code", "message"}}``. If
        the endpoint answered with an error, it is in the response's body and `error` is empty;
        if the request was never sent, as in an expired batch, there is only `error`.
    target : Target
    sent : dict
        The parameters of the request.
    seconds : float
        How long the batch took.
    structured : bool
        Whether the reply should be JSON.
    """
    response, error = row.get("response"), row.get("error")
    if isinstance(response, dict) and isinstance(status := response.get("status_code"), int):
        if status != 200:
            failure = read_error(status, response.get("body"), {}, target)
            if failure.cause != "generation":
                return failure
            sent = {"batch": True, **sent}
            return failed_reply(failure, target, sent, requests=1, seconds=seconds)
        try:
            completion = read_completion(json.dumps(response.get("body")).encode(), {}, target)
        except Retryable as bad:
            return Failure(str(bad), kind="bad response")
        if isinstance(completion, Failure):
            return completion
        sent = {"batch": True, **sent}
        return read_reply(
            completion, target, sent, requests=1, seconds=seconds, structured=structured
        )
    if isinstance(error, dict):
        failed = read_error(400, {"error": error}, {}, target)
        return replace(failed, status=None, code=(code := failed.code or "failed"), kind=code)
    return Failure("its row contains neither a response nor an error", kind="bad response")


class ReplyReader:
    """Reads the result files of batches and passes each reply on once.

    Parameters
    ----------
    client : BatchClient
    requests : mapping of str to ChatRequest
    accepted : Capabilities
        With which the rows were written. What the replies teach is remembered for later requests.
    arrived : callable
        Called with the id and the reply of each answered request.
    refused : callable, optional
        Called with the id of a request whose prompt was refused, and the error.

    Attributes
    ----------
    failed : dict of str to str
        Why a request has no reply.
    """

    def __init__(
        self,
        client: BatchClient,
        requests: Mapping[str, ChatRequest],
        accepted: Capabilities,
        arrived: Callable[[str, ChatReply], None],
        refused: Callable[[str, ModelError], None] | None = None,
    ) -> None:
        self.client = client
        self.target = client.target
        self.requests = requests
        self.accepted = accepted
        self.failed: dict[str, str] = {}
        self._arrived = arrived
        self._refused = refused
        self._answered: set[str] = set()

    async def read(self, names: list[str], batch: Json) -> None:
        """Read the results of a batch of these requests, even if it expired or was cancelled.

        Raises
        ------
        BadResponse
            If the batch counts replies but names no file with them.
        """
        completed = count(batch, "completed")
        if completed and not batch.get("output_file_id"):
            raise BadResponse(
                f"{self.target.endpoint} has replies for batch {batch['id']}, but does not name "
                "their file yet."
            )
        wanted = set(names)
        for key, at_least in (
            ("output_file_id", completed),
            ("error_file_id", count(batch, "failed")),
        ):
            if isinstance(file := batch.get(key), str):
                await self._read_file(wanted, batch, file, at_least)
        ended = "ended" if batch["status"] == "completed" else batch["status"]
        for name in wanted - self._answered - set(self.failed):
            self.failed[name] = f"batch {batch['id']} {ended} before it was answered"

    async def _read_file(self, wanted: set[str], batch: Json, file: str, at_least: int) -> None:
        for attempt in range(1, _DOWNLOADS + 1):
            content = await self.client.download(file)
            if content is None:
                log.warning("%s: file %s no longer exists", self.target.what, file)
                return
            lines = rows = 0
            for row in reply_rows(content):
                lines += 1
                if row is not None:
                    rows += 1
                    self._read_row(wanted, batch, *row)
                # There may be 50,000 rows: let other tasks run, and check for cancellation.
                await asyncio.sleep(0)
                if self.client.token is not None:
                    self.client.token.raise_if_cancelled()
            if rows == lines and rows >= at_least:
                return
            log.warning(
                "%s: file %s has %d of %d rows (download %d of %d)",
                *(self.target.what, file, rows, max(lines, at_least), attempt, _DOWNLOADS),
            )

    def _read_row(self, wanted: set[str], batch: Json, name: str, row: Json) -> None:
        if name not in wanted or name in self._answered:
            return
        began, ended = batch.get("created_at"), batch.get("completed_at")
        seconds = 0.0
        if isinstance(began, (int, float)) and isinstance(ended, (int, float)):
            seconds = float(min(max(ended - began, 0), _DAYS))
        sent = self.accepted.parameters(self.requests[name])
        structured = self.requests[name].schema is not None
        outcome = read_row(row, self.target, sent, seconds, structured=structured)
        if isinstance(outcome, Failure):
            self.failed[name] = str(outcome)
            error = as_error(outcome, self.target)
            if isinstance(error, PromptRefused) and self._refused is not None:
                self._refused(name, error)
            learnt = self.accepted.after_refusal(outcome, sent, suspect_format=False)
        else:
            # First, so that the next call passes the reply on again if this raises.
            self._arrived(name, outcome)
            self._answered.add(name)
            self.failed.pop(name, None)
            learnt = self.accepted.after_reply(sent)
        if learnt is not None:
            capabilities.known.learn(self.target, learnt)


def count(batch: Json, name: str) -> int:
    """How many requests of a batch are "completed" or "failed"; 0 if it does not say."""
    counts = batch.get("request_counts")
    number = counts.get(name) if isinstance(counts, dict) else None
    return number if type(number) is int and 0 <= number <= _MOST_LINES else 0
