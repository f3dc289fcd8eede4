"""A real JupyterLab, Notebook 7 or Voila on loopback, opened in a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import nbformat
from playwright.sync_api import expect, sync_playwright

from tests.support.notebook_kernel import kernel_environment
from tests.support.page import Notebook
from tests.support.waiting import PATIENCE

App = Literal["lab", "notebook", "voila"]
TOKEN = "test"  # of a server that lives for one test
BROWSER_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
READY = (
    "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
    "?.status === 'idle'"
)
# Voila runs the notebook while the page loads, and hides it meanwhile.
LOADED = (
    "() => { const c = document.querySelector('#loading');"
    " return !c || getComputedStyle(c).display === 'none' }"
)


class Lab:
    """A server and a browser; `open` opens a notebook."""

    def __init__(self, app: App, root: Path, address: str, browser: Any, theme: str) -> None:
        self.app, self.root, self.address = app, root, address
        self.browser, self.theme = browser, theme
        self.outside: list[str] = []
        self._opened = 0
        self._contexts: list[Any] = []

    def open(self, cells: Sequence[str] | Path, name: str = "test.ipynb") -> Notebook:
        """Open a new notebook with these cells, or a copy of an existing one."""
        if isinstance(cells, Path):
            name = cells.name
            shutil.copy(cells, self.root / name)
        else:
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
                metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            )
            nbformat.write(notebook, self.root / name)
        opened = self._visit(name)
        if self.app == "voila":
            opened.page.wait_for_function(LOADED)
        else:
            opened.page.wait_for_function(READY)
            opened.errors.clear()  # of the application's own start
        return opened

    def reopen(self, name: str = "test.ipynb") -> Notebook:
        """Open a notebook as it was saved, without running cells."""
        opened = self._visit(name)
        opened.page.locator(".jp-Cell").first.wait_for()
        return opened

    def leave(self) -> None:
        """Close every page and end its kernel, because dozens need too much memory."""
        while self._contexts:
            self._contexts.pop().close()
        if self.app != "voila":  # whose kernels end with their pages
            for session in json.loads(self._ask("GET", "sessions")):
                self._ask("DELETE", f"sessions/{session['id']}")

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(
            f"{self.address}/api/{path}", headers={"Authorization": f"token {TOKEN}"}, method=method
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return bytes(answer.read())

    def _visit(self, name: str) -> Notebook:
        context = self.browser.new_context(
            viewport={"width": 1280, "height": 1000}, color_scheme=self.theme
        )
        context.set_default_timeout(PATIENCE * 1000)
        self._contexts.append(context)
        context.route(lambda url: not url.startswith(self.address), self._refuse)
        opened = Notebook(context.new_page(), self.app)
        opened.page.goto(f"{self.address}/{self._place(name)}?token={TOKEN}")
        return opened

    def _place(self, name: str) -> str:
        # A workspace of its own: a shared one brings back the notebooks opened before.
        self._opened += 1
        return {
            "lab": f"lab/workspaces/test{self._opened}/tree/{name}",
            "notebook": f"notebooks/{name}",
            "voila": f"voila/render/{name}",
        }[self.app]

    def _refuse(self, route: Any) -> None:
        if not route.request.url.startswith(("data:", "blob:")):
            self.outside.append(route.request.url)
        route.abort()


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright; one for the whole run."""
    program = shutil.which("chromium")
    assert program, "Chromium is missing; `make test` installs Debian's package"
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=BROWSER_OPTIONS, timeout=PATIENCE * 1000
        )
        yield browser
        browser.close()


@contextmanager
def jupyter(browser: Any, place: Path, app: App = "lab", theme: str = "light") -> Iterator[Lab]:
    """Start a server, and end it by the id of the process started here."""
    root, port = place / "notebooks", _free_port()
    root.mkdir()
    address = f"http://127.0.0.1:{port}"
    # Only the server and its kernels must inherit the environment.
    with kernel_environment(place), (place / "server.log").open("wb") as log:
        environment = {
            **os.environ,
            "JUPYTERLAB_SETTINGS_DIR": str(_settings(place / "settings", theme)),
            "JUPYTERLAB_WORKSPACES_DIR": str(place / "workspaces"),
        }
        server = subprocess.Popen(
            _command(app, root, port, theme),
            stdout=log, stderr=log, env=environment, cwd=root, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(address, app, server, place / "server.log")
        yield Lab(app, root, address, browser, theme)
    finally:
        _end(server)


def _command(app: App, root: Path, port: int, theme: str) -> list[str]:
    common = [f"--port={port}", "--no-browser"]
    if app == "voila":
        return [
            sys.executable, "-m", "voila", str(root), *common, "--Voila.ip=127.0.0.1",
            f"--theme={theme}", "--show_tracebacks=True", f"--token={TOKEN}",
        ]  # fmt: skip
    # Lab and Notebook load each other and share one page configuration, in which whichever
    # wrote last decides: so the application is exposed to the page in both.
    return [
        sys.executable, "-m", {"lab": "jupyterlab", "notebook": "notebook"}[app], *common,
        f"--IdentityProvider.token={TOKEN}", "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port_retries=0", "--ServerApp.allow_root=True",
        f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip


def _settings(folder: Path, theme: str) -> Path:
    wanted: dict[str, dict[str, Any]] = {
        "apputils-extension/themes": {
            "theme": "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"
        },
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        # Otherwise cells outside the visible part are not in the page.
        "notebook-extension/tracker": {"windowingMode": "none"},
        "docmanager-extension/plugin": {"autosave": False},
    }
    for name, value in wanted.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    return folder


def _wait_for(address: str, app: App, server: subprocess.Popen[bytes], log: Path) -> None:
    probe = f"{address}{'/' if app == 'voila' else '/api/status'}?token={TOKEN}"
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        assert server.poll() is None, f"{app} ended:\n{log.read_text()[-3000:]}"
        try:
            urllib.request.urlopen(probe, timeout=30).read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"{app} did not answer:\n{log.read_text()[-3000:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the process group that was started here: the server and its kernels."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(30)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            pass
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
