"""``run.py list``: what there is to choose from."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

import datamodules.phantom
import datamodules.sources  # noqa: F401
import zoo  # noqa: F401
from datamodules.source import SOURCES
from zoo.encoders import ENCODERS
from zoo.fusion import FUSIONS
from zoo.tasks import TASKS
from zoo.weighting import WEIGHTINGS


def main() -> None:
    """Print the registered names and the shipped configurations."""
    table = Table(show_header=False)
    for registry in (ENCODERS, FUSIONS, WEIGHTINGS, TASKS, SOURCES):
        table.add_row(registry.family, ", ".join(registry.names()))
    configs = Path(__file__).parent / "configs"
    table.add_row("configuration", ", ".join(sorted(p.name for p in configs.glob("*.yaml"))))
    Console().print(table)
