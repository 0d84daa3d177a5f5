"""Write a tiny folder in the layout of the BCCD data set."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

BOXES = (
    ("RBC", 3, 3, 12, 12),
    ("WBC", 20, 5, 40, 25),
    ("RBC", 44, 1, 52, 10),
    ("RBC", 5, 20, 5, 20),
    ("Platelets", 50, 30, 70, 60),
    ("RBC", 30, 30, 40, 40),
)
"""Boxes of every image of 64 x 48 pixels: the fourth has no area, and the platelet's reaches beyond the image."""


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n annotated images; the first half are train, then val and test; the lists also name an absent one."""
    generator = np.random.default_rng(seed)
    lists: dict[str, list[str]] = {"train": ["BloodImage_99999"], "val": [], "test": []}
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    for i in range(n):
        name = f"BloodImage_{i:05d}"
        save_picture(folder / "JPEGImages" / f"{name}.jpg", generator, size=(64, 48), colour=True)
        objects = "".join(
            f"<object><name>{kind}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
            "</bndbox></object>"
            for kind, a, b, c, d in BOXES
        )
        size = "<size><width>64</width><height>48</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}.jpg</filename>{size}{objects}</annotation>"
        (folder / "Annotations" / f"{name}.xml").write_text(text)
        lists["train" if i < n // 2 else ("val", "test")[i % 2]].append(name)
    for split, names in lists.items():
        path = folder / "ImageSets" / "Main" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(names) + "\n")
