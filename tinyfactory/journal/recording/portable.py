"""The rows of a simulation, and each row without clock times and secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from tinyfactory.errors import DamagedRecord, SecretFound
from tinyfactory.redaction import Secrets, strings_replaced

Json = dict[str, Any]
logger = logging.getLogger("tinyfactory")
# Parts of an event that a replay does not need.
_NOT_REPLAYED = ("arguments", "request", "failure", "meta")


def rows_of(store: Any, simulation: str, *, replies: bool = True) -> list[str]:
    """The keys of all rows of a simulation: line by line, each line's origin before its events."""
    found: list[tuple[str, int, str]] = []
    asked: set[str] = set()
    heads: set[str] = set()
    joins: list[tuple[str, Json]] = []
    for name, value in rows_in(store):
        kind = name.partition(":")[0]
        if kind == "join":
            joins.append((name, value))
        elif kind != "reply" and value.get("simulation") == simulation:
            root = name.partition(":")[2] if kind == "line" else value.get("line")
            found.append((root or "", 0 if kind == "line" else 1, name))
            if kind == "event":
                heads.add(value["head"])
                asked.update(r["key"] for r in value["meta"]["replies"] if r.get("key"))
    # A join may join other joins, so look until no more are found.
    mine: set[str] = set()
    while True:
        more = {n for n, v in joins if n not in mine and not heads.isdisjoint(v["heads"])}
        if not more:
            break
        mine |= more
        heads |= {name.partition(":")[2] for name in more}
    rows = [name for _, _, name in sorted(found)] + sorted(mine)
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
        except DamagedRecord as error:
            logger.warning("%s It is left out: %s.", error, name)
            continue
        if isinstance(value, dict):
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
            cleaned: Json = self._cleaned(kept)
            return cleaned
        if kind != "event":
            needed: Json = self.needed(value, name[:13])
            return needed
        what = f"event {name[6:14]} ({value['class']}.{value['method']})"
        return {
            part: self._cleaned(_without_clock(content) if part == "meta" else content)
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

    def _cleaned(self, value: Any) -> Any:
        return strings_replaced(value, lambda text, _: self._secrets.without(text), "")


def _without_clock(meta: Json) -> Json:
    replies = [{k: v for k, v in r.items() if k != "seconds"} for r in meta["replies"]]
    kept = {k: v for k, v in meta.items() if k not in ("at", "seconds")}
    return kept | {"replies": replies}
