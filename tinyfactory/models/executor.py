"""Asking a model in another process: any `concurrent.futures.Executor` makes the calls.

The worker is given the model and the request, and gives back the reply; it sees no journal.
"""

from __future__ import annotations

import asyncio
import logging
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

log = logging.getLogger("tinyfactory.models")

# How often a request is handed out again whose worker was lost.
_ATTEMPTS = 3


def answer(model: ChatModel, request: ChatRequest, call: str) -> Json | ModelError:
    """In the worker: the reply as JSON, or the error that the caller is to raise.

    `call` makes each call another one: Dask takes the result of an equal one it knows.
    """
    del call
    try:
        return event_loop.run(model.complete, request).to_json()
    except ModelError as error:
        # Not raised: executors differ in what they make of that, and some ask again.
        return type(error)(str(error))


class Elsewhere:
    """Sends requests through an executor; for `hooks.sending`.

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
    ...     reply = event_loop.run(Elsewhere(executor).send, OfflineModel(), request)
    >>> reply.finish_reason
    'stop'
    """

    def __init__(self, executor: Executor) -> None:
        if not callable(getattr(executor, "submit", None)):
            raise InvalidInput(
                f"executor must be a concurrent.futures.Executor, not {executor!r}. Nothing was "
                "sent. For Dask, give client.get_executor()."
            )
        self._executor = executor

    async def send(self, model: ChatModel, request: ChatRequest) -> ChatReply:
        """The reply that a worker got.

        Raises
        ------
        ModelError
            As the model; `EndpointUnavailable` when workers were lost again and again.
        """
        # As the settings are here: those of the worker are other ones.
        bound = getattr(model, "bound", None)
        there: ChatModel = model if bound is None else bound()
        for attempt in range(1, _ATTEMPTS + 1):
            future = self._submit(there, request)
            try:
                outcome = await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                if not future.cancelled() or _is_stopping():
                    future.cancel()
                    raise
                trouble: BaseException = CancelledError("the executor gave it up")
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise InvalidInput(
                    f"{type(model).__name__} could not be handed to a worker ({error}). Nothing "
                    "was sent. A model for an executor must be made of what pickle can carry."
                ) from error
            except TinyFactoryError:
                raise
            except Exception as error:  # noqa: BLE001 - each executor has errors of its own
                trouble = error
            else:
                if isinstance(outcome, ModelError):
                    raise outcome
                return ChatReply.from_json(outcome)
            log.warning("A worker was lost (attempt %d of %d): %r", attempt, _ATTEMPTS, trouble)
        raise EndpointUnavailable(
            f"{_ATTEMPTS} workers in a row were lost with this request; the last: {trouble!r}. "
            "What was finished before is kept. Look at the workers, and run it again with a "
            "working executor, or without one."
        ) from trouble

    def _submit(self, model: ChatModel, request: ChatRequest) -> Future[Json | ModelError]:
        try:
            return self._executor.submit(answer, model, request, uuid.uuid4().hex)
        except Exception as error:
            raise EndpointUnavailable(
                f"The executor takes no more work ({error!r}). What was finished before is kept. "
                "Make a new one and run it again."
            ) from error


def _is_stopping() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
