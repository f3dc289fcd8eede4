"""The model that a user configures: any endpoint with OpenAI's chat completions."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import InvalidInput
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.http.endpoint import Target, target
from tinyfactory.models.http.request import complete
from tinyfactory.models.http.retry import RetryPolicy
from tinyfactory.models.progress import Progress


class OpenAIModel:
    """A model at OpenAI, Azure OpenAI, or any compatible server (Ollama, vLLM, llama.cpp, ...).

    Parameters that are not given are read from the settings at each use, so one object follows
    `tinyfactory.configure`. Threads and event loops may share it.

    Parameters
    ----------
    model : str, optional
        Its name at the endpoint; for Azure, the deployment.
    base_url : str, optional
        Address of the endpoint, for most servers ending in ``/v1``.
    api_key : str, optional
        Held in memory only; it appears in no repr, identity, log or error.
    retry : RetryPolicy, optional
        How long and how often to send a failed request again.
    extra_body : dict, optional
        Further fields for the body of each request, beside those of `configure(extra_body=...)`.

    Examples
    --------
    >>> model = OpenAIModel("llama3.2", base_url="http://localhost:11434/v1")
    >>> model.identity
    {'kind': 'openai', 'model': 'llama3.2', 'endpoint': 'http://localhost:11434/v1'}
    """

    # `complete` takes `before_retry`, so that a budget is asked before each further request, and
    # `progress`, which it keeps up to date.
    _tells_before_retry = True

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        retry: RetryPolicy | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        if model is not None and not isinstance(model, str):
            raise InvalidInput(f"model must be a name, not {model!r:.80}. Nothing was sent.")
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise InvalidInput(
                f"retry must be a RetryPolicy such as RetryPolicy(attempts=3), not {retry!r:.80}. "
                "Nothing was sent."
            )
        self._model = settings.check("model", model)
        self._base_url = settings.check("base_url", base_url)
        self._api_key = settings.check("api_key", api_key)
        self._target: Target | None = None
        self._extra_body = settings.check("extra_body", extra_body) or {}
        self.retry = retry or RetryPolicy()

    @property
    def identity(self) -> Json:
        """Kind, model and endpoint as JSON; known without a key, and without secrets."""
        return self.target().identity()

    async def complete(
        self,
        request: ChatRequest,
        *,
        before_retry: Callable[[], None] | None = None,
        progress: Progress | None = None,
    ) -> ChatReply:
        """Ask the endpoint and return its reply, from any event loop.

        Parameters
        ----------
        request : ChatRequest
        before_retry : callable, optional
            Called before every HTTP request of this call but the first. If it raises, the
            request is not sent and the error is passed on.
        progress : Progress, optional
            Kept up to date while the reply is awaited.

        Returns
        -------
        ChatReply
            Its `text` as the model wrote it, not yet parsed. A refusal and a truncated answer
            are replies too (`refusal`, `finish_reason`).

        Raises
        ------
        NotConfigured
            If the endpoint needs a key and there is none; raised before anything is sent.
        ModelError
            Another of its kinds, if no answer came within the limits of `RetryPolicy`.
        """
        where = self.target()
        where.check_key()
        return await event_loop.arun(complete, where, request, self.retry, before_retry, progress)

    def __repr__(self) -> str:
        return f"OpenAIModel({self._name()!r})"

    def bound(self) -> OpenAIModel:
        """The model with its present settings, key included; for a process with other settings."""
        copied = OpenAIModel(self._model, retry=self.retry)
        copied._target = self.target()
        return copied

    def with_extra_body(self, fields: Mapping[str, Any]) -> OpenAIModel:
        """The same model with further fields for the body of each request."""
        copied = copy.copy(self)
        copied.__dict__["_extra_body"] = self._extra_body | settings.check("extra_body", fields)
        return copied

    def target(self) -> Target:
        """The address, model and key that it uses with the present settings."""
        if self._target is not None:
            return self._target
        fields = (settings.get("extra_body") or {}) | self._extra_body
        extra = json.dumps(fields, sort_keys=True) if fields else ""
        azure = settings.azure() if self._base_url is None else None
        if azure is not None:
            key = self._api_key or azure.api_key
            return target(azure.endpoint, self._name(), key, azure.api_version, extra)
        base_url = self._base_url or settings.get("base_url")
        key = self._api_key or settings.get("api_key")
        return target(base_url, self._name(), key, extra=extra)

    def _name(self) -> str:
        configured = self._model or settings.get("model")
        if isinstance(configured, str) and configured.strip().lower() != settings.OFFLINE:
            return configured.strip()
        return settings.DEFAULT_MODEL
