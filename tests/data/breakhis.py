"""Write a tiny folder in the published layout of BreakHis."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

SLIDES = (
    ("adenosis", "B", "A", "14-22549AB"),
    ("adenosis", "B", "A", "14-22549CD"),
    ("fibroadenoma", "B", "F", "14-14134E"),
    ("phyllodes_tumor", "B", "PT", "14-21998AB"),
    ("tubular_adenoma", "B", "TA", "14-16184"),
    ("ductal_carcinoma", "M", "DC", "14-2523"),
    ("ductal_carcinoma", "M", "DC", "14-13412"),
    ("lobular_carcinoma", "M", "LC", "14-13412"),
    ("mucinous_carcinoma", "M", "MC", "14-10147"),
    ("papillary_carcinoma", "M", "PC", "14-9146"),
    ("papillary_carcinoma", "M", "PC", "15-190EF"),
)
FOLDERS = {"B": "benign", "M": "malignant"}


def write(folder: Path, seed: int = 0, n: int = 2) -> None:
    """Write an image at each of n magnifications of 11 slides; two are of one case, and one case is filed twice."""
    generator = np.random.default_rng(seed)
    root = folder / "BreaKHis_v1" / "histology_slides" / "breast"
    for subtype, kind, code, slide in SLIDES:
        for k, magnification in enumerate((40, 100, 200, 400)[:n]):
            slides = root / FOLDERS[kind] / "SOB" / subtype / f"SOB_{kind}_{code}_{slide}" / f"{magnification}X"
            level = (80 if kind == "B" else 200) + k
            save_picture(
                slides / f"SOB_{kind}_{code}-{slide}-{magnification}-{k + 1:03d}.png",
                generator,
                level=level,
                colour=True,
            )
