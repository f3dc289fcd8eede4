"""Text helpers for all packages: fold, clean, cut, count, and say times and prices."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

from tinyfactory.errors import visible

# Letters with a stroke, which no Unicode decomposition takes apart.
_STROKES = str.maketrans("łŁøØđĐıß", "lLoOdDis")
# `fold_words` puts a space for each of these.
_NO_WORD = re.compile(r"[^\w\s]")


def fold(text: str) -> str:
    """Fold a text for tables of names and places: no case, no accents, one space.

    See Also
    --------
    fold_words : Drops punctuation too, for comparing what a person says with what was asked.
    normalise_name : Decides whether two names are the same.
    fold_for_search : Keeps spaces and line ends.

    Examples
    --------
    >>> fold(" Łódź,  São Tomé ")
    'lodz, sao tome'
    """
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(_without_accents(text).translate(_STROKES).casefold().split())


def fold_words(text: str) -> str:
    """Fold a text for comparison word by word: no case, no accents, no punctuation.

    Letters with a stroke ("ł", "ø") stay as they are.

    Examples
    --------
    >>> fold_words("Vice-president, São Tomé")
    'vice president sao tome'
    """
    folded = text.lower() if text.isascii() else _without_accents(text).casefold()
    return " ".join(_NO_WORD.sub(" ", folded).split())


def normalise_name(name: str) -> str:
    """Fold a name for the registry: two names with one result are the same name.

    Examples
    --------
    >>> normalise_name("  JOSÉ   Núñez ") == normalise_name("José Nunez")
    True
    """
    if name.isascii():
        return " ".join(name.lower().split())
    # Dropping the accents leaves decomposed text; NFKC composes it again.
    return " ".join(unicodedata.normalize("NFKC", _without_accents(name)).casefold().split())


def _without_accents(text: str) -> str:
    plain = unicodedata.normalize("NFKD", _without_long_runs(text))
    return "".join(c for c in plain if not unicodedata.combining(c))


def composed(text: str) -> str:
    """A text in Unicode's composed form (NFC): "e" and an accent become one character.

    The time of it grows with the square of the number of accents on one letter. So after each
    thirty of them a combining grapheme joiner is put, as Unicode's stream-safe format does (UAX
    15, section 13). No language has that many.

    Examples
    --------
    >>> composed("Ame" + chr(0x301) + "lie") == "Am" + chr(0xE9) + "lie"
    True
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _without_long_runs(text, _JOINER))


_MOST_ACCENTS = 30
_JOINER = "\u034f"


def _without_long_runs(text: str, joiner: str | None = None) -> str:
    """A text in which no letter has more than thirty accents in a row.

    The others are dropped, or separated by the joiner.
    """
    if len(text) <= _MOST_ACCENTS or text.isascii():
        return text

    def shorter(found: re.Match[str]) -> str:
        if joiner is None:
            return found[0][:_MOST_ACCENTS]
        parts = range(0, len(found[0]), _MOST_ACCENTS)
        return joiner.join(found[0][i : i + _MOST_ACCENTS] for i in parts)

    return _long_run().sub(shorter, text)


@functools.cache
def _long_run() -> re.Pattern[str]:
    """Finds more accents in a row than a letter can have."""
    # All of them are below U+1F000.
    marks = "".join(c for c in map(chr, range(0x300, 0x1F000)) if _is_accent(c))
    return re.compile(f"[{re.escape(marks)}]{{{_MOST_ACCENTS + 1},}}")


def _is_accent(char: str) -> bool:
    """Whether a character is moved by normalisation, itself or in its parts."""
    return unicodedata.combining(unicodedata.normalize("NFKD", char)[0]) != 0


# What a search ignores or replaces: accents, strokes, ligatures, printed quotes and dashes.
_SEARCHED_AS = {
    **dict.fromkeys(map(chr, range(0x300, 0x370)), ""),
    **dict(zip("łøđðħıŧ", "lodðhit", strict=True)),
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "ð": "d",
    **dict.fromkeys("\u2018\u2019\u02bc", "'"),
    **dict.fromkeys("\u201c\u201d\u201e", '"'),
    **dict.fromkeys("\u2010\u2011\u2013\u2014", "-"),
}
_UNUSUAL = re.compile(f"[{''.join(map(re.escape, _SEARCHED_AS))}]")


def fold_for_search(text: str) -> str:
    """Fold a text for search: no case, accents or printed quotes; spaces and lines stay.

    Examples
    --------
    >>> fold_for_search("Łódź’s Straße, SÃO Tomé")
    "lodz's strasse, sao tome"
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", _without_long_runs(text.casefold()))
    return _UNUSUAL.sub(lambda found: _SEARCHED_AS[found[0]], plain)


_NUL_OR_SURROGATE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """Remove NUL characters and replace lone surrogates, which UTF-8 and databases reject.

    Examples
    --------
    >>> clean("An" + chr(0) + "a" + chr(0xD800))
    'Ana�'
    """
    if text.isascii() and "\x00" not in text:
        return text
    return _NUL_OR_SURROGATE.sub(lambda found: "" if found[0] == "\x00" else "\ufffd", text)


def legible(value: Any) -> str:
    """Write `value` as text without control characters and without bidi overrides.

    Each of them is replaced by one character, so the length stays. Line feeds and tabs stay, too.
    Every text form and every log message goes through it; the data itself is never changed.

    Examples
    --------
    >>> legible("Ana" + chr(27) + "[2J")
    'Ana�[2J'
    """
    return visible("" if value is None else str(value))


def cut(text: str, length: int) -> str:
    """Cut a text to at most `length` characters; an ellipsis marks the cut.

    Examples
    --------
    >>> cut("Mecklenburg", 20), cut("Mecklenburg", 6)
    ('Mecklenburg', 'Meckl…')
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def one_line(value: Any, length: int = 120) -> str:
    r"""Write `value` in one line of at most `length` characters; None is an empty text.

    Examples
    --------
    >>> one_line("two\n lines", 20), one_line(None, 20)
    ('two lines', '')
    """
    return cut(" ".join(str("" if value is None else value).split()), length)


def count(number: int, one: str, many: str) -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> count(1, "person", "people"), count(3000, "person", "people")
    ('1 person', '3,000 people')
    """
    return f"{number:,} {one if number == 1 else many}"


# Words that begin with a vowel in writing but not in speaking, and the other way round.
_CONSONANT = re.compile(
    r"(?i)eu|ewe|one\b|once|uk\b|us\b|uni(?!n|m)|us[aeiu]|ukr|ugan|uro|uru|ut[ie]"
)
_VOWEL = re.compile(r"(?i)[aeiouàáâãäåæèéêëìíîïòóôõöø]|heir|honest|honou?r|hour")
_SPELT_OUT = re.compile(r"[AEFHILMNORSX][A-Z]{1,4}\b")  # an MP, an HR officer


def article(word: str) -> str:
    """Put "a" or "an" before a word, by its sound.

    Examples
    --------
    >>> [article(w) for w in ("nurse", "Italian", "Ukrainian", "11-year-old", "hourly worker")]
    ['a nurse', 'an Italian', 'a Ukrainian', 'an 11-year-old', 'an hourly worker']
    """
    if number := re.match(r"[0-9]+", word):
        vowel = number[0].startswith("8") or number[0] in ("11", "18")
    elif _SPELT_OUT.match(word):
        vowel = True
    else:
        vowel = bool(_VOWEL.match(word)) and not _CONSONANT.match(word)
    return f"{'an' if vowel else 'a'} {word}"


def time_in_words(seconds: float) -> str:
    """Write a length of time with the unit that suits it.

    Examples
    --------
    >>> time_in_words(0.31), time_in_words(42.4), time_in_words(600), time_in_words(9000)
    ('0.3 s', '42 s', '10 min', '2.5 h')
    """
    if seconds < 60:
        exact = seconds < 9.95 and seconds != int(seconds)
        return f"{seconds:.1f} s" if exact else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


_LEAST_USD = 0.0001  # smaller prices are not written out


def price_in_words(usd: float | None) -> str:
    """Write a price in US dollars; None is an unknown price.

    Examples
    --------
    >>> price_in_words(0.0125), price_in_words(0.0), price_in_words(None)
    ('0.0125 USD', 'free', 'price unknown')
    >>> price_in_words(0.00001)
    'less than 0.0001 USD'
    """
    if usd is None:
        return "price unknown"
    if 0 < usd < _LEAST_USD:
        return f"less than {_LEAST_USD} USD"
    return f"{usd:.4f} USD" if usd else "free"


def cost_in_words(tokens: int, usd: float | None, *, more: bool = False) -> str:
    """Write the cost of calls; `more` says that some of them had no known price.

    Examples
    --------
    >>> cost_in_words(2287, 0.0), cost_in_words(1900, 0.5, more=True)
    ('free', '1,900 tokens, 0.5000 USD and more of unknown price')
    """
    if more and not usd:
        usd = None
    if usd == 0:
        return "free"
    beyond = " and more of unknown price" if more and usd is not None else ""
    return f"{tokens:,} tokens, {price_in_words(usd)}{beyond}"


def replayed_in_words(replayed: int, new: int) -> str:
    """Write how many calls or people were replayed, and how many are new.

    Examples
    --------
    >>> replayed_in_words(0, 1), replayed_in_words(3, 0), replayed_in_words(2, 1)
    ('1 new, nothing replayed', '3 replayed, nothing new', '2 replayed, 1 new')
    """
    if not replayed:
        if not new:
            return "nothing yet"
        return f"{new:,} new, nothing replayed"
    return f"{replayed:,} replayed, {f'{new:,}' if new else 'nothing'} new"
