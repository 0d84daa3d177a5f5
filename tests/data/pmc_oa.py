"""Write a tiny folder in the published layout of PMC-OA."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

CAPTIONS = (
    "Axial CT scan of the abdomen.",
    "A. T2-weighted MRI of the brain.",
    "Chest radiograph on admission.",
    "Photomicrograph, H&E, x40.",
    "Sonogram of the thyroid.",
    "Flow diagram of the study.",
)


def write(folder: Path, seed: int = 0, n: int = 24) -> None:
    """Write n pairs, two an article; the same ones as pmc_oa.jsonl, pmc_oa_beta.jsonl and as three splits."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        image = f"PMC{212300 + i // 2}_Fig{1 + i // 6}_{i % 6}.jpg"
        save_picture(folder / "images" / image, generator, level=50 + 30 * (i % 6), colour=i % 2 == 0)
        rows.append({"image": image, "caption": CAPTIONS[i % 6], "pmcid": f"PMC{212300 + i // 2}"})
    bounds = {"train": (0, n // 2), "valid": (n // 2, 3 * n // 4), "test": (3 * n // 4, n)}
    for name, (low, high) in {"pmc_oa": (0, n), "pmc_oa_beta": (0, n), **bounds}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows[low:high]))
