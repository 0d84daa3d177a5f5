"""Sizes that the design sets: parameters of constructors and lines of functions. An exception has its reason here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("zoo", "datamodules", "experiments")
PARAMETERS = 8
LINES = 60

ARCHITECTURE = "its parameters are the hyperparameters of one architecture, which papers and configurations list flat"
SERVICE = "its parameters are the options of one model call, each of which is part of the key of its cache"
EXCEPTIONS = {
    "BERTEncoder": ARCHITECTURE,
    "DNABERTEncoder": ARCHITECTURE,
    "FrozenImageEncoder": ARCHITECTURE,
    "FrozenTextEncoder": ARCHITECTURE,
    "LSTMEncoder": ARCHITECTURE,
    "SCBERTEncoder": ARCHITECTURE,
    "ViTEncoder": ARCHITECTURE,
    "FieldCaptioner": SERVICE,
    "VisionLanguageCaptioner": SERVICE,
    "SmallDiffusion": SERVICE,
    "TextToImagePainter": SERVICE,
    "Table": "a user sets the columns of a table each time, and a nested group would be typed each time",
}
"""Constructors of more than eight parameters -> why."""


def definitions() -> Iterator[tuple[str, ast.AST]]:
    """Each class and function of the packages, with the file that it is in."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                yield str(file.relative_to(ROOT)), node


def parameters(function: ast.FunctionDef) -> int:
    """Number of parameters beside self."""
    return len(function.args.posonlyargs) + len(function.args.args) + len(function.args.kwonlyargs) - 1


def test_constructors_take_at_most_eight_parameters() -> None:
    found = {
        node.name
        for _, node in definitions()
        if isinstance(node, ast.ClassDef)
        for member in node.body
        if isinstance(member, ast.FunctionDef) and member.name == "__init__" and parameters(member) > PARAMETERS
    }
    assert found - set(EXCEPTIONS) == set(), "group them into options dataclasses"
    assert set(EXCEPTIONS) - found == set(), "no longer exceptions"


def test_functions_have_at_most_sixty_lines() -> None:
    found = [
        f"{file}:{node.name} has {node.end_lineno - node.lineno + 1}"
        for file, node in definitions()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LINES
    ]
    assert found == []
