"""The tables of a demography: read from a dictionary, checked, completed, and written."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

from tinyfactory.errors import DemographyError

_NUMBER = r"((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)"
_RANGE = re.compile(rf"{_NUMBER}\s*(?:-|–|to)\s*{_NUMBER}")
_FROM = re.compile(rf"{_NUMBER}\s*(?:\+|(?:and|or) (?:over|older|more|above))")
_BELOW = re.compile(rf"(?:under|below|less than|<)\s*{_NUMBER}")
_ONE = re.compile(_NUMBER)
_YEARS = re.compile(r"(?<!\s)\s*\byears?\b(?: old| of age)?")

# Where open bands end: "65+" is read as 65 to 90, since few people are older.
_OLDEST = 90
_OPEN_WIDTH = 15
_LIMIT = 100
_HIGHEST_AGE = 120  # as in the schema of a persona


@dataclass(frozen=True, slots=True)
class Band:
    """Numbers from `low` to `high`, both included; whole numbers unless `continuous`."""

    low: float
    high: float
    continuous: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is in the band; an age of 29.5 is in a band that ends at 29."""
        return self.low <= (value if self.continuous else math.floor(value)) <= self.high


def read_band(text: str) -> Band | None:
    """Read a category as a band; None if it is not a range of numbers.

    An open band ends at 90 or 15 above its start, whichever is more, but not above 100. A band
    that starts above 100 is not an age; it ends at twice its start.

    Examples
    --------
    >>> read_band("18-29"), read_band("teacher")
    (Band(low=18, high=29, continuous=False), None)
    >>> [(band.low, band.high) for band in map(read_band, ("65+", "under 18", "50,000 and over"))]
    [(65, 90), (0, 17), (50000, 100000)]
    """
    plain = _YEARS.sub("", text.strip().lower())
    if match := _RANGE.fullmatch(plain):
        low, high = _number(match[1]), _number(match[2])
    elif match := _FROM.fullmatch(plain):
        low = _number(match[1])
        aged = max(low, min(max(_OLDEST, low + _OPEN_WIDTH), _LIMIT))
        high = aged if low <= _LIMIT else 2 * low
    elif match := _BELOW.fullmatch(plain):
        low, high = 0, _number(match[1])
        high = max(0, high - 1) if isinstance(high, int) else high
    elif (match := _ONE.fullmatch(plain)) and float(_number(match[1])).is_integer():
        low = high = int(_number(match[1]))  # a column with gaps writes 40 as "40.0"
    else:
        return None
    return Band(low, high, isinstance(low, float) or isinstance(high, float))


def _number(text: str) -> int | float:
    """An int, or a float if the text has a decimal point."""
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def read_bands(field: str, categories: Iterable[str]) -> dict[str, Band] | None:
    """Read the categories of a field as bands; None unless all of them are ranges.

    Raises
    ------
    DemographyError
        If a band ends before it starts, or two bands overlap.
    """
    found: dict[str, Band] = {}
    for category in categories:
        band = read_band(category)
        if band is None:
            return None
        if band.high < band.low:
            raise DemographyError(f"{field} / {category}: the band ends before it starts.")
        found[category] = band
    ordered = sorted(found, key=lambda category: found[category].low)
    for one, other in pairwise(ordered):
        touching = found[one].continuous and found[one].high == found[other].low
        if found[one].high >= found[other].low and not touching:
            raise DemographyError(
                f"{field} / {other}: the band overlaps with {one}. Each band must start after "
                "the end of the one before."
            )
    return found


def check_ages(field: str, categories: Iterable[str], bands: dict[str, Band] | None) -> None:
    """Reject categories of the field "age" that are not whole years up to 120.

    Raises
    ------
    DemographyError
        The message names the category.
    """
    for category in categories:
        band = (bands or {}).get(category) or read_band(category)
        if band is None or band.continuous:
            raise DemographyError(
                f"{field} / {category}: an age must be a whole number of years or a range such "
                "as 18-29. For ages in words, use a field with another name."
            )
        if band.high > _HIGHEST_AGE:
            raise DemographyError(
                f"{field} / {category}: the band ends at {band.high:g}; the highest age is "
                f"{_HIGHEST_AGE}. Give a lower end."
            )


def band_of(bands: dict[str, Band], value: Any) -> str | None:
    """Find the band of a number; None if there is none, or the value is not a number."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return next((name for name, band in bands.items() if band.holds(number)), None)


Json = dict[str, Any]
Shares = dict[str, float]
Cells = dict[tuple[str, ...], float]
# A field, the fields it depends on, and its shares for each combination of their categories.
Conditional = tuple[str, tuple[str, ...], dict[tuple[str, ...], Shares]]

ABOUT = ("name", "description", "source", "year", "licence", "country", "illustrative", "left_out")
_TABLES = ("about", "joint", "conditional", "impossible")
WEIGHTS = ("share", "count", "proportion", "weight", "n")
# No population is larger, and sums of larger floats lose whole people.
_MOST = 1e15
# Printed shares are rounded, so their sum may be off by this much.
_ROUNDING = 0.02
# More combinations take too long to fit, and no statistics are that detailed.
_MOST_CELLS = 1_000_000
# Names of fields and categories; the patterns that read them are slow for very long ones.
_LONGEST_NAME = 1000
_COMMA = re.compile(r"\d+,\d+\s*%?")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")


@dataclass
class Tables:
    """The tables of a population, each in one layout.

    `margins` holds the shares of a field's categories, `joints` tables of shares over several
    fields, `conditionals` the shares of a field within each combination of other fields.
    """

    about: Json = field(default_factory=dict)
    margins: dict[str, Shares] = field(default_factory=dict)
    joints: list[tuple[tuple[str, ...], Cells]] = field(default_factory=list)
    conditionals: list[Conditional] = field(default_factory=list)
    impossible: list[dict[str, str]] = field(default_factory=list)

    @property
    def stated(self) -> set[str]:
        """The fields whose shares are given, by themselves or in a joint table."""
        return set(self.margins).union(*(fields for fields, _ in self.joints))

    @property
    def fields(self) -> list[str]:
        """All fields, sorted."""
        return sorted(self.stated.union(*self.tied))

    @property
    def tied(self) -> list[tuple[str, ...]]:
        """The fields of each joint and each conditional table."""
        return [
            *(fields for fields, _ in self.joints),
            *((*given, of) for of, given, _ in self.conditionals),
        ]


def read_tables(data: Any) -> Tables:
    """Read the tables in a dictionary; see `Demography.from_dict`.

    Raises
    ------
    DemographyError
        If a cell is invalid; the message names it.
    """
    if not isinstance(data, Mapping) or not data:
        raise DemographyError(
            'A demography must be a dictionary such as {"sex": {"female": 0.51, "male": 0.49}}, '
            f"not {data!r:.80}."
        )
    tables = Tables(about=dict(_mapping("about", data.get("about") or {})))
    for key, value in data.items():
        if key not in _TABLES:
            _read_field(tables, key, value)
    for number, item in enumerate(_items("joint", data), 1):
        tables.joints.append(_read_joint(f"joint table {number}", item))
    for number, item in enumerate(_items("conditional", data), 1):
        tables.conditionals.append(_read_conditional(f"conditional table {number}", item))
    for item in _items("impossible", data):
        if len(item) < 2:
            raise DemographyError(f"impossible: {dict(item)} must name at least two fields.")
        tables.impossible.append({str(k).strip(): str(v).strip() for k, v in item.items()})
    _check_about(tables.about)
    return tables


def _read_field(tables: Tables, key: Any, value: Any) -> None:
    """Read one item of the dictionary: a field, or a fact about the whole demography."""
    name = _text("fields", key)
    if isinstance(value, Mapping):
        shares = read_shares(name, value)
    elif key in ABOUT:
        tables.about[key] = value
        return
    elif isinstance(value, str) and read_band(value):
        shares = {value.strip(): 1.0}
    else:
        raise DemographyError(
            f"{key}: a field must be a dictionary of categories and shares, or a range such as "
            f'"18-90", not {value!r:.80}.'
        )
    if not name:
        raise DemographyError("A field has no name.")
    if name in tables.margins:
        raise DemographyError(f"{name}: the field occurs twice.")
    tables.margins[name] = shares


def _check_about(about: Json) -> None:
    for key, value in about.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise DemographyError(
                f"about / {key}: {value!r:.80} must be text, a number, or a list of these."
            ) from None
    country = about.get("country")
    if country is not None and not isinstance(country, str):
        raise DemographyError(f"about / country: {country!r:.80} must be text.")


def _items(key: str, data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Read a key whose value is a list of dictionaries, or a single one."""
    found = data.get(key) or []
    return [_mapping(key, item) for item in (found if isinstance(found, list | tuple) else [found])]


def _mapping(key: str, item: Any) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise DemographyError(f"{key}: {item!r:.80} must be a dictionary.")
    return item


def read_shares(name: str, cells: Mapping[Any, Any]) -> Shares:
    """Read shares, percentages or counts as shares that add up to 1."""
    weights: Shares = {}
    for key, value in cells.items():
        category = _text(name, key)
        if not category or key is None or key != key:  # None and NaN: empty cells of a frame
            raise DemographyError(f"{name}: a category has no name.")
        if category in weights:
            raise DemographyError(f"{name} / {category}: the category occurs twice.")
        weights[category] = read_weight(f"{name} / {category}", value)
    return dict(zip(weights, _normalised(name, list(weights.values())), strict=True))


def _text(where: str, key: Any) -> str:
    """The name of a field or category, without spaces around it."""
    text = str(key).strip()
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can contain
        raise DemographyError(f"{where}: {text!r:.80} contains an invalid character.") from None
    if len(text) > _LONGEST_NAME:
        raise DemographyError(
            f"{where}: {text!r:.80} has more than {_LONGEST_NAME} characters. Use a short name."
        )
    return text


def read_weight(cell: str, value: Any) -> float:
    """Read a share, a count, or a percentage such as "18.6%"."""
    text = str(value).strip()
    percent = text.endswith("%")
    try:
        if isinstance(value, bool):
            raise ValueError
        # A comma separates thousands. "0,51" is ambiguous: 0.51 or 51.
        plain = text.rstrip("% ")
        plain = plain.replace(",", "") if _THOUSANDS.fullmatch(plain) else plain
        number = float(plain) / (100 if percent else 1)
    except ValueError:
        hint = " Write one half as 0.5 or 50%." if _COMMA.fullmatch(text) else ""
        raise DemographyError(f"{cell}: {value!r:.80} is not a number.{hint}") from None
    if math.isnan(number) or abs(number) > _MOST:
        raise DemographyError(f"{cell}: {value!r:.80} is not a number of people.")
    if number < 0:
        raise DemographyError(f"{cell}: {value!r:.80} is negative.")
    return number


def _normalised(name: str, weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    if not weights or total <= 0:
        raise DemographyError(f"{name}: all categories are empty.")
    shares = max(weights) <= 1 and not all(weight == int(weight) for weight in weights)
    if shares and abs(total - 1) > _ROUNDING:
        raise DemographyError(
            f"{name}: the shares add up to {total:.4g}, not 1. Give every category, or counts."
        )
    # Dividing again would change the last digits of a demography that was written and read.
    return [weight / total for weight in weights] if abs(total - 1) > 1e-12 else list(weights)


def _read_joint(name: str, item: Mapping[str, Any]) -> tuple[tuple[str, ...], Cells]:
    names = item.get("fields")
    fields = tuple(_text(name, f) for f in names) if isinstance(names, list | tuple) else ()
    if len(fields) < 2 or len(set(fields)) < len(fields):
        raise DemographyError(f'{name}: "fields" must be a list of at least two different fields.')
    name = f"{name} ({', '.join(fields)})"
    rows = item.get("table")
    if isinstance(rows, Mapping):
        rows = [
            dict(zip(fields, key, strict=True)) | {"share": v}
            for key, v in _leaves(rows, fields, name)
        ]
    if not isinstance(rows, list | tuple):
        raise DemographyError(
            f'{name}: "table" must be rows or nested dictionaries, not {rows!r:.80}.'
        )
    weights: Cells = {}
    for row in ({str(k).strip(): v for k, v in _mapping(name, row).items()} for row in rows):
        missing = [f for f in fields if f not in row]
        if missing:
            raise DemographyError(f"{name}: the row {row!r:.80} lacks {', '.join(missing)}.")
        cell = tuple(_text(name, row[f]) for f in fields)
        if cell in weights:
            raise DemographyError(f"{name} / {' / '.join(cell)}: the cell occurs twice.")
        weights[cell] = read_weight(f"{name} / {' / '.join(cell)}", _weight(name, row))
    return fields, dict(zip(weights, _normalised(name, list(weights.values())), strict=True))


def _leaves(
    table: Mapping[Any, Any], fields: Sequence[str], name: str
) -> list[tuple[list[str], Any]]:
    """The rows of nested dictionaries such as {"female": {"18-29": 0.2, ...}, ...}."""
    if len(fields) == 1:
        return [([str(key).strip()], value) for key, value in table.items()]
    rows = []
    for key, inner in table.items():
        if not isinstance(inner, Mapping):
            raise DemographyError(f"{name} / {key}: must be a dictionary of {fields[1]}.")
        rows += [
            ([str(key).strip(), *rest], value) for rest, value in _leaves(inner, fields[1:], name)
        ]
    return rows


def _weight(name: str, row: Mapping[str, Any]) -> Any:
    for key in WEIGHTS:
        if key in row:
            return row[key]
    raise DemographyError(f"{name}: the row {dict(row)!r:.80} needs a share or a count.")


def _read_conditional(name: str, item: Mapping[str, Any]) -> Conditional:
    of, given = str(item.get("field") or "").strip(), item.get("given")
    names = given if isinstance(given, list | tuple) else [] if given is None else [given]
    givens = tuple(str(f).strip() for f in names)
    if not of or not all(givens) or not givens or len({of, *givens}) <= len(givens):
        raise DemographyError(
            f'{name}: give the "field", and under "given" the field or the list of fields that it '
            "depends on, each once."
        )
    name = f"{of} given {', '.join(givens)}"
    table: dict[tuple[str, ...], Shares] = {}
    for row, shares in _leaves(_mapping(name, item.get("table")), givens, name):
        if not isinstance(shares, Mapping):
            raise DemographyError(
                f"{name} / {' / '.join(row)}: must be a dictionary of shares of {of}."
            )
        table[tuple(row)] = read_shares(f"{name} / {' / '.join(row)}", shares)
    return of, givens, table


def write_tables(tables: Tables) -> Json:
    """Write the tables as a dictionary that `read_tables` reads."""
    out: Json = {"about": copy.deepcopy(tables.about)} if tables.about else {}
    out |= {name: dict(shares) for name, shares in tables.margins.items()}
    if tables.joints:
        out["joint"] = [
            {
                "fields": list(fields),
                "table": [
                    dict(zip(fields, cell, strict=True)) | {"share": share}
                    for cell, share in cells.items()
                ],
            }
            for fields, cells in tables.joints
        ]
    if tables.conditionals:
        out["conditional"] = [
            {"field": of, "given": list(given), "table": _nested(table)}
            for of, given, table in tables.conditionals
        ]
    if tables.impossible:
        out["impossible"] = [dict(rule) for rule in tables.impossible]
    return out


def _nested(table: dict[tuple[str, ...], Shares]) -> Json:
    out: Json = {}
    for row, shares in table.items():
        here = out
        for category in row[:-1]:
            here = here.setdefault(category, {})
        here[row[-1]] = dict(shares)
    return out


def completed(tables: Tables) -> dict[str, Shares]:
    """The shares of every field; shares that are not given come from the first table with them.

    The shares of a field that depends on several others are computed as if those were
    independent; `joint.fit` later corrects them where they are not.
    """
    margins = dict(tables.margins)
    for fields, cells in tables.joints:
        for place, name in enumerate(fields):
            if name not in margins:
                shares: Shares = {}
                for key, share in cells.items():
                    shares[key[place]] = shares.get(key[place], 0.0) + share
                margins[name] = shares
    for of, given, table in in_order(tables.conditionals, margins):
        if of not in margins:
            margins[of] = _share_over(given, table, margins)
    if not margins:
        raise DemographyError("The demography has no field.")
    return margins


def in_order(tables: Sequence[Conditional], known: Iterable[str]) -> list[Conditional]:
    """Sort conditional tables so that each comes after the tables it depends on.

    Raises
    ------
    DemographyError
        If the shares of a field that a table depends on are given nowhere.
    """
    fields, waiting, found = set(known), list(tables), []
    while waiting:
        ready = next((item for item in waiting if set(item[1]) <= fields), None)
        if ready is None:
            of, given, _ = waiting[0]
            lacking = ", ".join(name for name in given if name not in fields)
            raise DemographyError(
                f"{of} given {', '.join(given)}: the shares of {lacking} are missing. Add them, "
                "or a table that contains them."
            )
        waiting.remove(ready)
        found.append(ready)
        fields.add(ready[0])
    return found


def _share_over(
    given: tuple[str, ...], table: dict[tuple[str, ...], Shares], margins: dict[str, Shares]
) -> Shares:
    found: Shares = {}
    for row, shares in table.items():
        weight = 1.0
        for name, category in zip(given, row, strict=True):
            weight *= margins[name].get(category, 0.0)
        for category, share in shares.items():
            found[category] = found.get(category, 0.0) + weight * share
    total = sum(found.values())
    return {category: share / total for category, share in found.items()} if total else found


def most_combinations(tables: Tables, margins: dict[str, Shares]) -> int:
    """Count the combinations of the largest group of fields that depend on each other.

    0 if all fields are independent.

    Raises
    ------
    DemographyError
        If there are too many to fit.
    """
    most = 0
    for fields in groups(tables, margins):
        if len(fields) > 1:
            most = max(most, math.prod(len(margins[name]) for name in fields))
        if most > _MOST_CELLS:
            raise DemographyError(
                f"{', '.join(fields)}: the tables combine these fields, which gives more than "
                f"{_MOST_CELLS:,} combinations. Merge categories, or remove a table."
            )
    return most


def groups(tables: Tables, margins: dict[str, Shares]) -> list[tuple[str, ...]]:
    """Group the fields that depend on each other, directly or through other fields."""
    group = {name: name for name in margins}
    for names in (*tables.tied, *map(tuple, tables.impossible)):
        joined = {group[name] for name in names}
        group = {k: group[names[0]] if v in joined else v for k, v in group.items()}
    found: dict[str, list[str]] = {}
    for name in margins:
        found.setdefault(group[name], []).append(name)
    return [tuple(names) for names in found.values()]


def check_categories(tables: Tables, margins: dict[str, Shares]) -> None:
    """Reject unknown fields and categories, and missing rows.

    Raises
    ------
    DemographyError
        The message names the cell.
    """
    for rule in tables.impossible:
        _check_cell(f"impossible / {' / '.join(rule.values())}", rule, margins)
    for number, (fields, cells) in enumerate(tables.joints, 1):
        for key in cells:
            where = f"joint table {number} / {' / '.join(key)}"
            _check_cell(where, dict(zip(fields, key, strict=True)), margins)
    for of, given, table in tables.conditionals:
        name = f"{of} given {', '.join(given)}"
        for row, shares in table.items():
            where = f"{name} / {' / '.join(row)}"
            _check_cell(where, dict(zip(given, row, strict=True)), margins)
            for category in shares:
                _check_cell(where, {of: category}, margins)
        _check_rows(name, given, table, margins, tables)


def _check_cell(where: str, cell: dict[str, str], margins: dict[str, Shares]) -> None:
    for name, category in cell.items():
        if name not in margins:
            raise DemographyError(f"{where}: there is no field {name!r}.")
        if category not in margins[name]:
            known = ", ".join(margins[name])
            raise DemographyError(f"{where}: {name} has no category {category!r}; it has {known}.")


def _check_rows(
    name: str,
    given: tuple[str, ...],
    table: dict[tuple[str, ...], Shares],
    margins: dict[str, Shares],
    tables: Tables,
) -> None:
    """Reject a conditional table that has no row for a possible combination."""
    present = [[c for c, share in margins[field].items() if share > 0] for field in given]
    for row in product(*present):
        if row not in table and _possible(dict(zip(given, row, strict=True)), tables):
            raise DemographyError(f"{name}: there is no row for {' / '.join(row)}.")


def _possible(cell: dict[str, str], tables: Tables) -> bool:
    if any(rule.items() <= cell.items() for rule in tables.impossible):
        return False
    for fields, cells in tables.joints:
        if set(cell) == set(fields) and not cells.get(tuple(cell[f] for f in fields)):
            return False
    return True
