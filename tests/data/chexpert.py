"""Write a tiny folder in the published layout of CheXpert."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
TRAIN = (
    "1.0,,,,,,,,,0.0,,,,1.0",
    ",,-1.0,1.0,,-1.0,,,,,1.0,,,",
    ",,1.0,,,0.0,,-1.0,,,,,1.0,",
)
VALID = ("0.0,1.0,0.0,1.0,0.0,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0", "1.0" + 13 * ",0.0")


def write(folder: Path, seed: int = 0, n: int = 18) -> None:
    """Write n images of the small version, a frontal and a lateral one a patient, the last third in valid.

    The first patient's sex is unknown and the second's age 0.
    """
    generator = np.random.default_rng(seed)
    tables = {"train": [HEADER], "valid": [HEADER]}
    for i in range(n):
        part = "valid" if 3 * i >= 2 * n else "train"
        patient = i // 2 + (64541 if part == "valid" else 1)
        kind = ("frontal", "lateral")[i % 2]
        name = f"{part}/patient{patient:05d}/study1/view{i % 2 + 1}_{kind}.jpg"
        save_picture(folder / "CheXpert-v1.0-small" / name, generator, level=50 + 60 * (i % 3))
        marks = TRAIN[i // 2 % 3] if part == "train" else VALID[i // 2 % 2]
        sex = "Unknown" if i < 2 else ("Female", "Male")[i // 2 % 2]
        age = 0 if i in (2, 3) else 20 + i
        view = ("AP", "PA")[i // 2 % 2] if kind == "frontal" else ""
        tables[part].append(f"CheXpert-v1.0-small/{name},{sex},{age},{kind.capitalize()},{view},{marks}")
    for part, lines in tables.items():
        (folder / "CheXpert-v1.0-small" / f"{part}.csv").write_text("\n".join(lines) + "\n")
