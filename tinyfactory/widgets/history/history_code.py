"""Who goes along a line in this kernel, so that it can be put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinyfactory.factory import TinyFactory

if TYPE_CHECKING:
    from tinyfactory.journal.simulation import Simulation


def alive(simulation: Simulation, root: str) -> Any:
    """The factory or registered person that goes along a line; None without one."""
    for thing in (*TinyFactory.all_factories.values(), *simulation.registry("person")):
        line = simulation.begun_line_of(thing)
        if line is not None and line.root == root:
            return thing
    return None


def called(thing: Any) -> str:
    """What a factory or a person is called."""
    return str(getattr(thing, "name", "")) or type(thing).__name__


def go(simulation: Simulation, thing: Any, key: str) -> str:
    """Put it back to where it was after an event; the lines of code that do the same."""
    from tinyfactory.journal.checkout import checkout

    checkout(simulation, thing, key)
    name = called(thing)
    if TinyFactory.all_factories.get(name) is thing:
        return f"TinyFactory.all_factories[{name!r}].checkout({key[:12]!r})"
    return (
        "from tinyfactory.journal.checkout import checkout\n"
        f"person = next(p for p in TinyPerson.all_people() if p.name == {name!r})\n"
        f"checkout(simulation, person, {key[:12]!r})"
    )


def simulation_in_code(simulation: Simulation) -> str:
    """The line that gets hold of a simulation; one that is open is not begun again."""
    from tinyfactory.journal.simulation import current_simulation

    if simulation is current_simulation():
        return "simulation = control.current_simulation()"
    if simulation.path.is_file():
        return f"simulation = control.begin(recording={str(simulation.path)!r})"
    return f"simulation = control.begin({str(simulation.path)!r}, {simulation.id!r})"


def history_in_code(simulation: Simulation | None, key: str = "", done: str = "") -> str:
    """The lines that show a simulation's history, explain an event of it, and did what was done."""
    lines = [
        "from tinyfactory import TinyFactory, TinyPerson, control",
        "",
        "simulation = control.begin()" if simulation is None else simulation_in_code(simulation),
        "for line in simulation.lines():\n    print(line)",
    ]
    if key:
        lines.append(f"print(simulation.explain({key[:12]!r}))")
    return "\n".join([*lines, *([done] if done else [])])
