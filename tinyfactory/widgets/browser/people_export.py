"""`ExportControls`: write the listed people to a file, and the functions behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count as numbers
from pathlib import Path

import ipywidgets as widgets

from tinyfactory.errors import InvalidInput
from tinyfactory.people import People, TinyPerson, save_people
from tinyfactory.utils.files import expanded
from tinyfactory.widgets.parts.debounce import after_typing

# The label of each format, and the suffix of its file or folder.
FORMATS = {
    "CSV (table)": ".csv",
    "JSON Lines": ".jsonl",
    "Parquet (table)": ".parquet",
    "Agent JSON, one file": ".json",
    "Agent JSON, a folder": "",
}


def write(people: Sequence[TinyPerson], path: str | Path, *, overwrite: bool = False) -> Path:
    """Write people to a path, in the format of its suffix, and return the full path.

    Raises
    ------
    InvalidInput
        When the path exists and `overwrite` is False.
    """
    target = expanded(path).resolve()
    if target.exists() and not overwrite:
        raise InvalidInput(
            f"{target} is there already; nothing was written. Choose another name, or say "
            "overwrite=True."
        )
    save_people(people, target)
    return target


def free_path(ending: str, stem: str = "people", folder: Path | None = None) -> Path:
    """The first path of people, people-2, people-3 ... that does not exist.

    Examples
    --------
    >>> free_path(".csv", folder=Path("/nowhere/at/all")).name
    'people.csv'
    """
    folder = Path.cwd() if folder is None else folder
    names = (f"{stem}{'' if n == 1 else f'-{n}'}{ending}" for n in numbers(1))
    return next(path for name in names if not (path := folder / name).exists())


class ExportControls(widgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """A choice of the format and a button that writes the listed people to a new file.

    Parameters
    ----------
    people : callable
        Returns the people to write; called when they are written.
    began, written : callable
        Called with the number of people, before and (with the path) after writing.
    failed : callable
        Gets the error.
    """

    def __init__(
        self,
        people: Callable[[], People],
        began: Callable[[int], object],
        written: Callable[[int, Path], object],
        failed: Callable[[Exception], object],
    ) -> None:
        self._people, self._began, self._written, self._failed = people, began, written, failed
        self.format = widgets.Dropdown(
            options=list(FORMATS),
            description="Format:",
            layout=widgets.Layout(width="auto"),
            style={"description_width": "initial"},
        )
        self.button = widgets.Button(
            description="Export",
            icon="download",
            tooltip="Write the people that are listed to a new file beside the notebook",
            layout=widgets.Layout(width="auto"),
        )
        self._settled = after_typing(self._write)
        self._one = threading.Lock()
        self.button.on_click(self._clicked)
        super().__init__([self.format, self.button])

    def join(self) -> None:
        """Wait until the file of the last click is written."""
        self._settled.join()

    def _clicked(self, _: widgets.Button) -> None:
        with self._one:
            if self.button.disabled:
                return
            self.button.disabled = True
        self._settled.soon()

    def _write(self) -> None:
        try:
            people = self._people()
            self._began(len(people))
            self._written(len(people), write(people, free_path(FORMATS[self.format.value])))
        except Exception as error:  # noqa: BLE001 - whatever it is, the user has to see it
            self._failed(error)
        finally:
            self.button.disabled = False
