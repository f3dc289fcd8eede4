"""What comes twice: names, occupations, sentences, whole descriptions."""

from __future__ import annotations

import math
import random
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tinyfactory.populations.reporting.card import Row, counted, decimals, percent
from tinyfactory.populations.reporting.evidence import WORD, Sentence, missing

SENTENCE_WORDS = 5  # shorter ones ("Likes old maps.") coincide by themselves
_SENTENCES_ALLOWED = 0.15
_FEW = 100  # people, to set populations of different sizes side by side
_MANY = 1000  # people: among more, even what only few say comes again, whoever wrote it
_NAMES_IN_THE_BAG = 100
_OCCUPATIONS_IN_THE_BAG = 43  # ILO 2012, International Standard Classification of Occupations
_SHINGLE = 5  # words, as in Lee et al. 2022
_PERMUTATIONS = 128
_SIMILAR = 0.5
_NEAR_ALLOWED = 0.01


def full_names_row(personas: Sequence[dict[str, Any]]) -> Row:
    """How many people share their full name with somebody else."""
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
        f"{people:,} people bear a full name that somebody else bears.{example}{without}",
        people == 0,
        "none: in a class or a study everybody has to be told apart",
        {"repeated": dict(list(repeated.items())[:20]), "without_name": unnamed},
    )


def least_distinct(n: int, bag: int = _NAMES_IN_THE_BAG) -> int:
    """The fewest distinct first names that chance gives for n draws from a bag of names.

    Expected number of distinct values, k(1 - (1 - 1/k)^n), less two standard deviations.

    Examples
    --------
    >>> [least_distinct(n) for n in (1, 2, 20, 100, 1000)]
    [1, 1, 15, 57, 99]
    """
    one, two = (1 - 1 / bag) ** n, (1 - 2 / bag) ** n
    spread = max(0.0, bag * (bag - 1) * two + bag * one - bag * bag * one * one)
    return max(1, math.floor(bag * (1 - one) - 2 * math.sqrt(spread) + 1e-9))


def first_names_row(personas: Sequence[dict[str, Any]]) -> Row:
    """How many first names there are for so many people."""
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
        f"at least {counted(least, 'first name', 'first names')} for {so_many}: as many as draws "
        f"from only {_NAMES_IN_THE_BAG} equally common ones would give by chance (less two "
        "standard deviations); countries have more"
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
    """How many occupations there are; `marked` where the target leaves them to the model."""
    titles: Counter[str] = Counter()
    for persona in personas:
        work = persona.get("occupation")
        title = work.get("title") if isinstance(work, dict) else work
        if isinstance(title, str) and title.strip():
            titles[" ".join(title.casefold().split())] += 1
    n = titles.total()
    common = ", ".join(f"{title} ({count:,})" for title, count in titles.most_common(3))
    so_many = counted(n, "person", "people")
    least = least_distinct(n, _OCCUPATIONS_IN_THE_BAG) if n else 0
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
        f"at least {counted(least, 'occupation', 'occupations')} for {so_many}: as many as draws "
        f"from {_OCCUPATIONS_IN_THE_BAG} equally common ones would give by chance (less two "
        "standard deviations), which is how many sub-major groups ISCO-08 has; no mark where the "
        "target sets occupations"
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
    """Which share of sentences stands word for word in another person, in all and by field.

    Case, punctuation and spacing do not count; sentences of fewer than five words are left
    out; a person who says something twice repeats nobody.
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
    """How much of what is written stands word for word in another person, too."""
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
            f"{SENTENCE_WORDS} words or more {'stands' if repeated == 1 else 'stand'} in another "
            f"person, too{worst}."
        )
        if among is not None and len(few) < len(people):
            # The more people, the more repeats: only samples of one size compare.
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
        f"at most 15 % (of more than {_MANY:,} people, within so many drawn at random): set "
        "phrases recur in any text, but beyond about one sentence in seven a reader of a few "
        "people meets the same words again",
        details,
        digits,
    )


def _original(share: float) -> bool:
    return share <= _SENTENCES_ALLOWED


def _most_repeated(by_field: dict[str, float]) -> str:
    field = max(by_field, key=lambda field: by_field[field])
    return f"; most in {field} ({percent(by_field[field])})" if by_field[field] else ""


def near_duplicates(people: Sequence[Sequence[Sentence]], seed: int) -> tuple[set[int], int]:
    """The people whose text is nearly that of somebody before them or after, and how many read.

    Each text is compared with those kept so far, so that a thousand copies of one text cost a
    thousand comparisons, not a million.
    """
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError as error:
        raise missing("datasketch", error) from error
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
    """How many people are nearly the same text as somebody else."""
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
        f"{'shares' if len(near) == 1 else 'share'} about half or more of the five-word "
        f"sequences with somebody else (Jaccard {_SIMILAR} or more, estimated)."
        if read
        else "There is no text to compare.",
        _all_differ(share) if share is not None else None,
        "at most 1 %: such a pair is one person under two names",
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
