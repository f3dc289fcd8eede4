"""The offline writer behind a real address on this machine, for whoever tries out the network.

`OfflineModel` answers without one. What happens on the way to an endpoint (concurrency, a limit
that is met, batches, workers in other processes) is tried out against this.
"""

from __future__ import annotations

from tinyfactory.models.loopback.offline_endpoint import (
    OFFLINE_WRITER,
    OfflineEndpoint,
    serve_offline,
)

__all__ = ["OFFLINE_WRITER", "OfflineEndpoint", "serve_offline"]
