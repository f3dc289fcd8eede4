"""`Demography`: who lives somewhere, as a table; and people drawn from it, exactly."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tinyfactory.errors import DemographyError
from tinyfactory.populations import readers, schema
from tinyfactory.populations.bands import Band, band_of, check_ages, read_bands
from tinyfactory.populations.schema import Cells, Json, Shares, check_categories, completed

if TYPE_CHECKING:
    import pandas as pd
import logging
from functools import cached_property
from typing import TYPE_CHECKING

from tinyfactory.populations.joint import fit, most_combinations
from tinyfactory.populations.schema import Tables

if TYPE_CHECKING:
    from tinyfactory.populations.joint import Block
_MOST = 10_000_000


class Demography:
    """Fields, their categories, and the share of people in each.

    Made by `from_dict`, `from_json`, `from_csv`, `from_frame` or `shipped`, which check it: a
    cell that cannot be is refused at once, and so are margins that the tables and the impossible
    combinations do not leave. Where these tie fields of more than 10,000 combinations together,
    that takes up to seconds, and is left to `check` or to what needs it first.

    Attributes
    ----------
    fields : tuple of str
        In the order of the table.
    about : dict
        Name, source, year, licence, country; ``illustrative`` where nobody was counted.
    impossible : list of dict
        Combinations of categories that nobody has.

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
        self.about: Json = dict(tables.about)
        self._margins = completed(tables)
        self.fields = tuple(self._margins)
        self._bands = {
            name: bands
            for name, shares in self._margins.items()
            if (bands := read_bands(name, shares)) is not None
        }
        self.impossible = [dict(rule) for rule in tables.impossible]
        check_categories(tables, self._margins)
        for name, shares in self._margins.items():
            if name.lower() == "age":
                check_ages(name, shares, self._bands.get(name))
        columns = {"name"} | {f"{name}_band" for name in self._bands}
        for name in self.fields:
            if name in columns:
                raise DemographyError(
                    f"{name}: people have a column of this name already. Call the field otherwise."
                )
        self._fitted = Fitted(tables, self._margins)
        self._fitted.check()

    # -- reading -----------------------------------------------------------------------

    @classmethod
    def from_dict(cls, data: Json) -> Demography:
        """A demography out of a dictionary.

        Parameters
        ----------
        data : dict
            Each field with its categories and their shares, counts or percentages. A field
            whose categories are all ranges (``"18-29"``, ``"65+"``, ``"40"``) is a number:
            people have one within their band; ``"age": "18-90"`` is short for one band. Besides,
            each of them optional:

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

            Where a field has shares of its own, these are kept exactly, and tables say how
            fields go together; else its shares come from the table. The layout of TinyTroupe's
            ``populations/*.json`` is read, too: see `readers.from_peer`.

        Raises
        ------
        DemographyError
            For what cannot be, naming the cell.

        Examples
        --------
        >>> Demography.from_dict({
        ...     "age": {"18-64": 0.8, "65-90": 0.2}, "work": {"employed": 0.7, "retired": 0.3},
        ...     "impossible": [{"age": "18-64", "work": "retired"}],
        ... })  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        tinyfactory.errors.DemographyError: ... was asked for, and ... is the nearest that ...
        """
        if not isinstance(data, Mapping):
            raise DemographyError(f"A demography is a dictionary, not {type(data).__name__}.")
        return cls(schema.read_tables(readers.from_peer(data) or data))

    @classmethod
    def from_json(cls, source: str | Path) -> Demography:
        """A demography out of a JSON file, given by its path, or out of JSON text."""
        return cls.from_dict(readers.read_json(source))

    @classmethod
    def from_csv(cls, path: str | Path) -> Demography:
        """A demography out of a CSV file with a header; the columns are those of `from_frame`."""
        return cls.from_dict(readers.from_rows(readers.csv_rows(readers.path_of(path))))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Demography:
        """A demography out of a data frame.

        Parameters
        ----------
        frame : DataFrame
            Either columns ``field``, ``category`` and ``share`` (or ``count``), a row a category;
            or a column a field, and ``share`` or ``count``, a row a combination.
        """
        if not hasattr(frame, "itertuples"):
            raise DemographyError(
                f"A data frame was asked for, not {type(frame).__name__}. For a dictionary: "
                "Demography.from_dict."
            )
        readers.check_columns(frame.columns)
        columns = [str(column) for column in frame.columns]
        rows = [dict(zip(columns, row, strict=True)) for row in frame.itertuples(index=False)]
        return cls.from_dict(readers.from_rows(rows))

    @classmethod
    def shipped(cls, name: str) -> Demography:
        """One of the demographies of this package; `shipped_names` lists them."""
        names = cls.shipped_names()
        if name not in names:
            raise DemographyError(
                f"There is no demography {name!r} in this package, and no such file. There are: "
                f"{', '.join(names)}. For a file, give its path, ending in .json or .csv."
            )
        path = files("tinyfactory.populations") / "tables" / f"{name}.json"
        return cls.from_json(path.read_text(encoding="utf-8"))

    @staticmethod
    def shipped_names() -> list[str]:
        """The names of the demographies of this package."""
        folder = files("tinyfactory.populations") / "tables"
        return sorted(
            p.name.removesuffix(".json") for p in folder.iterdir() if p.name[-5:] == ".json"
        )

    # -- what it says ------------------------------------------------------------------

    def to_dict(self) -> Json:
        """The demography in the layout of `from_dict`, which reads it back."""
        return schema.write_tables(replace(self._tables, about=self.about))

    def margins(self) -> dict[str, Shares]:
        """Field -> category -> share."""
        return {name: dict(shares) for name, shares in self._fitted.shares.items()}

    def joints(self) -> list[tuple[tuple[str, ...], Cells]]:
        """The fields of each table, and the share of each combination, fitted to the margins."""
        return self._fitted.joints()

    def bands(self, field: str) -> dict[str, Band] | None:
        """The bands of a field that is a number; None for one of words."""
        return self._bands.get(field)

    def category_of(self, field: str, value: Any) -> str | None:
        """The category that a value is in; a number is put into its band."""
        if isinstance(value, str) and value in self._margins.get(field, ()):
            return value
        bands = self._bands.get(field)
        return band_of(bands, value) if bands is not None else None

    # -- drawing -----------------------------------------------------------------------

    def check(self) -> Self:
        """Fit the tables to each other now, however large they are; gives the demography.

        Raises
        ------
        DemographyError
            For margins that cannot be met together, naming the cell that is missed most.

        Examples
        --------
        >>> Demography.shipped("us_earners_1994").check().fields[:3]
        ('sex', 'age', 'education')
        """
        _ = self._fitted.blocks
        return self

    def sample(self, n: int, seed: int = 0, taken: Iterable[str] = ()) -> pd.DataFrame:
        """So many people as the table says: every margin within one person of n times its share.

        Parameters
        ----------
        n : int
            From 1 to 10,000,000.
        seed : int
            The same seed gives the same people on every machine, with the same release of Faker.
        taken : iterable of str
            Names that nobody is given.

        Returns
        -------
        DataFrame, n rows
            ``name``, then a column a field; for a field of bands the number, and the band in a
            column ``<field>_band`` beside it. Names are those of the country that a field of
            this name says, else `about`, else the place that a field says; of the sex; and of
            the years in which people of that age were born, counted from ``about["year"]``
            (where the table has none, from 2025).

        Raises
        ------
        DemographyError
            For a number that cannot be, or margins that cannot be met together.
        """
        pandas = needed("pandas")
        from tinyfactory.populations.sampling import draw_codes, draw_numbers, named

        n, seed = _whole("n", n), _whole("seed", seed)
        if not 1 <= n <= _MOST:
            raise DemographyError(f"n is a whole number from 1 to {_MOST:,}, not {n:,}.")
        codes = draw_codes(self._fitted.blocks, n, seed)
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
        """The rows of `sample` as plain dictionaries; the country of `about` stands in each.

        Examples
        --------
        >>> Demography.from_dict({"sex": {"female": 1}, "age": {"40": 1}}).profiles(1)[0]["age"]
        40
        """
        frame = self.sample(n, seed, taken)
        columns = [frame[name].tolist() for name in frame.columns]
        country = self.about.get("country")
        whole = {"country": country} if country and "country" not in self.fields else {}
        return [
            dict(zip(frame.columns, row, strict=True)) | whole for row in zip(*columns, strict=True)
        ]

    # -- shown -------------------------------------------------------------------------

    def __repr__(self) -> str:
        from tinyfactory.people.render.tables import demography_text

        return demography_text(self.about, self.margins(), self._notes())

    def _repr_html_(self) -> str:
        from tinyfactory.people.render.tables import demography_html

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
        raise DemographyError(f"{what} is a whole number, not {value!r:.80}.") from None


_EXTRA = (
    "Demographies need packages that are not installed ({missing}). Nothing was changed. Install "
    "them: pip install 'tinyfactory[populations]'."
)
# So many combinations take a tenth of a second to fit, whatever contradicts what.
QUICK = 10_000

logger = logging.getLogger("tinyfactory")


class Fitted:
    """Tables and how they go together, worked out when first asked for.

    Parameters
    ----------
    tables : Tables
    margins : dict
        Shares of every field, as `complete.completed` gives them.
    """

    def __init__(self, tables: Tables, margins: dict[str, Shares]) -> None:
        self._tables = tables
        self._margins = margins
        self._ready: list[Block] | None = None

    def check(self) -> None:
        """Fit them now, where that is quick and where they could miss each other.

        Raises
        ------
        DemographyError
            For margins that cannot be met together, naming the cell that is missed most.
        """
        if not 0 < most_combinations(self._tables, self._margins) <= QUICK:
            return
        try:
            self._ready = fit(self._tables, self._margins)
        except ImportError:  # to read and to show tables takes none of the packages
            return

    @cached_property
    def blocks(self) -> list[Block]:
        """The distributions of fields that depend on each other."""
        for module in ("numpy", "pandas", "scipy"):
            needed(module)
        blocks = self._ready or fit(self._tables, self._margins)
        for block in blocks:
            if block.contradiction:
                logger.warning("%s", block.contradiction)
        return blocks

    @cached_property
    def shares(self) -> dict[str, Shares]:
        """Shares of each field; those that follow from others as they were fitted."""
        said = set(self._tables.margins).union(*(fields for fields, _ in self._tables.joints))
        if said >= set(self._margins):
            return self._margins
        fitted = {name: block.over((name,)) for block in self.blocks for name in block.fields}
        return {
            name: shares if name in said else dict(zip(shares, fitted[name].tolist(), strict=True))
            for name, shares in self._margins.items()
        }

    def joints(self) -> list[tuple[tuple[str, ...], Cells]]:
        """The fields of each table, and the share of each combination."""
        needed("numpy")
        import numpy as np

        found = []
        tied = [fields for fields, _ in self._tables.joints]
        tied += [(*given, of) for of, given, _ in self._tables.conditionals]
        for fields in dict.fromkeys(tied):
            block = next(b for b in self.blocks if set(fields) <= set(b.fields))
            names = [list(self._margins[name]) for name in fields]
            cells = {
                tuple(names[i][j] for i, j in enumerate(index)): float(share)
                for index, share in np.ndenumerate(block.over(fields))
            }
            found.append((fields, cells))
        return found


def needed(module: str) -> Any:
    """A module, or an error that says what to install."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(_EXTRA.format(missing=error.name)) from None
