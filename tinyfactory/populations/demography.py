"""`Demography`: the composition of a population, and people drawn from it who match it exactly."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tinyfactory.errors import DemographyError, InvalidInput
from tinyfactory.people.render.tables import demography_html, demography_text
from tinyfactory.people.schema.field_names import OF_TABLES, check_names
from tinyfactory.populations import readers, schema
from tinyfactory.populations.schema import (
    Band,
    Cells,
    Json,
    Shares,
    band_of,
    check_ages,
    read_bands,
)
from tinyfactory.utils.imports import require
from tinyfactory.utils.logs import get_logger

if TYPE_CHECKING:
    import pandas as pd

    from tinyfactory.populations.joint import Block

_MOST = 10_000_000
# Fitting up to this many combinations takes at most a tenth of a second, even where tables
# contradict each other.
_QUICK = 10_000

logger = get_logger("tinyfactory")


class Demography:
    """Fields, their categories, and the share of people in each category.

    Create one with `from_dict`, `from_json`, `from_csv`, `from_frame` or `shipped`. These check
    the tables: an invalid cell is an error, and so are margins that the other tables and the
    impossible combinations rule out. That second check takes up to seconds for fields that
    depend on each other and have more than 10,000 combinations; it then runs in `check`, or when
    people are drawn for the first time.

    Attributes
    ----------
    fields : tuple of str
        In the order of the table.
    about : dict
        Name, source, year, licence, country; ``illustrative`` if the numbers are invented.
    impossible : list of dict
        Combinations of categories that nobody may have.

    Examples
    --------
    >>> town = Demography.from_dict({
    ...     "sex": {"female": 0.51, "male": 0.49},
    ...     "age": {"18-29": 0.2, "30-64": 0.55, "65-90": 0.25},
    ... })
    >>> town.sample(200, seed=1)["sex"].value_counts().to_dict()
    {'female': 102, 'male': 98}
    """

    def __init__(self, tables: schema.Tables) -> None:
        self._tables = tables
        self._fitted: list[Block] | None = None
        self.about: Json = dict(tables.about)
        self._margins = schema.completed(tables)
        self.fields = tuple(self._margins)
        self._bands = {
            name: bands
            for name, shares in self._margins.items()
            if (bands := read_bands(name, shares)) is not None
        }
        self.impossible = [dict(rule) for rule in tables.impossible]
        schema.check_categories(tables, self._margins)
        for name, shares in self._margins.items():
            if name.lower() == "age":
                check_ages(name, shares, self._bands.get(name))
        columns = {"name"} | {f"{name}_band" for name in self._bands}
        for name in self.fields:
            if name in columns:
                raise DemographyError(
                    f"{name}: samples already have a column of this name. Rename the field."
                )
        if 0 < schema.most_combinations(tables, self._margins) <= _QUICK:
            with suppress(ImportError):  # reading and showing tables needs none of the packages
                self._fit_now()

    # -- reading -----------------------------------------------------------------------

    @classmethod
    def from_dict(cls, data: Json) -> Demography:
        """Read a demography from a dictionary.

        Parameters
        ----------
        data : dict
            Each field with its categories and their shares, counts or percentages. A field
            whose categories are all ranges (``"18-29"``, ``"65+"``, ``"40"``) is numeric: each
            person gets a number within their band. ``"age": "18-90"`` is short for one band.
            Optional keys:

            ``"joint"``
                Tables over several fields, ``{"fields": ["sex", "age"], "table": [...]}``, with
                rows ``{"sex": "female", "age": "18-29", "share": 0.1}`` or nested dictionaries.
            ``"conditional"``
                ``{"field": "occupation", "given": "age", "table": {"18-29": {"student": 0.6,
                ...}, ...}}``; `given` may be a list, with nested dictionaries.
            ``"impossible"``
                ``[{"age": "18-29", "occupation": "retired"}]``.
            ``"about"``
                ``{"name": ..., "source": ..., "year": ..., "licence": ..., "country": ...}``.

            If a field has shares of its own, they are met exactly, and the tables say how
            fields depend on each other. Otherwise its shares come from the table. TinyTroupe's
            ``populations/*.json`` files are accepted as well; see `readers.from_peer`.

        Raises
        ------
        DemographyError
            If a table is invalid or cannot be met; the message names the cell.

        Examples
        --------
        >>> Demography.from_dict({
        ...     "age": {"18-64": 0.8, "65-90": 0.2}, "work": {"employed": 0.7, "retired": 0.3},
        ...     "impossible": [{"age": "18-64", "work": "retired"}],
        ... })  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        tinyfactory.errors.DemographyError: ...: the target is ..., and the nearest possible ...
        """
        if not isinstance(data, Mapping):
            raise DemographyError(f"data must be a dictionary, not {type(data).__name__}.")
        tables = schema.read_tables(readers.from_peer(data) or data)
        try:
            check_names(dict.fromkeys(tables.fields), known=OF_TABLES)
        except InvalidInput as error:
            raise DemographyError(str(error)) from None
        return cls(tables)

    @classmethod
    def from_json(cls, source: str | Path) -> Demography:
        """Read a demography from a JSON file, given by its path, or from JSON text."""
        return cls.from_dict(readers.read_json(source))

    @classmethod
    def from_csv(cls, path: str | Path) -> Demography:
        """Read a demography from a CSV file with a header; columns as for `from_frame`."""
        return cls.from_dict(readers.from_rows(readers.csv_rows(readers.path_of(path))))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Demography:
        """Read a demography from a data frame.

        Parameters
        ----------
        frame : DataFrame
            Either columns ``field``, ``category`` and ``share`` (or ``count``) with one row per
            category; or one column per field and ``share`` or ``count``, with one row per
            combination.
        """
        if not hasattr(frame, "itertuples"):
            raise DemographyError(
                f"frame must be a data frame, not {type(frame).__name__}. For a dictionary, use "
                "Demography.from_dict."
            )
        readers.check_columns(frame.columns)
        columns = [str(column) for column in frame.columns]
        rows = [dict(zip(columns, row, strict=True)) for row in frame.itertuples(index=False)]
        return cls.from_dict(readers.from_rows(rows))

    @classmethod
    def shipped(cls, name: str) -> Demography:
        """Read one of the demographies that this package contains; `shipped_names` lists them."""
        names = cls.shipped_names()
        if name not in names:
            raise DemographyError(
                f"This package has no demography {name!r}; it has {', '.join(names)}. To read a "
                "file, give a path that ends in .json or .csv."
            )
        path = files("tinyfactory.populations") / "tables" / f"{name}.json"
        return cls.from_json(path.read_text(encoding="utf-8"))

    @staticmethod
    def shipped_names() -> list[str]:
        """List the names of the demographies that this package contains."""
        folder = files("tinyfactory.populations") / "tables"
        return sorted(
            p.name.removesuffix(".json") for p in folder.iterdir() if p.name[-5:] == ".json"
        )

    # -- content -----------------------------------------------------------------------

    def to_dict(self) -> Json:
        """Write the demography as a dictionary that `from_dict` reads."""
        return schema.write_tables(replace(self._tables, about=self.about))

    def margins(self) -> dict[str, Shares]:
        """Give field -> category -> share."""
        return {name: dict(shares) for name, shares in self._shares.items()}

    def joints(self) -> list[tuple[tuple[str, ...], Cells]]:
        """Give the fields of each table and the share of each combination, as fitted."""
        found = []
        for fields in dict.fromkeys(self._tables.tied):
            block = next(b for b in self._blocks if set(fields) <= set(b.fields))
            found.append((fields, block.table(fields, self._margins)))
        return found

    def bands(self, field: str) -> dict[str, Band] | None:
        """Give the bands of a numeric field; None for any other field."""
        return self._bands.get(field)

    def category_of(self, field: str, value: Any) -> str | None:
        """Find the category of a value; for a number, its band."""
        if isinstance(value, str) and value in self._margins.get(field, ()):
            return value
        bands = self._bands.get(field)
        return band_of(bands, value) if bands is not None else None

    # -- drawing -----------------------------------------------------------------------

    def check(self) -> Self:
        """Fit the tables to each other now, however large they are, and return the demography.

        Raises
        ------
        DemographyError
            If the margins cannot be met together; the message names the worst cell.

        Examples
        --------
        >>> Demography.shipped("us_earners_1994").check().fields[:3]
        ('sex', 'age', 'education')
        """
        _ = self._blocks
        return self

    def sample(self, n: int, seed: int = 0, taken: Iterable[str] = ()) -> pd.DataFrame:
        """Draw `n` people; each category has within one person of n times its share.

        Parameters
        ----------
        n : int
            From 1 to 10,000,000.
        seed : int
            The same seed gives the same people on every machine, with the same release of Faker.
        taken : iterable of str
            Names that nobody may get.

        Returns
        -------
        DataFrame, n rows
            ``name``, then one column per field. A numeric field has its number and a second
            column ``<field>_band``. Names fit the country (from a field ``country``, else
            ``about["country"]``, else a field that names a place), the sex, and the year of
            birth, counted back from ``about["year"]`` (from 2025 if the table has no year).

        Raises
        ------
        DemographyError
            If `n` is out of range or the margins cannot be met together.
        """
        pandas = require("pandas", "populations")
        require("numpy", "populations")
        # Slow to import: it brings numpy.
        from tinyfactory.populations.sampling import draw_codes, draw_numbers, named

        n, seed = _whole("n", n), _whole("seed", seed)
        if not 1 <= n <= _MOST:
            raise DemographyError(f"n must be a whole number from 1 to {_MOST:,}, not {n:,}.")
        codes = draw_codes(self._blocks, n, seed)
        columns: dict[str, Any] = {}
        for name in self.fields:
            words = pandas.Categorical.from_codes(codes[name], list(self._margins[name]))
            bands = self._bands.get(name)
            if bands is None:
                columns[name] = words
            else:
                columns[name] = draw_numbers(codes[name], list(bands.values()), seed, name)
                columns[f"{name}_band"] = words
        frame: pd.DataFrame = pandas.DataFrame(columns)
        frame.insert(0, "name", named(columns, n, self.about, seed, taken))
        return frame

    def profiles(self, n: int, seed: int = 0, taken: Iterable[str] = ()) -> list[Json]:
        """Draw people as `sample` does, as dictionaries; each has the country of `about`.

        Examples
        --------
        >>> Demography.from_dict({"sex": {"female": 1}, "age": {"40": 1}}).profiles(1)[0]["age"]
        40
        """
        frame = self.sample(n, seed, taken)
        columns = [frame[name].tolist() for name in frame.columns]
        country = self.about.get("country")
        common = {"country": country} if country and "country" not in self.fields else {}
        return [
            dict(zip(frame.columns, row, strict=True)) | common
            for row in zip(*columns, strict=True)
        ]

    # -- fitting -----------------------------------------------------------------------

    @cached_property
    def _blocks(self) -> list[Block]:
        """The distributions of fields that depend on each other, fitted when first needed."""
        for module in ("numpy", "pandas", "scipy"):
            require(module, "populations")
        blocks = self._fit_now()
        for block in blocks:
            if block.contradiction:
                logger.warning("%s", block.contradiction)
        return blocks

    def _fit_now(self) -> list[Block]:
        from tinyfactory.populations.joint import fit  # slow to import: it brings numpy

        if self._fitted is None:
            self._fitted = fit(self._tables, self._margins)
        return self._fitted

    @cached_property
    def _shares(self) -> dict[str, Shares]:
        """The shares of each field; shares that follow from other fields are as fitted."""
        stated = self._tables.stated
        if stated >= set(self._margins):
            return self._margins
        fitted = {name: block.over((name,)) for block in self._blocks for name in block.fields}
        return {
            name: shares
            if name in stated
            else dict(zip(shares, fitted[name].tolist(), strict=True))
            for name, shares in self._margins.items()
        }

    # -- display -----------------------------------------------------------------------

    def __repr__(self) -> str:
        return demography_text(self.about, self.margins(), self._notes())

    def _repr_html_(self) -> str:
        return demography_html(self.about, self.margins(), self._notes())

    def _notes(self) -> list[str]:
        tables = [" by ".join(fields) for fields, _ in self._tables.joints]
        tables += [f"{of} given {' and '.join(on)}" for of, on, _ in self._tables.conditionals]
        ruled = [" with ".join(rule.values()) for rule in self.impossible]
        notes = [f"tied: {', '.join(tables)}"] if tables else []
        return [*notes, f"impossible: {', '.join(ruled)}"] if ruled else notes


def _whole(what: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise DemographyError(f"{what} must be a whole number, not {value!r:.80}.") from None
