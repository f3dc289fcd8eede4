"""Rules about imports that import-linter cannot check.

Each outside package is imported in one place only, and private names only inside their package.
import-linter (pyproject.toml, `make check`) checks the layers.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import tinyfactory

PACKAGE = Path(tinyfactory.__file__).parent

# The only modules or packages that may import each outside package, at the top or lazily.
IMPORTERS = {
    "IPython": {"tinyfactory.widgets", "tinyfactory.people.render.person"},
    "anywidget": {"tinyfactory.widgets"},
    "anyio": {"tinyfactory.factory", "tinyfactory.journal", "tinyfactory.models"},
    "chevron": {"tinyfactory.prompts"},
    "datasketch": {"tinyfactory.populations.reporting"},
    "diskcache": {"tinyfactory.journal.storage.database"},
    "faker": {"tinyfactory.gazetteer"},
    "genai_prices": {"tinyfactory.models.pricing"},
    "httpx2": {
        "tinyfactory.models.http.endpoint",
        "tinyfactory.models.http.route",
        "tinyfactory.models.http.transport",
    },
    "ipywidgets": {"tinyfactory.widgets"},
    "json_repair": {"tinyfactory.people.schema.reply_parser"},
    "jupyterlab": {"tinyfactory.cli"},
    "openai": {"tinyfactory.models.http.endpoint", "tinyfactory.models.http.transport"},
    "numpy": {"tinyfactory.populations"},
    "pandas": {
        "tinyfactory.journal.records",
        "tinyfactory.people.formats.files",
        "tinyfactory.populations",
    },
    "pyarrow": {"tinyfactory.people.formats.parquet_file"},
    "pydantic": {"tinyfactory.people.schema.persona"},
    "scipy": {"tinyfactory.populations"},
    "stamina": {"tinyfactory.models"},
    "tqdm": {"tinyfactory.factory.job"},
    "traitlets": {"tinyfactory.widgets"},
    "vaderSentiment": {"tinyfactory.populations.reporting"},
}


@dataclass(frozen=True)
class Import:
    """`importer` imports `name` of `module` (None: the module itself) at `line`."""

    importer: str
    module: str
    name: str | None
    line: int

    def __str__(self) -> str:
        what = f"{self.module}.{self.name}" if self.name else self.module
        return f"{self.importer}:{self.line} imports {what}"


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, importer: str) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                for alias in names:
                    yield Import(importer, alias.name, None, node.lineno)
            case ast.ImportFrom(module, names, level):
                assert level == 0, f"{importer}:{node.lineno} imports relatively"
                for alias in names:
                    yield Import(importer, module or "", alias.name, node.lineno)
            case ast.Call(
                ast.Name("import_module" | "__import__") | ast.Attribute(attr="import_module"),
                [ast.Constant(str() as module), *_],
            ):
                yield Import(importer, module, None, node.lineno)


def all_imports() -> list[Import]:
    return [
        found
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in imports_of(path.read_text(encoding="utf-8"), module_name(path))
    ]


def in_the_wrong_place(found: Import) -> bool:
    top = found.module.partition(".")[0]
    if top == "tinyfactory" or top in sys.stdlib_module_names:
        return False
    return not any(
        found.importer == place or found.importer.startswith(f"{place}.")
        for place in IMPORTERS.get(top, ())
    )


def top_package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def reaches_into_private(found: Import) -> bool:
    if not found.module.startswith("tinyfactory") or top_package(found.module) == top_package(
        found.importer
    ):
        return False
    names = [*found.module.split("."), found.name or ""]
    return any(name.startswith("_") and not name.startswith("__") for name in names)


def test_each_outside_package_is_imported_in_its_place_only():
    assert [str(found) for found in all_imports() if in_the_wrong_place(found)] == []


def test_no_package_imports_private_names_of_another():
    assert [str(found) for found in all_imports() if reaches_into_private(found)] == []


def test_nothing_imports_public_names_from_the_package():
    """`from tinyfactory import x` inside the package would be an import cycle."""
    submodules = {module_name(path) for path in PACKAGE.rglob("*.py")}
    from_the_package = [
        str(found)
        for found in all_imports()
        if found.module == "tinyfactory"
        and found.importer != "tinyfactory"
        and f"tinyfactory.{found.name}" not in submodules
        and found.name != "__version__"
    ]
    assert from_the_package == []


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("tinyfactory.people.schema.persona", "import openai"),
        ("tinyfactory.journal.scopes.scope", "def f():\n    from diskcache import Cache"),
        ("tinyfactory.models.openai_extra", "import openai.types"),
        ("tinyfactory.settings", "import importlib\nimportlib.import_module('requests')"),
    ],
)
def test_an_import_in_the_wrong_place_is_seen(importer, source):
    assert any(in_the_wrong_place(found) for found in imports_of(source, importer))


def test_a_private_name_of_another_package_is_seen():
    source = "from tinyfactory.journal.storage.store import _rows"
    assert any(reaches_into_private(f) for f in imports_of(source, "tinyfactory.factory"))
    assert not any(
        reaches_into_private(f) for f in imports_of(source, "tinyfactory.journal.scopes.scope")
    )
