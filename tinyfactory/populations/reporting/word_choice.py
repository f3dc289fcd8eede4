"""Word choice: diversity, words that mark a group, and positivity."""

from __future__ import annotations

import gzip
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinyfactory.populations.reporting.card import Row, counted, decimals, percent, written
from tinyfactory.populations.reporting.evidence import WORD, Reading, Sentence
from tinyfactory.utils.imports import require

SAMPLE_WORDS = 10_000
SAMPLE_CHARACTERS = 50_000  # about as much text
# The lives of many people should not be more repetitive than the manual of one program. The 22
# chapters of Vim 9.0's manual that are long enough (without two that are tables) have 11 to 24 %
# distinct words, 53 to 79 % distinct pairs, and a ratio of 2.3 to 3.4, measured by these functions.
_LEAST_DISTINCT = {1: 0.1, 2: 0.5}
_MOST_COMPRESSED = 3.5
_YARDSTICK = "the manual of one program reaches that (22 chapters of Vim's, English, same length)"
_ASCII = 0.9  # the thresholds do not hold for other scripts, with more bytes per character


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
    """The size of a text over its size after gzip (Shaib et al. 2024); more means repetition.

    Examples
    --------
    >>> compression_ratio("ab" * 1000) > 50
    True
    """
    data = text.encode(errors="surrogatepass")
    return len(data) / len(gzip.compress(data, compresslevel=9, mtime=0)) if data else None


def diversity_rows(people: Sequence[Sequence[Sentence]], seed: int) -> list[Row]:
    """Distinct-1, distinct-2 and the compression ratio; marks for full samples of English only."""
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
        size = f"on the {all_of_them}, too few to compare with samples of {SAMPLE_WORDS:,}"
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
                f"{told}, {size}. The share falls with length: compare only samples of one size.",
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
        told = f"gzip makes the text {written(ratio, few or 2)} times smaller"
    rows.append(
        Row(
            "compression",
            "Compression ratio",
            ratio,
            "",
            "Shaib et al. 2024, Standardizing the Measurement of Text Diversity",
            f"{told} ({counted(len(text), 'character', 'characters')} of that sample). More "
            "means more repetition; compare only samples of one size.",
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


_TOP = 10
_MOST_GROUPS = 8
_LEAST_GROUP = 5  # people; the words of fewer are individual
_LEAST_COUNT = 5
SIGNIFICANT = 1.96  # two-sided 5 %, as in both papers
_NEUTRAL = 0.5
_POSITIVE = 0.05  # the limit of VADER's authors
_PEOPLE_READ = 300  # for positivity; VADER takes a millisecond for a few sentences


def log_odds(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, float]:
    """The z-score of each word's log-odds between two texts, from their word counts.

    Monroe, Colaresi & Quinn 2008 (equations 15, 16, 19 to 22). The informative Dirichlet prior is
    the words of both texts together, as in Cheng, Durmus & Jurafsky 2023. A positive score means
    that the word is typical of `a`, a negative one of `b`.

    Examples
    --------
    >>> z = log_odds({"kind": 30, "the": 70}, {"kind": 5, "the": 95})
    >>> z["kind"] > 1.96, z["the"] < 0
    (True, True)
    """
    n_a, n_b = sum(a.values()), sum(b.values())
    scores = {}
    for word in {**a, **b}:
        y_a, y_b = a.get(word, 0), b.get(word, 0)
        prior, priors = y_a + y_b, n_a + n_b
        rest_a, rest_b = n_a + priors - y_a - prior, n_b + priors - y_b - prior
        if not rest_a or not rest_b:  # there is only this word
            continue
        delta = math.log((y_a + prior) / rest_a) - math.log((y_b + prior) / rest_b)
        scores[word] = delta / math.sqrt(1 / (y_a + prior) + 1 / (y_b + prior))
    return scores


def marked_words_row(
    groups: Reading, personas: Sequence[dict[str, Any]], people: Sequence[Sequence[Sentence]]
) -> Row:
    """Find the words that are typical of each group of a field."""
    members = Counter(value for value in groups.values if value is not None)
    compared = [g for g, count in members.most_common(_MOST_GROUPS) if count >= _LEAST_GROUP]
    words: dict[str, Counter[str]] = {group: Counter() for group in members}
    for group, persona, said in zip(groups.values, personas, people, strict=True):
        if group is not None:
            own = _names(persona)
            words[group].update(w for s in said for w in s.words if w not in own)
    everything: Counter[str] = Counter()
    for counts in words.values():
        everything.update(counts)
    found: dict[str, list[list[Any]]] = {}
    if len(members) > 1:
        for group in compared:
            others = {w: c for w, n in everything.items() if (c := n - words[group][w])}
            scores = log_odds(words[group], others)
            top = sorted(
                ((z, w) for w, z in scores.items() if everything[w] >= _LEAST_COUNT),
                key=lambda pair: (-pair[0], pair[1]),
            )
            found[group] = [[w, round(z, 3)] for z, w in top[:_TOP] if z > SIGNIFICANT]
    if found:
        said_of = "; ".join(
            f"{group}: {', '.join(w for w, _ in top[:5]) or 'none'}" for group, top in found.items()
        )
        sentence = (
            f"Words typical of one group against all others (z above {SIGNIFICANT}): {said_of}. "
            "Names of people are left out; pronouns are not. There is no mark: only a reader can "
            "judge which words are clichés."
        )
    else:
        sentence = f"There are no two groups, one of them with {_LEAST_GROUP} people or more."
    return Row(
        f"marked:{groups.field}",
        f"Marked words by {groups.field}",
        sum(len(top) for top in found.values()) if found else None,
        "words",
        "Log-odds with an informative Dirichlet prior: Monroe, Colaresi & Quinn 2008, Political "
        "Analysis 16; Marked Words: Cheng, Durmus & Jurafsky 2023, Marked Personas, ACL",
        f"{sentence} {groups.how}",
        details={"groups": found, "people": dict(members.most_common(20))},
    )


def _names(persona: dict[str, Any]) -> set[str]:
    """The words in the names of the person and of their relationships."""
    around = persona.get("relationships")
    names = [persona.get("name")]
    if isinstance(around, list | tuple):
        names += [other.get("name") for other in around if isinstance(other, dict)]
    return {word for name in names if name for word in WORD.findall(str(name).casefold())}


def positivity_row(people: Sequence[Sequence[Sentence]], seed: int) -> Row:
    """Score the positivity of the sentences of at most 300 people with VADER.

    Raises
    ------
    MissingPackage
        If vaderSentiment is not installed.
    """
    require("vaderSentiment.vaderSentiment", "report")
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # slow to import

    chosen = range(len(people))
    drawn = sorted(random.Random(seed).sample(chosen, min(len(people), _PEOPLE_READ)))
    analyser = SentimentIntensityAnalyzer()
    scores = [
        float(analyser.polarity_scores(sentence.text)["compound"])
        for number in drawn
        for sentence in people[number]
    ]
    mean = math.fsum(scores) / len(scores) if scores else None
    positive = sum(score >= _POSITIVE for score in scores)
    negative = sum(score <= -_POSITIVE for score in scores)
    tenths = [sum(min(int((s + 1) * 5), 9) == tenth for s in scores) for tenth in range(10)]
    words, few = "There is no text.", None
    if mean is not None:
        few = decimals(2, _neutral, mean)
        words = (
            f"Mean {written(mean, few, '+')} on a scale from -1 to 1; "
            f"{100 * positive / len(scores):.0f} % of the sentences are positive, "
            f"{100 * negative / len(scores):.0f} % negative, the rest neutral "
            f"({counted(len(scores), 'sentence', 'sentences')} of "
            f"{counted(len(drawn), 'person', 'people')}). English words only."
        )
    return Row(
        "positivity",
        "Positivity of wording",
        mean,
        "",
        "VADER: Hutto & Gilbert 2014, ICWSM",
        words,
        _neutral(mean) if mean is not None else None,
        f"at most {_NEUTRAL} from neutral: VADER scores 'The book was good.' with 0.44, and not "
        "everything in people's lives is better than that",
        {
            "sentences": len(scores),
            "positive": positive,
            "negative": negative,
            "people": len(drawn),
            "tenths": tenths,
        },
        few,
    )


def _neutral(mean: float) -> bool:
    return abs(mean) <= _NEUTRAL
