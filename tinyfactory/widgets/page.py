"""What every panel needs of the page: its colours, and keys that do what they do in any form."""

from __future__ import annotations

from pathlib import Path

import anywidget

# Classes that the style and the script know.
PANEL = "tf-panel"
DEFAULT_BUTTON = "tf-default"


class Page(anywidget.AnyWidget):
    """Unseen. Brings the style of all panels, and has Enter press a panel's default button.

    ipywidgets cannot tell Enter in a field from leaving it, and its own inputs stay white in a
    dark page. Where the page does not load it, all else works.
    """

    _esm = Path(__file__).with_name("page.js")
    _css = Path(__file__).with_name("page.css")

    def __init__(self) -> None:
        super().__init__()
        self.layout.display = "none"
