"""Convert single values of a person: text, lists of texts, an age, a name, relationships."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any, TypeVar, cast

from tinyfactory.errors import InvalidPersona
from tinyfactory.utils.text import clean, composed

Json = TypeVar("Json")

# A record with one of these as its only key holds a bare item: {"skill": "x"} is "x".
_ITEM_WORD = re.compile(
    "belief|behaviou?r|description|dislike|(other_)?fact|(long_term_)?goal|habit|hobby|interest"
    "|item|like|name|routine|skill|text|trait|value"
)


def text(value: Any) -> Any:
    """Convert a value to one text; booleans stay, and the schema rejects them.

    Examples
    --------
    >>> text({"tone": "calm", "words": ["plain", "short"]})
    'tone: calm; words: plain, short'
    """
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        if bare := _bare(value):
            return text(bare[0])
        return "; ".join(f"{k}: {_inner(v)}" for k, v in value.items() if _inner(v))
    return "; ".join(_inner(v) for v in value if _inner(v))


def _inner(value: Any) -> str:
    """Write a value within a text: commas and brackets, as the level above has semicolons."""
    if isinstance(value, dict):
        return "(" + "; ".join(f"{k}: {_inner(v)}" for k, v in value.items() if _inner(v)) + ")"
    if isinstance(value, list):
        return ", ".join(_inner(v) for v in value if _inner(v))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value).strip()


def _bare(record: dict[str, Any]) -> list[Any]:
    """Return the value of a record that only wraps one, in a list; else an empty list."""
    if len(record) == 1:
        key, value = next(iter(record.items()))
        if _ITEM_WORD.fullmatch(key.lower()):
            return [value]
    return []


def items(value: Any) -> Any:
    """Convert a value to a flat list of texts; other values stay, and the schema rejects them.

    Examples
    --------
    >>> items([{"skill": "sewing"}, "singing", ["chess"]])
    ['sewing', 'singing', 'chess']
    >>> items("['sewing', 'singing']")
    ['sewing', 'singing']
    """
    if value is None:
        return []
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        written = _literal_list(value)
        return items(written) if written is not None else ([value.strip()] if value.strip() else [])
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, dict):
        if bare := _bare(value):
            return items(bare[0])
        if all(isinstance(v, list) for v in value.values()):  # groups of items
            return [f"{k}: {_inner(v)}" for k, group in value.items() for v in group if _inner(v)]
        return [text(value)] if text(value) else []
    out: list[Any] = []
    for item in value:
        found = [item.strip()] if isinstance(item, str) else items(item)
        out.extend(found if isinstance(found, list) else [found])
    return [item for item in out if item != ""]


def _literal_list(value: str) -> list[Any] | None:
    """Return the list that a text spells in Python, as in cells of tables; else None."""
    value = value.strip()
    if not (value.startswith("[") and value.endswith("]")):
        return None
    found = literal(value)
    # Only lists of texts: anything else is more likely prose in brackets.
    flat = _flatten(found)
    return flat if found is not None and all(isinstance(item, str) for item in flat) else None


_TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\[\]{}(),:]|[^\s\[\]{}(),:'"]+|['"]""", re.DOTALL
)


def literal(text: str) -> Any:
    """Return the value that a text spells in Python's notation, or None.

    Cells of tables hold such texts where pandas or numpy wrote a list or an object. numpy puts no
    commas between items.

    Examples
    --------
    >>> literal("['a', {'b': 1}]"), literal("['a' 'b']"), literal("[a]")
    (['a', {'b': 1}], ['a', 'b'], None)
    """
    if len(text) > 100_000 or text.count("[") + text.count("{") + text.count("(") > 1_000:
        return None
    written: list[str] = []
    for found in _TOKEN.finditer(text):
        part = found[0]
        if part in "'\"":  # a quote that nothing closes
            return None
        if written and written[-1] not in "[{(,:" and part not in "]}),:":
            written.append(",")
        written.append("None" if part == "nan" else part)
    try:
        return ast.literal_eval(" ".join(written))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _flatten(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        return [value]
    return [leaf for item in value for leaf in _flatten(item)]


def name(value: Any) -> Any:
    """Convert a name to one line in one Unicode form.

    Examples
    --------
    >>> name({"first": "Ana", "last": " Souza"})
    'Ana Souza'
    """
    if isinstance(value, dict) and value and all(isinstance(v, str) for v in value.values()):
        value = " ".join(value.values())
    if not isinstance(value, str):
        return value
    return " ".join(composed(value).split())


_AGE = re.compile(r"([+-]?[0-9]{1,9})(?:\.0+)?(?:[\s-]*years?(?:[\s-]*old)?)?")


def age(value: Any) -> Any:
    """Convert an age to a whole number, if it is one written in another way.

    Examples
    --------
    >>> age("34"), age("34 years old"), age(34.0), age(True)
    (34, 34, 34, True)
    """
    if isinstance(value, str):
        found = _AGE.fullmatch(value.strip())
        return int(found[1]) if found else value.strip()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def relationships(value: Any) -> Any:
    """Convert relationships to records of a name and a description.

    Examples
    --------
    >>> relationships([{"Name": "Bia", "relation": "sister"}, "a neighbour's dog"])
    [{'name': 'Bia', 'description': 'sister'}, {'description': "a neighbour's dog"}]
    """
    if isinstance(value, str):
        return [{"description": value.strip()}] if value.strip() else []
    if isinstance(value, dict):
        if any(key.strip().lower() in ("name", "description") for key in value):
            value = [value]
        else:
            value = [v if isinstance(v, str) and not k else {k: v} for k, v in value.items()]
    if not isinstance(value, list):
        return value
    return [found for item in value if (found := _relationship(item)) not in (None, "", {})]


def _relationship(value: Any) -> Any:
    if isinstance(value, str):
        return {"description": value.strip()} if value.strip() else None
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for key, item in value.items():
        folded = key.strip().lower()
        known = folded in ("name", "description") and folded not in value
        out[folded if known and folded not in out else key] = item
    for key in ("relationship", "relation"):
        if key in out and "description" not in out:
            out["description"] = out.pop(key)
    if len(out) == 1 and not {"name", "description"} & out.keys():
        who, what = next(iter(out.items()))
        if isinstance(what, dict):
            out = {"name": who, **what}
        else:
            out = {"name": who, "description": what}
    for key in ("name", "description"):
        if key in out:
            out[key] = text(out[key])
            if out[key] in (None, ""):
                del out[key]
    return out


MAX_DEPTH = 40


def plain(value: Any, depth: int = 0) -> Any:
    """Return a copy of a value as plain JSON.

    Tuples and arrays become lists, dates and UUIDs text, and NaN, by which tables mark a
    missing value, None.

    Raises
    ------
    InvalidPersona
        For values that JSON cannot hold, and for nesting deeper than `MAX_DEPTH`.

    Examples
    --------
    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if depth > MAX_DEPTH:
        raise InvalidPersona(
            f"The description is nested more than {MAX_DEPTH} levels deep; write it flatter."
        )
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise InvalidPersona("A number is infinite; expected a finite number.")
        return None if math.isnan(value) else float(value)
    if isinstance(value, dict):
        out: dict[str, Any] = {}
        for key, item in value.items():
            name = clean(key if isinstance(key, str) else str(key))
            if name in out:
                raise InvalidPersona(f"Two fields are both named {name[:60]!r}; keep one.")
            out[name] = plain(item, depth + 1)
        return out
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return _plain_cell(value, depth)


def copy_json(value: Json) -> Json:
    """Copy plain JSON, three times as fast as `copy.deepcopy`."""
    copied: Any = value
    if type(copied) is dict:
        copied = {key: copy_json(item) for key, item in copied.items()}
    elif type(copied) is list:
        copied = [copy_json(item) for item in copied]
    return cast("Json", copied)


def _plain_cell(value: Any, depth: int) -> Any:
    """Convert a cell of a table; told by its methods, so that numpy and pandas stay unimported."""
    if hasattr(value, "tolist"):
        return plain(value.tolist(), depth + 1)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__name__ in ("UUID", "Decimal"):
        return str(value)
    raise InvalidPersona(
        f"A value of type {type(value).__name__} cannot be stored; "
        "expected text, a number, true, false, null, a list or an object."
    )


def shown(value: Any) -> str:
    """Write a value as JSON of at most 60 characters, for an error message."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
