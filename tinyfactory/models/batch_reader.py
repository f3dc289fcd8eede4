"""Reading what a batch gave: its files of answers and errors, cut short or not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from tinyfactory.errors import BadResponse
from tinyfactory.models import batch_rows, degrade, flow
from tinyfactory.models.batch_endpoint import BatchEndpoint
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.degrade import Dialect
from tinyfactory.models.failures import Failure

log = logging.getLogger("tinyfactory.models")

# A download that was cut short is asked for so often.
_READS = 3


class Reader:
    """Hands each reply on once, and notes in `failed` why there is none.

    Parameters
    ----------
    endpoint : BatchEndpoint
    requests : mapping of str to ChatRequest
    dialect : Dialect
        In which the rows were written; what is learnt from the answers is remembered for later.
    arrived : callable
        Given the id and the reply of each answered request.
    """

    def __init__(
        self,
        endpoint: BatchEndpoint,
        requests: Mapping[str, ChatRequest],
        dialect: Dialect,
        arrived: Callable[[str, ChatReply], None],
    ) -> None:
        self.endpoint = endpoint
        self.target = endpoint.target
        self.requests = requests
        self.dialect = dialect
        self.failed: dict[str, str] = {}
        self._arrived = arrived
        self._answered: set[str] = set()

    async def read(self, names: list[str], batch: Json) -> None:
        """What a batch of these requests gave, also one that expired or was cancelled half done.

        Raises
        ------
        BadResponse
            When it names no file of the answers that it counts.
        """
        completed = count(batch, "completed")
        if completed and not batch.get("output_file_id"):
            raise BadResponse(
                f"{self.target.endpoint} has answers to batch {batch['id']} but names no file of "
                "them yet."
            )
        mine = set(names)
        for name, at_least in (
            ("output_file_id", completed),
            ("error_file_id", count(batch, "failed")),
        ):
            if isinstance(file := batch.get(name), str):
                await self._read_file(mine, batch, file, at_least)
        ended = "ended" if batch["status"] == "completed" else batch["status"]
        for name in mine - self._answered - set(self.failed):
            self.failed[name] = f"batch {batch['id']} {ended} before it was answered"

    async def _read_file(self, mine: set[str], batch: Json, file: str, at_least: int) -> None:
        for attempt in range(1, _READS + 1):
            content = await self.endpoint.content(file)
            if content is None:
                log.warning("%s: file %s is no longer there", self.target.what, file)
                return
            rows = whole = 0
            for row in batch_rows.answers(content):
                rows += 1
                if row is not None:
                    whole += 1
                    self._take(mine, batch, *row)
                await _breathe()
            if whole == rows and whole >= at_least:
                return
            log.warning(
                "%s: of file %s, %d of %d rows came (download %d of %d)",
                *(self.target.what, file, whole, max(rows, at_least), attempt, _READS),
            )

    def _take(self, mine: set[str], batch: Json, name: str, row: Json) -> None:
        if name not in mine or name in self._answered:
            return
        began, ended = batch.get("created_at"), batch.get("completed_at")
        seconds = float(ended - began) if isinstance(began, int) and isinstance(ended, int) else 0.0
        sent = self.dialect.parameters(self.requests[name])
        found = batch_rows.outcome(row, self.target, sent, seconds)
        if isinstance(found, Failure):
            self.failed[name] = str(found)
            learnt = self.dialect.after(found, sent, suspect_format=False)
        else:
            # First, so that a caller who fails on it is given it again by the next call.
            self._arrived(name, found)
            self._answered.add(name)
            self.failed.pop(name, None)
            strict = sent.get("response_format", {}).get("type") == "json_schema"
            learnt = replace(self.dialect, proven=self.dialect.proven or strict)
        if learnt is not None:
            degrade.learn(self.target.endpoint, self.target.model, learnt)


def count(batch: Json, name: str) -> int:
    """How many requests of a batch are "completed" or "failed", as far as it says."""
    counts = batch.get("request_counts")
    number = counts.get(name) if isinstance(counts, dict) else None
    return number if isinstance(number, int) else 0


async def _breathe() -> None:
    """Between two rows of very many: let others run, and see whether to stop."""
    await asyncio.sleep(0)
    if (switch := flow.token.get()) is not None:
        switch.raise_if_cancelled()
