"""The sentence by which everything that the offline model wrote is known."""

from __future__ import annotations

OFFLINE_MARK = "Written by tinyfactory's offline model; not by a language model."
