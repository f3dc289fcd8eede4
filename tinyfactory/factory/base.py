"""`TinyFactory`: the base class of all factories."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from tinyfactory.errors import InvalidInput
from tinyfactory.journal.scopes.context import on_rollback
from tinyfactory.journal.scopes.reruns import note_birth
from tinyfactory.journal.scopes.scope import Scope, at_begin, factories, origin_of, scope
from tinyfactory.journal.simulation import Simulation, current_simulation
from tinyfactory.journal.values.serializer import journaled
from tinyfactory.journal.values.state import has_own_state, own_state, restore_own
from tinyfactory.utils.concurrency import Aside, new_lock

if TYPE_CHECKING:
    from tinyfactory.journal.records import History

_lock = new_lock()
# The names that factories were given here; a user's class may set `name` to another one.
_given_names: Aside[str] = Aside()


class TinyFactory:
    """A factory, registered under a unique name; it belongs to a simulation.

    Subclass it to make a factory of your own and write `@transactional` methods. All attributes are
    its state: they are restored after an error, saved, and replayed. They hold JSON values (also
    tuples), people and other factories. An attribute that is no part of the state is named in
    ``_transient``; chat models, locks, loggers, open files and the like never are. An object that
    a journal restores is made without `__init__`, so give such attributes a default on the class.
    A class with an `encode_complete_state` of its own decides itself what its state is: the base
    class adds only the name and the simulation to it.

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
    ...         self.requests = 0
    ...     _transient = ("requests",)
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
    # Attributes that the encoders below save themselves; see `tinyfactory.journal.values.state`.
    _encoded: ClassVar[tuple[str, ...]] = ("name", "simulation_id")
    # Attributes of a subclass that are no part of its state.
    _transient: ClassVar[tuple[str, ...]] = ()

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

    @property
    def _not_in_journal(self) -> tuple[str, ...]:
        """The keys of the state that tell equal factories of one run apart: not in event keys."""
        # A user's class may have its own use for the attribute `name`.
        named = has_own_state(type(self)) and self._name_here() != _given_names.get(self)
        return ("simulation_id",) if named else ("name", "simulation_id")

    def _name_here(self) -> str | None:
        return getattr(self, "name", None)  # a subclass may not have called `__init__` yet

    def __repr__(self) -> str:
        # Also of an object whose class does not call `__init__` of this one.
        name, simulation_id = self._name_here(), getattr(self, "simulation_id", None)
        return f"{type(self).__name__}(name={name!r}, simulation_id={simulation_id!r})"

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
        _given_names.put(self, self.name)
        on_rollback(lambda: TinyFactory._remove(self))

    def _join_simulation(self, simulation_id: str) -> Self:
        """Register an object that was replayed from a journal."""
        own = self._name_here()  # only a name that a user's class set is in the journal
        if own is not None:
            TinyFactory._remove(self)
        self.simulation_id = simulation_id
        self._register_anew()
        if own is not None:
            self.name = own
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
        """A deep copy of the factory's state: JSON values by attribute.

        It has all attributes except machinery and those in ``_transient``. Other factories and
        people in it are the same objects, not copies.

        Raises
        ------
        NotSerialisable
            For an attribute that JSON cannot hold, or that holds a secret.
        """
        own = {"name": self._name_here(), "simulation_id": getattr(self, "simulation_id", None)}
        return own | own_state(self)

    def decode_complete_state(self, state: dict[str, Any]) -> Self:
        """Restore a state from `encode_complete_state`, and return the factory.

        Attributes that are not in the state disappear. The saved name is restored too, unless
        another factory has it now; then this factory keeps its present name.
        """
        if "simulation_id" in state:
            self.simulation_id = state["simulation_id"]
        restore_own(self, state)
        name, present = state.get("name"), self._name_here()
        if name is not None and name != present:
            with _lock:
                if TinyFactory.all_factories.get(name) not in (None, self):
                    return self
                registered = TinyFactory.all_factories.get(present or "") is self
                if registered:
                    del TinyFactory.all_factories[self.name]
                self.name = name
                if registered or present is None or not has_own_state(type(self)):
                    TinyFactory.all_factories[name] = self
        return self

    # -- copies -----------------------------------------------------------------------

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a factory with a copy of the state, under the next free name."""
        twin = memo[id(self)] = _blank(type(self))
        twin.__setstate__(copy.deepcopy(self.encode_complete_state(), memo))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or pickle the state alone: no job, and no model object, which may hold a key."""
        return _blank, (type(self),), self.encode_complete_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a copied state, under its name if that is free, else under the next one.

        The factory belongs to the same simulation if that is open here; otherwise to the current
        one.
        """
        kept = state.get("simulation_id")
        if scope(kept).id != kept:
            simulation = current_simulation()
            kept = None if simulation is None else simulation.id
        rest = {key: value for key, value in state.items() if key != "name"}
        self.decode_complete_state(rest | {"simulation_id": kept})
        name = state["name"]
        with _lock:
            free = TinyFactory.all_factories.setdefault(name, self) is self
        if free:
            self.name = name
            on_rollback(lambda: TinyFactory._remove(self))
        else:
            self._register_anew()


_Factory = TypeVar("_Factory", bound=TinyFactory)


def _blank(cls: type[_Factory]) -> _Factory:
    """Make a factory without a state, which follows; it may refer to the factory itself."""
    return cls.__new__(cls)


journaled(TinyFactory)


@at_begin
def _forget(simulation: Scope) -> None:
    """Remove the factories of an earlier run when a simulation begins."""
    for factory in list(TinyFactory.all_factories.values()):
        if factory.simulation_id == simulation.id:
            TinyFactory._remove(factory)  # noqa: SLF001 - this module's own
