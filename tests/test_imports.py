"""Imports go one way, in no circle, and private names stay at home. Lazy and TYPE_CHECKING imports count."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import grimp
import numpy as np
import pytest
from importlinter import cli
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
PACKAGES = ("zoo", "datamodules", "experiments")


def test_the_contracts_of_importlinter_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    assert cli.lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True) == cli.EXIT_STATUS_SUCCESS


def circles(*packages: str) -> list[list[str]]:
    """Sets of modules each of which imports, over others of the set, itself."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    names = sorted(graph.modules)
    number = {name: k for k, name in enumerate(names)}
    edges = [(number[a], number[b]) for a in names for b in graph.find_modules_directly_imported_by(a)]
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    matrix = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    count, label = connected_components(matrix, directed=True, connection="strong")
    sets = [[names[k] for k in np.flatnonzero(label == c)] for c in range(count)]
    return [found for found in sets if len(found) > 1]


def private_names(package: Path, own: tuple[str, ...]) -> list[str]:
    """Each private name of a module of ``own`` packages that another module imports, or takes as an attribute."""
    found = []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import; name the package"
                if (node.module or "").split(".")[0] in own:
                    named = {a.name for a in node.names if a.name.startswith("_") and not a.name.startswith("__")}
                    found += [f"{path}:{node.lineno}: {node.module}.{name}" for name in sorted(named)]
                    modules |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names if a.name.islower()}
            elif isinstance(node, ast.Import):
                modules |= {a.asname: a.name for a in node.names if a.asname and a.name.split(".")[0] in own}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                name = node.attr
                if name.startswith("_") and not name.startswith("__") and is_module(modules[node.value.id]):
                    found.append(f"{path}:{node.lineno}: {modules[node.value.id]}.{name}")
    return found


def is_module(name: str) -> bool:
    """Whether a dotted name is a module of this repository."""
    place = ROOT / Path(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert not circles(*PACKAGES)


def test_a_circle_is_found_also_where_an_import_is_lazy_or_for_types_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ringed"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def f():\n    from ringed import b\n")
    (package / "b.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ringed.c import X\n")
    (package / "c.py").write_text("import ringed.a\nclass X: ...\n")
    (package / "d.py").write_text("import ringed.a\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert circles("ringed") == [["ringed.a", "ringed.b", "ringed.c"]]
    sys.modules.pop("ringed", None)


def test_private_names_stay_in_their_modules() -> None:
    found = [line for name in (*PACKAGES, "tests") for line in private_names(ROOT / name, PACKAGES)]
    assert not found


def test_a_private_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        "from zoo.registry import _exists, Registry\nfrom zoo import registry\nimport zoo.errors as e\n"
        "registry._exists('a')\ne._hidden\nRegistry('x')._classes\n"
    )
    found = [line.split(": ", 1)[1] for line in private_names(tmp_path, PACKAGES)]
    assert sorted(found) == ["zoo.errors._hidden", "zoo.registry._exists", "zoo.registry._exists"]
