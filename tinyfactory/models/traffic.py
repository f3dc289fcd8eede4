"""What all requests to one endpoint with one key share: the gate and the breaker."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tinyfactory.models import flow
from tinyfactory.models.breaker import Breaker
from tinyfactory.models.endpoint import Target
from tinyfactory.models.limits import Gate

_forgotten: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who may send to an endpoint now."""

    gate: Gate
    breaker: Breaker


def to(target: Target) -> Traffic:
    """The one for this endpoint and key; to be called on the private loop."""
    endpoint = target.endpoint
    key = (
        "traffic",
        target.base_url,
        target.azure_version,
        target.key,
        _forgotten.get(endpoint, 0),
    )
    return flow.kept(key, lambda: Traffic(Gate(endpoint), Breaker(endpoint)))


def forget(endpoint: str) -> None:
    """Begin anew with this address, for a server that took the place of another."""
    _forgotten[endpoint] += 1
