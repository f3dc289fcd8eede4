"""The address, model and key of a request."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from tinyfactory.errors import InvalidInput, NotConfigured
from tinyfactory.models.chat import Json
from tinyfactory.redaction import scrub


@dataclass(frozen=True)
class Target:
    """One model at one endpoint.

    Parameters
    ----------
    base_url : str
    model : str
    key : str, optional
    azure_version : str, optional
        The API version, if the endpoint is an Azure resource.
    """

    base_url: str = field(repr=False)  # may hold a password
    model: str
    key: str | None = field(repr=False)
    azure_version: str | None = None

    @functools.cached_property
    def endpoint(self) -> str:
        """The address without credentials, query and trailing slash."""
        parts = urlsplit(self.base_url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))

    @functools.cached_property
    def what(self) -> str:
        """Model and endpoint, for messages."""
        return f"{self.model} at {self.endpoint}"

    @property
    def official(self) -> bool:
        """Whether this is OpenAI itself (or a region of it) or Azure, which need a key."""
        host = urlsplit(self.base_url).hostname or ""
        return bool(self.azure_version) or f".{host}".endswith(".api.openai.com")

    def identity(self) -> Json:
        """The target as JSON, without secrets."""
        if self.azure_version is None:
            return {"kind": "openai", "model": self.model, "endpoint": self.endpoint}
        return {
            "kind": "azure",
            "endpoint": self.endpoint,
            "api_version": self.azure_version,
            "deployment": self.model,
        }

    def check_key(self) -> None:
        """Raise `NotConfigured` if the key is missing or malformed."""
        if self.key:
            if not (self.key.isascii() and self.key.isprintable()):
                # Checked here, because the client's own error would print the key.
                raise NotConfigured(
                    "The API key contains a line break or a character that is not allowed in a "
                    "key; nothing was sent. Set it again, without quotes or spaces around it."
                )
            return
        if not self.official or (self.azure_version and _azure_token()):
            return
        variable = "AZURE_OPENAI_API_KEY" if self.azure_version else "OPENAI_API_KEY"
        raise NotConfigured(
            f"There is no API key for {self.endpoint}; nothing was sent. Either set "
            f"{variable} or call tinyfactory.configure(api_key=getpass()); or continue without "
            "a key and a model: set TINYFACTORY_MODEL=offline or call "
            'tinyfactory.configure(model="offline").'
        )

    def secrets(self) -> tuple[str, ...]:
        """Texts that must not appear in messages."""
        password = urlsplit(self.base_url).password
        return tuple(s for s in (self.key, password, _azure_token()) if s)


@functools.lru_cache(maxsize=64)
def target(
    base_url: str, model: str, key: str | None = None, azure_version: str | None = None
) -> Target:
    """The target for a base URL; the same object for the same values.

    Raises
    ------
    InvalidInput
        If `base_url` is not the address of a server.
    """
    parts = urlsplit(base_url.strip())
    try:
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        valid = False
    if not valid:
        raise InvalidInput(
            f"{scrub(base_url)!r} is not the address of a server; nothing was sent. A base URL "
            "looks like http://localhost:11434/v1."
        )
    return Target(base_url.strip(), model, key, azure_version)


def _azure_token() -> str | None:
    """A token of Azure's directory; the openai client reads it from the same variable."""
    return os.environ.get("AZURE_OPENAI_AD_TOKEN")
