"""Papers whose tables can be filled: one file a paper, with a PAPER in it, found by itself."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from experiments.commands.table.form import Paper


def papers() -> dict[str, Paper]:
    """The papers by the name that ``--paper`` takes."""
    found = [import_module(f"{__name__}.{info.name}").PAPER for info in iter_modules(__path__)]
    return {paper.name: paper for paper in found}
