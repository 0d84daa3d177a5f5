"""The command ``list``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from experiments.core.catalogue import EXPERIMENTS, shipped_configs
from experiments.core.command import COMMANDS, Command
from zoo.registry import discover_all, plugins


@COMMANDS.register
class List(Command):
    """Names of encoders, fusions, task kinds, sources and everything else that can be chosen."""

    name = "list"
    group = "results and data"

    def main(self, arguments: Sequence[str]) -> int:
        """Print the registered names, the plugins in use and the shipped configurations."""
        self.parser().parse_args(arguments)
        table = Table(show_header=False)
        for registry in discover_all(everything=True):
            table.add_row(registry.family, ", ".join(registry.names()))
        table.add_row("configuration", ", ".join(sorted(shipped_configs())))
        table.add_row("sweep", ", ".join(sorted(p.name for p in (EXPERIMENTS / "sweeps").glob("*.yaml"))))
        if plugins():
            table.add_row("plugin", ", ".join(plugins()))
        Console().print(table)
        return 0
