"""The course of a call's batches: submitted once, remembered, and waited for."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tinyfactory.errors import (
    BadResponse,
    EndpointUnavailable,
    EndpointUnreachable,
    ModelError,
    QuotaExhausted,
    RequestRejected,
)
from tinyfactory.models import batch_rows, degrade, flow
from tinyfactory.models.batch_endpoint import BatchEndpoint
from tinyfactory.models.batch_reader import Reader, count
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.degrade import Dialect
from tinyfactory.models.failures import Failure, as_error, scrub
from tinyfactory.models.openai import OpenAIModel

log = logging.getLogger("tinyfactory.models")

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
        self.digest = batch_rows.digest(self.target.identity(), requests)
        # Two who ask the same with one account must not take each other's batch for theirs.
        self.mark = uuid.uuid4().hex
        self.since = time.time()
        self.dialect = degrade.known(self.target.endpoint, self.target.model)
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
            rows, content = batch_rows.fill(self._lines(self._next), most_rows=self.most_rows)
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
        _, content = batch_rows.fill(self._lines(part.first), most_rows=part.rows)
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
            yield batch_rows.line(name, path, self.target, self.requests[name], self.dialect)

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
            await flow.arun(asyncio.sleep, pause)
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
