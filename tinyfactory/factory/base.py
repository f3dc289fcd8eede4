"""`TinyFactory`: the base class of all factories."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.scope import (
    Scope,
    at_begin,
    factories,
    note_birth,
    on_rollback,
    origin_of,
    scope,
)
from tinyfactory.journal.serializer import journaled
from tinyfactory.journal.simulation import Simulation, current_simulation
from tinyfactory.utils.concurrency import new_lock

if TYPE_CHECKING:
    from tinyfactory.journal.records import History

_lock = new_lock()


class TinyFactory:
    """A factory, registered under a unique name; it belongs to a simulation.

    Subclass it to make a factory of your own: write `@transactional` methods, and add your
    attributes to `encode_complete_state` and `decode_complete_state`.

    Parameters
    ----------
    simulation_id : str, optional
        The simulation that it belongs to; the current one by default. A factory made while
        no simulation is open is free: it belongs to the one that is open when it is used.

    Attributes
    ----------
    name : str
        Unique among all factories of this process.
    all_factories : dict of str to TinyFactory
        Every factory, by name.

    Examples
    --------
    >>> class ProductFactory(TinyFactory):
    ...     def __init__(self, brand):
    ...         super().__init__()
    ...         self.brand = brand
    ...     def encode_complete_state(self):
    ...         return super().encode_complete_state() | {"brand": self.brand}
    ...     def decode_complete_state(self, state):
    ...         self.brand = state["brand"]
    ...         return super().decode_complete_state(state)
    >>> factory = ProductFactory("Acme")
    >>> factory.encode_complete_state()["brand"]
    'Acme'
    >>> factory.decode_complete_state({"brand": "Bolt"}).brand
    'Bolt'

    A copy (`copy`, `deepcopy`, `pickle`) has its own state under a name of its own:

    >>> twin = copy.deepcopy(factory)
    >>> twin.encode_complete_state()["name"] == factory.name
    False
    """

    all_factories: ClassVar[dict[str, TinyFactory]] = factories
    # These only tell equal factories of one run apart, so they stay out of event keys.
    _not_in_journal: ClassVar[tuple[str, ...]] = ("name", "simulation_id")

    name: str
    simulation_id: str | None

    def __init__(self, simulation_id: str | None = None) -> None:
        simulation = current_simulation()
        if simulation_id is None and simulation is not None:
            simulation_id = simulation.id
        self.simulation_id = simulation_id
        self._register_anew()
        note_birth(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        journaled(cls)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, simulation_id={self.simulation_id!r})"

    # -- the register of factories ----------------------------------------------------

    @staticmethod
    def add_factory(factory: TinyFactory) -> None:
        """Register a factory under its name.

        Raises
        ------
        ValueError
            If another factory has the name. Nothing is changed then.
        """
        with _lock:
            holder = TinyFactory.all_factories.setdefault(factory.name, factory)
        if holder is not factory:
            raise InvalidInput(
                f"There is already a factory named {factory.name!r} ({holder!r}). Nothing was "
                "changed. Choose another name, or call TinyFactory.clear_factories() first."
            )
        on_rollback(lambda: TinyFactory._remove(factory))

    @staticmethod
    def _remove(factory: TinyFactory) -> None:
        with _lock:
            if TinyFactory.all_factories.get(factory.name) is factory:
                del TinyFactory.all_factories[factory.name]

    @staticmethod
    def set_simulation_for_free_factories(simulation: Simulation) -> None:
        """Assign all free factories to this simulation."""
        for factory in list(TinyFactory.all_factories.values()):
            if factory.simulation_id is None:
                factory.simulation_id = simulation.id

    @staticmethod
    def clear_factories() -> None:
        """Remove all factories from the register; numbering starts again at 1."""
        with _lock:
            before = dict(TinyFactory.all_factories)
            TinyFactory.all_factories.clear()
        on_rollback(lambda: TinyFactory.all_factories.update(before))
        for factory in before.values():
            scope(factory.simulation_id).numbers.pop(f"factory {type(factory).__name__}", None)

    def _register_anew(self) -> None:
        """Register under the next free name, so that the same notebook gives the same names."""
        kind = type(self).__name__
        here = scope(self.simulation_id)
        with _lock:
            while True:
                self.name = f"{kind} {here.number('factory ' + kind)}"
                if self.name not in TinyFactory.all_factories:
                    TinyFactory.all_factories[self.name] = self
                    break
        on_rollback(lambda: TinyFactory._remove(self))

    def _join_simulation(self, simulation_id: str) -> Self:
        """Register an object that was replayed from a journal."""
        self.simulation_id = simulation_id
        self._register_anew()
        return self

    def _leave_simulation(self, simulation_id: str) -> None:
        """Remove the factories that came from the same event from the register."""
        for factory in list(TinyFactory.all_factories.values()):
            here = factory.simulation_id == simulation_id
            if here and origin_of(factory) and origin_of(factory) == origin_of(self):
                TinyFactory._remove(factory)
                on_rollback(functools.partial(TinyFactory.add_factory, factory))

    # -- history ----------------------------------------------------------------

    def history(self) -> History:
        """The events that this factory went through in this run, as a table.

        Raises
        ------
        InvalidInput
            If no simulation is open, because then no events are saved.
        """
        from tinyfactory.journal.timeline import history_of

        return history_of(scope(self.simulation_id), self)

    def checkout(self, event: str | int | None) -> Self:
        """Go back to the state after an event; continuing from there branches.

        People made later leave the simulation. Nothing is deleted from the journal, so the same
        calls made again replay them.

        Parameters
        ----------
        event : str, int or None
            An event's key or the beginning of a key, its number in `history()`, or None for the
            state before the first event.

        Raises
        ------
        InvalidInput
            If there is no such event. Nothing is changed then.
        """
        from tinyfactory.journal.checkout import checkout

        checkout(scope(self.simulation_id), self, event)
        return self

    # -- state ------------------------------------------------------------------------

    def encode_complete_state(self) -> dict[str, Any]:
        """A deep copy of the factory's state, as plain JSON values.

        A subclass with attributes of its own adds them to the returned dictionary.
        """
        return {"name": self.name, "simulation_id": self.simulation_id}

    def decode_complete_state(self, state: dict[str, Any]) -> Self:
        """Restore a state from `encode_complete_state`, and return the factory.

        The saved name is restored too, unless another factory has it now; then this factory
        keeps its present name.
        """
        state = copy.deepcopy(state)
        if "simulation_id" in state:
            self.simulation_id = state["simulation_id"]
        name = state.get("name")
        if name is not None and name != getattr(self, "name", None):
            with _lock:
                if name not in TinyFactory.all_factories:
                    if TinyFactory.all_factories.get(getattr(self, "name", "")) is self:
                        del TinyFactory.all_factories[self.name]
                    self.name = name
                    TinyFactory.all_factories[name] = self
        return self

    # -- copies -----------------------------------------------------------------------

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a factory with a copy of the state, under the next free name."""
        twin = _restored(type(self), self.encode_complete_state())
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the state alone: no job, and no model object, which may hold a key."""
        return _restored, (type(self), self.encode_complete_state())


_Factory = TypeVar("_Factory", bound=TinyFactory)


def _restored(cls: type[_Factory], state: dict[str, Any]) -> _Factory:
    """Make a factory with this state, under its name if that is free, else under the next one.

    It belongs to the same simulation if that is open here; otherwise to the current one.
    """
    factory = cls.__new__(cls)
    kept = state.get("simulation_id")
    if scope(kept).id != kept:
        simulation = current_simulation()
        kept = None if simulation is None else simulation.id
    rest = {key: value for key, value in state.items() if key != "name"}
    factory.decode_complete_state(rest | {"simulation_id": kept})
    name = state["name"]
    with _lock:
        free = TinyFactory.all_factories.setdefault(name, factory) is factory
    if free:
        factory.name = name
        on_rollback(lambda: TinyFactory._remove(factory))  # noqa: SLF001 - this module's own
    else:
        factory._register_anew()  # noqa: SLF001
    return factory


journaled(TinyFactory)


@at_begin
def _forget(simulation: Scope) -> None:
    """Remove the factories of an earlier run when a simulation begins."""
    for factory in list(TinyFactory.all_factories.values()):
        if factory.simulation_id == simulation.id:
            TinyFactory._remove(factory)  # noqa: SLF001 - this module's own
