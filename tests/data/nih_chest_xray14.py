"""Write a tiny folder in the published layout of NIH ChestX-ray14."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
FINDINGS = ("No Finding", "Cardiomegaly|Effusion", "Mass", "Pleural_Thickening", "No Finding", "Pneumothorax|Mass")


def write(folder: Path, seed: int = 0, n: int = 24) -> None:
    """Write n images, two a patient, in images_001 and images_002; the last quarter of patients is the test list."""
    generator = np.random.default_rng(seed)
    lines, lists = [HEADER], {"train_val_list.txt": [], "test_list.txt": []}
    for i in range(n):
        patient = i // 2 + 1
        name = f"{patient:08d}_{i % 2:03d}.png"
        part = "images_001" if i < n // 2 else "images_002"
        found = FINDINGS[i % len(FINDINGS)]
        save_picture(folder / part / "images" / name, generator, level=60 if found == "No Finding" else 180)
        age = ("058Y", "33", "411", "011M")[i % 4]
        view = ("PA", "AP")[i % 2]
        lines.append(f"{name},{found},{i % 2},{patient},{age},{'FM'[i % 2]},{view},2500,2048,0.171,0.171,")
        lists["test_list.txt" if 4 * i >= 3 * n else "train_val_list.txt"].append(name)
    (folder / "Data_Entry_2017.csv").write_text("\n".join(lines) + "\n")
    for file, names in lists.items():
        (folder / file).write_text("\n".join(names) + "\n")
