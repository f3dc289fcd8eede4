"""Run the notebooks offline and store their outputs: `make notebooks`.

A notebook is run in a copy of its folder, so that no journal is left behind. Only outputs that a
reader sees without a kernel and that are the same in each run are stored: no widget state, no view
ids, no execution times, no version of this machine's Python.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.support.notebook_kernel import kernel_environment

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class FirstOutputs(NotebookClient):
    """Keeps the first version of each output, as nbval does, because updates are not timed."""

    def _update_display_id(self, *_: object) -> None:
        pass


def execute(path: Path) -> nbformat.NotebookNode:
    """Run the notebook from the top in a new kernel; raises if a cell raises."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "notebooks"
        shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns(".*"))
        notebook = nbformat.read(folder / path.name, as_version=4)
        # Lines that arrive separately by chance are one output.
        client = FirstOutputs(
            notebook,
            timeout=120,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        with kernel_environment(Path(place)):
            return client.execute()


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove outputs that differ between runs or need a live kernel."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    return notebook


def main(names: list[str]) -> None:
    """Refresh the notebooks named, or all."""
    paths = [Path(name).resolve() for name in names] or sorted(NOTEBOOKS.glob("*.ipynb"))
    if not paths:
        sys.exit("notebooks/ has no notebook.")
    for path in paths:
        nbformat.write(clean(execute(path)), path)
        print(f"{path.name}: run, outputs stored")


if __name__ == "__main__":
    main(sys.argv[1:])
