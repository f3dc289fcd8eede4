"""`/files` and `/batches` of the offline endpoint: what a client needs of them, no more.

Source: https://platform.openai.com/docs/api-reference/batch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qs, urlsplit

from tinyfactory.models.loopback.serving import Answer, Json, Request, refusal


@dataclass
class Batch:
    """One batch: its rows are answered one after the other, and it is over when the last is."""

    id: str
    rows: list[Json]
    order: Json  # what it was created with
    began: float = field(default_factory=time.monotonic)
    answers: list[Json] = field(default_factory=list)
    output: str | None = None
    cancelled: bool = False

    @property
    def status(self) -> str:
        """As OpenAI names it."""
        if self.output is None:
            return "in_progress"
        return "cancelled" if self.cancelled else "completed"


class Batches:
    """The files and batches of one endpoint, in memory.

    Parameters
    ----------
    complete : callable
        Answers the body of one chat request.
    seconds : float
        How long a batch takes, however many rows it has.
    """

    def __init__(self, complete: Callable[[Json], Json], seconds: float) -> None:
        self._complete = complete
        self._seconds = seconds
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, Batch] = {}

    def answer(self, request: Request) -> Answer:
        """The answer to a request about files or batches."""
        address = urlsplit(request.path)
        match request.method, *address.path.split("/")[2:]:
            case "POST", "files":
                return self._upload(request)
            case "GET", "files", name, "content" if name in self._files:
                binary = {"content-type": "application/octet-stream"}
                return Answer(200, self._files[name], binary)
            case "POST", "batches":
                return self._create(request.body)
            case "GET", "batches":
                return self._list(parse_qs(address.query))
            case "GET", "batches", name if name in self._batches:
                return Answer(200, self._shown(self._batches[name]))
            case "POST", "batches", name, "cancel" if name in self._batches:
                return Answer(200, self._cancel(self._batches[name]))
        return refusal(404, f"There is nothing at {request.method} {address.path}.")

    def _upload(self, request: Request) -> Answer:
        head = f"content-type: {request.headers.get('content-type')}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(head + request.content)
        parts = {p.get_param("name", header="content-disposition"): p for p in form.iter_parts()}
        content = parts["file"].get_payload(decode=True) if "file" in parts else None
        if not isinstance(content, bytes):
            return refusal(400, "A form with a part named 'file' is wanted.")
        name = self._keep(content)
        shown = {"id": name, "object": "file", "bytes": len(content), "purpose": "batch"}
        return Answer(200, shown | {"filename": "rows.jsonl", "created_at": int(time.time())})

    def _keep(self, content: bytes) -> str:
        name = f"file-{len(self._files) + 1}"
        self._files[name] = content
        return name

    def _create(self, order: Json) -> Answer:
        content = self._files.get(str(order.get("input_file_id")))
        if content is None:
            return refusal(400, f"There is no file {order.get('input_file_id')!r}.")
        try:
            rows = [json.loads(line) for line in content.splitlines() if line.strip()]
            asked = all(isinstance(row["body"]["messages"], list) for row in rows)
        except (ValueError, KeyError, TypeError):
            asked = False
        if not asked:
            return refusal(400, "A row of the file is no chat request.")
        batch = Batch(f"batch_{len(self._batches) + 1}", rows, order)
        self._batches[batch.id] = batch
        return Answer(200, self._shown(batch))

    def _list(self, wanted: dict[str, list[str]]) -> Answer:
        newest = list(self._batches.values())[::-1]
        if "after" in wanted:
            names = [batch.id for batch in newest]
            newest = newest[names.index(wanted["after"][0]) + 1 :]
        page = newest[: int(wanted.get("limit", ["20"])[0])]
        shown = [self._shown(batch) for batch in page]
        return Answer(200, {"object": "list", "data": shown, "has_more": len(newest) > len(page)})

    def _cancel(self, batch: Batch) -> Json:
        self._work(batch)
        if batch.output is None:
            batch.cancelled = True
            self._end(batch)
        return self._shown(batch)

    def _work(self, batch: Batch) -> None:
        """Answer the rows that are due by now."""
        if batch.output is not None:
            return
        passed = time.monotonic() - batch.began
        share = min(1.0, passed / self._seconds) if self._seconds else 1.0
        for row in batch.rows[len(batch.answers) : int(share * len(batch.rows))]:
            response = {"status_code": 200, "body": self._complete(row["body"])}
            batch.answers.append(
                {"custom_id": row.get("custom_id"), "response": response, "error": None}
            )
        if share == 1.0:
            self._end(batch)

    def _end(self, batch: Batch) -> None:
        lines = (json.dumps(row, ensure_ascii=False) for row in batch.answers)
        batch.output = self._keep("".join(f"{line}\n" for line in lines).encode())

    def _shown(self, batch: Batch) -> Json:
        self._work(batch)
        counts = {"total": len(batch.rows), "completed": len(batch.answers), "failed": 0}
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.order.get("endpoint"),
            "input_file_id": batch.order.get("input_file_id"),
            "completion_window": batch.order.get("completion_window"),
            "status": batch.status,
            "errors": None,
            "output_file_id": batch.output,
            "error_file_id": None,
            "created_at": int(time.time()),
            "request_counts": counts,
            "metadata": batch.order.get("metadata"),
        }
