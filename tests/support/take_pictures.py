"""Take the pictures in README from a real JupyterLab: python -m tests.support.take_pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.lab import chromium, jupyter
from tests.support.page import Notebook

FOLDER = Path(__file__).parents[2] / "notebooks" / "images"
WIDE = 1280  # pixels of a picture
PANEL = 936  # what a panel takes of the page, at most
EDGE = 8  # of the page beside it
MOST_BYTES = 150_000

PEOPLE = """from tinyfactory import TinyPersonFactory, control
from tinyfactory.populations import Demography
control.begin('pictures')
asked = Demography.shipped({demography!r})
factory = TinyPersonFactory.from_demography(asked, model='offline')
people = factory.generate_people({number})"""
STUDIO = "import tinyfactory\nstudio = tinyfactory.studio(people=people, model='offline')\nstudio"
POPULATION = (
    "from tinyfactory.widgets import PopulationView\nview = PopulationView(people, asked)\nview"
)
CARD = "from tinyfactory.widgets import PersonaCard\ncard = PersonaCard(people[1])\ncard"


def studio(notebook: Notebook) -> None:
    """The tab People, with a person selected."""
    notebook.page.locator("table[aria-label='People'] tbody tr").nth(4).click()
    notebook.wait_text(".tf-panel", "with ")


def population(notebook: Notebook) -> None:
    """The bars, after the report is complete."""
    notebook.wait_text(".tf-status", "Report card of", timeout=120)


def card(notebook: Notebook) -> None:
    """A person to read."""
    notebook.page.locator(".tf-panel summary").first.wait_for()


# Name, theme, demography, people, last cell, action, and visible height.
PICTURES: tuple[tuple[str, str, str, int, str, Callable[[Notebook], None], int], ...] = (
    ("studio", "light", "france_2020", 200, STUDIO, studio, 640),
    ("population", "dark", "germany_2020", 400, POPULATION, population, 542),
    ("card", "light", "kenya_2020", 6, CARD, card, 500),
)


def take(notebook: Notebook, path: Path, height: int) -> None:
    """The upper part of the widget, as a PNG."""
    page = notebook.page
    panel = page.locator(".tf-panel").first
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # colours of the row that the mouse was on fade
    place = panel.bounding_box()
    assert place is not None
    clip: Any = {
        "x": place["x"] - EDGE,
        "y": place["y"],
        "width": place["width"] + 2 * EDGE,
        "height": min(place["height"], height),
    }
    page.screenshot(path=str(path), clip=clip)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:.0f} kB", flush=True)
    assert size < MOST_BYTES, f"{path} has {size} bytes"


def main() -> None:
    """Take all pictures, each in a server of its own."""
    FOLDER.mkdir(exist_ok=True)
    with chromium() as browser:
        sharp = browser.new_context
        browser.new_context = lambda **options: sharp(
            device_scale_factor=WIDE / (PANEL + 2 * EDGE), **options
        )
        for name, theme, demography, number, cell, do, height in PICTURES:
            made = PEOPLE.format(demography=demography, number=number)
            with (
                tempfile.TemporaryDirectory() as place,
                jupyter(browser, Path(place), "lab", theme) as lab,
            ):
                notebook = lab.open([made, cell], f"{name}.ipynb")
                notebook.page.set_viewport_size({"width": 1400, "height": 1600})
                notebook.run_all()
                assert notebook.cell_errors() == []
                do(notebook)
                take(notebook, FOLDER / f"{name}.png", height)


if __name__ == "__main__":
    main()
