"""Every line of the list of faults has a test that bears its number."""

from __future__ import annotations

import re
from pathlib import Path

LINES = range(1, 41)


def test_every_line_has_a_test():
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    tested = {
        int(n) for text in texts for n in re.findall(r"^def test_fault_(\d\d)_", text, re.MULTILINE)
    }
    assert sorted(tested) == list(LINES)
