"""Sentences put together from small pieces.

A template holds slots in braces. A slot is a fact of the person, a pool of further
templates, or one of the forms ``{time 6 8}`` (a time of day), ``{n 2 5}`` (a number) and
``{age+ 2 9}`` (an age still to come). Words after a bar change what was filled in:
``{duty|ger|cap}``. The idea is that of a context-free grammar run forwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from tinyfactory.models.offline import words
from tinyfactory.utils.random import Dice

Fact = str | Sequence[str]

_SLOT = re.compile(r"\{([^{}]+)\}")
_CHANGES: dict[str, Callable[[str], str]] = {
    "ger": words.gerund,
    "third": words.third_person,
    "plural": words.plural,
    "a": words.with_article,
    "the": lambda text: f"the {text}",
    "cap": words.capitalise,
}
_DEEPEST = 12


@cache
def _read_slot(
    slot: str,
) -> tuple[str, tuple[str, int, int] | None, tuple[Callable[[str], str], ...]]:
    """What a slot names, the number that it asks for instead, and the changes to be made."""
    name, *changes = slot.split("|")
    kind, *bounds = name.split(" ")
    number = (kind, int(bounds[0]), int(bounds[1])) if len(bounds) == 2 else None
    return name, number, tuple(_CHANGES[change] for change in changes)


class Grammar:
    """Writes sentences about one person; says nothing twice while there is a choice.

    Parameters
    ----------
    dice : Dice
    pools : mapping of str to sequence of str
        Templates by name.
    facts : mapping of str to str or sequence of str
        What is known of the person; a sequence gives one of its items at a time.
    age : int

    Examples
    --------
    >>> grammar = Grammar(Dice(0), {"tea": ["green tea"]}, {"first": "Ana"}, 30)
    >>> grammar.expand("{first} drinks {tea} and will be {age+ 1 1}.")
    'Ana drinks green tea and will be 31.'
    """

    def __init__(
        self,
        dice: Dice,
        pools: Mapping[str, Sequence[str]],
        facts: Mapping[str, Fact],
        age: int,
    ) -> None:
        self.dice = dice
        self.pools = pools
        self.facts = dict(facts)
        self.age = age
        self._used: dict[str, set[str]] = {}

    def say(self, *pools: str) -> str:
        """A sentence from one of the templates of these pools."""
        templates = [t for pool in pools for t in self.pools[pool]]
        return self.say_one(self._fresh("+".join(pools), templates))

    def say_one(self, template: str) -> str:
        """A sentence from this template."""
        return words.capitalise(self.expand(template))

    def one_of(self, pool: str) -> str:
        """A phrase from this pool, its first letter as it is."""
        return self.expand(self._fresh(pool, self.pools[pool]))

    def several(self, number: int, *pools: str) -> list[str]:
        """So many sentences, all different."""
        said: list[str] = []
        for _ in range(3 * number):
            sentence = self.say(*pools)
            if sentence not in said:
                said.append(sentence)
            if len(said) == number:
                break
        return said

    def expand(self, template: str, depth: int = 0) -> str:
        """The template with all its slots filled."""
        if depth > _DEEPEST:
            return template
        return _SLOT.sub(lambda match: self._fill(match[1], depth), template)

    def _fill(self, slot: str, depth: int) -> str:
        name, number, changes = _read_slot(slot)
        if number is not None:
            text = self._number(*number)
        else:
            fact = self.facts.get(name)
            if fact is not None:  # taken as it stands: a user's words may hold braces
                text = fact if isinstance(fact, str) else self._fresh(name, fact)
            else:
                text = self.expand(self._fresh(name, self.pools[name]), depth + 1)
        for change in changes:
            text = change(text)
        return text

    def _number(self, kind: str, low: int, high: int) -> str:
        number = self.dice.integer(low, high)
        if kind == "time":
            return f"{number}:{5 * self.dice.integer(0, 11):02d}"
        return str(number + self.age if kind == "age+" else number)

    def _fresh(self, name: str, items: Sequence[str]) -> str:
        """One of the items, if possible one that was not used yet."""
        used = self._used.setdefault(name, set())
        chosen = self.dice.pick(items)
        if chosen in used:  # seldom, as the pools are large
            left = [item for item in items if item not in used]
            if not left:
                used.clear()
                left = list(items)
            chosen = self.dice.pick(left)
        used.add(chosen)
        return chosen
