"""Chat models behind one protocol, and how a model is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyfactory.utils.imports import lazy_face

if TYPE_CHECKING:
    from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest, Usage
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
    """The chat model that is meant.

    Parameters
    ----------
    model : str or ChatModel, optional
        ``"offline"``, the name of a model at the endpoint of the settings, or an object with
        `identity` and `complete`. None takes the setting (`tinyfactory.configure(model=...)`,
        ``TINYFACTORY_MODEL``, ``OPENAI_MODEL``), and without one the default model.

    Raises
    ------
    InvalidInput
        For anything else.

    Examples
    --------
    >>> resolve("gpt-4.1-mini").identity["model"]
    'gpt-4.1-mini'
    """
    from tinyfactory import settings
    from tinyfactory.errors import InvalidInput
    from tinyfactory.models.chat import ChatModel

    if model is None:
        model = settings.get("model")
    if model is None or (isinstance(model, str) and model.strip().lower() != settings.OFFLINE):
        from tinyfactory.models.openai import OpenAIModel

        return OpenAIModel(model)
    if isinstance(model, str):
        from tinyfactory.models.offline import OfflineModel

        return OfflineModel()
    # A class has the attributes too, but cannot be asked.
    if isinstance(model, ChatModel) and not isinstance(model, type):
        return model
    raise InvalidInput(
        f"{model!r} is no chat model; nothing was sent. Give 'offline', the name of a model, or "
        "an object with `identity` and `async def complete(request)`."
    )


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "ChatModel": "chat",
        "ChatReply": "chat",
        "ChatRequest": "chat",
        "OfflineModel": "offline",
        "OpenAIModel": "openai",
        "Usage": "chat",
    },
    "resolve",
)
