"""Write a tiny folder in the published layout of PMC-VQA, versions 1 and 2."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

ANSWERS = ("Focal uptake pattern", "CT scan", "Left lung", "Two")
V1 = ["Figure_path", "Question", "Answer", "Choice A", "Choice B", "Choice C", "Choice D", "Answer_label"]
V2 = [
    "index",
    "Figure_path",
    "Caption",
    "Question",
    "Choice A",
    "Choice B",
    "Choice C",
    "Choice D",
    "Answer",
    "split",
]


def write(folder: Path, seed: int = 0, n: int = 16) -> None:
    """Write n training and n // 2 test questions, two an image, of both versions on the same images."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for split, first, count in (("train", 0, n), ("test", n, n // 2)):
        one, two = [], []
        for i in range(first, first + count):
            image = f"PMC{1000 + i // 4}_F{(i // 2) % 2 + 1}.jpg"
            right = i % 4
            choices = [f" {c}:{a} " for c, a in zip("ABCD", ANSWERS, strict=True)]
            question = f"What is shown in panel {i % 2}, if anything?"
            one.append([image, question, ANSWERS[right], *choices, "ABCD"[right]])
            two.append([str(i), image, "A caption", question, *choices, "ABCD"[right], split])
            for images in ("images", "images_2"):
                if not (folder / images / image).exists():
                    save_picture(folder / images / image, generator, level=60 + 40 * right, colour=True)
        for name, header, rows in ((f"{split}.csv", V1, one), (f"{split}_2.csv", V2, two)):
            with (folder / name).open("w", newline="", encoding="utf-8") as handle:
                csv.writer(handle).writerows([header, *rows])
        if split == "test":
            with (folder / "test_clean.csv").open("w", newline="", encoding="utf-8") as handle:
                csv.writer(handle).writerows([V1, *one[:4]])
