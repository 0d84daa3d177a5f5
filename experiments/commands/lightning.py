"""The commands of LightningCLI: fit, validate and test."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.core.command import COMMANDS, Command


class LightningCommand(Command):
    """A subcommand of LightningCLI, which parses its options itself."""

    group = "training and prediction"
    takes_configuration = True

    def main(self, arguments: Sequence[str]) -> int:
        """Hand over to LightningCLI, which reads the command line of the process."""
        from experiments.cli import run_lightning

        run_lightning()
        return 0


@COMMANDS.register
class Fit(LightningCommand):
    """Train, then test, and end with a table of every task (--config mtl.yaml needs no download)."""

    name = "fit"


@COMMANDS.register
class Validate(LightningCommand):
    """Evaluate a checkpoint on the validation split (--ckpt_path FILE)."""

    name = "validate"


@COMMANDS.register
class Test(LightningCommand):
    """Evaluate a checkpoint on the test split (--ckpt_path FILE)."""

    name = "test"
