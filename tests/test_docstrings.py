"""Docstrings: a public function of three parameters or more says what each is, unless it overrides one that does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MANY = 3
HOOKS = ("setup", "on_")
"""Beginnings of names that Lightning calls: their parameters are Lightning's."""


def functions(node: ast.AST, where: str, in_class: bool = False) -> Iterator[tuple[str, ast.FunctionDef, bool]]:
    """Public functions and methods, with their place and whether they stand in a class."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from functions(child, f"{where}:{child.name}", True)
        elif isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            yield f"{where}:{child.name}", child, in_class


def parameters(function: ast.FunctionDef) -> list[str]:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [a.arg for a in every if a.arg not in ("self", "cls")]


def undocumented(function: ast.FunctionDef) -> list[str]:
    """Parameters that the section Args does not name."""
    text = ast.get_docstring(function) or ""
    section = text.partition("Args:")[2].partition("\n\n")[0]
    named = {n.strip(" *") for line in re.findall(r"^ {4}(\S[^:]*):", section, re.M) for n in line.split(",")}
    return [p for p in parameters(function) if p not in named]


def test_many_parameters_are_documented() -> None:
    found = [
        each
        for package in ("zoo", "datamodules", "experiments")
        for path in sorted((ROOT / package).rglob("*.py"))
        for each in functions(ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(ROOT)))
        if len(parameters(each[1])) >= MANY and not each[1].name.startswith(HOOKS)
    ]
    told = {f.name for _, f, in_class in found if in_class and not undocumented(f)}
    lacking = {
        where: undocumented(f)
        for where, f, in_class in found
        if undocumented(f) and not (in_class and f.name in told) and ":_" not in where
    }
    assert not lacking, "\n".join(f"{where} lacks {', '.join(names)}" for where, names in lacking.items())
