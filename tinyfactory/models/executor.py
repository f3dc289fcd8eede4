"""Send requests from other processes, through any `concurrent.futures.Executor`.

A worker receives the model and the request and returns the reply; it has no journal.
"""

from __future__ import annotations

import asyncio
import pickle
import uuid
from concurrent.futures import CancelledError, Executor, Future

from tinyfactory.errors import (
    EndpointUnavailable,
    InvalidInput,
    ModelError,
    TinyFactoryError,
)
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest, Json
from tinyfactory.utils.logs import get_logger

log = get_logger("tinyfactory.models")

# How many workers in a row may be lost with one request.
_ATTEMPTS = 3


def answer(model: ChatModel, request: ChatRequest, call: str) -> Json | ModelError:
    """In the worker: the reply as JSON, or the error to raise in the caller.

    `call` makes the arguments of each call unique, because Dask reuses the result of equal calls.
    """
    del call
    try:
        return event_loop.run(model.complete, request).to_json()
    except ModelError as error:
        # Returned, because executors treat exceptions differently, and some retry.
        return type(error)(str(error))


class ExecutorSender:
    """Sends requests through an executor instead of this process.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Of processes, threads, or a cluster (``dask.distributed.Client(...).get_executor()``).

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from tinyfactory.models.offline import OfflineModel
    >>> request = ChatRequest(({"role": "user", "content": "Good morning"},))
    >>> with ThreadPoolExecutor(1) as executor:
    ...     reply = event_loop.run(ExecutorSender(executor).send, OfflineModel(), request)
    >>> reply.finish_reason
    'stop'
    """

    def __init__(self, executor: Executor) -> None:
        if not callable(getattr(executor, "submit", None)):
            raise InvalidInput(
                f"executor must be a concurrent.futures.Executor, not {executor!r}. Nothing was "
                "sent. For Dask, use client.get_executor()."
            )
        self._executor = executor

    async def send(self, model: ChatModel, request: ChatRequest) -> ChatReply:
        """The reply of a worker to a request.

        Raises
        ------
        ModelError
            As raised by the model; `EndpointUnavailable` if several workers in a row were lost.
        InvalidInput
            If the model cannot be pickled.
        """
        # With the settings of this process; the worker's settings may differ.
        bind = getattr(model, "bound", None)
        bound: ChatModel = model if bind is None else bind()
        for attempt in range(1, _ATTEMPTS + 1):
            future = self._submit(bound, request)
            try:
                outcome = await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                if not future.cancelled() or _is_cancelling():
                    future.cancel()
                    raise
                failure: BaseException = CancelledError("the executor cancelled it")
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise InvalidInput(
                    f"{type(model).__name__} cannot be pickled for a worker ({error}). Nothing "
                    "was sent. Use a model whose attributes can be pickled."
                ) from error
            except TinyFactoryError:
                raise
            except Exception as error:  # noqa: BLE001 - each executor has its own errors
                failure = error
            else:
                if isinstance(outcome, ModelError):
                    raise outcome
                return ChatReply.from_json(outcome)
            log.warning("A worker was lost (attempt %d of %d): %r", attempt, _ATTEMPTS, failure)
        raise EndpointUnavailable(
            f"{_ATTEMPTS} workers in a row were lost with this request; the last: {failure!r}. "
            "Finished work is saved. Check the workers, then run it again with a working "
            "executor, or without one."
        ) from failure

    def _submit(self, model: ChatModel, request: ChatRequest) -> Future[Json | ModelError]:
        try:
            return self._executor.submit(answer, model, request, uuid.uuid4().hex)
        except Exception as error:
            raise EndpointUnavailable(
                f"The executor accepts no more work ({error!r}). Finished work is saved. "
                "Create a new executor and run it again."
            ) from error


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
