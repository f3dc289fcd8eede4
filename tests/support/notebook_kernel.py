"""The environment that notebooks run in for tests: offline, no key, no home of a user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.isolation import with_home, without_keys


@contextmanager
def kernel_environment(place: Path) -> Iterator[None]:
    """Set the environment that a kernel started within inherits; pytest fixtures reach none."""
    with pytest.MonkeyPatch.context() as patch:
        without_keys(patch)
        with_home(patch, place / "home")
        patch.setenv("TINYFACTORY_MODEL", "offline")
        yield
