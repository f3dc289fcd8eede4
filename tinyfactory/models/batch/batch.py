"""OpenAI's Batch API: many requests in one file, answered within a day, at half the price.

What is at the provider outlives the kernel. So its ids are remembered before and after each
submission, and whoever comes with the same requests goes on waiting instead of paying again.
"""

from __future__ import annotations

import asyncio
import logging
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
from tinyfactory.models.batch.client import BatchEndpoint
from tinyfactory.models.batch.files import Reader, count
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.capabilities import Dialect
from tinyfactory.models.http.responses import Failure, as_error, scrub
from tinyfactory.models.openai import OpenAIModel

__all__ = ["BatchProgress", "complete_batch"]

log = logging.getLogger("tinyfactory.models")


async def complete_batch(
    model: OpenAIModel,
    requests: Mapping[str, ChatRequest],
    *,
    remembered: Json | None,
    remember: Callable[[Json], None],
    arrived: Callable[[str, ChatReply], None],
    progress: Callable[[BatchProgress], None] | None = None,
    poll: float = 10.0,
    most_rows: int = files.MOST_ROWS,
) -> dict[str, str]:
    """Have all requests answered by batches; returns when the last one has ended.

    Endpoints answer a batch within 24 hours, for half the price of asking one by one (OpenAI,
    https://platform.openai.com/docs/guides/batch). More requests than one file may hold make
    several batches. Whatever ends the wait, the batches run on at the provider, and the next
    call with the same requests and what was remembered submits nothing anew.

    Parameters
    ----------
    model : OpenAIModel
    requests : mapping of str to ChatRequest
        By an id of one's own, which names a request in all that follows.
    remembered : dict or None
        What `remember` was last given, in whichever kernel. It counts for the same model and
        requests only; for others everything is submitted anew.
    remember : callable
        Given plain JSON to keep on disk, without a secret, before and after each submission.
    arrived : callable
        Given the id and the reply of each answered request as soon as it is read, in no
        particular order; once for each in one call, but again by the next call.
    progress : callable, optional
        Given a `BatchProgress` after each look.
    poll : float
        Seconds between looks at first; they grow to six times that.
    most_rows : int
        Requests in one batch, where the endpoint takes fewer than OpenAI does.

    Returns
    -------
    dict of str to str
        For each request without a reply, why: its own error, or a batch that expired or was
        cancelled before its turn. What the endpoint refuses of a request (a temperature, a
        schema) is learnt from that, so that asking these again sends less.

    Raises
    ------
    ModelError
        `RequestRejected` where the endpoint has no Batch API or does not accept the rows,
        `QuotaExhausted` where it accepts no more of them now, and the kinds that any request
        has. Looks that fail are repeated for about half an hour.
    Cancelled
        When the token of `event_loop.cancellable` was cancelled.

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
            f"{type(model).__name__} has no Batch API; nothing was sent. Ask one by one: "
            "batch=False."
        )
    if not requests:
        return {}
    run = BatchRun(model, requests, remembered, remember, arrived, progress, most_rows)
    try:
        await run.submit()
        await run.wait(poll)
    except ModelError as error:
        if not run.is_out:
            raise
        raise type(error)(f"{error} {run.whereabouts}") from None
    except (asyncio.CancelledError, Cancelled):
        if not run.is_out:
            raise
        log.warning("The wait was stopped. %s", run.whereabouts)
        if (switch := event_loop.token.get()) is not None and switch.cancelled:
            raise Cancelled(f"The wait was stopped on request. {run.whereabouts}") from None
        raise
    return run.failed


# In the order of a batch's life; the last four are ends.
_STATES = (
    *("validating", "in_progress", "finalizing", "cancelling"),
    *("completed", "expired", "cancelled", "failed"),
)
_ENDS = _STATES[4:]
# The pause between two looks grows to so many times the first.
_LONGEST = 6
# Looks in a row that may fail, with a pause after each: about half an hour.
_MISSES = 30


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far the batches are.

    Parameters
    ----------
    total, done, failed : int
        Requests: all, answered, and answered with an error or not at all.
    status : str
        Of the batch that is least far, in the provider's words: ``validating``,
        ``in_progress``, ``finalizing``, ``completed``, ``expired``, ...
    batches : tuple of str
        Their ids, as the provider's dashboard shows them.
    """

    total: int
    done: int
    failed: int
    status: str
    batches: tuple[str, ...]


@dataclass(slots=True)
class _Part:
    """The requests that go in one file; `latest` is their batch as last seen."""

    first: int
    rows: int
    file: str | None = None
    batch: str | None = None
    latest: Json = field(default_factory=dict)
    is_read: bool = False
    held: int | None = None  # how many were read when it was submitted last


class BatchRun:
    """One call of `complete_batch`, whose parameters it has: submit, then wait.

    `failed` holds, in the end, each request without a reply and why.
    """

    def __init__(
        self,
        model: OpenAIModel,
        requests: Mapping[str, ChatRequest],
        remembered: Json | None,
        remember: Callable[[Json], None],
        arrived: Callable[[str, ChatReply], None],
        progress: Callable[[BatchProgress], None] | None,
        most_rows: int,
    ) -> None:
        self.target = model.target()
        self.target.check_key()
        self.endpoint = BatchEndpoint(self.target, model.retry)
        self.requests = requests
        self.ids = sorted(requests)
        self.remember = remember
        self.tell = progress
        self.most_rows = most_rows
        self.digest = files.digest(self.target.identity(), requests)
        # Two who ask the same with one account must not take each other's batch for theirs.
        self.mark = uuid.uuid4().hex
        self.since = time.time()
        self.dialect = capabilities.known(self.target.endpoint, self.target.model)
        self.parts: list[_Part] = []
        self._recall(remembered)
        self.reader = Reader(self.endpoint, requests, self.dialect, arrived)
        self.failed = self.reader.failed

    # -- what is remembered --------------------------------------------------------------------

    def _recall(self, remembered: Json | None) -> None:
        """Take up what an earlier call submitted, if it was for the same requests."""
        if not remembered or remembered.get("version") != 1:
            return
        if remembered["digest"] != self.digest:
            log.info("%s: other requests than those of the earlier batch", self.target.what)
            return
        self.mark, self.since = remembered["mark"], remembered["since"]
        spoken = remembered["dialect"]  # as the rows were written, whatever was learnt since
        self.dialect = Dialect(
            format=spoken["format"], dropped=frozenset(spoken["dropped"]), renamed=spoken["renamed"]
        )
        for part in remembered["parts"]:
            self.parts.append(_Part(self._next, part["rows"], part["file"], part["batch"]))

    def _note(self) -> None:
        parts = [{"rows": p.rows, "file": p.file, "batch": p.batch} for p in self.parts]
        self.remember(
            {
                "version": 1,
                "digest": self.digest,
                "mark": self.mark,
                "since": self.since,
                "dialect": {
                    "format": self.dialect.format,
                    "dropped": sorted(self.dialect.dropped),
                    "renamed": self.dialect.renamed,
                },
                "parts": parts,
            }
        )

    @property
    def _next(self) -> int:
        """The number of the first request that is in no part yet."""
        return self.parts[-1].first + self.parts[-1].rows if self.parts else 0

    @property
    def is_out(self) -> bool:
        """Whether something of this is at the provider."""
        return any(part.batch for part in self.parts)

    @property
    def whereabouts(self) -> str:
        """What has become of the work when the wait for it ends early."""
        batches = ", ".join(part.batch for part in self.parts if part.batch)
        return (
            f"What was submitted goes on at {self.target.endpoint} without this kernel "
            f"({batches}); running the same again picks it up, and nothing is paid for twice."
        )

    # -- submitting ----------------------------------------------------------------------------

    async def submit(self) -> None:
        """Have a batch made for every request that is in none."""
        for part in self.parts:
            if part.batch is None:
                await self._submit(part)
        while self._next < len(self.ids):
            rows, content = files.fill(self._lines(self._next), most_rows=self.most_rows)
            part = _Part(self._next, rows)
            part.file = await self.endpoint.upload(content)
            self.parts.append(part)
            await self._create(part)

    async def _submit(self, part: _Part) -> None:
        """For a part of an earlier kernel, which may have died before or after it was heard."""
        try:
            if part.file is not None:
                await self._create(part, look_first=True)
                return
        except RequestRejected as error:
            log.info("%s: uploading anew: %s", self.target.what, error)
        _, content = files.fill(self._lines(part.first), most_rows=part.rows)
        part.file = await self.endpoint.upload(content)
        await self._create(part)

    async def _create(self, part: _Part, *, look_first: bool = False) -> None:
        self._note()
        metadata = {"tinyfactory": f"{self.digest}:{part.first}", "run": self.mark}
        part.latest = await self.endpoint.create(
            str(part.file), metadata, self.since, look_first=look_first
        )
        part.batch, part.held = str(part.latest["id"]), self._parts_read
        self._note()
        log.info("%s: batch %s of %d requests", self.target.what, part.batch, part.rows)

    def _lines(self, first: int) -> Iterator[bytes]:
        path = self.endpoint.chat
        for name in self.ids[first:]:
            yield files.line(name, path, self.target, self.requests[name], self.dialect)

    # -- waiting -------------------------------------------------------------------------------

    async def wait(self, poll: float) -> None:
        """Look until every batch has ended and is read."""
        pause, missed = poll, 0
        while True:
            try:
                for part in self.parts:
                    if not part.is_read:
                        await self._look(part)
                missed = 0
            except (EndpointUnavailable, EndpointUnreachable, BadResponse) as error:
                missed += 1
                if missed == _MISSES:
                    raise
                log.warning("%s: looking again later: %s", self.target.what, error)
            self._report()
            if all(part.is_read for part in self.parts):
                return
            await event_loop.arun(asyncio.sleep, pause)
            pause = min(1.5 * pause, _LONGEST * poll)

    async def _look(self, part: _Part) -> None:
        if part.batch is None:
            if part.held != self._parts_read:
                await self._submit(part)
            return
        part.latest = await self.endpoint.look(part.batch)
        status = part.latest["status"]
        if status == "failed":
            self._refused(part)
        elif status in _ENDS:
            await self.reader.read(self._ids(part), part.latest)
            part.is_read = True

    @property
    def _parts_read(self) -> int:
        return sum(part.is_read for part in self.parts)

    def _refused(self, part: _Part) -> None:
        """A batch whose rows were not accepted: try again when there is room, or say why."""
        listed = (part.latest.get("errors") or {}).get("data") or []
        errors = [error for error in listed if isinstance(error, dict)]
        batch, codes = part.batch, {str(error.get("code")) for error in errors}
        # It cost nothing; the next call shall not find it again.
        part.batch = part.file = None
        part.latest = {"status": "validating"}
        self._note()
        crowded = "token_limit_exceeded" in codes
        # What was read since made room, and what is under way will.
        room = part.held != self._parts_read
        if crowded and (room or any(p.batch and not p.is_read for p in self.parts)):
            log.info("%s: %s waits for room in the queue", self.target.what, batch)
            return
        said = [
            f"{error.get('message')}" + (f" (line {error['line']})" if error.get("line") else "")
            for error in errors[:3]
        ] + ["…"] * (len(errors) > 3)
        reason = scrub(" ".join(said) or "no reason given", *self.target.secrets())
        spent = crowded or any("billing" in code or "quota" in code for code in codes)
        known = as_error(
            Failure(reason, status=400, code=min(codes, default="")),
            self.target.model,
            self.target.endpoint,
        )
        kind = type(known) if isinstance(known, ModelError) and not spent else QuotaExhausted
        raise kind(
            f"{self.target.what} did not accept batch {batch}: {reason} Nothing of it was answered "
            "or is paid for; what was finished before is kept. "
            + (
                "Run it again when there is room, ask for fewer, "
                if spent
                else "Change what the message names "
            )
            + "or ask one by one: batch=False."
        )

    def _report(self) -> None:
        if self.tell is None:
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
        self.tell(BatchProgress(len(self.ids), done, failed, status, batches))

    def _ids(self, part: _Part) -> list[str]:
        return self.ids[part.first : part.first + part.rows]
