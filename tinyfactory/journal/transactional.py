"""`@transactional`: makes a method atomic, and saves and replays its calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from threading import get_ident
from typing import Any, TypeVar, overload

from tinyfactory.journal.key import Method, check_method
from tinyfactory.journal.transactions.transaction import Transaction, current_transaction
from tinyfactory.utils.concurrency import deferred_interrupts

Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = ["current_transaction", "transactional"]


@overload
def transactional(function: Function, /) -> Function: ...


@overload
def transactional(
    *,
    version: str | None = None,
    touches: tuple[str, ...] | None = None,
    request: Callable[..., Any] | None = None,
    ignore: tuple[str, ...] = (),
    locks: tuple[str, ...] = (),
    edit: bool = False,
    derived: tuple[str, ...] = (),
) -> Callable[[Function], Function]: ...


def transactional(
    function: Any = None,
    /,
    *,
    version: str | None = None,
    touches: tuple[str, ...] | None = None,
    request: Callable[..., Any] | None = None,
    ignore: tuple[str, ...] = (),
    locks: tuple[str, ...] = (),
    edit: bool = False,
    derived: tuple[str, ...] = (),
) -> Any:
    """Make a method atomic, and save its calls in the journal of the open simulation.

    If the method raises (an error, Ctrl-C, a cancelled task), every object that it changed is
    restored. In a simulation the result and the changes are saved, and the same call at the same
    place is replayed without running the method. Without a simulation the method is atomic and
    nothing is saved.

    The method's object takes part, and every factory and person anywhere in its arguments. Another
    object takes part from the first attribute that is assigned to it in the method. What cannot be
    seen is a change inside a list or dictionary of an object that does not take part
    (``self.friend.names.append(...)``), and what the people of a job change in other objects than
    their own. The method works on copies of the lists and dictionaries in its arguments and in the
    attributes of the objects that take part, and its caller gets a copy of the result; factories
    and people in them are the same objects.

    Parameters
    ----------
    version : str, optional
        The method's version in the event's key; by default a digest of its code and of what
        the code names, so that an edited method runs again (see Notes).
    touches : tuple of str, optional
        The parameters (including ``"self"``) whose objects the method changes. By default all
        that have a state; they are copied before the call and locked during it. With ``()`` the
        method changes nothing itself and calls ``current_transaction().stage(change)``.
    request : callable, optional
        Called with the method's arguments; returns the model request as JSON for the key.
    ignore : tuple of str
        Parameters that do not enter the key, such as a progress callback.
    locks : tuple of str
        With ``touches=()`` several calls on one object run at the same time. Those of a method
        that reads what it will change run one after another with ``locks=("self",)``.
    edit : bool
        Whether the method only changes its object, with no model. In a recording that is opened
        for replay, an edit that was not recorded runs and is kept in memory.
    derived : tuple of str
        Parameters that follow from the state of objects, such as the values of a prompt. A
        recording is searched without them.

    Objects that the call may change stay locked until the outermost call ends. Calls on one object
    run one after another, except those of a method that declares ``touches=()``. Tasks, and threads
    with the context of the call (``contextvars.copy_context().run``), belong to it; a call in
    another thread is an event of its own, which this call neither rolls back nor replays.

    Raises
    ------
    Deadlock
        If the call would wait for ever for an object that another call has locked.
    ObjectLocked
        If it waited longer than the setting `lock_timeout` without progress of that call.
    InvalidInput
        At decoration, for anything but a method, a coroutine method or a class method.
    NotSerialisable
        At the call, before the method runs, for an argument that is not JSON.

    Notes
    -----
    The version covers the method and, transitively, what it names of your own code: functions,
    methods and attributes of its class, classes, and constants (None, numbers, texts, and
    tuples of these). Other values, such as lists and dictionaries, count by the expression that
    they are assigned in the same cell or in their module, not by their content. Comments,
    layout and docstrings do not count, and the version is the same on Python 3.11, 3.12 and
    3.13. It is compared at each call, so a function that another cell defines again counts from
    the next call. The source is captured when the class is defined; if it is not the code that
    runs, a warning says so and the loaded code counts instead, for this version of Python only.

    The version does not cover Python, installed packages and tinyfactory itself; the content of
    lists, dictionaries and objects, and those that another cell assigns; names that your
    functions set with ``global`` or ``nonlocal``, and attributes that are set on a class; state
    of objects that are no arguments; files; what is reached only through computed names
    (``getattr(thing, name)``) or operators (``a + b``, ``len(a)``) of the method's own class;
    methods that you override in `TinyPersonFactory`; and methods of objects whose class appears
    neither in the code, the annotations, ``__init__`` nor the arguments. Versions of earlier
    releases covered the method alone: their events are still replayed, also if a helper was
    edited since. To decide yourself when an event is new, give a `version`.

    Examples
    --------
    >>> from tinyfactory import TinyFactory
    >>> class Shop(TinyFactory):
    ...     stock = 1
    ...     @transactional
    ...     def sell(self):
    ...         self.stock -= 1
    ...         if self.stock < 0:
    ...             raise ValueError("sold out")
    >>> shop = Shop()
    >>> shop.sell()
    >>> shop.sell()
    Traceback (most recent call last):
        ...
    ValueError: sold out
    >>> shop.stock
    0
    """

    def decorate(wrapped: Any) -> Any:
        check_method(wrapped, (*(touches or ()), *ignore, *locks, *derived))
        method = Method(
            wrapped, version, touches, request, ignore, locks, edit=edit, derived=derived
        )
        run = _run_async if inspect.iscoroutinefunction(wrapped) else _run

        if inspect.iscoroutinefunction(wrapped):

            @functools.wraps(wrapped)
            async def step(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                # Not `method`: a tool that reloads modules replaces the attribute.
                return await run(step.transactional, self, args, kwargs)  # type: ignore[attr-defined]
        else:

            @functools.wraps(wrapped)
            def step(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                return run(step.transactional, self, args, kwargs)  # type: ignore[attr-defined]

        step.transactional = method  # type: ignore[attr-defined]  # used by the job runner
        return step

    return decorate if function is None else decorate(function)


def _run(method: Method, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # Ctrl-C is raised only in the method's body and while waiting. Anywhere else it could leave a
    # lock held, or a call neither stored nor rolled back.
    with deferred_interrupts() as interrupts:
        tx = Transaction(method.bind(owner, args, kwargs))
        tx.locks.thread = get_ident()
        try:
            while not tx.try_lock(0.1):
                interrupts.check()
            tx.open()
            while (record := tx.look_up()) is not None:
                while not tx.try_lock(0.1):
                    interrupts.check()
                if tx.replay(record):
                    return tx.result
            tx.looked_up()
            while True:
                with tx.active(), interrupts.allowed():
                    result = method.run(owner, args, kwargs)
                while not tx.try_lock(0.1):
                    interrupts.check()
                if tx.commit(result):
                    return tx.result
                tx.begin_again()
        except BaseException:
            tx.roll_back()
            raise
        finally:
            tx.release()


async def _run_async(
    method: Method, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    # The same steps with the same guarantees: no step is interrupted half way, and a task is
    # cancelled at an await only, in the body or while it waits for a lock.
    import asyncio  # slow to import

    with deferred_interrupts():
        tx = Transaction(method.bind(owner, args, kwargs))
        tx.locks.loop = asyncio.get_running_loop()
    try:
        await tx.lock_async()
        with deferred_interrupts():
            tx.open()
            record = tx.look_up()
        while record is not None:
            await tx.lock_async()
            with deferred_interrupts():
                if tx.replay(record):
                    return tx.result
                record = tx.look_up()
        with deferred_interrupts():
            tx.looked_up()
        while True:
            with tx.active():
                result = await method.run(owner, args, kwargs)
            await tx.lock_async()
            with deferred_interrupts():
                if tx.commit(result):
                    return tx.result
                tx.begin_again()
    except BaseException:
        with deferred_interrupts():
            tx.roll_back()
        raise
    finally:
        with deferred_interrupts():
            tx.release()
