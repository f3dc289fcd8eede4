"""What changed between two states, so that an event costs what it changed and no more.

A change is JSON: ``{"set": {key: value}, "append": {key: [items]}, "drop": {key: [items]},
"remove": [keys]}``, each part left out when empty; ``drop`` takes the last run of the items
out of a list, which undoes an ``append`` whatever others appended since.
"""

from __future__ import annotations

from typing import Any

State = dict[str, Any]
Change = dict[str, Any]


def difference(before: State, after: State) -> Change:
    """The change that makes `after` out of `before`; empty when they are equal.

    Examples
    --------
    >>> difference({"names": ["Ana"], "n": 1}, {"names": ["Ana", "Bo"], "n": 1})
    {'append': {'names': ['Bo']}}
    """
    change: Change = {}
    for key, value in after.items():
        if key not in before:
            change.setdefault("set", {})[key] = value
        elif not same(before[key], value):
            old = before[key]
            if _grew(old, value):
                change.setdefault("append", {})[key] = value[len(old) :]
            else:
                change.setdefault("set", {})[key] = value
    removed = [key for key in before if key not in after]
    if removed:
        change["remove"] = removed
    return change


def apply(state: State, change: Change) -> State:
    """The state with the change made; the one given is left alone.

    Examples
    --------
    >>> apply({"names": ["Ana"]}, {"append": {"names": ["Bo"]}, "set": {"n": 2}})
    {'names': ['Ana', 'Bo'], 'n': 2}
    """
    changed = {k: v for k, v in state.items() if k not in change.get("remove", ())}
    changed.update(change.get("set", {}))
    for key, items in change.get("append", {}).items():
        changed[key] = [*changed.get(key, []), *items]
    for key, items in change.get("drop", {}).items():
        changed[key] = without_run(changed.get(key, []), items)
    return changed


def inverse(state: State, change: Change) -> Change:
    """The change that undoes `change` on a state that it is about to be made on.

    Examples
    --------
    >>> inverse({"names": ["Ana"], "n": 1}, {"append": {"names": ["Bo"]}, "set": {"n": 2}})
    {'set': {'n': 1}, 'drop': {'names': ['Bo']}}
    """
    back: Change = {}
    gone = [*change.get("set", {}), *change.get("remove", ())]
    restored = {key: state[key] for key in gone if key in state}
    if restored:
        back["set"] = restored
    if change.get("append"):
        back["drop"] = change["append"]
    added = [key for key in change.get("set", {}) if key not in state]
    if added:
        back["remove"] = added
    return back


def without_run(items: list[Any], run: list[Any]) -> list[Any]:
    """The list without the last place where the run stands in it."""
    for start in range(len(items) - len(run), -1, -1):
        if items[start : start + len(run)] == run:
            return items[:start] + items[start + len(run) :]
    return list(items)


def same(a: Any, b: Any) -> bool:
    """Equality that tells 1, 1.0 and True apart, as the journal does."""
    if type(a) is not type(b):
        return False
    if type(a) is dict:
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if type(a) is list or type(a) is tuple:
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _grew(old: Any, new: Any) -> bool:
    longer = type(old) is list and type(new) is list and len(new) > len(old)
    return longer and same(new[: len(old)], old)
