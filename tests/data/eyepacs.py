"""Write a tiny folder in the published layout of EyePACS."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 20) -> None:
    """Write n images, the two eyes of a patient after each other and alike in grade, and four of test."""
    generator = np.random.default_rng(seed)
    train, test = ["image,level"], ["image,level,Usage"]
    for i in range(n):
        name = f"{10 + i // 2}_{('left', 'right')[i % 2]}"
        save_picture(folder / "train" / f"{name}.jpeg", generator, level=60 + 40 * (i // 2 % 5), colour=True)
        train.append(f"{name},{i // 2 % 5}")
    for i in range(4):
        name = f"{1 + i // 2}_{('left', 'right')[i % 2]}"
        save_picture(folder / "test" / f"{name}.jpeg", generator, level=100, colour=True)
        test.append(f"{name},{i},{('Private', 'Public')[i // 2]}")
    (folder / "trainLabels.csv").write_text("\n".join(train) + "\n")
    (folder / "retinopathy_solution.csv").write_text("\n".join(test) + "\n")
