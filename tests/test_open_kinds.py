"""Kinds are open: outside their own folder nothing compares a kind's name, or decides by a table of such names.

What a class accepts may be declared: ``kinds``, ``modality_kinds`` and ``task_kinds`` of encoders, corruptions and
baselines, ``kind`` and ``makes`` of classes that stand for one.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from zoo.contract import MODALITIES, TASKS

ROOT = Path(__file__).parents[1]
PACKAGES = ("zoo", "datamodules", "experiments")
DECLARED = ("kinds", "modality_kinds", "task_kinds")
"""Attributes that say what a class accepts."""
KIND_WORDS = ("kind", "makes")
"""Endings of names of variables and attributes that hold a kind's name."""


def comparisons(tree: ast.AST, kinds: Collection[str]) -> Iterator[tuple[int, str]]:
    """Line and words of whatever compares a name of ``kinds`` or decides by several of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_names(s, kinds) for s in sides) and any(_is_kind(s) for s in sides):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Match) and _is_kind(node.subject):
            yield node.lineno, f"match {ast.unparse(node.subject)}"
        elif isinstance(node, ast.Dict) and len(node.keys) > 1 and all(_is_name(k, kinds) for k in node.keys):
            yield node.lineno, ast.unparse(node)[:80]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Tuple | ast.List | ast.Set):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            declared = any(isinstance(t, ast.Name) and t.id in DECLARED for t in targets)
            found = node.value.elts
            if not declared and len(found) > 1 and all(_is_name(e, kinds) for e in found):
                yield node.lineno, ast.unparse(node)[:80]


def _is_name(node: ast.AST | None, kinds: Collection[str]) -> bool:
    return isinstance(node, ast.Constant) and node.value in kinds


def _names(node: ast.AST, kinds: Collection[str]) -> bool:
    """Whether an operand is a kind's name, or a literal of several words with one among them."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(_is_name(e, kinds) for e in node.elts)
    return _is_name(node, kinds)


def _is_kind(node: ast.AST) -> bool:
    """Whether an operand is a variable, attribute or item that holds a kind."""
    if isinstance(node, ast.Subscript):
        return _is_kind(node.value) or (isinstance(node.value, ast.Name) and node.value.id.endswith("kinds"))
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.endswith(KIND_WORDS)


def offences(kinds: Collection[str], home: str) -> list[str]:
    """All comparisons of the project's packages outside ``home``, the folder of the kinds."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            where = path.relative_to(ROOT).as_posix()
            if not where.startswith(home):
                tree = ast.parse(path.read_text(encoding="utf-8"))
                found += [f"{where}:{line}: {words}" for line, words in comparisons(tree, kinds)]
    return found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('if spec.kind == "image": pass', 1),
        ('x = m.kind not in ("text", "other")', 1),
        ('x = "image" == makes', 1),
        ('x = kinds[name] != "text"', 1),
        ('SIZES = {"image": 1, "text": 2}', 1),
        ('PICTURES = ("image", "text")', 1),
        ('match spec.kind:\n    case "image": pass', 1),
        ('class Damage:\n    kinds = ("image", "text")', 0),
        ('class Damage:\n    kind = "image"', 0),
        ('x = mode == "image"', 0),
        ("x = spec.kind in self.kinds", 0),
        ("x = one.kind != other.kind", 0),
    ],
)
def test_what_counts_as_a_comparison(code: str, found: int) -> None:
    assert len(list(comparisons(ast.parse(code), ("image", "text")))) == found


def test_nothing_compares_kinds_of_modality() -> None:
    assert offences(MODALITIES.names(), "datamodules/modalities/") == []


def test_nothing_compares_kinds_of_task() -> None:
    found = offences(TASKS.names(), "zoo/tasks/")
    # The simulated cohort has two tasks that are called after their kinds, and a table by the names of its tasks.
    assert [f for f in found if "datamodules/phantom/cohort.py" not in f] == []
    assert len(found) == 1
