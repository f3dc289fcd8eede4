"""The offline model behind a real address on this machine, to try out the network.

`OfflineModel` itself needs no network. Use this to try concurrency, rate limits, batches, and
workers in other processes.
"""

from __future__ import annotations

from tinyfactory.models.loopback.offline_endpoint import (
    OFFLINE_WRITER,
    OfflineEndpoint,
    serve_offline,
)

__all__ = ["OFFLINE_WRITER", "OfflineEndpoint", "serve_offline"]
