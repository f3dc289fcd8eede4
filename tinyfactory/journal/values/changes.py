"""The changes from one state to another: what an event stores instead of whole states."""

from __future__ import annotations

from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal.values.serializer import State, check_names, with_state

Change = dict[str, Any]
# The kinds of changes that `apply` makes.
CHANGES = frozenset({"set", "append", "remove", "drop"})


def difference(before: State, after: State) -> Change:
    """The change from `before` to `after`; empty when they are equal.

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
    """A copy of the state with the change made.

    Examples
    --------
    >>> apply({"names": ["Ana"]}, {"append": {"names": ["Bo"]}, "set": {"n": 2}})
    {'names': ['Ana', 'Bo'], 'n': 2}
    """
    if not CHANGES.issuperset(change):
        raise DamagedRecord(f"A change is of an unknown kind: {', '.join(map(str, change))}.")
    changed = {k: v for k, v in state.items() if k not in change.get("remove", ())}
    changed.update(change.get("set", {}))
    for key, items in change.get("append", {}).items():
        changed[key] = [*changed.get(key, []), *items]
    for key, items in change.get("drop", {}).items():
        changed[key] = without_run(changed.get(key, []), items)
    return changed


def check_change(cls: type, change: Any) -> None:
    """Refuse a change that is none, or that `check_names` would refuse.

    Raises
    ------
    DamagedRecord
    """
    parts: list[tuple[Any, Any]] = (
        list(change.items()) if isinstance(change, dict) else [(None, None)]
    )
    for kind, part in parts:
        if kind in ("append", "drop"):
            fits = isinstance(part, dict) and all(isinstance(i, list) for i in part.values())
        else:
            fits = isinstance(part, {"set": dict, "remove": list}.get(kind, ()))
        if not fits:
            raise DamagedRecord(
                f"The journal holds a change of {cls.__name__} of unknown form {kind!r:.80}. It "
                "was not made. Use the release of tinyfactory that wrote it."
            )
        check_names(cls, part)


def inverse(state: State, change: Change) -> Change:
    """The change that undoes `change`, given the state before it.

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


def earlier(state: State, change: Change, later: list[Change]) -> State:
    """The state in which a change, which was made last, had been made before some others.

    Examples
    --------
    >>> state = {"names": ["Ana", "Cy", "Bo"], "n": 2}
    >>> earlier(state, {"append": {"names": ["Bo"]}, "set": {"n": 2}},
    ...         [{"append": {"names": ["Cy"]}, "set": {"n": 3}}])
    {'names': ['Ana', 'Bo', 'Cy'], 'n': 3}
    """
    changed = dict(state)
    for key, items in change.get("append", {}).items():
        behind = sum(len(other.get("append", {}).get(key, ())) for other in later)
        end = len(changed[key]) - len(items)
        start = max(0, end - behind)
        changed[key] = [*changed[key][:start], *items, *changed[key][start:end]]
    for other in later:
        changed.update(other.get("set", {}))
    return changed


def without_run(items: list[Any], run: list[Any]) -> list[Any]:
    """The list without the last occurrence of the run."""
    for start in range(len(items) - len(run), -1, -1):
        if items[start : start + len(run)] == run:
            return items[:start] + items[start + len(run) :]
    return list(items)


def same(a: Any, b: Any) -> bool:
    """Equality that tells 1, 1.0 and True apart, equal objects, and orders of keys.

    Examples
    --------
    >>> same({"a": 1, "b": 2}, {"b": 2, "a": 1}), same(0.0, -0.0), same([1], [True])
    (False, False, False)
    """
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is dict:
        if list(a) != list(b) or list(map(type, a)) != list(map(type, b)):
            return False
        return all(map(same, a.values(), b.values()))
    if kind is list or kind is tuple:
        return len(a) == len(b) and all(map(same, a, b))
    if kind is float and not a:
        return bool(str(a) == str(b))  # the sign of zero counts
    return a is b if kind in with_state else bool(a == b)


def _grew(old: Any, new: Any) -> bool:
    longer = type(old) is list and type(new) is list and len(new) > len(old)
    return longer and same(new[: len(old)], old)
