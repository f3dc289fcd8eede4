"""`@transactional`: makes a method atomic, and saves and replays its calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from threading import get_ident
from typing import Any, TypeVar, overload

from tinyfactory.journal.key import Method, check_method
from tinyfactory.journal.transaction import Transaction, current_transaction
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
    their own. The method works on copies of the lists and dictionaries in its arguments, and its
    caller gets a copy of the result; factories and people in them are the same objects.

    Parameters
    ----------
    version : str, optional
        The method's version in the event's key; by default a digest of its source, so that
        an edited method runs again.
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

    Raises
    ------
    InvalidInput
        At decoration, for anything but a method, a coroutine method or a class method.
    NotSerialisable
        At the call, before the method runs, for an argument that is not JSON.

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
        check_method(wrapped, (*(touches or ()), *ignore, *locks))
        method = Method(wrapped, version, touches, request, ignore, locks)
        run = _run_async if inspect.iscoroutinefunction(wrapped) else _run

        if inspect.iscoroutinefunction(wrapped):

            @functools.wraps(wrapped)
            async def step(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                return await run(method, self, args, kwargs)
        else:

            @functools.wraps(wrapped)
            def step(self: Any, /, *args: Any, **kwargs: Any) -> Any:
                return run(method, self, args, kwargs)

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
