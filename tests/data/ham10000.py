"""Write a tiny folder in the published layout of HAM10000."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

DX = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
SITES = ("back", "face", "unknown", "trunk", "lower extremity")


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n images in two parts; images 0 and 7 show one lesion; image 1 has no age and 2 no sex."""
    generator = np.random.default_rng(seed)
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for i in range(n):
        part = "HAM10000_images_part_1" if i % 2 == 0 else "HAM10000_images_part_2"
        save_picture(folder / part / f"ISIC_{i:07d}.jpg", generator, level=40 + 25 * (i % 7), colour=True)
        lesion, age = 0 if i == 7 else i, "" if i == 1 else f"{30 + 5 * (i % 9)}.0"
        sex = "unknown" if i == 2 else ("female", "male")[i % 2]
        lines.append(f"HAM_{lesion:07d},ISIC_{i:07d},{DX[i % 7]},histo,{age},{sex},{SITES[i % 5]}")
    (folder / "HAM10000_metadata.csv").write_text("\n".join(lines) + "\n")
