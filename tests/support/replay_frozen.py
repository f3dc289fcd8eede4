"""Replay the frozen recording and print how it went, with another version of the package.

`python -m tests.support.replay_frozen` runs with the package that is first on the path.
"""

from __future__ import annotations

import json
import lzma
import sys
from typing import Any

from tests.support import frozen
from tinyfactory import control


def change_shop() -> None:
    """Replace the story's shop by one whose state is encoded in another way."""
    plain_shop = frozen.Shop

    def encode_complete_state(self: frozen.Shop) -> frozen.Json:
        state = plain_shop.encode_complete_state(self)
        return state | {"owner": {"name": self.owner}, "open": True}

    def decode_complete_state(self: frozen.Shop, state: frozen.Json) -> frozen.Shop:
        owner = state["owner"]
        plain = owner["name"] if isinstance(owner, dict) else owner
        return plain_shop.decode_complete_state(self, state | {"owner": plain})

    body = {
        "__module__": frozen.__name__,
        "encode_complete_state": encode_complete_state,
        "decode_complete_state": decode_complete_state,
    }
    # As a new version of the module would define it.
    setattr(frozen, "Shop", type("Shop", (plain_shop,), body))  # noqa: B010 - mypy knows a class


def differences(told: Any, stored: Any, place: str = "") -> list[str]:
    """The places where two values differ."""
    if isinstance(told, dict) and isinstance(stored, dict) and told.keys() == stored.keys():
        return [d for key in told for d in differences(told[key], stored[key], f"{place}/{key}")]
    if isinstance(told, list) and isinstance(stored, list) and len(told) == len(stored):
        pairs = enumerate(zip(told, stored, strict=True))
        return [d for n, (a, b) in pairs for d in differences(a, b, f"{place}/{n}")]
    return [] if told == stored else [place]


def main() -> None:
    """Run the story in the recording."""
    if "--another-shop" in sys.argv:
        change_shop()
    frozen.configure()
    expected = json.loads(lzma.decompress(frozen.EXPECTED.read_bytes()))
    simulation = control.begin(frozen.RECORDING)
    told = json.loads(json.dumps(frozen.story()))
    differ = differences(told, expected["story"])
    print(json.dumps({
        "calls": simulation.spent.calls,
        "new": simulation.misses,
        "replayed": simulation.hits - expected["done"] + 1,
        "differ": differ,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
