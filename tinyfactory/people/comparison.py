"""Compare two people: field by field, and word by word within a field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic

from tinyfactory.errors import InvalidInput
from tinyfactory.people.protocols import Person, is_person
from tinyfactory.people.render.comparison import comparison_html, comparison_text
from tinyfactory.people.schema.layout import ALIASES, empty
from tinyfactory.people.schema.values import plain
from tinyfactory.people.schema.word_diff import (
    Difference,
    State,
    beside,
    share_differing,
    words_only,
    words_used,
)


class Comparison(Generic[Person]):
    """Two people side by side, with their differences.

    Shown as text, with ``[-words-]`` of the left person only and ``{+words+}`` of the right
    person only, and as a static table, which needs no kernel.

    Parameters
    ----------
    a, b : TinyPerson
        Both are read once; later changes of them have no effect.
    asked : mapping, optional
        Fields changed on purpose, as ``{"sex": ("female", "male")}``: shown first, and
        left out of the numbers and words below.

    Attributes
    ----------
    people : tuple of TinyPerson
    fields : tuple of Difference
        The fields of both, in the order of the left person's.
    share : float
        Words on one side only, as a share of all words of both: 0 for the same texts, 1 for
        nothing in common. The position of words counts; see Notes.
    left_words, right_words : list of (str, int)
        The 15 most frequent words that only one of the two uses, with their counts.

    Raises
    ------
    InvalidInput
        If `a` or `b` is not a person, or `asked` is not a mapping of fields to pairs.

    Notes
    -----
    Items of lists are paired first where they are equal, then by how similar they are, so
    that a list in another order has no words that differ. Within a pair the longest common
    runs of words are matched (Ratcliff and Metzener, "Pattern Matching: The Gestalt
    Approach", Dr. Dobb's Journal, July 1988, as in Python's difflib). The share is one less
    the Dice coefficient of the words so matched.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> ana = TinyPerson("Ana", {"gender": "female", "style": "Speaks softly."}, register=False)
    >>> bo = TinyPerson("Ana", {"gender": "male", "style": "Speaks loudly."}, register=False)
    >>> Comparison(ana, bo, asked={"sex": ("female", "male")})
    Ana and Ana
    Changed on purpose: sex, from female to male
      gender: [-female-] {+male+}
    Different besides: 1 of 2 fields, 33 % of the words
      style: Speaks [-softly.-] {+loudly.+}
    Words only on the left: softly (1)
    Words only on the right: loudly (1)
    """

    def __init__(
        self,
        a: Person,
        b: Person,
        asked: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> None:
        for one in (a, b):
            if isinstance(one, Comparison):
                raise InvalidInput(
                    f"A comparison needs two people, and {type(one).__name__} are two already. "
                    "Take one of them from .people, or give the two alone: PersonaCompare(twins)."
                )
            if not is_person(one):
                raise InvalidInput(
                    f"A comparison needs two people, not a {type(one).__name__}. For a dictionary "
                    "use TinyPerson.from_dict."
                )
        self.people = (a, b)
        self.names = (a.name, b.name)
        self.asked = _pairs(asked or {})
        on_purpose = {ALIASES.get(key, key) for key in self.asked}
        left, right = dict(_leaves(a.persona)), dict(_leaves(b.persona))
        self.fields = tuple(
            _difference(path, left.get(path), right.get(path), on_purpose)
            for path in _merged(list(left), list(right))
        )
        besides = [field for field in self.fields if not field.asked]
        pieces = [piece for field in besides for item in field.items for piece in item]
        self.share = share_differing(pieces)
        used = [words_used(pieces, side) for side in ("left", "right")]
        self.left_words, self.right_words = words_only(*used), words_only(*reversed(used))

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The fields that differ and were not changed on purpose."""
        return tuple(f for f in self.fields if f.state != "same" and not f.asked)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON, without the pieces of texts."""
        fields = [
            {"path": f.path, "left": f.left, "right": f.right, "state": f.state, "asked": f.asked}
            for f in self.fields
        ]
        found: dict[str, Any] = plain(
            {
                "left": self.names[0],
                "right": self.names[1],
                "asked": self.asked,
                "share_of_words": self.share,
                "words_only_left": self.left_words,
                "words_only_right": self.right_words,
                "fields": fields,
            }
        )
        return found

    def __repr__(self) -> str:
        return comparison_text(self)

    def _repr_html_(self) -> str:
        return comparison_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def compare(
    a: Person, b: Person, asked: Mapping[str, tuple[Any, Any]] | None = None
) -> Comparison[Person]:
    """Compare two people; see `Comparison`."""
    return Comparison(a, b, asked)


def _pairs(asked: Mapping[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    if not isinstance(asked, Mapping) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in asked.values()
    ):
        raise InvalidInput(
            "asked must map each field to its old and its new value, as in "
            '{"sex": ("female", "male")}.'
        )
    return {str(key): plain(list(pair)) for key, pair in asked.items()}


def _leaves(part: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield path and value of all fields; a tuple, as a dotted name can mean two paths."""
    if isinstance(part, dict) and part:
        for key, value in part.items():
            yield from _leaves(value, (*way, key))
    elif way:
        yield way, part


def _merged(left: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Merge two lists of paths; a path of the right one keeps its place after the one before."""
    merged, place = list(left), 0
    known = set(left)
    for way in right:
        if way in known:
            place = merged.index(way) + 1
        else:
            merged.insert(place, way)
            place += 1
    return merged


def _difference(way: tuple[str, ...], left: Any, right: Any, on_purpose: set[str]) -> Difference:
    path = ".".join(way)
    state: State
    if left == right:
        state = "same"
    elif empty(left):
        state = "only right"
    else:
        state = "only left" if empty(right) else "changed"
    asked = any(path == key or path.startswith(f"{key}.") for key in on_purpose)
    return Difference(path, left, right, state, asked, tuple(beside(_texts(left), _texts(right))))


def _texts(value: Any) -> list[str]:
    """Return the texts that show a value: the items of a list, or one text."""
    if isinstance(value, list):
        return [_text(item) for item in value]
    return [] if value is None or value == {} else [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        if value.keys() <= {"name", "description"}:  # a relationship
            return ": ".join(str(part) for part in value.values())
        return "; ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


class Twins(Comparison[Person]):
    """Two people from the same request, apart from fields changed on purpose.

    Parameters
    ----------
    original, twin : TinyPerson
    changed : mapping
        The changed fields, as ``{"sex": ("female", "male")}``.

    Attributes
    ----------
    original, twin : TinyPerson
        The twin is not registered.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> ana = TinyPerson("Ana", {"age": 30, "style": "Quick."}, register=False)
    >>> old = TinyPerson("Ana", {"age": 70, "style": "Quick."}, register=False)
    >>> Twins(ana, old, {"age": (30, 70)}).share
    0.0
    """

    def __init__(
        self, original: Person, twin: Person, changed: Mapping[str, tuple[Any, Any]]
    ) -> None:
        super().__init__(original, twin, changed)
        self.original = original
        self.twin = twin
