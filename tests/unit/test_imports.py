"""A package of an extra that is not installed gives one kind of error everywhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CALLS = """
import sys
sys.modules.update(dict.fromkeys(("numpy", "pandas", "pyarrow", "scipy"), None))
from tinyfactory.errors import MissingPackage
from tinyfactory.journal.records import History
from tinyfactory.people import People, TinyPerson
from tinyfactory.populations import Demography, ReportCard
ana = People([TinyPerson("Ana", {}, register=False)])
town = Demography.from_dict({"sex": {"f": 1, "m": 1}})
try:
    CALL
except MissingPackage as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("call", "package", "extra"),
    [
        ("ana.to_frame()", "pandas", "tables"),
        ("ana.to_parquet('people.parquet')", "pyarrow", "tables"),
        ("History().to_frame()", "pandas", "tables"),
        ("town.sample(2)", "pandas", "populations"),
        ("town.check()", "numpy", "populations"),
        ("ReportCard((), 0).to_frame()", "pandas", "populations"),
    ],
)
def test_a_missing_package_is_one_error_with_lines_for_pip(call, package, extra):
    script = _CALLS.replace("CALL", call)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert f"This needs {package}, which is not installed" in done.stdout
    assert f"pip install 'tinyfactory[{extra}]'" in done.stdout
    assert f"pip install -e '.[{extra}]'" in done.stdout
