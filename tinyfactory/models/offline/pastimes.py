"""What a person does for pleasure."""

from __future__ import annotations

import re

from tinyfactory.models.offline.load import Interest, interests
from tinyfactory.models.offline.theme import Theme
from tinyfactory.prompts.particularities import Constraints
from tinyfactory.utils.random import Dice
from tinyfactory.utils.text import fold


def choose_interests(
    wishes: Constraints, theme: Theme, age: int, status: str, big_five: dict[str, int], dice: Dice
) -> tuple[Interest, ...]:
    """Four to six interests: those asked for, some of the occasion, the rest freely chosen."""
    chosen = [_wished_interest(text) for text in wishes.interests[:4]]
    names = {i.name for i in chosen}
    themed = [i for i in interests() if i.name in theme.interests and i.youngest <= age]
    chosen += [i for i in dice.few(themed, 2 if dice.chance(0.6) else 1) if i.name not in names]
    young = status in {"pupil", "student"}
    too_hard = _STRENUOUS if age >= 70 else frozenset()
    free = [
        i
        for i in interests()
        if i.youngest <= age
        and i not in chosen
        and i.name not in too_hard
        and not (young and i.youngest >= 17)
    ]
    number = dice.integer(4, 5) + (1 if big_five["openness"] > 60 else 0)
    return tuple(chosen + dice.few(free, max(1, number - len(chosen))))


_STRENUOUS = frozenset(
    {"climbing", "surfing", "boxing", "skiing", "martial arts", "basketball", "motorcycling",
     "football", "rowing", "volleyball", "running", "ice skating", "cricket"}
)  # fmt: skip


def _wished_interest(text: str) -> Interest:
    plain = re.sub(r"\s+", " ", re.sub(r"[{}<>]", "", text)).strip()[:60]
    stems = {w.rstrip("s") for w in fold(plain).split()}
    for interest in interests():
        if fold(interest.name) == fold(plain):
            return interest
    for interest in interests():
        if stems and stems == {w.rstrip("s") for w in fold(interest.name).split()[-1:]}:
            return Interest(plain, *(getattr(interest, f) for f in Interest.__slots__[1:]))
    return Interest(
        name=plain,
        when="evening",
        youngest=0,
        doing=(f"make time for {plain}", f"find out more about {plain}"),
        skill=f"a practised eye for {plain}",
        likes=f"anything to do with {plain}",
    )
