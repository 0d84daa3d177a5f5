"""Imports go one way: the table below is the whole of what a package may import from the others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER: tuple[str, ...] = ("errors", "packaged", "registry", "contract", "card", "generator", "losses", "encoders")
ORDER += ("fusion", "tasks", "weighting", "optim", "refinement", "mixing", "loss_table", "combine", "evaluation")
ORDER += ("results", "reporting", "module", "analysis", "baselines", "callbacks", "generative")
"""Parts of zoo, lowest first: each imports only itself and lower ones.

The list of DESIGN.md with the files that module.py was split into. loss_table, combine and evaluation sit between
weighting and module; reporting, which makes table rows of an evaluation, sits below the callback that writes them.
"""
CORE = {"zoo.contract", "zoo.errors", "zoo.packaged", "zoo.registry", "zoo.card", "zoo.generator"}
"""What datamodules may import."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Names of modules that a file imports anywhere, functions and TYPE_CHECKING blocks included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the package"
            assert node.module is not None
            names |= {node.module}
            if node.module in ("zoo", "datamodules", "experiments"):
                names |= {f"{node.module}.{a.name}" for a in node.names}
    return names


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def part(name: str) -> str:
    """The part of zoo that ``zoo.x.y`` belongs to: x."""
    return name.split(".")[1]


@pytest.mark.parametrize("path", modules("zoo"), ids=lambda p: str(p.relative_to(ROOT)))
def test_zoo_imports_only_lower_parts(path: Path) -> None:
    names = imported(path)
    above = {n for n in names if within(n, "datamodules") or within(n, "experiments") or within(n, "tests")}
    assert not above, "zoo must work without the data modules and the command line"
    own = path.relative_to(ROOT / "zoo").parts[0].removesuffix(".py")
    if own == "__init__":
        return  # the public names, each imported when it is first used
    assert own in ORDER, f"say in ORDER where zoo.{own} belongs"
    for name in names:
        if within(name, "zoo"):
            assert name != "zoo", "import from the part, not from the package"
            assert ORDER.index(part(name)) <= ORDER.index(own), f"zoo.{own} must not import {name}, which is above it"


@pytest.mark.parametrize("path", modules("datamodules"), ids=lambda p: str(p.relative_to(ROOT)))
def test_datamodules_import_only_the_contract(path: Path) -> None:
    for name in imported(path):
        assert not within(name, "experiments")
        assert not within(name, "tests")
        assert not within(name, "zoo") or name in CORE, f"datamodules must not import {name}"


def test_the_tables_are_not_empty() -> None:
    assert len(modules("zoo")) > 20
    assert len(modules("datamodules")) > 20
    assert "zoo.contract" in imported(ROOT / "zoo" / "module.py")


def test_shipped_code_imports_no_tests() -> None:
    for path in modules("experiments"):
        assert not {n for n in imported(path) if within(n, "tests")}
