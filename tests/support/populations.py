"""A population of invented people that meets its target in every row, and a target for it."""

from __future__ import annotations

from typing import Any

FEMALE = ["Ada", "Bea", "Cleo", "Dora", "Edda", "Fay", "Gwen", "Hedy", "Ines", "Jana"]
MALE = ["Abel", "Bram", "Cyril", "Dan", "Egon", "Finn", "Gus", "Hugo", "Igor", "Jack"]


class Asked:
    """The part of a demography that a report uses, written by hand."""

    def __init__(self, margins, joints=(), impossible=()):
        self._margins = margins
        self._joints = list(joints)
        self.fields = tuple(margins)
        self.impossible = list(impossible)

    def margins(self):
        return self._margins

    def joints(self):
        return self._joints

    def category_of(self, field, value):
        if field == "age":
            for band in self._margins["age"]:
                low, high = map(int, band.split("-"))
                if low <= value <= high:
                    return band
            return None
        return value if value in self._margins[field] else None


def target(**changes: Any) -> Asked:
    """Half women, half young, half in the north, half on a low income, independent of another."""
    margins = {
        "sex": {"female": 0.5, "male": 0.5},
        "age": {"18-39": 0.5, "40-90": 0.5},
        "region": {"North": 0.5, "South": 0.5},
        "income": {"low": 0.5, "high": 0.5},
    }
    quarter = {(s, a): 0.25 for s in margins["sex"] for a in margins["age"]}
    return Asked(margins, **{"joints": [(("sex", "age"), quarter)], **changes})


def people(n: int = 80) -> list[dict[str, Any]]:
    """`n` people (a multiple of 16) that meet `target()`, with different texts."""
    found = []
    for i in range(n):
        firsts = FEMALE if i % 2 == 0 else MALE
        words = [f"word{chr(97 + k)}{i}" for k in range(20)]
        found.append(
            {
                "name": f"{firsts[i // 2 % 10]}{'xyz'[i // 20 % 3]} Family{i}",
                "age": (25, 60)[i // 2 % 2],
                "gender": ("woman", "man")[i % 2],
                "residence": f"Town {i}, {('North', 'South')[i // 4 % 2]}",
                "occupation": {"title": f"maker of things{i}", "description": "Makes."},
                "income": ("low", "high")[i // 8 % 2],
                "beliefs": [" ".join(words[:10]) + ".", " ".join(words[10:]) + "."],
                "personality": {"big_five": {"openness": 30 + i % 50}},
            }
        )
    return found
