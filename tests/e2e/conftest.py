"""One browser for these tests, and a server for each application and theme that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.lab import App, Lab, chromium, jupyter

Labs = dict[tuple[App, str], Lab]


@pytest.fixture(scope="package")
def started() -> Labs:
    """The servers that run."""
    return {}


@pytest.fixture(scope="package")  # Playwright holds an event loop that others would be in
def jupyters(
    tmp_path_factory: pytest.TempPathFactory, started: Labs
) -> Iterator[Callable[[App, str], Lab]]:
    """Give the server of an application and theme, started when first asked for."""
    with ExitStack() as stack:
        browser: list[Any] = []

        def give(app: App, theme: str) -> Lab:
            if not browser:
                browser.append(stack.enter_context(chromium()))
            if (app, theme) not in started:
                place = tmp_path_factory.mktemp(f"{app}-{theme}")
                started[app, theme] = stack.enter_context(jupyter(browser[0], place, app, theme))
            return started[app, theme]

        yield give


@pytest.fixture(autouse=True)
def _left(started: Labs) -> Iterator[None]:
    """Nothing that a test opened is left for the next."""
    yield
    for lab in started.values():
        lab.leave()


@pytest.fixture
def lab(jupyters: Callable[[App, str], Lab]) -> Lab:
    """JupyterLab in the light theme."""
    return jupyters("lab", "light")


@pytest.fixture(params=["lab-light", "lab-dark", "notebook-light"])
def anywhere(request: pytest.FixtureRequest, jupyters: Callable[[App, str], Lab]) -> Lab:
    """JupyterLab in both themes, and Notebook 7."""
    app, _, theme = request.param.partition("-")
    return jupyters(app, theme)
