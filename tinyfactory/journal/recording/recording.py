"""Recordings: all events of a simulation in one portable file, written and read.

A recording is gzipped JSON, one object a line. The first line holds format and version, the
simulation, the models that replied, and the number of rows. Then come the rows of the journal,
grouped by the journal's lines and sorted; the last line counts them. Each line ends with a
digest over itself and the digest before it, so that a changed or missing line is found.

The same journal gives the same bytes, on any day: clock times (`at`, `seconds`) are left out.
So are the replies of the models, which a replay does not need.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import weakref
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import (
    DamagedRecord,
    FileTooLarge,
    InvalidInput,
    JournalUnavailable,
    LimitExceeded,
    SecretFound,
)
from tinyfactory.journal.values.stored_text import digest_bytes, digest_text
from tinyfactory.journal.verification import check_row
from tinyfactory.limits import Limits, how_to_raise
from tinyfactory.redaction import Secrets, strings_replaced
from tinyfactory.utils import bounded_json
from tinyfactory.utils.files import AtomicFile, expanded, open_file
from tinyfactory.utils.logs import get_logger

logger = get_logger("tinyfactory")
# Parts of an event that a replay does not need.
_NOT_REPLAYED = ("arguments", "request", "failure", "meta")


def rows_of(store: Any, simulation: str, *, replies: bool = True) -> list[str]:
    """The keys of all rows of a simulation: line by line, each line's origin before its events."""
    found: list[tuple[str, int, str]] = []
    asked: set[str] = set()
    heads: set[str] = set()
    versions: set[str] = set()
    there: set[str] = set()
    joins: list[tuple[str, Json]] = []
    for name, value in rows_in(store):
        kind = name.partition(":")[0]
        if kind == "join":
            joins.append((name, value))
        elif kind == "version":
            there.add(name)
        elif kind != "reply" and value.get("simulation") == simulation:
            root = name.partition(":")[2] if kind == "line" else value.get("line")
            found.append((root or "", 0 if kind == "line" else 1, name))
            if kind == "event":
                heads.add(value["head"])
                versions.add("version:" + value["version"])
                asked.update(r["key"] for r in value["meta"]["replies"] if r.get("key"))
    # A join may join other joins, so follow each new head to the joins that name it.
    naming: dict[str, list[str]] = defaultdict(list)
    for name, value in joins:
        for head in value["heads"]:
            naming[head].append(name)
    mine: set[str] = set()
    waiting = list(heads)
    while waiting:
        for name in naming.pop(waiting.pop(), ()):
            if name not in mine:
                mine.add(name)
                waiting.append(name.partition(":")[2])
    rows = [name for _, _, name in sorted(found)] + sorted(mine)
    rows += sorted(versions & there)
    if replies:
        rows += sorted(asked & {name for name, _ in rows_in(store)})
    return rows


def rows_in(store: Any) -> Iterator[tuple[str, Json]]:
    """Key and value of each row that can be read; the others are logged."""
    for name in store:
        if name.startswith("damaged:"):  # renamed when it was replaced
            continue
        try:
            value = store.get(name)
            check_row(name, value, True)
        except DamagedRecord as error:
            logger.warning("%s It is left out: %s.", error, name[:100])
            continue
        yield name, value


class Portable:
    """Rows without clock times and secrets.

    Secrets are removed from the parts of an event that a replay does not need. In the other
    parts a secret is an error; with `strip` it is removed there, too, and counted in `stripped`.
    """

    def __init__(self, *, strip: bool = False) -> None:
        self.strip = strip
        self.stripped = 0
        self._secrets = Secrets()

    def row(self, name: str, value: Json) -> Json:
        """A row in its portable form."""
        kind = name.partition(":")[0]
        if kind == "reply":
            reply = {k: v for k, v in value["reply"].items() if k != "seconds"}
            kept = {k: v for k, v in value.items() if k != "at"} | {"reply": reply}
            cleaned: Json = self.public(kept)
            return cleaned
        if kind != "event":
            needed: Json = self.needed(value, name[:13])
            return needed
        what = f"event {name[6:14]} ({value['class']}.{value['method']})"
        return {
            part: self.public(_without_clock(content) if part == "meta" else content)
            if part in _NOT_REPLAYED
            else self.needed(content, f"{what}: {part}")
            for part, content in value.items()
        }

    def needed(self, value: Any, where: str) -> Any:
        """A value that a replay needs exactly as it is.

        Raises
        ------
        SecretFound
            When the value holds a secret; the message names the place.
        """

        def check(text: str, place: str) -> str:
            what = self._secrets.what_in(text)
            if what is None:
                return text
            if self.strip:
                self.stripped += 1
                return self._secrets.without(text)
            raise SecretFound(
                f"The export was stopped: {place} holds what looks like {what}. No file was "
                "written, and the journal is unharmed. Remove it from the notebook and run that "
                "call again; or export with strip=True: calls that depend on that text may then "
                "not be found in a replay."
            )

        return strings_replaced(value, check, where)

    def public(self, value: Any) -> Any:
        """A value without secrets."""
        return strings_replaced(value, lambda text, _: self._secrets.without(text), "")


def _without_clock(meta: Json) -> Json:
    replies = [{k: v for k, v in r.items() if k != "seconds"} for r in meta["replies"]]
    kept = {k: v for k, v in meta.items() if k not in ("at", "seconds")}
    return kept | {"replies": replies}


Json = dict[str, Any]
FORMAT = "tinyfactory recording"
VERSION = 1
SUFFIX = ".recording.jsonl.gz"
_MARK = ',"chain":"'
_PIECE = 1 << 16
_PLAIN = b"{"  # how a recording begins that was unpacked
_UNPACKED = 1 << 20
_KINDS = {"event": "an event", "reply": "a reply", "join": "a join", "line": "a line's origin"}


def write(
    store: Any, simulation: str, path: str | Path, *, replies: bool = False, strip: bool = False
) -> Path:
    """Write a simulation of a journal into a file, completely or not at all.

    Parameters
    ----------
    store : Store
    simulation : str
        Its id.
    path : path
        The file; an existing one is replaced.
    replies : bool
        Include the models' replies, also the rejected ones, as evidence.
    strip : bool
        Remove secrets also where a replay may need the exact text, instead of refusing.

    Raises
    ------
    InvalidInput
        When there is no event, or a replay needs a text that holds a secret.
    JournalUnavailable
        When the file cannot be written.
    """
    path = expanded(path).absolute()
    rows = rows_of(store, simulation, replies=replies)
    if not any(name.startswith("event:") for name in rows):
        raise InvalidInput(
            f"The simulation {simulation!r} has no events yet, so there is nothing to export. "
            "No file was written."
        )
    portable = Portable(strip=strip)
    try:
        # No name and no time in the header: they would differ from day to day.
        with AtomicFile(path) as new, gzip.GzipFile("", "wb", fileobj=new.file, mtime=0) as packed:
            _write_lines(packed, store, simulation, rows, portable)
    except OSError as error:
        raise JournalUnavailable(
            f"The recording cannot be written to {path} ({error}). The journal is unharmed. "
            "Give a path in an existing folder that can be written."
        ) from error
    return path


def _write_lines(
    file: gzip.GzipFile, store: Any, simulation: str, rows: list[str], portable: Portable
) -> None:
    models: Counter[str] = Counter()
    for name in rows:
        if name.startswith("event:"):
            model = (store.get(name)["request"] or {}).get("model")
            if model is not None:
                models[_text(portable.needed(model, "the model's identity"))] += 1
    chain = ""

    def put(line: Json) -> None:
        nonlocal chain
        text = _text(line)
        chain = digest_text(chain + text)
        file.write(f'{text[:-1]}{_MARK}{chain}"}}\n'.encode())

    often = sorted(models.items(), key=lambda item: (-item[1], item[0]))
    put({
        "format": FORMAT,
        "version": VERSION,
        "simulation": portable.needed(simulation, "the simulation's id"),
        "models": [{"identity": json.loads(model), "events": n} for model, n in often],
        "rows": len(rows),
        "events": sum(name.startswith("event:") for name in rows),
        "replies": sum(name.startswith("reply:") for name in rows),
    })  # fmt: skip
    for name in rows:
        put({"key": name, "value": portable.row(name, store.get(name))})
    put({"end": True, "rows": len(rows), "stripped": portable.stripped})


def _text(value: Any) -> str:
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), sort_keys=False, allow_nan=False
    )


class Recording:
    """A recording that was read and checked; its rows by key.

    The rows are unpacked into a temporary file; memory holds only their positions.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    simulation : str
        Id of the simulation that was recorded.
    identities : list of dict
        Of the models that replied, the most frequent first.
    header, footer : dict

    Raises
    ------
    InvalidInput
        When there is no such file.
    DamagedRecord
        When it was changed or cut off; the message names the line.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = expanded(path).absolute()
        if not self.path.exists():
            raise InvalidInput(
                f"There is no recording at {self.path}. Nothing was opened. Copy the file there, "
                "or give its path."
            )
        self._rows: dict[str, tuple[int, int]] = {}
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the recording
        weakref.finalize(self, self._file.close)
        self.header, self.footer = self._read()
        self.simulation: str = self.header["simulation"]
        self.identities: list[Json] = [model["identity"] for model in self.header["models"]]

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, name: str) -> Json | None:
        """The row under a key, in the form of a journal's row; None without one."""
        if name not in self._rows:
            return None
        start, length = self._rows[name]
        # Not by seeking: threads and forked processes share the file's position.
        row: Json = json.loads(os.pread(self._file.fileno(), length, start))["value"]
        return _with_clock(name, row)

    def _read(self) -> tuple[Json, Json]:
        header: Json = {}
        footer: Json = {}
        chain, start = "", 0
        number = 0
        limits = settings.limits()
        most = limits.recording_lines
        for number, line in enumerate(_lines(self.path), 1):
            if number > most:
                raise _too_large(self.path, "recording_lines", f"{most:,} lines")
            text, chain = _checked(self.path, number, line, chain)
            content = _parsed(self.path, number, text, limits)
            if footer:
                raise _damaged(self.path, f"line {number} comes after its end")
            if number == 1:
                header = _header(self.path, content)
                if header["rows"] > most:
                    raise _too_large(self.path, "recording_lines", f"{most:,} lines")
            elif content.get("end") is True:
                footer = content
            else:
                name = _name_of_row(self.path, number, content)
                if name in self._rows:
                    raise _damaged(self.path, f"line {number} repeats a row")
                self._rows[name] = (start, len(text))
                start += self._file.write(text)
        if not footer:
            raise _damaged(self.path, f"it ends after line {number}, before its end")
        if not len(self._rows) == header["rows"] == footer.get("rows"):
            raise _damaged(self.path, f"line {number} counts other rows than there are")
        self._file.flush()
        return header, footer


def begins_as_recording(path: Path) -> bool:
    """Whether a file begins as a recording does: with a header that names the format."""
    try:
        with path.open("rb") as file:
            begin = file.read(_PIECE)
        if not begin.startswith(_PLAIN):
            begin = zlib.decompressobj(31).decompress(begin, _PIECE)
    except (OSError, zlib.error):
        return False
    return FORMAT.encode() in begin.partition(b"\n")[0]


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, up to the first that is damaged."""
    limits = settings.limits()
    number, unpacked = 1, 0
    rest = bytearray()
    for piece in _unpacked(path):
        if piece is None:
            raise _damaged(path, f"line {number} cannot be unpacked, or the file breaks off there")
        unpacked += len(piece)
        if unpacked > limits.recording_bytes:
            most = limits.recording_bytes
            raise _too_large(path, "recording_bytes", f"{most:,} bytes, unpacked")
        *whole, end = piece.split(b"\n")
        for line in whole:
            # Only the first of them continues the rest, so that each byte is copied once.
            rest += line
            _check_line(path, number, rest, limits)
            yield bytes(rest)
            rest.clear()
            number += 1
        rest += end
        _check_line(path, number, rest, limits)
    if rest:
        raise _damaged(path, f"it breaks off in line {number}")


def _check_line(path: Path, number: int, line: bytearray, limits: Limits) -> None:
    most = limits.line_bytes
    if len(line) > most:
        raise _too_large(path, "line_bytes", f"{most:,} bytes in line {number}")


def _unpacked(path: Path) -> Iterator[bytes | None]:
    """The contents of a file in pieces of bounded size; None last when it is damaged.

    Some browsers unpack a gzipped file when they download it.
    """
    unpack = zlib.decompressobj(31)
    with open_file(path, "recording_bytes") as file:
        piece = file.read(_PIECE)
        if piece.startswith(_PLAIN):
            while piece:
                yield piece
                piece = file.read(_PIECE)
            return
        file.seek(0)
        while piece := file.read(_PIECE):
            while piece and not unpack.eof:
                before = unpack.copy()
                try:
                    yield unpack.decompress(piece, _UNPACKED)
                except zlib.error:
                    yield from _until_damage(before, piece)
                    yield None
                    return
                piece = unpack.unconsumed_tail
            if unpack.eof and (unpack.unused_data or file.read(1)):
                raise _damaged(path, "there is something after its end")
        # Not `flush`, which has no bound.
        while out := unpack.decompress(b"", _UNPACKED):
            yield out
        if not unpack.eof:
            yield None


def _until_damage(unpack: Any, piece: bytes) -> Iterator[bytes]:
    """The contents before the damaged place, found byte by byte."""
    try:
        for byte in piece:
            yield unpack.decompress(bytes((byte,)))
    except zlib.error:
        return


def _checked(path: Path, number: int, line: bytes, chain: str) -> tuple[bytes, str]:
    """A line's text without its digest, and the digest, which must match."""
    try:
        line.decode()
    except UnicodeDecodeError:
        raise _damaged(path, f"line {number} is not text") from None
    head, mark, tail = line.rpartition(_MARK.encode())
    body = head + b"}"
    digest = digest_bytes(chain.encode() + body)
    if not mark or tail != f'{digest}"}}'.encode():
        raise _damaged(path, f"line {number} is not as it was written")
    return body, digest


def _parsed(path: Path, number: int, text: bytes, limits: Limits) -> Json:
    try:
        content = bounded_json.parse(text, limits=limits)
    except LimitExceeded as error:
        raise FileTooLarge(
            f"The recording {path.name} was not read: line {number}. {error} Nothing was replayed."
        ) from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise _damaged(path, f"line {number} is not a JSON object")
    return content


def _too_large(path: Path, limit: str, what: str) -> FileTooLarge:
    most: int = getattr(settings.limits(), limit)
    return FileTooLarge(
        f"The recording {path.name} has more than {what}, which is the limit {limit}. Nothing was "
        f"replayed. {how_to_raise(limit, 4 * most)}"
    )


def _header(path: Path, content: Json) -> Json:
    if content.get("format") != FORMAT:
        raise _damaged(path, "line 1 is not that of a recording")
    if content.get("version") != VERSION:
        raise InvalidInput(
            f"{path.name} is a recording of version {content.get('version')!r}, and this "
            f"release reads version {VERSION}. Nothing was replayed. Install a newer release."
        )
    models = content.get("models")
    if not (
        isinstance(content.get("simulation"), str)
        and type(content.get("rows")) is int
        and isinstance(models, list)
        and all(isinstance(m, dict) and isinstance(m.get("identity"), dict) for m in models)
    ):
        raise _damaged(path, "line 1 does not name its contents")
    return content


def _name_of_row(path: Path, number: int, content: Json) -> str:
    name, value = content.get("key"), content.get("value")
    if type(name) is not str or ":" not in name or not isinstance(value, dict):
        raise _damaged(path, f"line {number} is not a row of a journal")
    try:
        check_row(name, _with_clock(name, value), True)
    except DamagedRecord as error:
        what = _KINDS.get(name.partition(":")[0], "a row")
        raise _damaged(path, f"line {number} is not {what} ({error})") from None
    return name


def _with_clock(name: str, row: Json) -> Json:
    """A row in the form of a journal's, which has clock times."""
    if name.startswith("event:") and isinstance(meta := row.get("meta"), dict):
        return row | {"meta": {"at": 0.0, "seconds": 0.0} | meta}
    return {"at": 0.0} | row if name.startswith("reply:") else row


def _damaged(path: Path, what: str) -> DamagedRecord:
    return DamagedRecord(
        f"The recording {path.name} is not as it was written: {what}. Nothing was replayed. "
        "Get the file again from its source."
    )
