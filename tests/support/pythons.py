"""Other Pythons of this machine, for tests that what is recorded is the same on each."""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

SUPPORTED = ("3.11", "3.12", "3.13")
_PRINT = "import sys; print('{}.{}'.format(*sys.version_info))"


@functools.cache
def find_python(version: str) -> str | None:
    """An interpreter of that version on the path or among those of pyenv; None without one."""
    home = pwd.getpwuid(os.getuid()).pw_dir  # tests have a home of their own
    root = Path(os.environ.get("PYENV_ROOT") or Path(home, ".pyenv"))
    found = [shutil.which(f"python{version}")]
    found += sorted(str(p) for p in root.glob(f"versions/{version}.*/bin/python{version}"))
    for path in found:
        if path is not None and _prints(path) == version:
            return path
    return None


def _prints(path: str) -> str:
    try:
        done = subprocess.run([path, "-c", _PRINT], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def required_python(version: str) -> str:
    """An interpreter of that version; the test is skipped without one."""
    path = find_python(version)
    if path is None:
        pytest.skip(f"there is no Python {version} on the path or among those of pyenv")
    return path
