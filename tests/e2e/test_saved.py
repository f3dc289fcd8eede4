"""A notebook with widgets, saved in the evening and opened again without its kernel."""

from __future__ import annotations

import nbformat
import pytest

CELLS = [
    "from tinyfactory.widgets import PersonaForm\nform = PersonaForm('Bakers in Vienna')\nform",
    "people = form.generate()\nform.store()",
]


@pytest.mark.timeout(600)
def test_people_made_in_a_form_stand_in_the_saved_notebook(anywhere):
    notebook = anywhere.open(CELLS, "saved.ipynb")
    notebook.run_all()
    name = notebook.python("print(people[0].name)").strip()
    notebook.wait_text(".jp-OutputArea", name)
    # While the widget is alive, its static form is not seen beside it.
    static = "[class^=tf-saved]"
    assert notebook.page.locator(static).count() > 0
    assert notebook.page.locator(f"{static}:visible").count() == 0
    notebook.save()
    notebook.close_and_shut_down()

    stored = nbformat.read(anywhere.root / "saved.ipynb", as_version=4)
    assert name in stored.cells[0].outputs[1].data["text/html"]
    assert "widgets" not in stored.metadata

    reopened = anywhere.reopen("saved.ipynb")
    reopened.wait_text(f"{static}:visible table", name)
    assert anywhere.outside == []
