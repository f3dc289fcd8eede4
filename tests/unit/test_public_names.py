"""No public name goes, and no signature changes, without an alias and a line in CHANGELOG.md."""

from __future__ import annotations

import json

from tests.support import public_names

WHAT_TO_DO = (
    "Public names changed. For a name that is gone or changed, add an alias for the old one and "
    "a line to CHANGELOG.md. Then run `python -m tests.support.public_names`."
)


def test_public_names_and_signatures_are_those_of_the_snapshot():
    stored = json.loads(public_names.SNAPSHOT.read_text(encoding="utf-8"))
    found = public_names.differences(public_names.snapshot(), stored)
    assert not found, "\n".join([WHAT_TO_DO, *found])


def test_what_is_gone_changed_or_new_is_named():
    stored = {"a.f": "(x)", "a.g": "(x)", "a.h": "(x)"}
    now = {"a.f": "(x)", "a.g": "(x, y)", "a.k": "()"}
    assert public_names.differences(now, stored) == [
        "gone: a.h(x)",
        "changed: a.g(x) is now a.g(x, y)",
        "new: a.k()",
    ]


class Example:
    """One of each kind of member.

    Attributes
    ----------
    size, weight : int
        Of the example.
    colour : str

    Examples
    --------
    >>> Example(1).size
    1
    """

    def __init__(self, size: int, *parts: str, **more: object) -> None:
        self.size = size
        self._hidden = parts

    @property
    def half(self) -> float:
        return self.size / 2

    async def later(self, wait: float = 1.0) -> None: ...


def test_a_signature_has_names_kinds_and_defaults_but_no_annotations():
    assert public_names._signature(Example) == "(size, *args, **kwargs)"
    assert public_names._signature(Example.later) == "(self, wait=1.0), awaited"
    assert public_names._member(Example, "half") == ", an attribute"
    assert public_names._documented(Example) == {"size", "weight", "colour"}
