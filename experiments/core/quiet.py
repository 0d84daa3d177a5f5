"""Fewer remarks of libraries, for commands that train many networks."""

from __future__ import annotations

import logging
import warnings

from experiments.cli import quiet_libraries

REMARKS = (".*is an instance of `nn.Module` and is already saved.*", ".*smaller than the logging interval.*")
"""Warnings of Lightning about things that are as they should be here."""


def quiet() -> None:
    """Silence Lightning's remarks about each of many trainings."""
    quiet_libraries()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for pattern in REMARKS:
        warnings.filterwarnings("ignore", message=pattern)
