"""A row of fields that say where to a simulation is exported, and how."""

from __future__ import annotations

from pathlib import Path

import ipywidgets as widgets

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.recording.recording import SUFFIX

_ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 1em"}


class ExportRow(widgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """File, what goes into it, and a button; the one who shows it does the export.

    Examples
    --------
    >>> row = ExportRow()
    >>> row.suggest("A lesson / 1")
    >>> row.path.name
    'A-lesson---1.recording.jsonl.gz'
    """

    def __init__(self) -> None:
        self.file = widgets.Text(
            description="File:", continuous_update=False, layout=widgets.Layout(width="22em")
        )
        self.replies = _box("With the models' replies")
        self.strip = _box("Take out what looks secret")
        self.button = widgets.Button(
            description="Export",
            icon="download",
            tooltip="Write all lines into one file that replays without a key",
            layout=widgets.Layout(width="auto"),
        )
        super().__init__(
            [self.file, self.replies, self.strip, self.button], layout=widgets.Layout(**_ROW)
        )

    def suggest(self, name: str) -> None:
        """Write a file's name into the field: no folder in it, nothing that a shell reads."""
        kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-")
        self.file.value = f"{kept[:60] or 'simulation'}{SUFFIX}"

    @property
    def path(self) -> Path:
        """The file that is asked for.

        Raises
        ------
        InvalidInput
            When there is none, or one stands there that is no recording.
        """
        name = self.file.value.strip()
        if not name:
            raise InvalidInput("There is no name of a file. Nothing was written.")
        path = Path(name)
        if path.exists() and not path.name.endswith(SUFFIX):
            raise InvalidInput(
                f"{path} is there already and is no recording by its name, so it was not "
                f"replaced. Give a name that ends in {SUFFIX}."
            )
        return path


def _box(description: str) -> widgets.Checkbox:
    return widgets.Checkbox(
        False, description=description, indent=False, layout=widgets.Layout(width="auto")
    )
