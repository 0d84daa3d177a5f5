"""Write a tiny table of one's own: images in files, texts, sequences and numbers in cells, labels with gaps."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

COLUMNS = (
    "patient", "visit", "scan", "trace", "report", "dna", "age", "sex", "dx", "grade", "findings", "score", "site",
)  # fmt: skip


def rows(n: int = 40, seed: int = 0) -> list[dict[str, str]]:
    """Return the cells of n rows; every fourth lacks a scan, every fifth a diagnosis, every third a score."""
    generator = np.random.default_rng(seed)
    made = []
    for i in range(n):
        sick = i % 2
        made.append(
            {
                "patient": f"p{i // 2:02d}",
                "visit": f"v{i:03d}",
                "scan": "" if i % 4 == 3 else f"scan{i:03d}",
                "trace": f"trace{i:03d}",
                "report": ("clear lungs today", "a shadow, on the left")[sick],
                "dna": "".join(generator.choice(list("ACGT"), 20)),
                "age": "" if i % 7 == 6 else str(30 + i),
                "sex": ("f", "m", "unknown")[i % 3],
                "dx": "" if i % 5 == 4 else ("healthy", "ill")[sick],
                "grade": ("low", "mid", "high")[i % 3],
                "findings": ("", "nodule", "nodule|effusion", "effusion")[i % 4],
                "score": "" if i % 3 == 2 else f"{0.5 * i + sick:.1f}",
                "site": ("north", "south")[i % 2],
            }
        )
    return made


def write(folder: Path, seed: int = 0, n: int = 40) -> None:
    """Write table.csv, scans/*.png and traces/*.npy."""
    generator = np.random.default_rng(seed)
    (folder / "traces").mkdir(parents=True)
    lines = rows(n, seed)
    for i, row in enumerate(lines):
        if row["scan"]:
            save_picture(folder / "scans" / f"{row['scan']}.png", generator, level=60 + 80 * (i % 2), colour=False)
        trace = generator.normal(size=(3, 50)).astype(np.float32)
        np.save(folder / "traces" / f"{row['trace']}.npy", trace)
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
