"""Lines of work: which occupations a group of them, as in a table of statistics, takes in."""

from __future__ import annotations

import re
from functools import cache

from tinyfactory.models.offline.load import Occupation, occupations
from tinyfactory.utils.text import fold

# What a group is called, and what its occupations are, as "field: title" in the tables; the
# particular before the general ("protective services" are no services).
_LINES = (
    (r"armed|military", r"soldier"),
    (r"protective|security|police|emergency", r"security:"),
    (r"domestic|household", r"house cleaner|nanny|gardener|care assistant"),
    (r"farm|fish|agricult|forest", r"agriculture:"),
    (r"labou?r|cleaning|elementary|unskilled|handler",
     r"cleaner|waste|porter|warehouse|housekeeper|caretaker|factory worker|mine worker"),
    (r"manag|executive|director", r"manager|founder|shop owner|supervisor|head teacher"),
    (r"clerical|clerk|office|administrat|secretar",
     r"clerk|receptionist|secretary|call centre|loan officer|human resources|postal|planner"),
    (r"sales|retail|commerc", r"retail:|sales|estate agent|insurance agent|travel agent|vendor"),
    (r"health|medic", r"health:"),
    (r"educat|teach", r"education:|teacher|instructor"),
    (r"financ|bank|insurance", r"finance:"),
    (r"hospitality|tourism|catering|food", r"food:|hospitality:"),
    (r"craft|repair|trades|construct|building|install", r"trades:|energy:|seamstress|potter"),
    (r"machine|operat|assembl|manufactur|production", r"manufacturing:|recycling|crane operator"),
    (r"transport|driv|logistic|moving", r"transport:"),
    (r"tech|software", r"technology:|technician|radiographer|surveyor|dental assistant"),
    (r"scien|research", r"science:"),
    (r"arts?\b|cultur|media|creativ", r"arts:|media:"),
    (r"social|care", r"care:"),
    (r"service", r"services:|food:|hospitality:|care:|sport:"),
)  # fmt: skip
_LEARNED = {"bachelor", "master", "doctor"}


@cache
def occupations_of(line: str) -> tuple[Occupation, ...]:
    """The occupations of a line of work; none where it is not known.

    Examples
    --------
    >>> [o.title for o in occupations_of("armed forces")]
    ['soldier']
    >>> occupations_of("magic")
    ()
    """
    said = fold(line)
    for words, what in _LINES:
        if re.search(rf"\b(?:{words})", said):
            those = re.compile(rf"\b(?:{what})")  # "sport:" stands in "transport:", too
            return tuple(o for o in occupations() if those.search(f"{o.field}: {o.title}"))
    if re.search(r"\b(?:profession|specialist|expert)", said):
        managers = occupations_of("management")
        return tuple(o for o in occupations() if o.education in _LEARNED and o not in managers)
    return ()
