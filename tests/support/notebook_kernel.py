"""The environment of notebooks in tests: offline, no key, no user's home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.isolation import with_home, without_keys


@contextmanager
def kernel_environment(place: Path) -> Iterator[None]:
    """Set the environment for kernels started in the block, which fixtures do not reach."""
    with pytest.MonkeyPatch.context() as patch:
        without_keys(patch)
        with_home(patch, place / "home")
        patch.setenv("TINYFACTORY_MODEL", "offline")
        yield
