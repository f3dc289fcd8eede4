"""The objects of a simulation in this kernel, and the code that shows its history."""

from __future__ import annotations

from typing import Any

from tinyfactory.factory import TinyFactory
from tinyfactory.journal.scopes.scope import Scope
from tinyfactory.journal.simulation import Simulation, current_simulation


def alive(scope: Scope, root: str) -> Any:
    """The factory or registered person of a line in this kernel; None if there is none."""
    for thing in (*TinyFactory.all_factories.values(), *scope.people):
        line = scope.begun_line_of(thing)
        if line is not None and line.root == root:
            return thing
    return None


def called(thing: Any) -> str:
    """The name of a factory or a person."""
    return str(getattr(thing, "name", "")) or type(thing).__name__


def go(simulation: Simulation, thing: Any, key: str) -> str:
    """Check an object out at an event; return the code that does the same."""
    simulation.checkout(thing, key)
    name = called(thing)
    if TinyFactory.all_factories.get(name) is thing:
        return f"TinyFactory.all_factories[{name!r}].checkout({key[:12]!r})"
    return (
        f"person = next(p for p in TinyPerson.all_people() if p.name == {name!r})\n"
        f"simulation.checkout(person, {key[:12]!r})"
    )


def simulation_in_code(simulation: Simulation) -> str:
    """The line of code that gets a simulation; one that is open is not begun again."""
    if simulation is current_simulation():
        return "simulation = control.current_simulation()"
    if simulation.path.is_file():
        return f"simulation = control.begin(recording={str(simulation.path)!r})"
    return f"simulation = control.begin({str(simulation.path)!r}, {simulation.id!r})"


def history_in_code(simulation: Simulation | None, key: str = "", done: str = "") -> str:
    """The code that shows a history, explains an event, and repeats the last action."""
    lines = [
        "from tinyfactory import TinyFactory, TinyPerson, control",
        "",
        "simulation = control.begin()" if simulation is None else simulation_in_code(simulation),
        "for line in simulation.lines():\n    print(line)",
    ]
    if key:
        lines.append(f"print(simulation.explain({key[:12]!r}))")
    return "\n".join([*lines, *([done] if done else [])])
