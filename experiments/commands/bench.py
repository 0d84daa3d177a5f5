"""The command ``bench``: how long things take, on random or simulated data."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from experiments.core.command import COMMANDS, Command

FOLDER = Path(__file__).resolve().parents[1] / "bench"
DEFAULT = "steps"
"""The benchmark that runs where none is named."""


def benchmarks() -> dict[str, str]:
    """Name of a benchmark -> the first line of its docstring, without importing any."""
    files = (p for p in sorted(FOLDER.glob("*.py")) if p.stem != "__init__")
    return {p.stem: (ast.get_docstring(ast.parse(p.read_text())) or "").partition("\n")[0] for p in files}


@COMMANDS.register
class Bench(Command):
    """Time Lightning against a bare loop, packed against zero-filled rows, and readers."""

    name = "bench"
    group = "benchmarks"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Which benchmark."""
        known = benchmarks()
        parser.epilog = "\n".join(["benchmarks", *(f"  {name:8}{about}" for name, about in known.items())])
        names = f"default {DEFAULT}; zoo bench NAME --help shows its own options"
        parser.add_argument("benchmark", nargs="?", choices=list(known), default=DEFAULT, help=names)

    def main(self, arguments: Sequence[str]) -> int:
        """Hand over to a benchmark."""
        named = arguments[:1] if arguments[:1] and not arguments[0].startswith("-") else []
        alone = arguments[:1] in (["-h"], ["--help"])
        name = self.parser().parse_args(arguments[:1] if alone else named).benchmark
        import_module(f"experiments.bench.{name}").main(arguments[len(named) :])
        return 0
