"""A package of an extra that is not installed gives one kind of error everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tinyfactory.utils.imports import install_command

ROOT = Path(__file__).parents[2]
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
def test_a_missing_package_is_one_error_with_the_line_for_pip(call, package, extra):
    script = _CALLS.replace("CALL", call)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert f"This needs {package}, which is not installed" in done.stdout
    assert done.stdout.rstrip().endswith(f"Run: {install_command(extra)}")


def distribution(folder, told):
    """Write the metadata of an installed package, and return the folder for `PYTHONPATH`."""
    info = folder / "tinyfactory-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tinyfactory\nVersion: 0.1.0\n")
    if told:
        (info / "direct_url.json").write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize(
    ("told", "command"),
    [
        ({"url": ROOT.as_uri(), "dir_info": {"editable": True}}, f"-e '{ROOT}[tables]'"),
        ({"url": ROOT.as_uri(), "dir_info": {}}, f"'{ROOT}[tables]'"),
        ({"url": "file:///no/such", "dir_info": {}}, "'tinyfactory[tables]'"),
        (
            {"url": "https://host/t.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            "'tinyfactory[tables] @ git+https://host/t.git'",
        ),
        (
            {"url": "file:///a/t.whl", "archive_info": {}},
            "'tinyfactory[tables] @ file:///a/t.whl'",
        ),
        (None, "'tinyfactory[tables]'"),
    ],
)
def test_the_line_for_pip_is_the_one_that_works_here(told, command, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(distribution(tmp_path, told))
    assert install_command("tables") == f"pip install {command}"


def test_a_checkout_that_is_not_installed_names_its_folder(tmp_path):
    script = "from tinyfactory.utils.imports import install_command as i; print(i('tables'))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == f"pip install '{ROOT}[tables]'\n"


def test_the_notebook_about_scale_skips_dask_without_its_extra(monkeypatch, capsys):
    book = json.loads((ROOT / "notebooks" / "04_scale.ipynb").read_text(encoding="utf-8"))
    [cell] = [c for c in book["cells"] if "LocalCluster" in "".join(c["source"])]
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "dask", None)
    exec("".join(cell["source"]), {})
    assert "needs the extra dask" in capsys.readouterr().out
