"""Write a tiny folder in the published layouts of ROCO: version 1 (data) and version 2 (tables and images)."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

CUIS = tuple(f"C{40_000 + k:07d}" for k in range(24))
KINDS = ("radiology", "non-radiology")


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n figures of each kind for training, n // 2 for validation and for test; version 2 in the same numbers.

    Two figures in a row are of one article. In version 1 figure i has the concepts 2 i ... 2 i + 7 of CUIS, round the
    end, and every fifth has none; in version 2 it has i ... i + 9. Of version 1, the first caption has a line break,
    and even figures are named by id.
    """
    generator = np.random.default_rng(seed)
    number = 2
    for part, count in (("train", n), ("validation", n // 2), ("test", n // 2)):
        for kind in KINDS:
            place = folder / "data" / part / kind
            captions, cuis, licences = [], [], ["ROCO_ID,PMC_ID,CC"]
            for i in range(count):
                key, published = f"ROCO_{number:05d}", f"PMC{4000 + number // 2}_fig-g{i:03d}.jpg"
                image = published if number % 2 else f"{key}.jpg"
                save_picture(place / "images" / image, generator, level=80 if kind == "radiology" else 200)
                captions.append(f"{key}\t {kind} figure{chr(10) if number == 2 else ' '}of number {number}.")
                found = [] if i % 5 == 4 else [CUIS[(2 * i + k) % 24] for k in range(8)]
                cuis.append(f"{key}\t\t" + "\t".join(found))
                licences.append(f"{key},{published},CC BY")
                number += 1
            for name, lines in (("captions", captions), ("cuis", cuis), ("licences", licences)):
                (place / f"{name}.txt").write_text("\n".join(lines) + "\n")
    for part, count in (("train", n), ("valid", n // 2), ("test", n // 2)):
        captions, cuis = ["ID,Caption"], ["ID,CUIs"]
        for i in range(count):
            key = f"ROCOv2_2023_{part}_{i + 1:06d}"
            save_picture(folder / f"{part}_images" / part / f"{key}.jpg", generator, level=60 + 15 * i)
            captions.append(f'{key},"CT, figure {i}"')
            cuis.append(f"{key},{';'.join(CUIS[(i + k) % 24] for k in range(10))}")
        (folder / f"{part}_captions.csv").write_text("\n".join(captions) + "\n")
        (folder / f"{part}_concepts.csv").write_text("\n".join(cuis) + "\n")
