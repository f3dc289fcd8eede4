"""The form in a real browser: made, stopped, gone on with, kept over a restart, by keys alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

# The offline writer, with the time that a real endpoint takes, and a count of its calls; while
# it is held, it answers three of them.
SLOW = """import asyncio, pathlib
from tinyfactory import TinyPersonFactory, control
from tinyfactory.models.offline import OfflineModel
from tinyfactory.widgets import PersonaForm
class Slow(OfflineModel):
    asked = 0
    async def complete(self, request):
        self.asked += 1
        number = self.asked
        with pathlib.Path('calls.txt').open('a') as file:
            file.write('x')
        await asyncio.sleep(0.4)
        while number > 3 and pathlib.Path('hold').exists():
            await asyncio.sleep(0.05)
        return await super().complete(request)
simulation = control.begin('journal')"""
FORM = "form = PersonaForm('Bakers in Vienna, Austria', model=Slow())\nform"
MADE = "print(len(form.people))"


def calls(lab):
    path = lab.root / "calls.txt"
    return len(path.read_text()) if path.exists() else 0


@contextmanager
def held(lab) -> Iterator[None]:
    """Within the block three people are made and no more, however slow the page is."""
    hold = lab.root / "hold"
    hold.touch()
    yield
    hold.unlink()


def number_of(notebook, count):
    field = notebook.field("People:")
    field.fill(str(count))
    field.press("Tab")


@pytest.mark.timeout(600)
def test_cancelled_resumed_and_run_again_after_a_restart(anywhere):
    name = "resume.ipynb"
    before = calls(anywhere)
    notebook = anywhere.open([SLOW.replace("'journal'", f"'{anywhere.app}-resume'"), FORM], name)
    notebook.run_all()
    number_of(notebook, 8)
    with held(anywhere):
        notebook.button("Generate").click()
        # People appear while it runs, and the kernel answers meanwhile.
        notebook.wait_text(".tf-progress", "3 of 8")
        assert notebook.python(MADE) == "3\n"
        notebook.button("Cancel").click()
        notebook.wait_text(".tf-status", "Stopped")
        assert notebook.python(MADE) == "3\n"
    notebook.button("Resume").click()
    notebook.wait_text(".tf-status", "8 people made")
    assert int(notebook.python(MADE)) == 8
    names = notebook.python("print([p.name for p in form.people])")
    # One was under way when it was stopped, and no more were asked for twice.
    asked = calls(anywhere) - before
    assert asked <= 9

    notebook.restart()
    notebook.run_all()
    number_of(notebook, 8)
    notebook.button("Generate").click()
    notebook.wait_text(".tf-status", "8 people made")
    assert notebook.python("print([p.name for p in form.people])") == names
    assert calls(anywhere) - before == asked
    assert notebook.errors == [] and anywhere.outside == []


@pytest.mark.timeout(600)
def test_a_double_click_makes_one_run(lab):
    notebook = lab.open([SLOW.replace("'journal'", "'double'"), FORM], "double.ipynb")
    notebook.run_all()
    before = calls(lab)
    notebook.button("Generate").dblclick()
    notebook.wait_text(".tf-status", "1 person made")
    notebook.page.wait_for_timeout(800)
    assert calls(lab) == before + 1 and notebook.python(MADE) == "1\n"


@pytest.mark.timeout(600)
def test_an_interrupt_stops_a_cell_that_waits_and_keeps_who_is_made(lab):
    notebook = lab.open([SLOW.replace("'journal'", "'interrupt'"), FORM], "interrupt.ipynb")
    notebook.run_all()
    with held(lab):
        notebook.start_python("form.number = 8\nform.generate()")
        notebook.wait_text(".tf-progress", "3 of 8")
        notebook.interrupt()
        notebook.wait_text(".tf-status", "Stopped")
        assert notebook.python(MADE) == "3\n"
    notebook.button("Resume").click()
    notebook.wait_text(".tf-status", "8 people made")
    assert int(notebook.python(MADE)) == 8


@pytest.mark.timeout(600)
def test_shown_again_it_finds_its_running_job(lab):
    cells = [SLOW.replace("'journal'", "'again'"), FORM, "form"]
    notebook = lab.open(cells, "again.ipynb")
    notebook.run_all()
    number_of(notebook, 5)
    with held(lab):
        notebook.button("Generate").click()
        notebook.wait_text(".tf-progress", "3 of 5")
        expect(notebook.page.locator(".tf-progress:visible", has_text="3 of 5")).to_have_count(2)
    notebook.wait_text(".tf-status", "5 people made")


@pytest.mark.timeout(600)
def test_by_keys_alone(anywhere):
    notebook = anywhere.open([SLOW.replace("'journal'", f"'{anywhere.app}-keys'"), FORM], "k.ipynb")
    notebook.run_all()
    notebook.field("Particularities:").focus()
    keys = notebook.page.keyboard
    keys.type("a 34-year-old woman")
    notebook.wait_python("print(form.particularities)", "a 34-year-old woman\n")
    keys.press("Enter")
    notebook.wait_text(".tf-status", "1 person made")
    assert notebook.python("print(form.people[0].get('age'))") == "34\n"
    name = notebook.python("print(form.people[0].name)").strip()
    notebook.wait_text(".jp-OutputArea table", name)
    # The letters went into the field, and none of them to the notebook: "b" adds a cell.
    assert notebook.page.locator(".jp-CodeCell").count() == 2
    assert notebook.errors == []


@pytest.mark.timeout(600)
def test_an_error_stands_in_the_form(anywhere):
    notebook = anywhere.open([SLOW.replace("'journal'", "'error'"), FORM], "error.ipynb")
    notebook.run_all()
    notebook.field("Context:").fill(" ")
    notebook.button("Generate").click()
    notebook.wait_text(".tf-status", "context")
    assert notebook.python("print(type(form.error).__name__)") == "InvalidInput\n"
    expect(notebook.button("Generate")).to_be_enabled()
    assert notebook.errors == []


@pytest.mark.timeout(600)
def test_nothing_stands_in_the_way_of_those_who_cannot_see_it(anywhere):
    notebook = anywhere.open([SLOW.replace("'journal'", "'axe'"), FORM], "axe.ipynb")
    notebook.run_all()
    notebook.button("Generate").click()
    notebook.wait_text(".tf-status", "1 person made")
    assert notebook.barriers(".tf-panel") == []
