"""Write tiny folders in the published layout of the RSNA bone age challenge, and with a single table."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n training images, image i of 20 i months modulo 240, four of validation and two of test."""
    generator = np.random.default_rng(seed)
    train, val, test = (
        ["id,boneage,male"],
        ["Image ID,male,Bone Age (months)"],
        ["Case ID,Sex,Ground truth bone age (months)"],
    )
    for i in range(n):
        months = 20 * i % 240
        save_picture(folder / "boneage-training-dataset" / f"{1377 + i}.png", generator, level=40 + months // 2)
        train.append(f"{1377 + i},{months},{i % 2 == 0}")
    for i in range(4):
        save_picture(folder / f"boneage-validation-dataset-{1 + i // 2}" / f"{1386 + i}.png", generator, level=90)
        val.append(f"{1386 + i},{'TRUE' if i % 2 else 'FALSE'},{50 * i}")
    for i in range(2):
        save_picture(folder / "boneage-test-dataset" / f"{4360 + i}.png", generator, level=90)
        test.append(f"{4360 + i},{'MF'[i]},{100.5 + i}")
    (folder / "boneage-training-dataset.csv").write_text("\n".join(train) + "\n")
    (folder / "Validation Dataset.csv").write_text("\n".join(val) + "\n")
    (folder / "Bone age ground truth.csv").write_text("\n".join(test) + "\n")


def write_single(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n images with one table; image i shows a hand of 20 i months, modulo 240; the sex alternates."""
    generator = np.random.default_rng(seed)
    lines = ["file,boneage_months,male"]
    for i in range(n):
        months = 20 * i % 240
        save_picture(folder / f"{1400 + i}.jpg", generator, level=40 + months // 2)
        lines.append(f"{1400 + i}.jpg,{months},{i % 2 == 0 if i else ''}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
