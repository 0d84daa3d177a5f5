"""Write a tiny folder in the published layout of IDRiD's disease grading."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 20) -> None:
    """Write n training and five test images; the training table ends in empty columns and a line of commas."""
    generator = np.random.default_rng(seed)
    base = folder / "B. Disease Grading"
    for letter, name, count, tail in (("a", "Training", n, ",,"), ("b", "Testing", 5, "")):
        lines = [f"Image name,Retinopathy grade,Risk of macular edema {tail}"]
        images = base / "1. Original Images" / f"{letter}. {name} Set"
        for i in range(count):
            save_picture(images / f"IDRiD_{i + 1:03d}.jpg", generator, level=60 + 40 * (i % 5), colour=True)
            lines.append(f"IDRiD_{i + 1:03d},{i % 5},{min(i % 5, 2)}{tail}")
        if tail:
            lines.append(2 * "," + tail)
        truth = base / "2. Groundtruths"
        truth.mkdir(parents=True, exist_ok=True)
        (truth / f"{letter}. IDRiD_Disease Grading_{name} Labels.csv").write_text("\n".join(lines) + "\n")
