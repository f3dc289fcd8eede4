"""Python runs this first in every subprocess whose PYTHONPATH has this folder."""

import network_guard  # type: ignore[import-not-found]  # it lies beside this file

network_guard.install()
