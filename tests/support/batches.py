"""`/files` and `/batches` as OpenAI documents them, for a `ChatServer`.

    with ChatServer(batches=Batches(running=0.2), rules=[...]) as server:
        ...
        assert server.batches.created == 1

A batch changes its state with time. Each row is answered like a chat request to the server, by
the same rules and script. The output has another order than the input. Source: https://platform.openai.com/docs/api-reference/batch.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.answers import Answer, Json, Request

_ENDS = ("failed", "completed", "expired", "cancelled")
_CHAT = ("/v1/chat/completions", "/chat/completions")


@dataclass
class Fault:
    """The next `times` requests of this kind get `answer`; with `after`, after their effect."""

    method: str
    path: str  # the end of it, as a regular expression
    answer: Answer | Callable[[Answer], Answer]
    times: int = 1
    after: bool = False

    def fits(self, request: Request) -> bool:
        path = urlsplit(request.path).path
        return (
            self.times > 0
            and request.method == self.method
            and bool(re.search(self.path + "$", path))
        )


@dataclass
class Batch:
    id: str
    rows: list[bytes]
    order: Json  # what it was created with
    at: float
    done: dict[int, Json] = field(default_factory=dict)
    status: str = "validating"
    errors: list[Json] = field(default_factory=list)
    output: str | None = None
    error: str | None = None

    @property
    def bad(self) -> list[Json]:
        return [row for row in self.done.values() if _is_bad(row)]


class Batches:
    """The behaviour of both endpoints, and the requests that they got.

    Parameters
    ----------
    validating, running, finalizing : float
        Seconds in each state.
    expire_after : int
        Rows that are done when the batch expires; 0 for none: it completes.
    most_rows, most_waiting : int
        Rows that a batch may have, and that all unfinished batches may have together.
    faults : list of Fault

    Attributes
    ----------
    clock : callable
        What the time is; a test may let it go on by what is asked.
    """

    def __init__(
        self,
        validating: float = 0.02,
        running: float = 0.06,
        finalizing: float = 0.02,
        *,
        expire_after: int | None = None,
        most_rows: int = 50_000,
        most_waiting: int = 1_000_000,
        faults: tuple[Fault, ...] = (),
    ) -> None:
        self.times = validating, running, finalizing
        self.expire_after = expire_after
        self.most_rows = most_rows
        self.most_waiting = most_waiting
        self.faults = list(faults)
        self.clock: Callable[[], float] = time.monotonic
        self.files: dict[str, bytes] = {}
        self.batches: list[Batch] = []
        self.uploaded = self.looks = self.downloads = self.lists = 0

    @property
    def created(self) -> int:
        return len(self.batches)

    @property
    def bodies(self) -> list[Json]:
        """The requests in all rows, in the order of the files."""
        return [json.loads(row)["body"] for batch in self.batches for row in batch.rows]

    def finish(self) -> None:
        """End every batch now."""
        for batch in self.batches:
            batch.at = -3600.0

    def answer(self, request: Request, complete: Callable[[Request], Answer]) -> Answer | None:
        """The answer; None if the request is not about files or batches."""
        self._complete = complete
        path = urlsplit(request.path).path
        if not re.match(r"/(v1|openai)/(files|batches)(/|$)", path):
            return None
        fault = next((f for f in self.faults if f.fits(request)), None)
        if fault is not None:
            fault.times -= 1
            if not fault.after:
                assert isinstance(fault.answer, Answer)
                return fault.answer
        answer = self._serve(request, path.split("/")[2:])
        if fault is None:
            return answer
        return fault.answer if isinstance(fault.answer, Answer) else fault.answer(answer)

    def _serve(self, request: Request, path: list[str]) -> Answer:
        match request.method, *path:
            case "POST", "files":
                return self._upload(request)
            case "GET", "files", file, "content":
                self.downloads += 1
                if file not in self.files:
                    return _refuse(404, f"No such File object: {file}", "id")
                binary = {"content-type": "application/octet-stream"}
                return Answer(200, self.files[file], binary)
            case "POST", "batches":
                return self._create(request)
            case "GET", "batches":
                return self._list(request)
            case "GET", "batches", name:
                self.looks += 1
                return self._known(name, self._shown)
            case "POST", "batches", name, "cancel":
                return self._known(name, self.cancel)
        return _refuse(404, f"Unknown request URL: {request.method} {request.path}", None)

    def _upload(self, request: Request) -> Answer:
        head = f"content-type: {request.headers.get('content-type')}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(head + request.content)
        parts = {
            part.get_param("name", header="content-disposition"): part for part in form.iter_parts()
        }
        if "file" not in parts or parts["purpose"].get_content().strip() != "batch":
            return _refuse(400, "'purpose' is not one of ['batch']", "purpose")
        if not str(parts["file"].get_filename()).endswith(".jsonl"):
            return _refuse(400, "Invalid file format for Batch API. Must be .jsonl", None)
        content = parts["file"].get_payload(decode=True)
        assert isinstance(content, bytes)
        self.uploaded += 1
        name = self._keep(content)
        shown = {"id": name, "object": "file", "bytes": len(content), "purpose": "batch"}
        return Answer(200, shown | {"status": "processed", "created_at": int(time.time())})

    def _keep(self, content: bytes) -> str:
        name = f"file-{len(self.files) + 1}"
        self.files[name] = content
        return name

    def _create(self, request: Request) -> Answer:
        order = request.body
        if order.get("completion_window") != "24h":
            return _refuse(400, "Invalid value for 'completion_window'.", "completion_window")
        if order.get("endpoint") not in _CHAT:
            return _refuse(400, "Invalid value for 'endpoint'.", "endpoint")
        if order.get("input_file_id") not in self.files:
            return _refuse(400, f"Cannot find file {order.get('input_file_id')}", "file_id")
        rows = self.files[order["input_file_id"]].splitlines()
        batch = Batch(f"batch_{self.created + 1}", rows, order, self.clock())
        batch.errors = self._mistakes(batch)
        self.batches.append(batch)
        return Answer(200, self._shown(batch))

    def _mistakes(self, batch: Batch) -> list[Json]:
        """The errors of validation, reported when it has ended."""
        rows: list[Any] = []
        found: list[Json] = []

        def wrong(code: str, message: str, line: int | None = None) -> None:
            found.append({"code": code, "message": message, "param": None, "line": line})

        for number, line in enumerate(batch.rows, 1):
            try:
                rows.append(json.loads(line))
            except ValueError:
                wrong("invalid_json_line", "This line is not parseable as valid JSON.", number)
        seen: set[str] = set()
        for number, row in enumerate(rows, 1):
            if row["custom_id"] in seen:
                wrong(
                    "duplicate_custom_id",
                    "The custom_id for this request is a duplicate of another request.",
                    number,
                )
            seen.add(row["custom_id"])
            if row["url"] != batch.order["endpoint"]:
                wrong("mismatched_endpoint", "The URL does not match the batch's.", number)
        if len({row["body"]["model"] for row in rows}) > 1:
            wrong("mismatched_model", "All requests of a batch must have the same model.")
        if not batch.rows:
            wrong("empty_file", "The batch input file is empty.")
        if len(batch.rows) > self.most_rows:
            wrong("too_many_tasks", f"The batch has more than {self.most_rows} requests.")
        waiting = sum(len(b.rows) for b in self.batches if self.now(b).status not in _ENDS)
        if waiting + len(batch.rows) > self.most_waiting:
            wrong(
                "token_limit_exceeded",
                "Enqueued token limit reached for test-model in organization org-test. Please try "
                "again once some in_progress batches have been completed.",
            )
        return found

    def _list(self, request: Request) -> Answer:
        self.lists += 1
        wanted = parse_qs(urlsplit(request.path).query)
        newest = self.batches[::-1]
        if "after" in wanted:
            known = [batch.id for batch in newest]
            newest = newest[known.index(wanted["after"][0]) + 1 :]
        page = newest[: int(wanted.get("limit", ["20"])[0])]
        shown = [self._shown(batch) for batch in page]
        return Answer(200, {"object": "list", "data": shown, "has_more": len(newest) > len(page)})

    def _known(self, name: str, then: Callable[[Batch], Json]) -> Answer:
        batch = next((b for b in self.batches if b.id == name), None)
        if batch is None:
            return _refuse(404, f"No batch found with id '{name}'.", None)
        return Answer(200, then(batch))

    def cancel(self, batch: Batch) -> Json:
        """End a batch with the rows that are done."""
        if self.now(batch).status not in _ENDS:
            self._end(batch, "cancelled")
        return self._shown(batch)

    def now(self, batch: Batch) -> Batch:
        """The batch in its present state."""
        validating, running, finalizing = self.times
        if batch.status in _ENDS:
            return batch
        passed = self.clock() - batch.at - validating
        if passed < 0:
            return batch
        if batch.errors:
            batch.status = "failed"
            return batch
        batch.status = "in_progress"
        share = min(1.0, passed / running) if running else 1.0
        due = int(share * len(batch.rows))
        if self.expire_after is not None:
            due = min(due, self.expire_after)
        for number in range(len(batch.done), due):
            batch.done[number] = self._row(batch, number)
        if share == 1.0:
            batch.status = "finalizing"
        if passed >= running + finalizing:
            self._end(batch, "completed" if self.expire_after is None else "expired")
        return batch

    def _row(self, batch: Batch, number: int) -> Json:
        asked = json.loads(batch.rows[number])
        answer = self._complete(
            Request("POST", asked["url"], {}, asked["body"], time.monotonic(), batch.rows[number])
        )
        body = json.loads(answer.encoded())
        response = {"status_code": answer.status, "request_id": f"req_{number}", "body": body}
        return _row(asked["custom_id"], response, None)

    def _end(self, batch: Batch, status: str) -> None:
        batch.status = status
        rows = list(batch.done.values())
        for line in batch.rows[len(batch.done) :]:
            said = "This request could not be executed before the completion window expired."
            if status == "cancelled":
                said = "This request was not executed, because the batch was cancelled."
            error = {"code": f"batch_{status}", "message": said}
            rows.append(_row(json.loads(line)["custom_id"], None, error))
        random.Random(0).shuffle(rows)
        good, bad = [r for r in rows if not _is_bad(r)], [r for r in rows if _is_bad(r)]
        batch.output = self._keep(_lines(good)) if good else None
        batch.error = self._keep(_lines(bad)) if bad else None

    def _shown(self, batch: Batch) -> Json:
        self.now(batch)
        now = int(time.time())
        bad = len(batch.bad)
        failed = batch.status == "failed"
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.order["endpoint"],
            "errors": {"object": "list", "data": batch.errors} if failed else None,
            "input_file_id": batch.order["input_file_id"],
            "completion_window": "24h",
            "status": batch.status,
            "output_file_id": batch.output,
            "error_file_id": batch.error,
            "created_at": now - 1,
            "completed_at": now if batch.status == "completed" else None,
            "request_counts": {
                "total": len(batch.rows) * (batch.status != "validating" and not failed),
                "completed": len(batch.done) - bad,
                "failed": bad,
            },
            "metadata": batch.order.get("metadata"),
        }


def _row(name: str, response: Json | None, error: Json | None) -> Json:
    return {"id": f"batch_req_{name}", "custom_id": name, "response": response, "error": error}


def _is_bad(row: Json) -> bool:
    return row["response"] is None or row["response"]["status_code"] != 200


def _lines(rows: list[Json]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def _refuse(code: int, message: str, param: str | None) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Answer(code, {"error": error})
