"""Revisions of a person: records of edits, and what they changed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tinyfactory.journal.values.changes import same

Json = dict[str, Any]
Source = Literal["edited", "rewritten"]
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Revision:
    """One edit of a person: the values before and after by dotted path, None where missing.

    `source` is ``"edited"`` for an edit by hand and ``"rewritten"`` for an accepted rewrite of
    a model.
    """

    number: int
    changes: dict[str, tuple[Any, Any]]
    source: Source
    undone: bool


def revisions_in(records: Sequence[Json]) -> list[Revision]:
    """Return the revisions in a person's records, which are edits and undos of edits."""
    undone = {record["undoes"] for record in records if "undoes" in record}
    return [
        Revision(
            number=record["number"],
            changes={
                ".".join(change["way"]): (
                    copy.deepcopy(change.get("before")),
                    copy.deepcopy(change.get("after")),
                )
                for change in record["changes"]
            },
            source=record["source"],
            undone=record["number"] in undone,
        )
        for record in records
        if "number" in record
    ]


def edit_record(
    records: Sequence[Json], before: Json, after: Json, source: Source, provenance: Json
) -> Json:
    """Make the record of an edit: the next number, the changes, and the origins before it."""
    return {
        "number": sum("number" in record for record in records) + 1,
        "changes": differences(before, after),
        "source": source,
        "origins": copy.deepcopy(provenance.get("origins")),
    }


def before_edit(provenance: Json, record: Json) -> Json:
    """Return the provenance with the origins of fields as they were before an edit."""
    rest = {key: value for key, value in provenance.items() if key != "origins"}
    origins = copy.deepcopy(record["origins"])
    return rest if origins is None else rest | {"origins": origins}


def differences(before: Any, after: Any, way: tuple[str, ...] = ()) -> list[Json]:
    """List the differences between two personas, field by field in objects.

    Examples
    --------
    >>> differences({"age": 34}, {"age": 35, "style": "Calm."})
    [{'way': ['age'], 'before': 34, 'after': 35}, {'way': ['style'], 'after': 'Calm.'}]
    """
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            found
            for key in dict.fromkeys((*before, *after))
            for found in differences(before.get(key, _ABSENT), after.get(key, _ABSENT), (*way, key))
        ]
    if same(before, after):
        return []
    sides = {"before": before, "after": after}
    return [
        {"way": list(way)} | {k: copy.deepcopy(v) for k, v in sides.items() if v is not _ABSENT}
    ]


def without(persona: Json, changes: list[Json]) -> Json:
    """Return the persona with these changes undone; later changes of other fields stay."""
    draft = copy.deepcopy(persona)
    for change in changes:
        *way, leaf = change["way"]
        here = draft
        for step in way:
            inner = here.get(step)
            here = here.setdefault(step, {}) if isinstance(inner, dict) else _fresh(here, step)
        if "before" in change:
            here[leaf] = copy.deepcopy(change["before"])
        else:
            here.pop(leaf, None)
    return draft


def _fresh(here: Json, step: str) -> Json:
    here[step] = {}
    inner: Json = here[step]
    return inner
