"""`DemographyField`: the choice of a demography: none, a shipped table, or an uploaded file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import traitlets

from tinyfactory.errors import DemographyError, InvalidInput
from tinyfactory.factory import profiles
from tinyfactory.populations import Demography
from tinyfactory.utils.text import count
from tinyfactory.widgets.parts.status_line import Hint

_NONE, _FILE, _GIVEN = "", "/file", "/given"
# A table of shares is small; a larger file is a mistake.
_MOST_BYTES = 5_000_000


class DemographyField(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A list of tables, a button to upload one, and a seed.

    Parameters
    ----------
    demography : Demography, dict, str or path, optional
        Chosen at first; as `TinyPersonFactory.from_demography` takes it.
    seed : int
        Another seed draws other people with the same shares.
    fixed : bool
        Whether the field is disabled.
    failed : callable
        Gets the error of a file that cannot be used.

    Attributes
    ----------
    value : Demography or None
        The chosen demography; can be set and observed.
    source : str, dict or None
        The same as an argument in a line of Python.

    Examples
    --------
    >>> field = DemographyField()
    >>> field.take("town.json", b'{"sex": {"female": 1, "male": 1}, "age": {"20-29": 1}}')
    >>> field.value.fields, field.said.text
    (('sex', 'age'), 'town.json: 2 fields (sex, age). Their shares are kept exactly.')
    """

    value = traitlets.Any(None)

    def __init__(
        self,
        demography: Demography | dict[str, Any] | str | Path | None = None,
        *,
        seed: int = 0,
        fixed: bool = False,
        failed: Callable[[BaseException], object] = lambda _: None,
        **style: Any,
    ) -> None:
        self.wrong: BaseException | None = None
        self.source: Any = None
        self._given: Demography | None = None
        self._held: Demography | None = None
        self._failed = failed
        self.way = widgets.Dropdown(
            options=_ways(), description="Demography:", disabled=fixed,
            tooltip="A table whose shares the people keep to", **style,
        )  # fmt: skip
        self.upload = widgets.FileUpload(
            accept=".csv,.json", description="Choose a file", disabled=fixed,
            tooltip="A CSV or JSON file of fields, their categories and shares",
            layout=widgets.Layout(width="auto", display="none"),
        )  # fmt: skip
        self.seed = widgets.IntText(
            seed, description="Seed:", disabled=fixed,
            tooltip="Another number draws other people of the same shares",
            style=style.get("style", {}), layout=widgets.Layout(width="16em", display="none"),
        )  # fmt: skip
        self.said = Hint()
        row = widgets.HBox(
            [self.way, self.upload, self.seed], layout=widgets.Layout(flex_flow="row wrap")
        )
        super().__init__(children=[row, self.said])
        if demography is not None:
            self.give(demography)
        self.way.observe(lambda _: self._choose(), "value")
        self.upload.observe(lambda change: self._uploaded(change.new), "value")
        self.observe(lambda change: self._set(change.new), "value")

    def check(self) -> None:
        """Raise the error of a table that could not be read.

        Raises
        ------
        InvalidInput
            For a wrong cell, or when no file was chosen yet.
        """
        if self.wrong is not None:
            raise self.wrong
        if self.way.value == _FILE and self.value is None:
            raise InvalidInput("No file with a demography was chosen yet. Nothing was sent.")

    def take(self, name: str, content: bytes) -> None:
        """Read an uploaded file.

        Raises
        ------
        DemographyError
            For a wrong cell, which the message names.
        """
        self.way.value = _FILE
        self._hold(None, None)
        if len(content) > _MOST_BYTES:
            raise DemographyError(
                f"{name} has {len(content):,} bytes; a table of shares is smaller than "
                f"{_MOST_BYTES:,}. Nothing was changed. Give shares or counts, not people."
            )
        kind = Path(name).suffix.lower()
        if kind not in (".csv", ".json"):
            raise DemographyError(f"{name} is no CSV or JSON file. Nothing was changed.")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"uploaded{kind}")
            path.write_bytes(content)
            try:
                read = profiles.read_demography(path)
            except UnicodeDecodeError:
                raise DemographyError(f"{name} is no text in UTF-8. Save it as such.") from None
        self._hold(read, read.to_dict())
        self._say(name)

    def give(self, given: Demography | dict[str, Any] | str | Path) -> None:
        """Choose a demography given by code, in any form.

        Raises
        ------
        DemographyError
            For a wrong cell, which the message names; nothing is changed then.
        """
        read = profiles.read_demography(given)
        shipped = isinstance(given, str) and Path(given).suffix.lower() not in (".csv", ".json")
        if shipped:
            self.way.value = given
        else:
            self._given = read
            name = Path(given).name if isinstance(given, str | Path) else _name(read)
            self.way.options = [*_ways(), (f"As given: {name}", _GIVEN)]
            self.way.value = _GIVEN
        is_path = isinstance(given, str | Path)
        self._hold(read, str(given) if is_path else read.to_dict())
        self._say("")

    def _set(self, demography: Demography | None) -> None:
        """Show a demography that code set."""
        if demography is self._held:
            return
        if demography is None:
            self.way.value = _NONE
        else:
            self.give(demography)

    def _hold(self, demography: Demography | None, source: Any) -> None:
        self._held, self.source, self.wrong = demography, source, None
        self.value = demography
        self._arrange()

    def _choose(self) -> None:
        way = self.way.value
        try:
            if way in (_NONE, _FILE):
                self._hold(None, None)
            elif way == _GIVEN and self._given is not None:
                self._hold(self._given, self._given.to_dict())
            else:
                self._hold(profiles.read_demography(way), way)
        except Exception as error:  # noqa: BLE001 - shown where one looks
            self._refuse(error)
        self._say("")

    def _uploaded(self, files: Any) -> None:
        if not files:
            return
        file = files[0]
        try:
            self.take(str(file["name"]), bytes(file["content"]))
        except Exception as error:  # noqa: BLE001 - shown where one looks
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        self._hold(None, None)
        self.wrong = error
        self._say("")
        self._failed(error)

    def _say(self, name: str) -> None:
        read = self._held
        if read is None:
            self.said.say("")
            return
        fields = f"{count(len(read.fields), 'field', 'fields')} ({', '.join(read.fields)})"
        note = " Illustrative: nobody was counted." if read.about.get("illustrative") else ""
        told = name or str(read.about.get("name") or "Demography")
        self.said.say(f"{told}: {fields}. Their shares are kept exactly.{note}")

    def _arrange(self) -> None:
        self.upload.layout.display = "" if self.way.value == _FILE else "none"
        self.seed.layout.display = "none" if self._held is None else ""


def _ways() -> list[tuple[str, str]]:
    return [("None", _NONE), *_shipped(), ("A file of your own …", _FILE)]


@cache
def _shipped() -> list[tuple[str, str]]:
    """Title and name of each shipped table; the tables themselves are not read for it."""
    folder = files("tinyfactory.populations") / "tables"
    return [
        (json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["about"]["name"], name)
        for name in Demography.shipped_names()
    ]


def _name(demography: Demography) -> str:
    return str(demography.about.get("name") or ", ".join(demography.fields))
