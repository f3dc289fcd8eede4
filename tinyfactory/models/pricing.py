"""What a call costs: prices as given, else those of the genai-prices package."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tinyfactory import settings
from tinyfactory.models.chat import Json, Usage
from tinyfactory.models.http.endpoint import Target

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What something costs in US dollars, by the prices of which day, and who says so."""

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
    """What so many tokens of a model cost; None where no price is known, which is not free.

    Parameters
    ----------
    identity : dict
        The model's `identity`: kind, model (or deployment), endpoint.
    usage : Usage
    given : dict, optional
        US dollars for a million tokens of prompt and of answer, by the model's name. They come
        before those of `tinyfactory.configure(prices=...)`, and those before the package's.
    answered_by : str
        The name under which the endpoint answered, tried where the one asked for has no price.
    batch : bool
        Whether a batch answered (`ChatReply.sent` then has ``"batch": True``). The package's
        price for it is taken where it lists one; else OpenAI and Azure take half
        (https://platform.openai.com/docs/guides/batch,
        https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch), given prices are
        halved too, and any other endpoint is taken to charge in full.

    Returns
    -------
    Price or None
        The offline model is free. An endpoint that genai-prices does not know, such as a
        server of one's own, has no price unless it is given.

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
    asked_for = str(identity.get("model") or identity.get("deployment") or "")
    names = [name for name in dict.fromkeys((asked_for, answered_by)) if name]
    for prices in (given or {}, settings.get("prices")):
        for name in names:
            if name in prices:
                into, out_of = prices[name]
                total = usage.prompt_tokens * into + usage.completion_tokens * out_of
                if batch:
                    return Price(total / 2 / MILLION, today, "given, halved for a batch")
                return Price(total / MILLION, today, "given")
    for name in names:
        usd = _listed(name, identity, usage, batch=batch)
        if usd is not None:
            return Price(usd, today, f"genai-prices {_version()}{', as a batch' * batch}")
    return None


def _listed(name: str, identity: Json, usage: Usage, *, batch: bool) -> float | None:
    """The price in the lists of genai-prices for the endpoint that is asked, and for no other."""
    endpoint = str(identity.get("endpoint") or "")
    azure = identity.get("kind") == "azure"
    if not azure and urlsplit(endpoint).scheme not in ("http", "https"):
        return None
    import genai_prices

    where: dict[str, Any] = {"provider_id": "azure"} if azure else {"provider_api_url": endpoint}
    tokens = genai_prices.Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.prompt_tokens),
    )
    try:
        usd = float(genai_prices.calc_price(tokens, name, **where).total_price)
        if not batch:
            return usd
        where["price_context"] = {"processing": "batch"}
        batched = float(genai_prices.calc_price(tokens, name, **where).total_price)
    except LookupError:  # neither the endpoint nor the model is in the lists
        return None
    # Where the list has no price for batches, it gives the usual one.
    official = azure or Target(endpoint, name, None).official
    return usd / 2 if batched == usd and official else batched


def _version() -> str:
    from importlib.metadata import version

    return version("genai-prices")
