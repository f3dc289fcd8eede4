"""A real JupyterLab on loopback and a real Chromium that looks at it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Locator, Page, sync_playwright

from tests.support.notebook_kernel import kernel_environment

TOKEN = "test"  # of a server that lives for one test
# Noise of an empty JupyterLab, without any notebook of ours.
NOISE = re.compile(r"favicon|ERR_FAILED|ERR_BLOCKED|api/me|translations|service-worker|CLOSING")
BROWSER_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Notebook:
    """One notebook, opened on a page of its own."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not NOISE.search(message.text):
            self.errors.append(message.text)

    def run_all(self, timeout: float = 90) -> None:
        """Run every cell and wait until the last prompt has its number."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
        self.page.wait_for_function(
            "() => { const p = [...document.querySelectorAll("
            "'.jp-CodeCell .jp-InputArea-prompt')].map(e => e.textContent);"
            "return p.length && p.every(t => /\\[\\d+\\]/.test(t)) }",
            timeout=timeout * 1000,
        )

    def cell_errors(self) -> list[str]:
        """Tracebacks that stand under cells."""
        return self.page.locator(
            "[data-mime-type='application/vnd.jupyter.error']"
        ).all_inner_texts()

    def python(self, code: str) -> str:
        """What code prints in the notebook's kernel, outside any cell."""
        return str(
            self.page.evaluate(
                """async code => {
                    const k = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                    const f = k.requestExecute({code, store_history: false}); let out = '';
                    f.onIOPub = m => { const c = m.content;
                      if (m.header.msg_type === 'stream') out += c.text;
                      if (m.header.msg_type === 'error') out += c.ename + ': ' + c.evalue; };
                    await f.done; return out; }""",
                code,
            )
        )

    def field(self, description: str) -> Locator:
        """The input of the widget with this description."""
        label = self.page.locator(".jp-OutputArea .widget-label", has_text=description).first
        return label.locator("xpath=..").locator("input, textarea, select").first

    def button(self, text: str) -> Locator:
        """A widget's button by its text."""
        return self.page.locator(".jp-OutputArea button.jupyter-button", has_text=text).first

    def wait_text(self, selector: str, text: str, timeout: float = 30) -> None:
        """Wait until an element that fits the selector shows the text."""
        self.page.locator(selector, has_text=text).first.wait_for(timeout=timeout * 1000)


class Lab:
    """The server and the browser; `open` gives notebooks."""

    def __init__(self, root: Path, address: str, browser: Any, theme: str) -> None:
        self.root, self.address, self.browser, self.theme = root, address, browser, theme
        self.outside: list[str] = []

    def open(self, cells: list[str], name: str = "test.ipynb") -> Notebook:
        """Open a new notebook with these cells."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, self.root / name)
        context = self.browser.new_context(
            viewport={"width": 1280, "height": 1000}, color_scheme=self.theme
        )
        context.route(lambda url: not url.startswith(self.address), self._refuse)
        opened = Notebook(context.new_page())
        # A workspace of its own: a shared one brings back the notebooks opened before.
        place = f"workspaces/{name.partition('.')[0]}/tree/{name}"
        opened.page.goto(f"{self.address}/lab/{place}?token={TOKEN}")
        opened.page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
            "?.status === 'idle'",
            timeout=90_000,
        )
        opened.errors.clear()  # of Lab's own start
        return opened

    def _refuse(self, route: Any) -> None:
        if not route.request.url.startswith(("data:", "blob:")):
            self.outside.append(route.request.url)
        route.abort()


@contextmanager
def jupyter_lab(place: Path, theme: str = "light") -> Iterator[Lab]:
    """Start both, and end them by the ids of the processes started here."""
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is missing; `make test` installs Debian's package"
    root, port = place / "notebooks", _free_port()
    root.mkdir()
    settings = place / "settings" / "@jupyterlab"
    _write(settings / "apputils-extension/themes.jupyterlab-settings",
           {"theme": "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"})  # fmt: skip
    _write(settings / "apputils-extension/notification.jupyterlab-settings",
           {"fetchNews": "false", "checkForUpdates": False})  # fmt: skip
    _write(settings / "notebook-extension/tracker.jupyterlab-settings", {"windowingMode": "none"})
    command = [
        sys.executable, "-m", "jupyterlab", f"--port={port}", "--no-browser",
        f"--IdentityProvider.token={TOKEN}", "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port_retries=0", "--ServerApp.allow_root=True",
        f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with kernel_environment(place), (place / "server.log").open("wb") as log:
        environment = {
            **os.environ,
            "JUPYTERLAB_SETTINGS_DIR": str(settings.parent),
            "JUPYTERLAB_WORKSPACES_DIR": str(place / "workspaces"),
        }
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=root, start_new_session=True
        )
        try:
            _wait_for(address, server, place / "server.log")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS)
                yield Lab(root, address, browser, theme)
                browser.close()
        finally:
            _end(server)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(450):
        assert server.poll() is None, f"JupyterLab ended:\n{log.read_text()[-3000:]}"
        try:
            urllib.request.urlopen(f"{address}/api/status?token={TOKEN}", timeout=5).read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"JupyterLab did not answer:\n{log.read_text()[-3000:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the process group that was started here: the server and its kernels."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(5)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            pass
        return


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
