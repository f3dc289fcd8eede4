"""Chat models, and how to choose one."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def resolve(model: str | ChatModel | None = None) -> ChatModel:
    """Return the chat model for a name.

    Parameters
    ----------
    model : str or ChatModel, optional
        ``"offline"``, the name of a model at the configured endpoint, or an object with
        `identity` and `complete`, which is returned as it is. None uses the setting
        (`tinyfactory.configure(model=...)`, ``TINYFACTORY_MODEL``, ``OPENAI_MODEL``) or else the
        default model.

    Raises
    ------
    InvalidInput
        If `model` is anything else.

    Examples
    --------
    >>> resolve("gpt-4.1-mini").identity["model"]
    'gpt-4.1-mini'
    """
    if model is None:
        model = settings.get("model")
    if model is None or (isinstance(model, str) and model.strip().lower() != settings.OFFLINE):
        from tinyfactory.models.openai import OpenAIModel  # slow to import

        return OpenAIModel(model)
    if isinstance(model, str):
        from tinyfactory.models.offline import OfflineModel  # slow to import

        return OfflineModel()
    # A class has these attributes too, but it is not a model.
    if isinstance(model, ChatModel) and not isinstance(model, type):
        return model
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
