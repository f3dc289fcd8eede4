"""What pytest shall not collect. The isolation of every test is in tests/support/isolation.py."""

from __future__ import annotations

collect_ignore = ["support"]  # helpers and scripts, imported by the tests that need them
