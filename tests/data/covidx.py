"""Write a tiny folder in the published layout of COVIDx CXR."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 20, three: bool = False, val: bool = False) -> None:
    """Write n training images of two a patient, eight test images, and perhaps six of val, with their lists.

    Patient 0 of cohen is in test too. The second training image has a blank in its name.

    Args:
        folder: where to write.
        seed: of the pixels.
        n: training images.
        three: write the labels normal, pneumonia and COVID-19, and no collection in the test list (as the first
            releases had it).
        val: write a val part, as CXR-4 has it.
    """
    generator = np.random.default_rng(seed)
    labels = ("normal", "pneumonia", "COVID-19") if three else ("negative", "positive")
    origins = ("cohen", "rsna", "stonybrook")

    def save(part: str, count: int, first: int, column: bool = True) -> None:
        lines = []
        for i in range(count):
            patient = first + i // 2
            k, origin = (patient - first) % len(labels), origins[(patient - first) % 3]
            blank = " " if part == "train" and i == 1 else "-"
            name = f"{origin}-{patient}{blank}{i}.png"
            save_picture(folder / part / name, generator, level=60 + 60 * k, size=(22, 22))
            lines.append(f"{patient} {name} {labels[k]}" + (f" {origin}" if column else ""))
        if part == "test":
            save_picture(folder / part / "again.png", generator, level=60)
            lines.append(f"0 again.png {labels[0]}" + (" cohen" if column else ""))
        (folder / f"{part}.txt").write_text("\n".join(lines) + "\n")

    save("train", n, 0)
    save("test", 8, 500, column=not three)
    if val:
        save("val", 6, 700)
