"""One notebook on a page of a real browser: actions of a user, and the visible result."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Locator, Page

from tests.support.waiting import PATIENCE

# Messages that an empty JupyterLab or Voila logs; Voila tries in vain to load an extension of
# Notebook 7.
NOISE = re.compile(
    r"favicon|labextensions/@jupyter-notebook|ERR_FAILED|ERR_BLOCKED|api/me|translations|service-worker|CLOSING|/lsp/|"
    r"Fetch request was aborted|Content Security Policy"
)
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"


class Notebook:
    """One notebook, opened on a page of its own."""

    def __init__(self, page: Page, app: str = "lab") -> None:
        self.page = page
        self.app = app
        self.errors: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not NOISE.search(message.text):
            self.errors.append(message.text)

    # -- the kernel --------------------------------------------------------------------

    def run_all(self, timeout: float = PATIENCE) -> None:
        """Run every cell and wait until the last prompt has its number."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
        self.wait_run(timeout)

    def wait_run(self, timeout: float = PATIENCE) -> None:
        """Wait until every prompt has its number."""
        self.page.wait_for_function(
            "() => { const p = [...document.querySelectorAll("
            "'.jp-CodeCell .jp-InputArea-prompt')].map(e => e.textContent);"
            "return p.length && p.every(t => /\\[\\d+\\]/.test(t)) }",
            timeout=timeout * 1000,
        )

    def cell_errors(self) -> list[str]:
        """Tracebacks below cells."""
        return self.page.locator(
            "[data-mime-type='application/vnd.jupyter.error']"
        ).all_inner_texts()

    def python(self, code: str) -> str:
        """The output of code in the notebook's kernel, outside any cell."""
        return str(
            self.page.evaluate(
                f"""async code => {{
                    const f = {KERNEL}.requestExecute({{code, store_history: false}});
                    let out = '';
                    f.onIOPub = m => {{ const c = m.content;
                      if (m.header.msg_type === 'stream') out += c.text;
                      if (m.header.msg_type === 'error') out += c.ename + ': ' + c.evalue; }};
                    await f.done; return out; }}""",
                code,
            )
        )

    def wait_python(self, code: str, printed: str) -> None:
        """Wait until code prints this, because the kernel gets changes later than the page."""
        limit = time.monotonic() + PATIENCE
        while (said := self.python(code)) != printed:
            assert time.monotonic() < limit, f"{code!r} printed {said!r}, and not {printed!r}"
            self.page.wait_for_timeout(50)

    def start_python(self, code: str) -> None:
        """Have the kernel run code, as a cell does, and do not wait for it."""
        self.page.evaluate(f"code => {{ {KERNEL}.requestExecute({{code}}) }}", code)

    def interrupt(self) -> None:
        """Interrupt the kernel, like the stop button of the notebook."""
        self.page.evaluate(f"() => {KERNEL}.interrupt()")

    def restart(self) -> None:
        """Restart the kernel; the outputs stay until cells run again."""
        self.page.evaluate(f"async () => {{ await {KERNEL}.restart(); }}")
        self.page.wait_for_function(f"() => {KERNEL}.status === 'idle'", timeout=PATIENCE * 1000)

    def save(self) -> None:
        """Save the notebook, with its outputs."""
        self.page.evaluate(
            "async () => { await window.jupyterapp.commands.execute('docmanager:save') }"
        )

    def close_and_shut_down(self) -> None:
        """End the kernel and close the notebook; the file stays."""
        self.page.evaluate(
            "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown() }"
        )
        self.page.close()

    # -- the visible page --------------------------------------------------------------

    @property
    def outputs(self) -> Locator:
        """The place of widgets: below cells, or, in Voila, anywhere."""
        return self.page.locator("body" if self.app == "voila" else ".jp-OutputArea")

    def field(self, description: str) -> Locator:
        """The input of the widget with this description."""
        label = self.outputs.locator(".widget-label", has_text=description).first
        return label.locator("xpath=..").locator("input, textarea, select").first

    def button(self, text: str) -> Locator:
        """The first visible button with this text; icons are ignored."""
        exact = re.compile(rf"^\s*{re.escape(text)}\s*$")
        return self.outputs.locator("button:visible").filter(has_text=exact).first

    def wait_text(
        self, selector: str, text: str | re.Pattern[str], timeout: float = PATIENCE
    ) -> None:
        """Wait until an element of the selector shows the text."""
        self.page.locator(selector, has_text=text).first.wait_for(timeout=timeout * 1000)

    def picture(self, path: Path) -> None:
        """A picture of the page, as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path))

    # -- accessibility -----------------------------------------------------------------

    def barriers(self, selector: str) -> list[str]:
        """The violations that axe-core (WCAG 2.1, A and AA) finds in our elements, one per line."""
        if not self.page.evaluate("() => Boolean(window.axe)"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate(
            """async selector => (await axe.run(
                [...document.querySelectorAll(selector)],
                {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})).violations""",
            selector,
        )
        return [
            f"{rule['id']}: {rule['help']}: {node['html'][:200]} ({node['failureSummary']})"
            for rule in found
            for node in rule["nodes"]
        ]
