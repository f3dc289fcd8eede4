"""Chat models, and how to choose one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinyfactory import settings
from tinyfactory.errors import InvalidInput
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest, Usage
from tinyfactory.utils.imports import lazy_face

if TYPE_CHECKING:
    from tinyfactory.models.offline import OfflineModel
    from tinyfactory.models.openai import OpenAIModel

__all__ = [
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "OfflineModel",
    "OpenAIModel",
    "Usage",
    "resolve",
]


def resolve(
    model: str | ChatModel | None = None, extra_body: Mapping[str, Any] | None = None
) -> ChatModel:
    """Return the chat model for a name.

    Parameters
    ----------
    model : str or ChatModel, optional
        ``"offline"``, the name of a model at the configured endpoint, or an object with
        `identity` and `complete`, which is returned as it is. None uses the setting
        (`tinyfactory.configure(model=...)`, ``TINYFACTORY_MODEL``, ``OPENAI_MODEL``) or else the
        default model.
    extra_body : dict, optional
        Further fields for the body of each request. The offline model ignores them.

    Raises
    ------
    InvalidInput
        If `model` is anything else, or an object of your own with `extra_body`.

    Examples
    --------
    >>> resolve("gpt-4.1-mini").identity["model"]
    'gpt-4.1-mini'
    """
    if model is None:
        model = settings.get("model")
    if model is None or (isinstance(model, str) and model.strip().lower() != settings.OFFLINE):
        from tinyfactory.models.openai import OpenAIModel  # slow to import

        return OpenAIModel(model, extra_body=extra_body)
    if isinstance(model, str):
        from tinyfactory.models.offline import OfflineModel  # slow to import

        return OfflineModel()
    # A class has these attributes too, but it is not a model.
    if isinstance(model, ChatModel) and not isinstance(model, type):
        if not extra_body:
            return model
        if (extended := getattr(model, "with_extra_body", None)) is not None:
            found: ChatModel = extended(extra_body)
            return found
        if type(model).__module__.startswith("tinyfactory."):
            return model
        raise InvalidInput(
            f"extra_body is for endpoints, and {type(model).__name__} is a model of your own; "
            "nothing was sent. Add the fields in its `complete`."
        )
    raise InvalidInput(
        f"{model!r} is not a chat model; nothing was sent. Use 'offline', the name of a model, "
        "or an object with `identity` and `async def complete(request)`."
    )


# Slow to import: one loads tables, the other asyncio.
__getattr__, __dir__ = lazy_face(
    __name__,
    {"OfflineModel": "offline", "OpenAIModel": "openai"},
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "Usage",
    "resolve",
)
