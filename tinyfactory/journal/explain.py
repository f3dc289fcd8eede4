"""Why an event was done anew, in words."""

from __future__ import annotations

from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.records import Record, events_of
from tinyfactory.journal.scope import Scope
from tinyfactory.utils.text import cut

# How the parts of a request are called when they differ.
_PARTS = {
    "template": "the prompt template changed",
    "schema": "the schema of the reply changed",
    "messages": "what stands in the prompt changed",
}


def explain(scope: Scope, event: str | None = None) -> str:
    """What an event is: replayed, or done anew because of what differs from the nearest one.

    Parameters
    ----------
    event : str, optional
        Its key or the beginning of it; the last one of this run unless given.
    """
    key, record = _the_event(scope, event)
    name = f"{record['class'].rpartition('.')[2]}.{record['method']}"
    step = scope.step_of(key)
    if step is not None and step.hit:
        return f"{name} ({key[:8]}) was replayed: {step.why}."
    why = record["meta"]["why"]
    if why and not why.startswith("nothing like"):
        return f"{name} ({key[:8]}) was done: {why}."
    near = nearest(scope, key, record)
    if near is None:
        return f"{name} ({key[:8]}) was done: the journal holds no earlier call of that method."
    words = "; ".join(differences(scope, near[1], record)) or "it is a further call of the same"
    return f"{name} ({key[:8]}) was done: compared with {near[0][:8]}, {words}."


def differences(scope: Scope, old: Record, new: Record) -> list[str]:
    """What differs between two events of one method, in words, the plainest first."""
    words: list[str] = []
    if old["version"] != new["version"]:
        words.append("the method was edited")
    words += _changed(old["arguments"], new["arguments"])
    request = _request_words(old["request"] or {}, new["request"] or {})
    # A template, an argument or an origin that changed explains the text of the prompt.
    origin = _origin_words(scope, old, new)
    known = bool(words or origin or [w for w in request if w != _PARTS["messages"]])
    words += [w for w in request if not (known and w == _PARTS["messages"])]
    words += origin
    if not words and old["base"] != new["base"]:
        words.append("an earlier step of its line differs")
    if old.get("state") != new.get("state") and not words:
        words.append("its state was changed between two steps")
    return list(dict.fromkeys(words))  # an argument and the request may say the same


def _the_event(scope: Scope, event: str | None) -> tuple[str, Record]:
    if event is None:
        if scope.last_key is None:
            raise InvalidInput("Nothing was done yet in this run, so there is nothing to explain.")
        event = scope.last_key
    record = scope.store.get("event:" + event)
    if record is not None:
        return event, record
    found = [(k, r) for k, r in events_of(scope) if k.startswith(event)]
    if len(found) != 1:
        raise InvalidInput(
            f"{len(found)} events of this simulation begin with {event!r}. "
            "factory.history() and simulation.lines() list what there is."
        )
    return found[0]


def nearest(scope: Scope, key: str, record: Record) -> tuple[str, Record] | None:
    """The event of the same method that shares most: the place, the line, or just the method."""
    best: tuple[int, str, Record] | None = None
    for other, candidate in events_of(scope):
        if other == key:
            break
        if (candidate["class"], candidate["method"]) != (record["class"], record["method"]):
            continue
        closeness = (
            4 * (candidate["base"] == record["base"])
            + 2 * (candidate["line"] == record["line"])
            + (candidate["arguments"] == record["arguments"])
        )
        if best is None or closeness >= best[0]:  # of equals, the latest
            best = (closeness, other, candidate)
    return None if best is None else best[1:]


def _request_words(old: Record, new: Record) -> list[str]:
    words = _changed(old.get("model") or {}, new.get("model") or {}, "the model's ")
    for part in ("temperature", "max_tokens"):
        if old.get(part) != new.get(part):
            words.append(f"{part} {old.get(part)} → {new.get(part)}")
    words += [text for part, text in _PARTS.items() if old.get(part) != new.get(part)]
    # An argument of the same name has said so already.
    return words


def _origin_words(scope: Scope, old: Record, new: Record) -> list[str]:
    if old["line"] == new["line"] or None in (old["line"], new["line"]):
        return []
    states = [scope.store.get("line:" + record["line"]) or {} for record in (old, new)]
    first, second = (state.get("state") or {} for state in states)
    changed = _changed(first, second, "its factory's ")
    if changed:
        return changed
    before, after = (state.get("occurrence") for state in states)
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
