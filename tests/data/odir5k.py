"""Tiny files in the layout of odir5k: a row a patient, a row an eye, and images of some eyes."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]
DISEASES = (
    "Normal", "Diabetes", "Glaucoma", "Cataract", "Age related Macular Degeneration", "Hypertension",
    "Pathological Myopia", "Other diseases/abnormalities",
)  # fmt: skip


def write(folder: Path, seed: int = 0, n: int = 48) -> None:
    """Write patients.csv, eyes.csv and images/; every fifth patient lacks the left eye, every seventh the right."""
    rng = np.random.default_rng(seed)
    patients, eyes = [], []
    for i in range(n):
        age, sex, word = int(rng.integers(30, 80)), ("Male", "Female")[i % 2], ("normal fundus", "cataract")[i % 2]
        there = {"left": int(i % 5 != 4), "right": int(i % 7 != 6)}
        for side in (s for s, held in there.items() if held):
            save_picture(folder / "images" / f"{i}_{side}.jpg", rng, level=80 + 80 * (i % 2), colour=True)
            grade = (0, 1, 2, 3, 4, -1, -2)[int(rng.integers(7))]
            eyes.append(
                {"patient": i, "eye": side, "file": f"{i}_{side}.jpg", "age": age, "sex": sex, "keywords": word,
                 "dr_grade": grade}
            )  # fmt: skip
        label = {d: int(rng.random() < 0.4) for d in DISEASES}
        patients.append(
            {"ID": i, "Patient Age": age, "Patient Sex": sex, "Left-Fundus": f"{i}_left.jpg",
             "Right-Fundus": f"{i}_right.jpg", "Left-Diagnostic Keywords": word, "Right-Diagnostic Keywords": word,
             **label, "has_left": there["left"], "has_right": there["right"]}
        )  # fmt: skip
    for name, rows in (("patients.csv", patients), ("eyes.csv", eyes)):
        with (folder / name).open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
