"""OpenAI's Batch API: many requests in one file, answered within a day, at half the price.

What is at the provider outlives the kernel. So its ids are remembered before and after each
submission, and whoever comes with the same requests goes on waiting instead of paying again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from tinyfactory.errors import Cancelled, InvalidInput, ModelError
from tinyfactory.models import batch_rows, flow
from tinyfactory.models.batch_run import BatchProgress, BatchRun
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.openai import OpenAIModel

__all__ = ["BatchProgress", "complete_batch"]

log = logging.getLogger("tinyfactory.models")


async def complete_batch(
    model: OpenAIModel,
    requests: Mapping[str, ChatRequest],
    *,
    remembered: Json | None,
    remember: Callable[[Json], None],
    arrived: Callable[[str, ChatReply], None],
    progress: Callable[[BatchProgress], None] | None = None,
    poll: float = 10.0,
    most_rows: int = batch_rows.MOST_ROWS,
) -> dict[str, str]:
    """Have all requests answered by batches; returns when the last one has ended.

    Endpoints answer a batch within 24 hours, for half the price of asking one by one (OpenAI,
    https://platform.openai.com/docs/guides/batch). More requests than one file may hold make
    several batches. Whatever ends the wait, the batches run on at the provider, and the next
    call with the same requests and what was remembered submits nothing anew.

    Parameters
    ----------
    model : OpenAIModel
    requests : mapping of str to ChatRequest
        By an id of one's own, which names a request in all that follows.
    remembered : dict or None
        What `remember` was last given, in whichever kernel. It counts for the same model and
        requests only; for others everything is submitted anew.
    remember : callable
        Given plain JSON to keep on disk, without a secret, before and after each submission.
    arrived : callable
        Given the id and the reply of each answered request as soon as it is read, in no
        particular order; once for each in one call, but again by the next call.
    progress : callable, optional
        Given a `BatchProgress` after each look.
    poll : float
        Seconds between looks at first; they grow to six times that.
    most_rows : int
        Requests in one batch, where the endpoint takes fewer than OpenAI does.

    Returns
    -------
    dict of str to str
        For each request without a reply, why: its own error, or a batch that expired or was
        cancelled before its turn. What the endpoint refuses of a request (a temperature, a
        schema) is learnt from that, so that asking these again sends less.

    Raises
    ------
    ModelError
        `RequestRejected` where the endpoint has no Batch API or does not accept the rows,
        `QuotaExhausted` where it accepts no more of them now, and the kinds that any request
        has. Looks that fail are repeated for about half an hour.
    Cancelled
        When the token of `flow.cancellable` was cancelled.

    Examples
    --------
    >>> notes = []
    >>> model = OpenAIModel("m", base_url="http://localhost:1/v1")
    >>> asyncio.run(
    ...     complete_batch(model, {}, remembered=None, remember=notes.append, arrived=print)
    ... )
    {}
    """
    if not isinstance(model, OpenAIModel):
        raise InvalidInput(
            f"{type(model).__name__} has no Batch API; nothing was sent. Ask one by one: "
            "batch=False."
        )
    if not requests:
        return {}
    run = BatchRun(model, requests, remembered, remember, arrived, progress, most_rows)
    try:
        await run.submit()
        await run.wait(poll)
    except ModelError as error:
        if not run.is_out:
            raise
        raise type(error)(f"{error} {run.whereabouts}") from None
    except (asyncio.CancelledError, Cancelled):
        if not run.is_out:
            raise
        log.warning("The wait was stopped. %s", run.whereabouts)
        if (switch := flow.token.get()) is not None and switch.cancelled:
            raise Cancelled(f"The wait was stopped on request. {run.whereabouts}") from None
        raise
    return run.failed
