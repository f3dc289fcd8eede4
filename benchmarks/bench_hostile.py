"""The longest time and the largest memory that hostile input takes, each in its own process.

python benchmarks/bench_hostile.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import json
import logging
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common import Row, Table, machine

RESULTS = Path(__file__).parent / "results" / "bench_hostile.json"
# A process is stopped at these; the figure then is the least that it would take.
MOST_SECONDS = 60
MOST_BYTES = 10 * 2**30
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"


@dataclass(frozen=True)
class Size:
    """How large the inputs are, against those of the full run."""

    share: float


FULL, QUICK = Size(1.0), Size(0.02)


# -- a server that misbehaves -------------------------------------------------------------


def _reply(text: str, **more: object) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], **more}).encode()


def _whole(body: bytes, *lines: bytes, head: bytes = HEAD) -> Iterator[bytes]:
    yield head + b"".join(line + b"\r\n" for line in lines)
    yield b"content-length: %d\r\n\r\n" % len(body)
    yield body


def _endless(_: Size) -> Iterator[bytes]:
    yield HEAD + b"\r\n"
    for _ in range(6 * 2**30 // 2**16):  # enough to fill a machine, but not for ever
        yield b" " * 2**16


def _packed(size: Size) -> Iterator[bytes]:
    return _whole(_bomb(int(9.3e9 * size.share)), b"content-encoding: gzip")


def _bomb(unpacked: int) -> bytes:
    """Zeros in gzip; a part of them is packed once and repeated, so the checksum is wrong."""
    packer = zlib.compressobj(9, wbits=-15)
    part = packer.compress(b"0" * 2**24) + packer.flush(zlib.Z_FULL_FLUSH)
    start = gzip.compress(b"")[:10]
    return start + part * (unpacked // 2**24 + 1) + zlib.compress(b"", wbits=-15) + b"\0" * 8


def _long_reply(size: Size) -> Iterator[bytes]:
    return _whole(_reply('{"name": "' + "x" * int(200e6 * size.share)))


def _error_body(size: Size) -> Iterator[bytes]:
    head = HEAD.replace(b"200 OK", b"400 Bad Request")
    return _whole(b"a" * int(100_000 * size.share), head=head)


def _deep_reply(size: Size) -> Iterator[bytes]:
    return _whole(b"[" * int(50e6 * size.share))


def _wide_reply(size: Size) -> Iterator[bytes]:
    return _whole(b"[" + b"[]," * int(20e6 * size.share) + b"[]]")


def _broken_reply(size: Size) -> Iterator[bytes]:
    return _whole(_reply('{"' + '"' * int(200_000 * size.share)))


def _trickle(_: Size) -> Iterator[bytes]:
    yield HEAD + b"content-length: 1000000\r\n\r\n"
    for _ in range(300):
        time.sleep(0.2)
        yield b" "


ANSWERS: dict[str, Callable[[Size], Iterator[bytes]]] = {
    "endless response": _endless,
    "gzip bomb of 9 GB as a response": _packed,
    "rejected reply of 200 MB": _long_reply,
    "error body of 100 kB": _error_body,
    "50 MB of nested JSON": _deep_reply,
    "60 MB of empty lists": _wide_reply,
    "broken JSON of 200 kB": _broken_reply,
    "a byte every 0.2 s (time limit 2 s)": _trickle,
}


# Answers that are made while they are sent.
_SLOW = ("endless", "a byte")


class Server:
    """Answers every request with one of these."""

    def __init__(self, answer: Callable[[], Iterable[bytes]]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(MOST_SECONDS)
            _read_request(connection)
            for part in self._answer():
                connection.sendall(part)


def _read_request(connection: socket.socket) -> None:
    """Read all of a request, because the system resets the connection otherwise."""
    head, _, body = connection.recv(2**20).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    left = int(length[1]) - len(body) if length else 0
    while left > 0:
        left -= len(connection.recv(2**20))


# -- files --------------------------------------------------------------------------------


def _line(chain: str, text: str) -> tuple[str, str]:
    chain = hashlib.sha256((chain + text).encode()).hexdigest()[:40]
    return chain, f'{text[:-1]},"chain":"{chain}"}}\n'


def _recording(path: Path, *texts: str) -> None:
    header = {"format": "tinyfactory recording", "version": 1, "simulation": "s", "models": []}
    header |= {"rows": len(texts), "events": 0, "replies": 0}
    end = {"end": True, "rows": len(texts), "stripped": 0}
    chain = ""
    with gzip.open(path, "wt", compresslevel=6) as file:
        for text in (json.dumps(header), *texts, json.dumps(end)):
            chain, line = _line(chain, text)
            file.write(line)


def _wide_recording(path: Path, size: Size) -> None:
    n = int(60e6 * size.share)
    _recording(path, '{"key":"x:a","value":{"a":[' + "[]," * n + "[]]}}")


def _damaged_recording(path: Path, size: Size) -> None:
    packed = bytearray(gzip.compress(b"\0" * int(800e6 * size.share)))
    packed[len(packed) // 2] ^= 0x55
    path.write_bytes(packed)


def _packed_recording(path: Path, size: Size) -> None:
    path.write_bytes(_bomb(int(9e9 * size.share)))


def _many_rows(path: Path, size: Size) -> None:
    number = int(3_000_000 * size.share)
    _recording(path, *(f'{{"key":"x:{i}","value":{{}}}}' for i in range(number)))


def _long_cell(path: Path, size: Size) -> None:
    with path.open("w") as file:
        file.write('name\n"')
        for _ in range(int(1000 * size.share)):
            file.write("x" * 1_000_000)


def _long_list(path: Path, size: Size) -> None:
    path.write_text("[" + "[]," * int(60e6 * size.share) + "[]]")


def _device(path: Path, _: Size) -> None:
    path.symlink_to("/dev/zero")


def _pipe(path: Path, _: Size) -> None:
    os.mkfifo(path)


FILES: dict[str, tuple[str, Callable[[Path, Size], None]]] = {
    "recording: one row of 180 MB of lists": ("r.gz", _wide_recording),
    "recording: 780 kB, damaged, 800 MB unpacked": ("r.gz", _damaged_recording),
    "recording: 9 GB unpacked": ("r.gz", _packed_recording),
    "recording: 3,000,000 rows": ("r.gz", _many_rows),
    "recording: /dev/zero": ("r.gz", _device),
    "people: /dev/zero as .json": ("p.json", _device),
    "people: a pipe as .jsonl": ("p.jsonl", _pipe),
    "people: a cell of 1 GB in .csv": ("p.csv", _long_cell),
    "people: 180 MB of empty lists in .json": ("p.json", _long_list),
}
TEXTS: dict[str, tuple[str, float]] = {
    "a name of 200,000 accents": ("\u0301\u0323", 100_000),
    "redaction of 1 MB of sk-": ("sk-", 350_000),
    "redaction of 1 MB of letters": ("a", 1e6),
}


# -- in a process of its own --------------------------------------------------------------


def _ask(port: str) -> str:
    import tinyfactory
    from tinyfactory import TinyPersonFactory
    from tinyfactory.models.http.retry import RetryPolicy
    from tinyfactory.models.openai import OpenAIModel

    limit = 2.0 if port.endswith("t") else 120.0
    tinyfactory.configure(timeout=limit, time_limit=limit)
    model = OpenAIModel(
        "m",
        base_url=f"http://127.0.0.1:{port.rstrip('t')}/v1",
        api_key="none",
        retry=RetryPolicy(attempts=1),
    )
    with tempfile.TemporaryDirectory() as folder:
        tinyfactory.control.begin(folder)
        try:
            made = TinyPersonFactory("Bakers in Graz", model=model).generate_person()
            return "read" if made else "rejected"
        finally:
            tinyfactory.control.end()


def _read(path: str) -> str:
    from tinyfactory import Simulation
    from tinyfactory.people import load_people

    if path.endswith(".gz"):
        Simulation.from_recording(path)
    else:
        load_people(path)
    return "read"


def _fold(name: str) -> str:
    from tinyfactory.redaction import Secrets, scrub
    from tinyfactory.utils.text import normalise_name

    unit, number = TEXTS[name]
    text = unit * int(number)
    if name.startswith("a name"):
        normalise_name(text)
    else:
        Secrets().without(text)
        scrub(text)
    return "read"


def _child(kind: str, argument: str) -> None:
    """Run one input; print the outcome, the seconds and the most memory in MB."""
    logging.disable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    import tinyfactory.people  # noqa: F401 - not measured

    start = time.perf_counter()
    try:
        outcome = {"ask": _ask, "read": _read, "fold": _fold}[kind](argument)
    except BaseException as error:  # noqa: BLE001 - any outcome is one
        outcome = type(error).__name__
    seconds = time.perf_counter() - start
    # Linux counts in `ru_maxrss` what the parent had before this program was started.
    most = _memory_of(os.getpid()) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{outcome} {seconds} {most}", flush=True)
    os._exit(0)


# -- the table ----------------------------------------------------------------------------


def measure(kind: str, argument: str) -> tuple[str, float, float]:
    """The outcome, the seconds and the most memory in MB of one input."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", kind, argument],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        printed, _ = process.communicate(timeout=MOST_SECONDS)
        outcome, seconds, most = printed.split()[-3:]
        return outcome, float(seconds), float(most)
    except subprocess.TimeoutExpired:
        most = _memory_of(process.pid)
        process.kill()
        process.wait()
        return "stopped", MOST_SECONDS, most
    except ValueError:
        return "died", MOST_SECONDS, MOST_BYTES / 2**20


def _memory_of(pid: int) -> float:
    with contextlib.suppress(OSError, ValueError):
        status = Path(f"/proc/{pid}/status").read_text()
        return float(status.partition("VmHWM:")[2].split()[0]) / 1024
    return 0.0


def run(table: Table, size: Size) -> None:
    """All inputs, one after the other."""
    found: dict[str, tuple[str, float, float]] = {}
    for name, answer in ANSWERS.items():
        # Others are made before the clock runs.
        made = None if name.startswith(_SLOW) else list(answer(size))
        server = Server(lambda answer=answer, made=made: made or answer(size))  # type: ignore[misc]
        found[name] = measure("ask", f"{server.port}{'t' if 'time limit' in name else ''}")
        server.close()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (ending, write)) in enumerate(FILES.items()):
            path = Path(folder) / f"{number}{ending}"
            write(path, size)
            found[name] = measure("read", str(path))
            path.unlink()
    for name in TEXTS:
        found[name] = measure("fold", name)
    for name, (outcome, seconds, _) in found.items():
        title = f"{name}: {outcome}"
        table.add(Row("Seconds", title, seconds, "s", seconds / 10, "10 s", 1))
    for name, (_, _, most) in found.items():
        group = "Most memory of the whole process"
        table.add(Row(group, name, most, "MB", most / 1000, "1,000 MB", 1))


def main() -> None:
    """Measure, print, and write the results."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="small inputs, to check that it runs")
    options.add_argument("--json", type=Path, default=RESULTS)
    options.add_argument("--child", nargs=2)
    given = options.parse_args()
    if given.child:
        _child(*given.child)
    table = Table()
    run(table, QUICK if given.quick else FULL)
    print(f"\n{table.summary()}")
    table.write(given.json, machine(Path.cwd()))


if __name__ == "__main__":
    main()
