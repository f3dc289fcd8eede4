"""The measuring itself: people in, report card out."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.populations.reporting import association, diversity, margins, repetition, wording
from tinyfactory.populations.reporting.card import ReportCard, Row
from tinyfactory.populations.reporting.personas import personas_of, sentences
from tinyfactory.populations.reporting.reading import Reading, Target, read_field
from tinyfactory.populations.reporting.traits import big_five_row

_PARTS = 9  # of the work, each of which takes some time
_SAMPLED = " Measured on the texts of {:,} of the {:,} people, drawn at random."
_SEED = 0  # of samples and of MinHash: the same people always get the same card


def report(
    people: Any,
    target: Target | None = None,
    *,
    groups: str | None = None,
    texts: int | None = None,
    watch: Callable[[int, int], object] | None = None,
) -> ReportCard:
    """Measure a population: against a target, and for repetition and wording.

    Parameters
    ----------
    people : People, iterable of TinyPerson or of persona dicts, or DataFrame
        A data frame is one that `People.to_frame` made.
    target : Demography, optional
        What was asked for. Without it only the rows that need none are measured.
    groups : str, optional
        The field whose groups are compared by their words; ``"sex"`` unless told.
    texts : int, optional
        Of more people than this, the prose of so many is measured, drawn at random, the same
        each time; the rows say so. All other rows are of everyone. Everyone's unless told.
    watch : callable, optional
        ``watch(done, total)`` is called between the parts of the work. What it raises ends it.

    Returns
    -------
    ReportCard
        Rows with a mark (pass or fail) and rows that are information only; each names its
        formula's source. Needs no model and no network.

    Raises
    ------
    InvalidInput
        For people that are none, or nobody, and for a target that is no demography.
    MissingPackage
        When one of the packages it measures with is not installed.

    Examples
    --------
    >>> people = [{"name": "Ana Lima", "gender": "woman"}, {"name": "Bo Ek", "gender": "man"}]
    >>> card = report(people)
    >>> card.passed
    True
    >>> card["names:first"].shown
    '100.0 %'
    """
    personas = personas_of(people)
    if target is not None and not hasattr(target, "category_of"):
        raise InvalidInput(
            f"The target is of type {type(target).__name__}, not a Demography. Make one with "
            "Demography.from_dict({'sex': {'female': 0.5, 'male': 0.5}}) and ask again."
        )
    if groups is not None and not isinstance(groups, str):
        raise InvalidInput(f"groups is the name of a field, not {groups!r:.80}.")
    if texts is not None and (isinstance(texts, bool) or not isinstance(texts, int) or texts < 1):
        raise InvalidInput(f"texts is a number of people, at least 1, not {texts!r:.80}.")
    on = watch or (lambda *_: None)
    on(0, _PARTS)
    readings: dict[str, Reading] = {}
    if target is not None:
        readings = {str(f): read_field(str(f), personas, target) for f in target.fields}
    on(1, _PARTS)
    by = groups or "sex"
    compared = readings.get(by) or read_field(by, personas, target)
    if groups is not None and not any(value is not None for value in compared.values):
        raise InvalidInput(f"Nobody has anything under {groups!r}; groups are compared by a field.")
    rows = _against(target, readings) if target is not None else [_sexes(personas)]
    rows += [
        repetition.full_names_row(personas),
        repetition.first_names_row(personas),
        repetition.occupations_row(personas, marked=_leaves_occupations(target)),
    ]
    on(2, _PARTS)
    read: Sequence[int] = range(len(personas))
    if texts is not None and len(personas) > texts:
        read = sorted(random.Random(_SEED).sample(read, texts))
    said = [sentences(personas[number]) for number in read]
    by_words = replace(compared, values=tuple(compared.values[number] for number in read))
    note = "" if len(read) == len(personas) else _SAMPLED.format(len(read), len(personas))
    parts: list[Callable[[], list[Row]]] = [
        lambda: [repetition.sentences_row(said, _SEED)],
        lambda: [repetition.near_duplicates_row(said, _SEED + 1)],
        lambda: diversity.diversity_rows(said, _SEED),
        lambda: [big_five_row(personas)],
        lambda: [wording.positivity_row(said, _SEED)],
        lambda: [wording.marked_words_row(by_words, [personas[n] for n in read], said)],
    ]
    for number, part in enumerate(parts, 3):
        on(number, _PARTS)
        rows += [
            replace(row, sentence=row.sentence + (note if row.key != "big_five" else ""))
            for row in part()
        ]
    on(_PARTS, _PARTS)
    return ReportCard(tuple(rows), len(personas))


def _against(target: Target, readings: dict[str, Reading]) -> list[Row]:
    """The rows that need a target."""
    asked = {str(field): margin for field, margin in target.margins().items()}
    rows = [margins.margin_row(readings[field], margin) for field, margin in asked.items()]
    rows += [
        margins.joint_row([str(f) for f in fields], joint, readings)
        for fields, joint in target.joints()
    ]
    if target.impossible:
        rows.append(margins.impossible_row(target, readings))
    rows += association.association_rows(readings, target)
    for field, margin in asked.items():
        rows.append(margins.coverage_row(readings[field], margin))
        rows.append(margins.evenness_row(readings[field], margin))
    return rows


def _leaves_occupations(target: Target | None) -> bool:
    """Whether a target is there that says nothing of what people work as."""
    return target is not None and not any(
        "occupation" in str(field).lower() for field in target.fields
    )


def _sexes(personas: list[dict[str, Any]]) -> Row:
    return margins.evenness_row(read_field("sex", personas), None)
