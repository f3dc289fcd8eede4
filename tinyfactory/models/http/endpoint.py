"""Where requests go: address, model and key as they are at one call, and what must hold."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from tinyfactory.errors import InvalidInput, NotConfigured
from tinyfactory.models.chat import Json
from tinyfactory.models.http.responses import scrub


def checked(base_url: str) -> str:
    """The address of a server, or `InvalidInput` for what cannot be one."""
    parts = urlsplit(base_url.strip())
    try:
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        sound = False
    if not sound:
        raise InvalidInput(
            f"{scrub(base_url)!r} is no address of a server; nothing was sent. A base URL looks "
            "like http://localhost:11434/v1."
        )
    return base_url.strip()


@dataclass(frozen=True, slots=True)
class Target:
    """One model at one endpoint.

    Parameters
    ----------
    base_url : str
    model : str
    key : str, optional
    azure_version : str, optional
        The API version, where the endpoint is an Azure resource.
    """

    base_url: str = field(repr=False)  # may hold a password
    model: str
    key: str | None = field(repr=False)
    azure_version: str | None = None

    @property
    def endpoint(self) -> str:
        """The address without credentials, query and trailing slash."""
        parts = urlsplit(self.base_url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))

    @property
    def official(self) -> bool:
        """Whether this is OpenAI itself (or a region of it) or Azure, which want a key."""
        host = urlsplit(self.base_url).hostname or ""
        return bool(self.azure_version) or f".{host}".endswith(".api.openai.com")

    @property
    def what(self) -> str:
        """Model and endpoint, as they stand in messages."""
        return f"{self.model} at {self.endpoint}"

    def identity(self) -> Json:
        """The target as JSON, without a secret."""
        if self.azure_version is None:
            return {"kind": "openai", "model": self.model, "endpoint": self.endpoint}
        return {
            "kind": "azure",
            "endpoint": self.endpoint,
            "api_version": self.azure_version,
            "deployment": self.model,
        }

    def check_key(self) -> None:
        """Refuse what cannot work before anything is sent."""
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            # Said here, because the client's own error would print the key.
            raise NotConfigured(
                "The API key holds a line break or a character that no key has; nothing was "
                "sent. Set it again, without quotes and spaces around it."
            )
        if self.key or not self.official or (self.azure_version and _azure_token()):
            return
        variable = "AZURE_OPENAI_API_KEY" if self.azure_version else "OPENAI_API_KEY"
        raise NotConfigured(
            f"There is no API key for {self.endpoint}; nothing was sent. Either set "
            f"{variable} or call tinyfactory.configure(api_key=getpass()); or go on "
            "without a key and a model: set TINYFACTORY_MODEL=offline or call "
            'tinyfactory.configure(model="offline").'
        )

    def secrets(self) -> tuple[str, ...]:
        """What must appear in no message."""
        password = urlsplit(self.base_url).password
        return tuple(s for s in (self.key, password, _azure_token()) if s)


def _azure_token() -> str | None:
    """A token of Azure's directory, which the client reads from here by itself."""
    return os.environ.get("AZURE_OPENAI_AD_TOKEN")
