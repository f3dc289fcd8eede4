"""How varied the words are, on a sample of fixed size."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence

from tinyfactory.populations.reporting.card import Row
from tinyfactory.populations.reporting.personas import Sentence
from tinyfactory.populations.reporting.saying import counted, decimals, percent, written

SAMPLE_WORDS = 10_000
SAMPLE_CHARACTERS = 50_000  # about as much text
# Lives of many people should be no more of the same than a manual of one program: the 22 chapters
# of Vim 9.0's that are long enough (but for two that are tables) gave 11 to 24 % distinct words, 53
# to 79 % distinct pairs, and a ratio of 2.3 to 3.4, measured by these functions.
_LEAST_DISTINCT = {1: 0.1, 2: 0.5}
_MOST_COMPRESSED = 3.5
_YARDSTICK = "a manual of one program has that (22 chapters of Vim's, English, as many words)"
_ASCII = 0.9  # other scripts have longer bytes and other words


def distinct(words: Sequence[str], n: int) -> float | None:
    """The share of n-word sequences that are distinct (Li et al. 2016).

    Examples
    --------
    >>> distinct("a b a b".split(), 1), distinct("a b a b".split(), 2)
    (0.5, 0.6666666666666666)
    """
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def compression_ratio(text: str) -> float | None:
    """How many times shorter gzip makes a text (Shaib et al. 2024); more means more repetition.

    Examples
    --------
    >>> compression_ratio("ab" * 1000) > 50
    True
    """
    data = text.encode(errors="surrogatepass")
    return len(data) / len(gzip.compress(data, compresslevel=9, mtime=0)) if data else None


def diversity_rows(people: Sequence[Sequence[Sentence]], seed: int) -> list[Row]:
    """Distinct-1, distinct-2 and the compression ratio; marked for whole samples of English."""
    order = list(range(len(people)))
    random.Random(seed).shuffle(order)
    words: list[str] = []
    texts: list[str] = []
    for number in order:
        for sentence in people[number]:
            words += sentence.words
            texts.append(sentence.text)
        if len(words) >= SAMPLE_WORDS:
            break
    words = words[:SAMPLE_WORDS]
    text = "\n".join(texts)[:SAMPLE_CHARACTERS]
    size = f"on {len(words):,} words drawn from the people at random"
    if len(words) < SAMPLE_WORDS:
        all_of_them = counted(len(words), "word there is", "words there are")
        size = f"on the {all_of_them}, too few to set beside samples of {SAMPLE_WORDS:,}"
    english = sum(map(str.isascii, text)) >= _ASCII * len(text)
    whole = len(words) == SAMPLE_WORDS and english
    rows = []
    for n, what in ((1, "words"), (2, "pairs of words")):
        value, passes = distinct(words, n), _at_least(_LEAST_DISTINCT[n])
        few = decimals(3, passes, value) if value is not None else None
        told = (
            f"{percent(value, few or 3)} of {what} are distinct" if value is not None else "No text"
        )
        rows.append(
            Row(
                f"distinct_{n}",
                f"Distinct {what} (distinct-{n})",
                value,
                "share",
                "Li et al. 2016, A Diversity-Promoting Objective Function, NAACL",
                f"{told}, {size}. The share falls with length: compare samples of one size only.",
                passes(value) if whole and value is not None else None,
                f"at least {100 * _LEAST_DISTINCT[n]:.0f} %: {_YARDSTICK}" if whole else "",
                {"words": len(words)},
                few,
            )
        )
    ratio = compression_ratio(text)
    few = decimals(2, _varied, ratio) if ratio is not None else None
    told = "No text"
    if ratio is not None:
        told = f"gzip makes the text {written(ratio, few or 2)} times shorter"
    rows.append(
        Row(
            "compression",
            "Compression ratio",
            ratio,
            "",
            "Shaib et al. 2024, Standardizing the Measurement of Text Diversity",
            f"{told} ({counted(len(text), 'character', 'characters')} of that sample). More "
            "means more repetition; compare samples of one size only.",
            _varied(ratio) if whole and ratio is not None else None,
            f"at most {_MOST_COMPRESSED}: {_YARDSTICK}" if whole else "",
            {"characters": len(text)},
            few,
        )
    )
    return rows


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda share: share >= least


def _varied(ratio: float) -> bool:
    return ratio <= _MOST_COMPRESSED
