"""Why an event was replayed, or why it is new, in words."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from difflib import SequenceMatcher
from typing import Any

from tinyfactory.errors import DamagedRecord, InvalidInput
from tinyfactory.journal.records import NEW, Record, called, events_of
from tinyfactory.journal.version.version import ITSELF, parts_of
from tinyfactory.utils.text import cut

# So many events that share equally much are compared as texts.
_MOST_COMPARED = 100
# What to say of each part of a request that differs.
_PARTS = {
    "template": "the prompt template changed",
    "schema": "the schema of the reply changed",
    "messages": "the text of the prompt changed",
}


def explain(store: Any, simulation: str, key: str, record: Record, replayed: str | None) -> str:
    """Why an event was replayed, or how it differs from the nearest earlier one.

    Parameters
    ----------
    store : Store
    simulation, key : str
    record : dict
    replayed : str or None
        The reason that was noted when the event was replayed in this run.
    """
    name = called(record["class"], record["method"])
    if replayed is not None:
        return f"{name} was replayed: {replayed}."
    why = record["meta"]["why"]
    if why and why != NEW:
        return f"{name} is new: {why}."
    near = nearest(store, simulation, key, record)
    if near is None:
        return f"{name} is new: the journal holds no earlier call of that method."
    words = "; ".join(differences(store, near[1], record)) or "it is one more call of the same"
    return f"{name} is new: {words}."


def find_event(
    store: Any, simulation: str, beginning: str | None, last: str | None
) -> tuple[str, Record]:
    """Key and record of the one event whose key begins like that.

    Parameters
    ----------
    store : Store
    simulation : str
    beginning : str or None
        None for the last event of this run.
    last : str or None
        The key of the last event of this run.

    Raises
    ------
    InvalidInput
        When there is no such event, or more than one.
    """
    if beginning is None:
        if last is None:
            raise InvalidInput("This run has no events yet, so there is nothing to explain.")
        beginning = last
    record = store.get("event:" + beginning)
    if record is not None:
        return beginning, record
    found = [(k, r) for k, r in events_of(store, simulation) if k.startswith(beginning)]
    if len(found) != 1:
        raise InvalidInput(
            f"{len(found)} events of this simulation begin with {beginning!r}. "
            "factory.history() and simulation.lines() list the events."
        )
    return found[0]


def nearest(store: Any, simulation: str, key: str, record: Record) -> tuple[str, Record] | None:
    """The earlier event of the same method that shares most: its base, its line, its arguments.

    Of several, it is the one whose arguments and object are most alike as texts.
    """
    most, best = -1, deque[tuple[str, Record]](maxlen=_MOST_COMPARED)
    for other, candidate in events_of(store, simulation):
        if other == key:
            break
        if (candidate["class"], candidate["method"]) != (record["class"], record["method"]):
            continue
        closeness = (
            4 * (candidate["base"] == record["base"])
            + 2 * (candidate["line"] == record["line"])
            + (candidate["arguments"] == record["arguments"])
        )
        if closeness > most:
            most = closeness
            best.clear()
        if closeness == most:
            best.append((other, candidate))
    if len(best) < 2:
        return best[0] if best else None
    matcher = SequenceMatcher(None, "", _text(store, record))

    def likeness(place: int) -> tuple[float, int]:
        matcher.set_seq1(_text(store, best[place][1]))
        return matcher.ratio(), place  # of equals, the latest

    return best[max(range(len(best)), key=likeness)]


def _text(store: Any, record: Record) -> str:
    """The arguments of an event, and the first state of its object, in short."""
    origin = record["line"] and (store.get("line:" + record["line"]) or {}).get("state")
    return cut(repr(record["arguments"]), 200) + cut(repr(origin), 200)


def differences(store: Any, old: Record, new: Record) -> list[str]:
    """How two events of one method differ, in words, the simplest difference first."""
    words: list[str] = []
    if old["version"] != new["version"]:
        words += _version_words(store, old["version"], new["version"])
    words += _changed(old["arguments"], new["arguments"])
    request = _request_words(old["request"] or {}, new["request"] or {})
    # A changed template, argument or origin explains the changed text of the prompt.
    origin = _origin_words(store, old, new)
    known = bool(words or origin or [w for w in request if w != _PARTS["messages"]])
    words += [w for w in request if not (known and w == _PARTS["messages"])]
    words += origin
    if not words and old["base"] != new["base"]:
        words.append("an earlier event of its line differs")
    if old.get("state") != new.get("state") and not words:
        words.append("its state was changed between two events")
    return list(dict.fromkeys(words))  # an argument and the request may give the same words


def _version_words(store: Any, old: str, new: str) -> list[str]:
    """What was edited: the method, or things that it uses."""
    before, after = (_parts(store, version) for version in (old, new))
    if before is None or after is None:  # a given version, or one of an earlier release
        return ["the method was edited"]
    if before.get(ITSELF, "").startswith("loaded-") != after.get(ITSELF, "").startswith("loaded-"):
        return ["the source of the method was known to only one of them"]
    edited = [part for part in {**before, **after} if before.get(part) != after.get(part)]
    # If the method itself was edited, what it no longer or newly uses is part of the edit.
    both = [part for part in edited if part in before and part in after and part != ITSELF]
    others = [part for part in edited if part not in both and part != ITSELF]
    words = ["the method was edited"] if ITSELF in edited else []
    words += [f"the {part} that it uses was edited" for part in both]
    if not words:
        words = [f"the {p} is {'newly' if p in after else 'no longer'} used" for p in others]
    return words or ["other things have the names that it uses"]


def _parts(store: Any, version: str) -> dict[str, str] | None:
    known = parts_of(version)
    if known is not None:
        return known
    with suppress(DamagedRecord):
        row = store.get("version:" + version)
        parts = (row or {}).get("parts")
        if isinstance(parts, dict):
            # The row may come from a stranger's recording, and its labels are printed.
            return {_printable(str(label)): str(part) for label, part in parts.items()}
    return None


def _printable(label: str) -> str:
    return cut("".join(letter for letter in label if letter.isprintable()), 100)


def _request_words(old: Record, new: Record) -> list[str]:
    words = _changed(old.get("model") or {}, new.get("model") or {}, "the model's ")
    for part in ("temperature", "max_tokens"):
        if old.get(part) != new.get(part):
            words.append(f"{part} {old.get(part)} → {new.get(part)}")
    return words + [text for part, text in _PARTS.items() if old.get(part) != new.get(part)]


def _origin_words(store: Any, old: Record, new: Record) -> list[str]:
    if old["line"] == new["line"] or None in (old["line"], new["line"]):
        return []
    origins = [store.get("line:" + record["line"]) or {} for record in (old, new)]
    first, second = (origin.get("state") or {} for origin in origins)
    owner = _printable(str(new["class"]).rpartition(".")[2])
    changed = _changed(first, second, f"the {owner}'s ")
    if changed:
        return changed
    before, after = (origin.get("occurrence") for origin in origins)
    if before != after:
        return [f"it is another one of equals (number {after} instead of {before})"]
    return []


def _changed(old: Record, new: Record, of: str = "") -> list[str]:
    return [
        f"{of}{name} {_short(old.get(name))} → {_short(new.get(name))}"
        for name in dict.fromkeys([*old, *new])
        if repr(old.get(name)) != repr(new.get(name))
    ]


def _short(value: Any) -> str:
    return cut(repr(value), 60)
