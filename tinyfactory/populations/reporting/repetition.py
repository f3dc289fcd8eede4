"""Repetition: of names, occupations, sentences and whole descriptions."""

from __future__ import annotations

import math
import random
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tinyfactory.populations.reporting.card import Row, counted, decimals, percent
from tinyfactory.populations.reporting.evidence import WORD, Sentence
from tinyfactory.utils.imports import require

SENTENCE_WORDS = 5  # shorter sentences ("Likes old maps.") repeat by chance
_SENTENCES_ALLOWED = 0.15
_FEW = 100  # people, to compare populations of different sizes
_MANY = 1000  # people; among more, even rare sentences repeat
_NAMES_POOL = 100
_OCCUPATIONS_POOL = 43  # ILO 2012, International Standard Classification of Occupations
_SHINGLE = 5  # words, as in Lee et al. 2022
_PERMUTATIONS = 128
_SIMILAR = 0.5
_NEAR_ALLOWED = 0.01


def full_names_row(personas: Sequence[dict[str, Any]]) -> Row:
    """Count the people who share their full name with somebody else."""
    names = Counter(_name(persona) for persona in personas)
    unnamed = names.pop("", 0)
    repeated = {name: count for name, count in names.most_common() if count > 1}
    people = sum(repeated.values())
    most = next(iter(repeated), None)
    example = f" Most often: {most!r}, {repeated[most]:,} times." if most is not None else ""
    without = f" {unnamed:,} {'has' if unnamed == 1 else 'have'} no name." if unnamed else ""
    return Row(
        "names:full",
        "Repeated full names",
        people,
        "people",
        "A count; names are compared without case and spacing",
        f"{people:,} people have a full name that somebody else has, too.{example}{without}",
        people == 0,
        "none: in a class or a study every person must be identifiable",
        {"repeated": dict(list(repeated.items())[:20]), "without_name": unnamed},
    )


def least_distinct(n: int, pool: int = _NAMES_POOL) -> int:
    """The fewest distinct values to expect from n draws out of a pool of equally likely ones.

    The expected number, k(1 - (1 - 1/k)^n), less two standard deviations.

    Examples
    --------
    >>> [least_distinct(n) for n in (1, 2, 20, 100, 1000)]
    [1, 1, 15, 57, 99]
    """
    one, two = (1 - 1 / pool) ** n, (1 - 2 / pool) ** n
    spread = max(0.0, pool * (pool - 1) * two + pool * one - pool * pool * one * one)
    return max(1, math.floor(pool * (1 - one) - 2 * math.sqrt(spread) + 1e-9))


def first_names_row(personas: Sequence[dict[str, Any]]) -> Row:
    """Count the distinct first names."""
    firsts = Counter(name.split()[0] for name in map(_name, personas) if name)
    n = firsts.total()
    least = least_distinct(n) if n else 0
    common = ", ".join(f"{name.title()} ({count:,})" for name, count in firsts.most_common(3))
    so_many = counted(n, "person", "people")
    return Row(
        "names:first",
        "Distinct first names",
        len(firsts) / n if n else None,
        "share",
        "Occupancy: Feller 1968, An Introduction to Probability Theory vol. 1, ch. IV",
        f"{counted(len(firsts), 'first name', 'first names')} for {so_many}; the most common: "
        f"{common}."
        if n
        else "Nobody has a name.",
        len(firsts) >= least if n else None,
        f"at least {counted(least, 'first name', 'first names')} for {so_many}: the number that "
        f"draws from only {_NAMES_POOL} equally common names give by chance (less two standard "
        "deviations); countries have more names"
        if n
        else "",
        {
            "distinct": len(firsts),
            "people": n,
            "least": least,
            "most": dict(firsts.most_common(10)),
        },
    )


def occupations_row(personas: Sequence[dict[str, Any]], *, marked: bool) -> Row:
    """Count the distinct occupations; `marked` says whether the model chose them."""
    titles: Counter[str] = Counter()
    for persona in personas:
        work = persona.get("occupation")
        title = work.get("title") if isinstance(work, dict) else work
        if isinstance(title, str) and title.strip():
            titles[" ".join(title.casefold().split())] += 1
    n = titles.total()
    common = ", ".join(f"{title} ({count:,})" for title, count in titles.most_common(3))
    so_many = counted(n, "person", "people")
    least = least_distinct(n, _OCCUPATIONS_POOL) if n else 0
    return Row(
        "occupations",
        "Distinct occupations",
        len(titles) / n if n else None,
        "share",
        "Type-token ratio of occupation titles; occupancy: Feller 1968, An Introduction to "
        "Probability Theory vol. 1, ch. IV",
        f"{counted(len(titles), 'occupation', 'occupations')} for {so_many}; the most common: "
        f"{common}."
        if n
        else "Nobody has an occupation.",
        len(titles) >= least if n and marked else None,
        f"at least {counted(least, 'occupation', 'occupations')} for {so_many}: the number that "
        f"draws from {_OCCUPATIONS_POOL} equally common occupations, the sub-major groups of "
        "ISCO-08, give by chance (less two standard deviations); no mark if the target has "
        "occupations"
        if n and marked
        else "",
        {
            "distinct": len(titles),
            "people": n,
            "least": least,
            "most": dict(titles.most_common(10)),
        },
    )


def repeated_sentences(people: Sequence[Sequence[Sentence]]) -> dict[str, Any]:
    """The share of sentences that another person has word for word, in total and by field.

    Case, punctuation and spacing are ignored, and so are sentences of fewer than five words.
    Repeating one's own sentence does not count.
    """
    owners: dict[tuple[str, ...], int] = {}
    shared: Counter[tuple[str, ...]] = Counter()
    for number, said in enumerate(people):
        for sentence in said:
            long = len(sentence.words) >= SENTENCE_WORDS
            if long and owners.setdefault(sentence.words, number) != number:
                shared[sentence.words] += 1
    counts: Counter[str] = Counter()
    repeats: Counter[str] = Counter()
    for said in people:
        for sentence in said:
            if len(sentence.words) >= SENTENCE_WORDS:
                counts[sentence.field] += 1
                repeats[sentence.field] += sentence.words in shared
    total = counts.total()
    return {
        "sentences": total,
        "repeated": repeats.total(),
        "share": repeats.total() / total if total else None,
        "by_field": {field: repeats[field] / counts[field] for field in sorted(counts)},
        "most": [[" ".join(words), count + 1] for words, count in shared.most_common(5)],
    }


def sentences_row(people: Sequence[Sequence[Sentence]], seed: int) -> Row:
    """Measure how many sentences occur word for word in another person."""
    details = repeated_sentences(people)
    few = random.Random(seed).sample(range(len(people)), min(len(people), _FEW))
    among = repeated_sentences([people[number] for number in few])["share"]
    share = details["share"]
    if len(people) > _MANY:
        many = random.Random(seed + 1).sample(range(len(people)), _MANY)
        share = repeated_sentences([people[number] for number in many])["share"]
    details |= {"sample": len(few), "share_in_sample": among, "share_marked": share}
    digits = decimals(3, _original, share) if share is not None else 3
    if share is None:
        words = f"There are no sentences of {SENTENCE_WORDS} words or more."
    else:
        repeated, worst = details["repeated"], _most_repeated(details["by_field"])
        words = (
            f"{repeated:,} of {counted(details['sentences'], 'sentence', 'sentences')} of "
            f"{SENTENCE_WORDS} words or more {'occurs' if repeated == 1 else 'occur'} in another "
            f"person, too{worst}."
        )
        if among is not None and len(few) < len(people):
            # More people repeat more: only samples of one size can be compared.
            words += f" Within {len(few)} people drawn at random it is {percent(among)}"
            words += f", within {_MANY:,} it is {percent(share, digits)}." * (len(people) > _MANY)
            words += "." * (len(people) <= _MANY)
    return Row(
        "sentences",
        "Sentences word for word in another person",
        share,
        "share",
        "Exact substring duplicates, here by sentence: Lee et al. 2022, Deduplicating Training "
        "Data Makes Language Models Better, ACL",
        words,
        _original(share) if share is not None else None,
        f"at most 15 % (of more than {_MANY:,} people: within {_MANY:,} drawn at random). Set "
        "phrases recur in any text, but with more than about one sentence in seven a reader of a "
        "few people notices the repetition",
        details,
        digits,
    )


def _original(share: float) -> bool:
    return share <= _SENTENCES_ALLOWED


def _most_repeated(by_field: dict[str, float]) -> str:
    field = max(by_field, key=lambda field: by_field[field])
    return f"; most in {field} ({percent(by_field[field])})" if by_field[field] else ""


def near_duplicates(people: Sequence[Sequence[Sentence]], seed: int) -> tuple[set[int], int]:
    """Find people whose text is nearly that of another person; also count the texts compared.

    Each text is compared only with the distinct texts so far, so that a thousand copies of one
    text cost a thousand comparisons, not a million.
    """
    require("datasketch", "report")
    from datasketch import MinHash, MinHashLSH  # slow to import

    index = MinHashLSH(threshold=_SIMILAR, num_perm=_PERMUTATIONS)
    kept: dict[int, Any] = {}
    near: set[int] = set()
    read = 0
    empty = MinHash(num_perm=_PERMUTATIONS, seed=seed, hashfunc=_hash)
    for number, said in enumerate(people):
        words = [word for sentence in said for word in sentence.words]
        shingles = {" ".join(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1)}
        if not shingles:
            continue
        read += 1
        sketch = empty.copy()
        sketch.update_batch(
            [shingle.encode(errors="surrogatepass") for shingle in sorted(shingles)]
        )
        like = [k for k in index.query(sketch) if kept[k].jaccard(sketch) >= _SIMILAR]
        if like:
            near.update(like, [number])
        else:
            kept[number] = sketch
            index.insert(number, sketch)
    return near, read


def near_duplicates_row(people: Sequence[Sequence[Sentence]], seed: int) -> Row:
    """Count the people whose text is nearly the same as that of somebody else."""
    near, read = near_duplicates(people, seed)
    share = len(near) / read if read else None
    return Row(
        "near_duplicates",
        "Near-duplicates",
        share,
        "share",
        "MinHash: Broder 1997, Compression and Complexity of Sequences; five-word shingles as "
        "in Lee et al. 2022, ACL",
        f"{len(near):,} of {counted(read, 'person', 'people')} "
        f"{'shares' if len(near) == 1 else 'share'} about half or more of their five-word "
        f"sequences with somebody else (Jaccard {_SIMILAR} or more, estimated)."
        if read
        else "There is no text to compare.",
        _all_differ(share) if share is not None else None,
        "at most 1 %: such a pair is in effect one person with two names",
        {"people": [number + 1 for number in sorted(near)[:100]], "count": len(near)},
        decimals(3, _all_differ, share) if share is not None else None,
    )


def _all_differ(share: float) -> bool:
    return share <= _NEAR_ALLOWED


def _hash(data: bytes) -> int:
    return zlib.crc32(data)


def _name(persona: dict[str, Any]) -> str:
    name = re.sub(r"\s+", " ", str(persona.get("name") or "")).strip().casefold()
    return name if WORD.search(name) else ""
