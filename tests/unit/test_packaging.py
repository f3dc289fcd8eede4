"""The installed package: its public names, its import, its size, and environment.yml."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tinyfactory

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))

# What a user types; design.md and issue 2 name them.
FACE = {
    "Demography",
    "Simulation",
    "TinyFactory",
    "TinyPerson",
    "TinyPersonFactory",
    "configure",
    "control",
    "errors",
    "populations",
    "report",
    "transactional",
    "widgets",
}
HEAVY = {
    "IPython", "anyio", "chevron", "diskcache", "faker", "genai_prices", "ipywidgets",
    "json_repair", "matplotlib", "numpy", "openai", "pandas", "pyarrow", "pydantic", "stamina",
}  # fmt: skip


def run_python(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


# --- the face ------------------------------------------------------------------------------


def test_the_face_lists_what_users_type():
    assert set(tinyfactory.__all__) >= FACE
    assert len(tinyfactory.__all__) <= 30, "a face of one screen"


def test_every_name_of_the_face_is_there():
    missing = [name for name in tinyfactory.__all__ if not hasattr(tinyfactory, name)]
    assert missing == []
    assert set(tinyfactory.__all__) <= set(dir(tinyfactory))


@pytest.mark.parametrize("package", ["factory", "models", "people", "populations", "widgets"])
def test_the_tab_key_lists_public_names_only(package):
    module = import_module(f"tinyfactory.{package}")
    for name in module.__all__:
        getattr(module, name)  # imports modules of the package, which are not to be listed
    assert sorted(dir(module)) == sorted(module.__all__)


@pytest.mark.parametrize("module", ["control", "errors"])
def test_the_tab_key_lists_what_a_module_defines_only(module):
    names = dir(import_module(f"tinyfactory.{module}"))
    assert {"os", "re", "Path", "TracebackType", "annotations", "Literal"}.isdisjoint(names)
    assert {"control": "begin", "errors": "NameTaken"}[module] in names


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(tinyfactory, "no_such_" + "name")


def test_importing_loads_nothing_heavy():
    loaded = run_python("import sys, tinyfactory; print(*{m.split('.')[0] for m in sys.modules})")
    assert set(loaded.split()) & HEAVY == set()


def test_importing_the_factory_loads_no_event_loop_and_no_client():
    loaded = run_python("import sys, tinyfactory.factory; print(*sys.modules)").split()
    assert not {"asyncio", "tinyfactory.models.openai", "tinyfactory.models.http"} & set(loaded)


def test_the_version_is_the_same_everywhere():
    assert metadata.version("tinyfactory") == PROJECT["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", changes, flags=re.MULTILINE)


# --- how large a plain install is ----------------------------------------------------------


def closure(name: str) -> dict[str, metadata.Distribution]:
    """A distribution and all that it requires without extras, as installed here."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(name, frozenset[str]())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        distribution = found.setdefault(canonicalize_name(name), metadata.distribution(name))
        for line in distribution.requires or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in extras or {""}):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


def size(distribution: metadata.Distribution) -> int:
    """Bytes on disk of all files that were installed, compiled ones included."""
    paths = [Path(str(file.locate())) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def test_a_plain_install_is_at_most_50_packages_and_150_mb():
    packages = closure("tinyfactory")
    sizes = {name: size(distribution) for name, distribution in packages.items()}
    sizes["tinyfactory"] = sum(  # installed as a link here, so its files are counted themselves
        file.stat().st_size for file in Path(tinyfactory.__file__).parent.rglob("*.*")
    )
    assert {"openai", "diskcache", "ipywidgets", "pydantic-core"} <= packages.keys()
    assert len(packages) <= 50, sorted(packages)
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    assert sum(sizes.values()) <= 150_000_000, largest


def test_every_dependency_is_imported_somewhere():
    """A dependency that nothing imports any more would still be installed by every user."""
    packages = metadata.packages_distributions()
    imported = set()
    for path in Path(tinyfactory.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                imported |= {canonicalize_name(d) for d in packages.get(name.split(".")[0], ())}
    required = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert required - imported == set()


# --- environment.yml against pyproject.toml ------------------------------------------------


def requirements() -> dict[str, Requirement]:
    lines = list(PROJECT["dependencies"])
    for extra, more in PROJECT["optional-dependencies"].items():
        lines += more if extra != "all" else []
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def test_environment_ends_in_the_project_with_the_extras_of_users():
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    (project,) = ENVIRONMENT["dependencies"][-1]["pip"]
    extras = set(PROJECT["optional-dependencies"]) - {"all", "dev"}
    assert Requirement(project.replace("-e .", "tinyfactory")).extras == extras


def test_environment_has_the_same_bounds():
    asked = requirements()
    conda = [Requirement(line) for line in ENVIRONMENT["dependencies"][:-1]]
    differing = {
        r.name: str(r.specifier)
        for r in conda
        if r.name not in {"python", "pip"} and r.specifier != asked[r.name].specifier
    }
    assert differing == {}
    (python,) = [r for r in conda if r.name == "python"]
    assert str(python.specifier) == PROJECT["requires-python"]


def test_all_is_every_extra():
    extras = PROJECT["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    assert everything.extras == set(extras) - {"all"}
