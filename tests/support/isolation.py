"""Isolates every test and doctest: no key, no network, no home, a folder of its own.

Loaded as a plugin (see `addopts` in pyproject.toml) because the fixtures of a conftest.py
in tests/ would not reach the doctests of the package.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.guard import network_guard

GUARD = Path(network_guard.__file__).parent
KEYS = ("OPENAI_", "AZURE_", "TINYFACTORY_")
_attempts = Path(tempfile.gettempdir()) / f"network-guard-{os.getpid()}.log"


def pytest_configure(config: pytest.Config) -> None:
    _attempts.unlink(missing_ok=True)
    os.environ[network_guard.VARIABLE] = str(_attempts)
    network_guard.install()
    # A shell starts background jobs with Ctrl-C ignored; tests send it to their child processes.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    _attempts.unlink(missing_ok=True)
    os.environ.pop(network_guard.VARIABLE, None)


@contextmanager
def _nothing_left_loopback() -> Iterator[None]:
    try:
        yield
    finally:
        if _attempts.exists():
            tried = _attempts.read_text(encoding="utf-8")
            _attempts.unlink()
            pytest.fail(f"the network was tried, even if the error was caught:\n{tried}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    network_guard.set_open(item.get_closest_marker("internet") is not None)
    with _nothing_left_loopback():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with _nothing_left_loopback():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    with _nothing_left_loopback():
        try:
            return (yield)
        finally:
            network_guard.set_open(False)


def without_keys(patch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(KEYS) or name.lower().endswith("_proxy"):
            patch.delenv(name)


def with_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    home.mkdir(exist_ok=True)
    places = {
        "HOME": "",
        "XDG_CACHE_HOME": ".cache",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "IPYTHONDIR": ".ipython",
        "JUPYTER_CONFIG_DIR": ".jupyter",
        "JUPYTER_DATA_DIR": ".local/share/jupyter",
        "JUPYTER_RUNTIME_DIR": ".local/share/jupyter/runtime",
    }
    for name, place in places.items():
        patch.setenv(name, str(home / place))


@pytest.fixture(scope="session", autouse=True)
def _session_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same for fixtures that start before a test, such as a Lab server for a module."""
    with pytest.MonkeyPatch.context() as patch:
        without_keys(patch)
        with_home(patch, tmp_path_factory.mktemp("session-home"))
        patch.setenv("PYTHONPATH", str(GUARD), prepend=os.pathsep)
        yield


@pytest.fixture(autouse=True)
def _place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    without_keys(monkeypatch)
    with_home(monkeypatch, tmp_path_factory.mktemp("home"))
    monkeypatch.chdir(tmp_path)
    if request.node.get_closest_marker("internet"):
        monkeypatch.delenv("PYTHONPATH", raising=False)
    yield
    _forget()


def _forget() -> None:
    """Reset all that a test configured, began and registered, without importing modules."""
    loaded = sys.modules.get
    if settings := loaded("tinyfactory.settings"):
        settings.reset()
    if control := loaded("tinyfactory.control"):
        control.reset()
    if factory := loaded("tinyfactory.factory"):
        factory.TinyFactory.clear_factories()
    if person := loaded("tinyfactory.people.person"):
        person.TinyPerson.clear_people()
