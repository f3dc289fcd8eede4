"""The price of a call: from the user's prices, otherwise from the genai-prices package."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tinyfactory import settings
from tinyfactory.models.chat import Json, Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """A price in US dollars, with its date and its source."""

    usd: float
    dated: str
    source: str


def price(
    identity: Json,
    usage: Usage,
    *,
    given: Mapping[str, tuple[float, float]] | None = None,
    answered_by: str = "",
    batch: bool = False,
) -> Price | None:
    """The price of tokens of a model; None if it is unknown, which does not mean free.

    Parameters
    ----------
    identity : dict
        The model's `identity`: kind, model (or deployment), endpoint.
    usage : Usage
    given : dict, optional
        US dollars for a million tokens of prompt and of reply, by the model's name. They take
        precedence over `tinyfactory.configure(prices=...)`, and those over the package's prices.
    answered_by : str
        The model's name in the reply, used if the requested name has no price.
    batch : bool
        Whether the reply came from a batch (`ChatReply.sent` then has ``"batch": True``). The
        package's batch price is used if it lists one. Otherwise OpenAI and Azure charge half
        (https://platform.openai.com/docs/guides/batch,
        https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch), given prices are
        halved too, and any other endpoint is assumed to charge in full.

    Returns
    -------
    Price or None
        The offline model is free. An endpoint that genai-prices does not know, such as a
        private server, has no price unless one is given.

    Examples
    --------
    >>> usage = Usage(prompt_tokens=1_000_000, completion_tokens=500_000)
    >>> price({"kind": "offline"}, usage).usd
    0.0
    >>> local = {"kind": "openai", "model": "llama3.2", "endpoint": "http://localhost:11434/v1"}
    >>> price(local, usage) is None
    True
    >>> price(local, usage, given={"llama3.2": (0.1, 0.2)}).usd
    0.2
    >>> price(local, usage, given={"llama3.2": (0.1, 0.2)}, batch=True).usd
    0.1
    """
    today = dt.datetime.now(dt.UTC).date().isoformat()
    if identity.get("kind") == settings.OFFLINE:
        return Price(0.0, today, "the offline model is free")
    requested = str(identity.get("model") or identity.get("deployment") or "")
    names = [name for name in dict.fromkeys((requested, answered_by)) if name]
    for prices in (given or {}, settings.get("prices")):
        for name in names:
            if name in prices:
                of_prompt, of_reply = prices[name]
                total = usage.prompt_tokens * of_prompt + usage.completion_tokens * of_reply
                if batch:
                    return Price(total / 2 / MILLION, today, "given, halved for a batch")
                return Price(total / MILLION, today, "given")
    for name in names:
        usd = _listed(name, identity, usage, batch=batch)
        if usd is not None:
            return Price(usd, today, f"genai-prices {_version()}{', as a batch' * batch}")
    return None


def _listed(name: str, identity: Json, usage: Usage, *, batch: bool) -> float | None:
    """The price in genai-prices for this endpoint; never that of another provider."""
    endpoint = str(identity.get("endpoint") or "")
    azure = identity.get("kind") == "azure"
    if not azure and urlsplit(endpoint).scheme not in ("http", "https"):
        return None
    if not _is_listed(name, endpoint, azure):
        return None
    import genai_prices  # slow to import

    from tinyfactory.models.http.endpoint import Target  # slow to import: asyncio

    where: dict[str, Any] = {"provider_id": "azure"} if azure else {"provider_api_url": endpoint}
    tokens = genai_prices.Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.prompt_tokens),
    )
    usd = float(genai_prices.calc_price(tokens, name, **where).total_price)
    if not batch:
        return usd
    where["price_context"] = {"processing": "batch"}
    batched = float(genai_prices.calc_price(tokens, name, **where).total_price)
    # Without a price for batches, the package returns the usual price.
    official = azure or Target(endpoint, name, None).official
    return usd / 2 if batched == usd and official else batched


@functools.lru_cache(maxsize=256)  # an unlisted model takes longest to look up
def _is_listed(name: str, endpoint: str, azure: bool) -> bool:
    """Whether genai-prices knows the endpoint and the model."""
    import genai_prices  # slow to import

    where: dict[str, Any] = {"provider_id": "azure"} if azure else {"provider_api_url": endpoint}
    try:
        genai_prices.calc_price(genai_prices.Usage(), name, **where)
    except LookupError:
        return False
    return True


@functools.cache  # reading the package's metadata takes longer than the price
def _version() -> str:
    from importlib.metadata import version  # slow to import

    return version("genai-prices")
