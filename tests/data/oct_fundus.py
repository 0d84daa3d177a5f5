"""Write a tiny folder in the layout of the OCT and fundus data set."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write the images of n patients' right eyes: by turns both kinds, OCT alone, fundus alone.

    Patient 1000 has a second OCT; patient 1001's eye is written "od"; grades go round 0, NPDR, PDR and -; each
    grade of OCT whose number is divisible by 6 is unknown while the fundus image's is known.
    """
    generator = np.random.default_rng(seed)
    lines = {kind: ["file,patient,eye,DME,DR"] for kind in ("oct", "fundus")}
    for i in range(n):
        patient, edema, grade = 1000 + i, i // 3 % 2, ("0", "NPDR", "PDR", "-")[i % 4]
        eye = "od" if i == 1 else "OD"
        for kind, letter, there in (("oct", "o", i % 3 != 2), ("fundus", "f", i % 3 != 1)):
            for number in range(1, 2 + (i == 0 and kind == "oct")) if there else ():
                name = f"{patient}_OD_{letter}_{number}.jpg"
                save_picture(folder / kind / name, generator, level=80 + 90 * edema, colour=kind == "fundus")
                shown = "-" if kind == "oct" and i % 6 == 0 else grade
                lines[kind].append(f"{name},{patient},{eye},{edema},{shown}")
    for kind, text in lines.items():
        (folder / kind / "labels.csv").write_text("\n".join(text) + "\n")
