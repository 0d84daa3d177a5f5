"""Write a tiny folder in the published layout of PAD-UFES-20."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

HEADER = (
    "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,skin_cancer_history,"
    "cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,diameter_1,diameter_2,diagnostic,itch,grew,"
    "hurt,changed,bleed,elevation,img_id,biopsed"
)
DX = ("BCC", "ACK", "NEV", "SEK", "SCC", "MEL")
REGIONS = ("NECK", "FACE", "FOREARM", "HAND", "BACK")


def write(folder: Path, seed: int = 0, n: int = 30) -> None:
    """Write n images of n - 1 patients in three parts; patients without a biopsy were asked little.

    The first two images show lesions of one patient, and the second patient's father is of unknown origin.
    """
    generator = np.random.default_rng(seed)
    lines = [HEADER]
    for i in range(n):
        patient, lesion, dx = f"PAT_{max(i, 1)}", 800 + i, DX[i % 6]
        name = f"{patient}_{lesion}_{i}.png"
        save_picture(
            folder / "images" / f"imgs_part_{1 + i % 3}" / name, generator, level=40 + 35 * (i % 6), colour=True
        )
        biopsed = dx in ("BCC", "SCC", "MEL")
        asked = "False,True,UNK,BRAZIL" if biopsed else ",,,"
        told = f"False,{('FEMALE', 'MALE')[i % 2]},True,True,True,False,{1.0 + i % 4}" if biopsed else ",,,,,,"
        size = "6.0,5.0" if biopsed else ","
        lines.append(
            f"{patient},{lesion},{asked},{30 + i},{told},{REGIONS[i % 5]},{size},{dx},"
            f"True,UNK,False,{('False', 'UNK')[i % 2]},False,True,{name},{biopsed}"
        )
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
