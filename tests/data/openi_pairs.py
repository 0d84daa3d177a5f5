"""Tiny files in the layout of openi_pairs: two views of a chest, a report, and labels from it."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]
LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Opacity", "Lesion", "Pneumonia",
    "Pneumothorax", "Granuloma", "Emphysema", "Device", "Normal",
)  # fmt: skip


def write(folder: Path, seed: int = 0, n: int = 48) -> None:
    """Write index.csv and images/; every ninth study was never indexed, every fifth has no findings."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(1, n + 1):
        views = {v: f"images/{i}_{v[0].upper()}.jpg" for v in ("frontal", "lateral")}
        for view in views.values():
            save_picture(folder / view, rng, level=60 + 100 * (i % 2))
        sick = {name: int(rng.random() < 0.5) if i % 2 else 0 for name in LABELS}
        sick["Normal"] = 1 - i % 2
        said = "the heart is enlarged" if i % 2 else "the lungs are clear"
        rows.append(
            {"uid": i, **views, "frontal_source": f"{i}_1.jpg", "lateral_source": f"{i}_2.jpg",
             "indication": "" if i % 7 == 6 else "cough", "findings": "" if i % 5 == 4 else said, "impression": said,
             "MeSH": "No Indexing" if i % 9 == 8 else "normal", "Problems": "", **sick}
        )  # fmt: skip
        if i % 9 == 8:
            rows[-1] |= dict.fromkeys(LABELS, 0)
    with (folder / "index.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
