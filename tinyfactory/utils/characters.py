r"""Restores letters that were damaged on their way: "Jos\x00e9", "JosÃ©" and "Josu00e9" are "José".

JSON modes of several servers write wrong escapes, and some models write the escapes of another
format. A letter is restored only where the text can hardly mean anything else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

_HEX = "[0-9a-fA-F]"
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f"
# Those that stand at the end of a word for a lost letter; ESC begins a command to a terminal.
_LOST_AT_END = "\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f"
_LETTER = r"[^\W\d_]"
# A letter is lost: a NUL, half of a pair, a control character before two digits, or the replacement
# character within a word. Other control characters are data; whoever shows a text hides them.
LOST = re.compile(
    f"[\x00\ud800-\udfff]|(?<={_LETTER})[{_CONTROL}](?={_HEX}{{2}}|{_LETTER})|[{_CONTROL}](?={_HEX}{{2}}{_LETTER})"
    f"|(?<={_LETTER})[{_LOST_AT_END}](?=[\\s!-/:-@]|$)"
    f"|(?<={_LETTER})\ufffd|\ufffd(?={_LETTER})"
)
# What a text has in which a letter is lost.
_SIGNS = re.compile(f"[{_CONTROL}\ud800-\udfff\ufffd]")
_CONTROLS = re.compile(f"[{_CONTROL}]")
# A control character is the first half of a wrong escape, and the digits are the second half.
_SPLIT = re.compile(f"([{_CONTROL}])({_HEX}{{1,4}})")
# Text of two bytes a letter that was read as one byte a letter; and a NUL before the right letter.
_UTF16 = re.compile("(?:[^\x00]\x00){3,}|(?:\x00[^\x00]){3,}")
_STRAY = re.compile("\x00(?=[\xc0-\xff\u0100-\u017f])")
# A space that breaks no line, and a hyphen that shows at the end of a line only.
_INVISIBLE = {0xA0: " ", 0xAD: ""}
# Whole words of another script: each letter is a control character with two digits.
_SPLIT_WORD = re.compile(f"(?:[\x03-\x06]{_HEX}{{2}}){{2,}}")
_ESCAPES = re.compile(rf"(?:\\+u{_HEX}{{4}})+|\\+x{_HEX}{{2}}")
_LETTERS_IN_HEX = "00[c-fC-F][0-9a-fA-F]|01[0-7][0-9a-fA-F]|021[89abAB]|1[eE][a-fA-F][0-9a-fA-F]"
_BARE = re.compile(
    rf"(?:(?<={_LETTER})u({_LETTERS_IN_HEX})|\bu({_LETTERS_IN_HEX})(?={_LETTER})"
    rf"|(?<={_LETTER})u(2019)(?={_LETTER}))"
)
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}[0-9]{0,2}|#[0-9]{2,6}|#[xX][0-9a-fA-F]{2,5});")
_WINDOWS = {chr(n): bytes([n]).decode("cp1252", "replace") for n in range(0x80, 0xA0) if n != 0x85}
_C1 = {ord(key): value for key, value in _WINDOWS.items() if value != "\ufffd"}
# Of quotes and dashes (U+2013 to U+201D) only the second byte is left.
_HALF = dict(
    zip((0x13, 0x14, 0x18, 0x19, 0x1C, 0x1D), "\u2013\u2014\u2018\u2019\u201c\u201d", strict=True)
)
# UTF-8 that was read as Windows-1252: a first sign, then those of the bytes 0x80 to 0xBF.
_NEXT = "[\x80-\xbf" + "".join(value for value in _C1.values()) + "]"
_MOJIBAKE = re.compile(
    f"(?:[ÂÃÄÅ]{_NEXT})+|(?:[Î-ÓרÙÚÛ]{_NEXT}){{2,}}|á[º»]{_NEXT}|â[€\u201a\u201e\u02c6‰]{_NEXT}"
    f"|(?:[à-ï]{_NEXT}{{2}}){{2,}}|ð[\x9fŸ]{_NEXT}{{2}}"
)
_BARE_SIGN = re.compile("u[012][0-9a-fA-F]{3}")
# What a text has in which a letter may be damaged. Few have it, and this one search is fast.
_DAMAGED = re.compile(f"[{_CONTROL}\\\\&\x7f-\x9f]|u[012][0-9a-fA-F]{{3}}|[ÂÃÄÅÎ-ÓרÙÚÛà-ïð]{_NEXT}")
_QUOTES = frozenset("«»\u2039\u203a\u2018\u2019\u201a\u201c\u201d\u201e–—…")


def restored(text: str) -> str:
    r"""Restore all damaged letters of a text where they are certain.

    Examples
    --------
    >>> [restored(t) for t in ("Jos\x00e9", r"Jos\u00e9", "Josu00e9", "JosÃ©", "Jos&eacute;")]
    ['José', 'José', 'José', 'José', 'José']
    >>> restored("An MRI of the menu 00e9; fish & chips; Ã bis Z")
    'An MRI of the menu 00e9; fish & chips; Ã bis Z'
    """
    if not _DAMAGED.search(text):
        return text
    text = without_split_escapes(text)
    if "\\" in text:
        text = _ESCAPES.sub(_unescaped, text)
    text = text.translate(_HALF)
    text = _BARE.sub(lambda m: chr(int(m[1] or m[2] or m[3], 16)), text)
    if "&" in text:
        text = _ENTITY.sub(_character, text)
    return text if text.isascii() else _MOJIBAKE.sub(_decoded, text).translate(_C1)


def is_plain(text: str) -> bool:
    """Tell quickly whether a reply is certainly undamaged; most replies in English are.

    Examples
    --------
    >>> is_plain('{"name": "Ana"}'), is_plain('{"name": "Josu00e9"}')
    (True, False)
    """
    if not text.isascii() or "\\" in text or "&" in text:
        return False
    # Not `split`, which takes some control characters for spaces.
    one_line = text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    return one_line.isprintable() and not _BARE_SIGN.search(text)


def without_split_escapes(text: str) -> str:
    r"""Restore the letters that control characters stand for, where they are certain.

    Examples
    --------
    >>> without_split_escapes("Andr\x00e9 and Pawe\x0142"), without_split_escapes("a\x00")
    ('André and Paweł', 'a\x00')
    """
    if not _CONTROLS.search(text):
        return text
    text = _STRAY.sub("", _UTF16.sub(lambda m: m[0].replace("\x00", ""), text))
    text = _SPLIT_WORD.sub(_joined_word, text)
    return _SPLIT.sub(_joined, text)


def restored_everywhere(value: Any, restore: Callable[[str], str] = restored) -> Any:
    """Return a copy of JSON with all texts and keys restored."""
    if isinstance(value, str):
        return restore(value)
    if isinstance(value, list):
        return [restored_everywhere(item, restore) for item in value]
    if isinstance(value, dict):
        return {
            restore(key) if isinstance(key, str) else key: restored_everywhere(item, restore)
            for key, item in value.items()
        }
    return value


def lost_in(value: Any) -> str:
    r"""Return the first text of JSON in which a letter is lost for good; else an empty text.

    Examples
    --------
    >>> lost_in({"name": "Jos\x00", "age": 3}) == "Jos\x00"
    True
    """
    if isinstance(value, str):
        return value if _SIGNS.search(value) and LOST.search(value) else ""
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(parts, list):
        return next((found for part in parts if (found := lost_in(part))), "")
    return ""


def _behind_nul(digits: str) -> tuple[int, int]:
    """Return the code in the digits behind a NUL, and the number of its digits."""
    if len(digits) == 4 and digits.startswith("00") and int(digits, 16) >= 0xA0:
        return int(digits, 16), 4
    if len(digits) >= 2 and int(digits[:2], 16) >= 0xA0:
        return int(digits[:2], 16), 2
    for length in range(len(digits), 2, -1):
        code = int(digits[:length], 16)
        if _is_latin(code) or 0x2010 <= code <= 0x203A:
            return code, length
    return 0, 0


def _joined(match: re.Match[str]) -> str:
    """Join a control character with the digits behind it to the letter that was meant."""
    high, digits = ord(match[1]), match[2]
    found = (0, 0)
    if high == 0:
        found = _behind_nul(digits)
    elif high in (0x0C, 0x0E, 0x0F) and _beside_latin(match):
        found = high << 4 | int(digits[0], 16), 1
    elif len(digits) >= 2 and _is_latin(high << 8 | int(digits[:2], 16)):
        found = high << 8 | int(digits[:2], 16), 2
    elif len(digits) >= 2 and 3 <= high <= 6:
        code, text = high << 8 | int(digits[:2], 16), match.string
        around = text[match.start() - 1 : match.start()] + text[match.start() + 3 :][:1]
        if chr(code).isalpha() and any(ord(c) >> 8 == high for c in around):
            found = code, 2
    if found == (0, 0) and len(digits) >= 2 and _beside_latin(match):
        code = int(digits[:2], 16)
        found = (code, 2) if code >= 0xC0 and chr(code).isalpha() else found
    code, length = found
    if code in _INVISIBLE:
        return _INVISIBLE[code] + digits[length:]
    if not code or not chr(code).isprintable():
        return match[0]
    return chr(code) + digits[length:]


def _joined_word(match: re.Match[str]) -> str:
    text = match[0]
    parts = [ord(text[i]) << 8 | int(text[i + 1 : i + 3], 16) for i in range(0, len(text), 3)]
    word = "".join(map(chr, parts))
    same = len({part >> 8 for part in parts} - {0x04, 0x05}) <= 1
    return word if word.isalpha() and same else text


def _is_latin(code: int) -> bool:
    """Tell whether a code is a Latin letter beyond Latin-1 that a language uses."""
    return (
        0x100 <= code <= 0x17F
        or code in (0x1A0, 0x1A1, 0x1AF, 0x1B0)
        or 0x218 <= code <= 0x21B
        or 0x1E00 <= code <= 0x1EFF
    )


def _beside_latin(match: re.Match[str]) -> bool:
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.start() + 2 :][:1]
    return any(c.isalpha() and ord(c) < 0x250 for c in before + after)


def _unescaped(match: re.Match[str]) -> str:
    """Return the letters of escapes that were escaped twice, or written as in Python."""
    codes = [int(code, 16) for code in re.findall(rf"[ux]({_HEX}{{2,4}})", match[0])]
    try:
        told = b"".join(code.to_bytes(2, "big") for code in codes).decode("utf-16-be")
    except UnicodeDecodeError:
        return match[0]
    return told if all(ord(c) >= 0xA0 and c.isprintable() for c in told) else match[0]


def _character(match: re.Match[str]) -> str:
    found = html.unescape(match[0])
    around = match.string[match.start() - 1 : match.start()] + match.string[match.end() :][:1]
    if len(found) != 1 or found in "<>":
        return match[0]
    if found.isalpha():
        return found if not found.isascii() and any(map(str.isalpha, around)) else match[0]
    return found if found in "&'\"\u2018\u2019\u201c\u201d–—…\xa0" else match[0]


def _decoded(match: re.Match[str]) -> str:
    """Return UTF-8 that was read as Windows-1252 in its letters, if they are such."""
    text = match[0]
    before = match.string[match.start() - 1 : match.start()] if match.start() else ""
    after = match.string[match.end() :][:1]
    if before.isupper() and not _QUOTES.isdisjoint(text):
        return text  # "IRMÃ»"
    raw = b"".join(c.encode("latin-1") if ord(c) < 0x100 else c.encode("cp1252") for c in text)
    try:
        told = raw.decode("utf-8")
    except UnicodeDecodeError:
        return text
    if told.isalpha():
        certain = len(told) > 1 or before.isalpha() or after.islower()
        return told if certain else text
    return told if all(c.isprintable() or c == "\xa0" for c in told) and text[0] != "Ä" else text
