"""Which rows of a journal make up a simulation, and each in a form that may be given away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from tinyfactory.errors import DamagedRecord, SecretFound
from tinyfactory.redaction import Secrets, strings_replaced

Json = dict[str, Any]
logger = logging.getLogger("tinyfactory")
# Parts of an event that only tell about it; all others are what a replay puts in place.
_TOLD = ("arguments", "request", "failure", "meta")


def rows_of(store: Any, simulation: str, *, replies: bool = True) -> list[str]:
    """The keys of all rows of a simulation: by line, where a line begins before its events."""
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
    # A join may be of joins, so look until there are no more.
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
    """Key and value of each row that can be read; it is said when one cannot."""
    for name in store:
        if name.startswith("damaged:"):  # set aside when it was done anew
            continue
        try:
            value = store.get(name)
        except DamagedRecord as error:
            logger.warning("%s It is left out: %s.", error, name)
            continue
        if isinstance(value, dict):
            yield name, value


class Portable:
    """Rows without clock times, and without what must not leave the machine.

    What only tells about an event is cleaned. Where a replay needs the very text, a secret is
    a reason to stop; with `strip` it is cleaned there too, and counted in `stripped`.
    """

    def __init__(self, *, strip: bool = False) -> None:
        self.strip = strip
        self.stripped = 0
        self._secrets = Secrets()

    def row(self, name: str, value: Json) -> Json:
        """A row as it may be written."""
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
            if part in _TOLD
            else self.needed(content, f"{what}: {part}")
            for part, content in value.items()
        }

    def needed(self, value: Any, where: str) -> Any:
        """What a replay needs to the letter.

        Raises
        ------
        SecretFound
            Naming the place, when something secret stands there.
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
                "written, and the journal is unharmed. Take it out of the notebook and run that "
                "step again; or export with strip=True, after which the steps that depend on "
                "that text may be missed in a replay."
            )

        return strings_replaced(value, check, where)

    def _cleaned(self, value: Any) -> Any:
        return strings_replaced(value, lambda text, _: self._secrets.without(text), "")


def _without_clock(meta: Json) -> Json:
    replies = [{k: v for k, v in r.items() if k != "seconds"} for r in meta["replies"]]
    kept = {k: v for k, v in meta.items() if k not in ("at", "seconds")}
    return kept | {"replies": replies}
