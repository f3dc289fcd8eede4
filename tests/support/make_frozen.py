"""Create tests/frozen again: `python -m tests.support.make_frozen`. Run it only on purpose.

The stored files show that this version replays the events of an earlier one. Creating them again
discards this proof, so do it only if a change of event keys is intended and is in CHANGELOG.md.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support import frozen
from tinyfactory import control
from tinyfactory.models.loopback import OfflineEndpoint
from tinyfactory.models.loopback.server import Answer, Request

# The offline model gives every question the same answer, which would not test much.
NO_TALK = "This is tinyfactory's offline model."
USELESS = '{"style": "No name, no age."}'


class Endpoint(OfflineEndpoint):
    """The offline endpoint under the name of a model, with replies that cannot be used."""

    once = False

    def answer(self, request: Request) -> Answer:
        reply = super().answer(request)
        if not isinstance(reply.body, dict) or "choices" not in reply.body:
            return reply
        # Otherwise all people would be marked as written offline.
        reply.body["model"] = frozen.MODEL
        text = json.dumps(request.body, sort_keys=True)
        message = reply.body["choices"][0]["message"]
        if message["content"].startswith(NO_TALK):
            question = request.body["messages"][-1]["content"]
            number = hashlib.sha256(text.encode()).hexdigest()[:6]
            message["content"] = f"You ask me: {question} I answer number {number}."
        refused_once = frozen.REFUSED_ONCE in text and not self.once
        if refused_once or frozen.REFUSED in text:
            self.once = self.once or refused_once
            message["content"] = USELESS
        return reply


def main() -> None:
    """Make all calls with an endpoint on loopback and store the results."""
    if "--yes" not in sys.argv[1:]:
        sys.exit(f"{__doc__}\nTo do it: python -m tests.support.make_frozen --yes")
    frozen.configure()
    frozen.FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        journal = Path(place) / "journal"
        with Endpoint(port=frozen.PORT).start():
            simulation = control.begin(journal, frozen.SIMULATION)
            expected = {
                "story": frozen.story(),
                "lines": frozen.lines(simulation),
                "done": simulation.misses,
            }
            simulation.export(frozen.RECORDING)
            control.end()
        with tarfile.open(frozen.JOURNAL, "w:xz") as packed:
            packed.add(journal, "journal", filter=_nobodys)
    text = json.dumps(expected, ensure_ascii=False, indent=1, sort_keys=True)
    frozen.EXPECTED.write_bytes(lzma.compress(text.encode()))
    for path in (frozen.JOURNAL, frozen.RECORDING, frozen.EXPECTED):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


def _nobodys(file: tarfile.TarInfo) -> tarfile.TarInfo:
    """The file without the name and number of the user who made it."""
    file.uid = file.gid = 0
    file.uname = file.gname = ""
    return file


if __name__ == "__main__":
    main()
