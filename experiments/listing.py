"""``run.py list``: what there is to choose from; and the table of sources, datamodules/sources/README.md.

``python -m experiments.listing`` prints that table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import datamodules.phantom
import datamodules.sources  # noqa: F401
import zoo
import zoo.generative.captioners
import zoo.generative.painters  # noqa: F401
from datamodules.source import SOURCES
from experiments.cross_modal.settings import SETTINGS
from experiments.table1.rows import ROWS
from zoo.analysis.corruptions import CORRUPTIONS
from zoo.baselines import BASELINES
from zoo.baselines.table_models import TABLE_MODELS
from zoo.encoders import ENCODERS
from zoo.fusion import FUSIONS
from zoo.generative.judges import JUDGES
from zoo.generator import GENERATORS
from zoo.losses import LOSSES
from zoo.registry import Registry
from zoo.tasks import TASKS
from zoo.weighting import WEIGHTINGS

REAL_ROWS = {
    "BCCD": 904,
    "BCIIV2b": 5400,
    "RSNABoneAge": 60,
    "BrainTumorMRI": 356,
    "CB513": 511,
    "CITESeq": 8617,
    "EarthMicrobiome": 2000,
    "EcoliMPRA": 17633,
    "HAM10000": 680,
    "HeadCT": 200,
    "MedMNIST": 5855,
    "MedicalAbstracts": 2888,
    "MouseCellAtlas": 315,
    "OCTFundus": 936,
    "OpenIReports": 3826,
    "PBMC68kReduced": 700,
    "ProteinStructures": 101,
    "RetinopathyGrades": 598,
    "SingleCellH5AD": 5685,
    "UCISplice": 3190,
    "VQARAD": 2793,
    "WisconsinBreastCancer": 569,
}
"""Source -> rows of the real files that its tests read, where there are any at hand; a test counts them."""
_HEAD = """# Sources

One file a published data set: its layout, and its card. This table is made from the cards by
`python -m experiments.listing > datamodules/sources/README.md`; the card of a source
(`datamodules.sources.HAM10000().card`) also says where to get it, which files are expected, what to cite and what to
be wary of.

"Real rows" counts the rows of real files (often a part of the data set) that the tests read; "-" means that the
reader was tested on made-up files of the published layout alone.
"""


def sources_markdown() -> str:
    """Return the table of all sources as Markdown: what they hold, their size, access and licence, from the cards.

    Tasks that differ with the arguments are those of the defaults; a source that has no defaults shows none.
    """
    columns = ("source", "modalities", "tasks", "size", "access", "licence", "real rows")
    lines = [_HEAD, f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name in SOURCES:
        cls = SOURCES.get(name)
        card = cls().card
        inside = cls.__module__.startswith("datamodules.sources.")
        link = f"[{name}]({cls.__module__.rsplit('.', 1)[1]}.py)" if inside else name
        kinds = ", ".join(f"{m.name} ({m.kind})" for m in card.modalities) or "as described"
        tasks = ", ".join(f"{t.name} ({t.kind})" for t in card.tasks) or "as described"
        real = str(REAL_ROWS[name]) if name in REAL_ROWS else "-"
        cells = (link, kinds, tasks, card.size, card.access, card.licence, real)
        lines.append("| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the registered names and the shipped configurations."""
    table = Table(show_header=False)
    registries: tuple[Registry[Any], ...] = (ENCODERS, FUSIONS, WEIGHTINGS, TASKS, SOURCES)
    registries = (*registries, LOSSES, GENERATORS, JUDGES, BASELINES, TABLE_MODELS, CORRUPTIONS, ROWS, SETTINGS)
    for registry in registries:
        table.add_row(registry.family, ", ".join(registry.names()))
    for what, folder in (("configuration", "configs"), ("sweep", "sweeps")):
        files = (Path(__file__).parent / folder).glob("*.yaml")
        table.add_row(what, ", ".join(sorted(p.name for p in files)))
    Console().print(table)


if __name__ == "__main__":
    print(sources_markdown(), end="")
