"""Simulations and `control`: what is begun, in which order its arguments come, what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.products import ProductFactory
from tinyfactory import Simulation, TinyFactory, control
from tinyfactory.errors import InvalidInput


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


def test_two_simulations_in_one_folder_are_apart(folder):
    with Simulation(folder, "one"):
        ProductFactory().make("a")
    with Simulation(folder, "two") as two:
        ProductFactory().make("a")
        assert two.misses == 1


def test_with_gives_back_the_simulation_before(folder):
    with Simulation(folder, "one") as one, Simulation(folder, "two") as two:
        assert control.current_simulation() is two
        two.end()
        assert control.current_simulation() is one
    assert control.current_simulation() is None


def test_a_simulation_takes_its_arguments_in_the_order_of_begin(folder):
    with control.begin(folder, "one") as begun, Simulation(folder, "two") as made:
        assert (begun.path, begun.id, made.path, made.id) == (folder, "one", folder, "two")


@pytest.mark.parametrize("kind", [str, Path])
def test_a_simulation_named_like_a_path_is_told_the_order(folder, kind):
    with pytest.raises(InvalidInput, match=r"Simulation\(path, simulation_id\)"):
        Simulation("lesson", kind(folder))


def test_begin_takes_the_names_of_tinytroupe(folder):
    simulation = control.begin(cache_path=folder, id="lesson", auto_checkpoint=False)
    assert (simulation.path, simulation.id) == (folder, "lesson")
    simulation.end()
    with pytest.raises(InvalidInput, match="cache_path is another name of path"):
        control.begin(folder, cache_path=folder)


def test_a_simulation_shows_its_public_methods_only(folder):
    shown = {name for name in dir(Simulation(folder)) if not name.startswith("_")}
    assert shown == {
        "begin", "checkout", "checkpoint", "end", "explain", "export", "from_recording", "hits",
        "id", "is_open", "lines", "misses", "model_calls", "path", "spent", "unsaved",
    }  # fmt: skip


def test_free_factories_can_be_given_to_a_simulation(folder):
    factory = ProductFactory()
    assert factory.simulation_id is None
    simulation = control.begin(folder)
    TinyFactory.set_simulation_for_free_factories(simulation)
    assert factory.simulation_id == simulation.id


def test_control_without_a_simulation_says_what_to_do():
    with pytest.raises(InvalidInput, match=r"control\.begin\(\)"):
        control.checkpoint()


def test_journal_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="is a file"):
        control.begin(tmp_path / "file")
