"""Submit requests as batches and wait for the replies.

A batch outlives the kernel that submitted it. So its ids are saved before and after each
submission; a later call with the same requests continues to wait instead of paying again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tinyfactory.errors import (
    BadResponse,
    Cancelled,
    EndpointUnavailable,
    EndpointUnreachable,
    InvalidInput,
    ModelError,
    QuotaExhausted,
    RequestRejected,
)
from tinyfactory.models import event_loop
from tinyfactory.models.batch import files
from tinyfactory.models.batch.client import BatchClient
from tinyfactory.models.batch.files import ReplyReader, count
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.event_loop import CancelToken
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.capabilities import Capabilities
from tinyfactory.models.http.refusals import Failure
from tinyfactory.models.http.responses import as_error
from tinyfactory.models.openai import OpenAIModel
from tinyfactory.redaction import scrub
from tinyfactory.utils.logs import get_logger
from tinyfactory.utils.text import cut

__all__ = ["BatchProgress", "complete_batch"]

log = get_logger("tinyfactory.models")


async def complete_batch(
    model: OpenAIModel,
    requests: Mapping[str, ChatRequest],
    *,
    remembered: Json | None,
    remember: Callable[[Json], None],
    arrived: Callable[[str, ChatReply], None],
    refused: Callable[[str, ModelError], None] | None = None,
    progress: Callable[[BatchProgress], None] | None = None,
    poll: float = 10.0,
    most_rows: int = files.MOST_ROWS,
    token: CancelToken | None = None,
) -> dict[str, str]:
    """Send all requests as batches and wait until the last batch has ended.

    Endpoints answer a batch within 24 hours, for half the price of single requests (OpenAI,
    https://platform.openai.com/docs/guides/batch). If there are more requests than one file may
    hold, there are several batches. If the wait ends early, the batches continue at the provider,
    and the next call with the same requests and `remembered` submits nothing again.

    Parameters
    ----------
    model : OpenAIModel
    requests : mapping of str to ChatRequest
        By an id of the caller's choice.
    remembered : dict or None
        The last value passed to `remember`, in this or an earlier kernel. It is used for the same
        model and requests only; otherwise everything is submitted again.
    remember : callable
        Called with JSON to save on disk, before and after each submission. It holds no secret.
    arrived : callable
        Called with the id and the reply of each answered request as soon as it is read, in no
        particular order; once for each request in one call, but again in the next call.
    refused : callable, optional
        Called with the id of a request whose prompt a content filter refused, and the error.
    progress : callable, optional
        Called with a `BatchProgress` after each poll.
    poll : float
        Seconds between the first polls; the pause grows to six times that.
    most_rows : int
        Requests in one batch, if the endpoint accepts fewer than OpenAI does.
    token : CancelToken, optional
        Cancelling it ends the wait.

    Returns
    -------
    dict of str to str
        Why a request has no reply: its own error, or its batch expired or was cancelled first. If
        the endpoint refuses a part of a request (a temperature, a schema), that is remembered, and
        the part is left out when these requests are sent again.

    Raises
    ------
    ModelError
        `RequestRejected` if the endpoint has no Batch API or does not accept the rows,
        `QuotaExhausted` if it accepts no more rows now, and the kinds that any request has.
        Failed polls are repeated for about half an hour.
    Cancelled
        If the token was cancelled.

    Examples
    --------
    >>> notes = []
    >>> model = OpenAIModel("m", base_url="http://localhost:1/v1")
    >>> asyncio.run(
    ...     complete_batch(model, {}, remembered=None, remember=notes.append, arrived=print)
    ... )
    {}
    """
    if not isinstance(model, OpenAIModel):
        raise InvalidInput(
            f"{type(model).__name__} has no Batch API; nothing was sent. Use batch=False."
        )
    if not requests:
        return {}
    run = BatchRun(
        model, requests, remembered, remember, arrived, refused, progress, most_rows, token
    )
    try:
        await run.submit()
        await run.wait(poll)
    except ModelError as error:
        if not run.is_submitted:
            raise
        raise type(error)(f"{error} {run.how_to_resume}") from None
    except (asyncio.CancelledError, Cancelled):
        if not run.is_submitted:
            raise
        log.warning("The wait was stopped. %s", run.how_to_resume)
        if token is not None and token.cancelled:
            raise Cancelled(f"The wait was stopped on request. {run.how_to_resume}") from None
        raise
    return run.failed


# In the order in which a batch passes through them; the last four are final.
_STATES = (
    *("validating", "in_progress", "finalizing", "cancelling"),
    *("completed", "expired", "cancelled", "failed"),
)
_FINAL = _STATES[4:]
# The pause between two polls grows to this multiple of the first.
_LONGEST_PAUSE = 6
# Polls in a row that may fail, with a pause after each: about half an hour.
_FAILED_POLLS = 30


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Progress of the batches.

    Parameters
    ----------
    total, done, failed : int
        Number of requests: all, answered, and answered with an error or not at all.
    status : str
        The provider's status of the batch with the least progress: ``validating``,
        ``in_progress``, ``finalizing``, ``completed``, ``expired``, ...
    batches : tuple of str
        Their ids, as in the provider's dashboard.
    """

    total: int
    done: int
    failed: int
    status: str
    batches: tuple[str, ...]


@dataclass(slots=True)
class _Part:
    """The requests of one file; `latest` is the last known state of their batch."""

    first: int
    rows: int
    file: str | None = None
    batch: str | None = None
    latest: Json = field(default_factory=dict)
    is_read: bool = False
    read_before: int | None = None  # how many parts were read when it was last submitted


class BatchRun:
    """One call of `complete_batch`, with its parameters: submit, then wait.

    `failed` says, at the end, why a request has no reply.
    """

    def __init__(
        self,
        model: OpenAIModel,
        requests: Mapping[str, ChatRequest],
        remembered: Json | None,
        remember: Callable[[Json], None],
        arrived: Callable[[str, ChatReply], None],
        refused: Callable[[str, ModelError], None] | None,
        progress: Callable[[BatchProgress], None] | None,
        most_rows: int,
        token: CancelToken | None,
    ) -> None:
        self.target = model.target()
        self.target.check_key()
        self.client = BatchClient(self.target, model.retry, token)
        self.requests = requests
        self.ids = sorted(requests)
        self.remember = remember
        self.progress = progress
        self.most_rows = most_rows
        self.token = token
        self.digest = files.digest(self.target.identity(), requests)
        # Distinguishes batches of two runs that send the same requests with one account.
        self.mark = uuid.uuid4().hex
        self.since = time.time()
        self.accepted = capabilities.known.get(self.target)
        self.parts: list[_Part] = []
        self._restore(remembered)
        self.reader = ReplyReader(self.client, requests, self.accepted, arrived, refused)
        self.failed = self.reader.failed

    # -- saved state ---------------------------------------------------------------------------

    def _restore(self, remembered: Json | None) -> None:
        """Continue what an earlier call submitted, if it was for the same requests."""
        if not remembered or remembered.get("version") != 1:
            return
        if remembered["digest"] != self.digest:
            log.info("%s: the earlier batch was for other requests", self.target.what)
            return
        self.mark, self.since = remembered["mark"], remembered["since"]
        written = remembered["dialect"]  # the rows were written with these capabilities
        self.accepted = Capabilities(
            format=written["format"],
            dropped=frozenset(written["dropped"]),
            renamed=written["renamed"],
            folded=written.get("folded", False),
        )
        for part in remembered["parts"]:
            self.parts.append(_Part(self._next, part["rows"], part["file"], part["batch"]))

    def _save(self) -> None:
        parts = [{"rows": p.rows, "file": p.file, "batch": p.batch} for p in self.parts]
        self.remember(
            {
                "version": 1,
                "digest": self.digest,
                "mark": self.mark,
                "since": self.since,
                "dialect": {
                    "format": self.accepted.format,
                    "dropped": sorted(self.accepted.dropped),
                    "renamed": self.accepted.renamed,
                    "folded": self.accepted.folded,
                },
                "parts": parts,
            }
        )

    @property
    def _next(self) -> int:
        """The number of the first request that is in no part yet."""
        return self.parts[-1].first + self.parts[-1].rows if self.parts else 0

    @property
    def is_submitted(self) -> bool:
        """Whether the provider has a batch of this run."""
        return any(part.batch for part in self.parts)

    @property
    def how_to_resume(self) -> str:
        """For messages: the batches continue, and how to get their replies."""
        batches = ", ".join(part.batch for part in self.parts if part.batch)
        return (
            f"The submitted batches continue at {self.target.endpoint} without this kernel "
            f"({batches}); running the same again picks it up, and nothing is paid for twice."
        )

    # -- submitting ----------------------------------------------------------------------------

    async def submit(self) -> None:
        """Create a batch for every request that is in none."""
        for part in self.parts:
            if part.batch is None:
                await self._submit_again(part)
        while self._next < len(self.ids):
            rows, content = files.fill(self._rows(self._next), most_rows=self.most_rows)
            part = _Part(self._next, rows)
            part.file = await self.client.upload(content)
            self.parts.append(part)
            await self._create(part)

    async def _submit_again(self, part: _Part) -> None:
        """Submit a part of an earlier kernel, which may have died before or after submitting it."""
        try:
            if part.file is not None:
                await self._create(part, look_first=True)
                return
        except RequestRejected as error:
            log.info("%s: uploading again: %s", self.target.what, error)
        _, content = files.fill(self._rows(part.first), most_rows=part.rows)
        part.file = await self.client.upload(content)
        await self._create(part)

    async def _create(self, part: _Part, *, look_first: bool = False) -> None:
        self._save()
        metadata = {"tinyfactory": f"{self.digest}:{part.first}", "run": self.mark}
        part.latest = await self.client.create(
            str(part.file), metadata, self.since, look_first=look_first
        )
        part.batch, part.read_before = str(part.latest["id"]), self._parts_read
        self._save()
        log.info("%s: batch %s of %d requests", self.target.what, part.batch, part.rows)

    def _rows(self, first: int) -> Iterator[bytes]:
        path = self.client.chat
        for name in self.ids[first:]:
            yield files.request_row(name, path, self.target, self.requests[name], self.accepted)

    # -- waiting -------------------------------------------------------------------------------

    async def wait(self, poll: float) -> None:
        """Poll until every batch has ended and its replies are read."""
        pause, failed_polls = poll, 0
        while True:
            try:
                for part in self.parts:
                    if not part.is_read:
                        await self._poll(part)
                failed_polls = 0
            except (EndpointUnavailable, EndpointUnreachable, BadResponse) as error:
                failed_polls += 1
                if failed_polls == _FAILED_POLLS:
                    raise
                log.warning("%s: polling again later: %s", self.target.what, error)
            self._report()
            if all(part.is_read for part in self.parts):
                return
            await event_loop.arun(asyncio.sleep, pause, token=self.token)
            pause = min(1.5 * pause, _LONGEST_PAUSE * poll)

    async def _poll(self, part: _Part) -> None:
        if part.batch is None:
            if part.read_before != self._parts_read:  # there may be room in the queue now
                await self._submit_again(part)
            return
        part.latest = await self.client.retrieve(part.batch)
        status = part.latest["status"]
        if status == "failed":
            self._handle_rejection(part)
        elif status in _FINAL:
            await self.reader.read(self._ids(part), part.latest)
            part.is_read = True

    @property
    def _parts_read(self) -> int:
        return sum(part.is_read for part in self.parts)

    def _handle_rejection(self, part: _Part) -> None:
        """The endpoint rejected the rows of a batch: submit it again later, or raise the reason."""
        told = part.latest.get("errors")
        listed = told.get("data") if isinstance(told, dict) else None
        errors = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
        batch, codes = part.batch, {cut(str(error.get("code")), 100) for error in errors}
        # It cost nothing; the next call must not find it again.
        part.batch = part.file = None
        part.latest = {"status": "validating"}
        self._save()
        queue_full = "token_limit_exceeded" in codes
        # Each batch that ends makes room in the provider's queue.
        has_room = part.read_before != self._parts_read
        if queue_full and (has_room or any(p.batch and not p.is_read for p in self.parts)):
            log.info("%s: %s waits for room in the queue", self.target.what, batch)
            return
        messages = [
            cut(f"{error.get('message')}", 500)
            + (f" (line {error['line']})" if type(error.get("line")) is int else "")
            for error in errors[:3]
        ] + ["…"] * (len(errors) > 3)
        reason = scrub(" ".join(messages) or "no reason given", *self.target.secrets())
        no_quota = queue_full or any("billing" in code or "quota" in code for code in codes)
        failure = Failure(reason, status=400, code=min(codes, default=""))
        known = as_error(failure, self.target)
        kind = type(known) if isinstance(known, ModelError) and not no_quota else QuotaExhausted
        raise kind(
            f"{self.target.what} did not accept batch {batch}: {reason} Nothing of it was answered "
            "or charged; finished work is saved. "
            + (
                "Run it again when there is room, ask for fewer, "
                if no_quota
                else "Change what the message names "
            )
            + "or ask one by one: batch=False."
        )

    def _report(self) -> None:
        if self.progress is None:
            return
        done = failed = 0
        for part in self.parts:
            if part.is_read:
                lost = sum(name in self.failed for name in self._ids(part))
                done, failed = done + part.rows - lost, failed + lost
            else:
                done += count(part.latest, "completed")
                failed += count(part.latest, "failed")
        states = [part.latest.get("status", "validating") for part in self.parts]
        status = min(states, key=lambda s: _STATES.index(s) if s in _STATES else 0)
        batches = tuple(part.batch for part in self.parts if part.batch)
        self.progress(BatchProgress(len(self.ids), done, failed, status, batches))

    def _ids(self, part: _Part) -> list[str]:
        return self.ids[part.first : part.first + part.rows]
