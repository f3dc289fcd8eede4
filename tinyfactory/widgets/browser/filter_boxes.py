"""`FilterBoxes`: groups of checkboxes, each with a count."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Any

import traitlets

from tinyfactory.utils.text import cut, legible
from tinyfactory.widgets.parts.request_widget import STATIC, RequestWidget

# The most characters of a label, and the most boxes of a group besides the ticked ones.
_LONGEST = 60
_MOST = 12
_MOST_TICKED = 40
# Labels with the same beginning keep so much of it, and so much before they differ.
_HEAD = 20
_LEAD = 10


@dataclass(slots=True)
class Group:
    """Boxes under one heading, each with its value, its label and a count or None.

    A value in `ticked` that has no box gets one, with the count 0.
    """

    key: str
    label: str
    boxes: Sequence[tuple[str, str, int | None]] = ()
    ticked: Sequence[str] = ()
    open: bool = False
    most: int = _MOST
    _values: dict[str, str] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """The group as it is sent: the ticked boxes, and the first of the others."""
        known = {value for value, _, _ in self.boxes}
        ticked = set(self.ticked)
        boxes = [(v, v, 0) for v in self.ticked if v not in known]
        rest = 0
        options: list[list[Any]] = []
        for value, label, number in [*boxes, *self.boxes]:
            on = value in ticked
            if len(options) < (self.most + _MOST_TICKED if on else self.most):
                sent = _sent(value)
                self._values[sent] = value
                options.append([sent, label, number, on])
            else:
                rest += 1
        labels = told_apart([option[1] for option in options], _LONGEST)
        for option, label in zip(options, labels, strict=True):
            option[1] = label
        more = f"and {rest:,} more; search for them" if rest else ""
        return {
            "key": self.key,
            "label": self.label,
            "open": self.open,
            "options": options,
            "more": more,
        }

    def value(self, sent: str) -> str:
        """The full value of a box."""
        return self._values.get(sent, sent)


def _sent(value: str) -> str:
    """A value as it is sent: itself, or a digest if it is long or has control characters."""
    if legible(cut(value, _LONGEST)) == value:
        return value
    return blake2s(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def told_apart(texts: Sequence[str], most: int) -> list[str]:
    """Shorten texts to `most` characters; texts with the same beginning keep where they differ.

    Examples
    --------
    >>> told_apart(["Teacher of mathematics and physics at a school in Porto",
    ...             "Teacher of mathematics and physics at a school in Braga"], 40)
    ['Teacher of mathemati…school in Porto', 'Teacher of mathemati…school in Braga']
    """
    short = [legible(cut(text, most)) for text in texts]
    alike: dict[str, set[str]] = {}
    for text, label in zip(texts, short, strict=True):
        alike.setdefault(label, set()).add(text)
    skipped = {
        label: len(os.path.commonprefix([*several])) - _LEAD  # noqa: RUF071 - of characters
        for label, several in alike.items()
        if len(several) > 1
    }
    longer = [
        f"{text[:_HEAD]}…{text[skip:]}" if (skip := skipped.get(label, 0)) > _HEAD + 1 else text
        for text, label in zip(texts, short, strict=True)
    ]
    return short if longer == [*texts] else told_apart(longer, most)  # all are shorter by now


class FilterBoxes(RequestWidget):
    """Groups of checkboxes.

    Parameters
    ----------
    ticked : callable
        ``ticked(key, value, on)`` is called when a box of a group is ticked or cleared.
    failed : callable, optional
        Gets the errors.

    Examples
    --------
    >>> choices = FilterBoxes(lambda key, value, on: None)
    >>> choices.show([Group("pet", "Pet", [("cat", "cat", 3), ("dog", "dog", 2)], ["dog"])])
    >>> choices.groups["pet"].shown()["options"]
    [['cat', 'cat', 3, False], ['dog', 'dog', 2, True]]
    """

    _esm = STATIC / "choices.js"
    _css = STATIC / "choices.css"
    _groups: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        ticked: Callable[[str, str, bool], object],
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        self._ticked = ticked
        self.groups: dict[str, Group] = {}
        super().__init__(failed)

    def show(self, groups: Sequence[Group]) -> None:
        """Show these groups."""
        self.groups = {group.key: group for group in groups}
        self.publish()

    def wished(self, wish: dict[str, Any]) -> None:
        """Report which box was ticked."""
        match wish:
            case {"key": str() as key, "value": str() as value, "on": bool() as on}:
                if key in self.groups:
                    self._ticked(key, self.groups[key].value(value), on)

    def publish(self) -> None:
        """Show how things stand."""
        if not self._held:
            number = self._begin()
            self._show(number, {}, _groups=[group.shown() for group in self.groups.values()])
