"""Write a tiny folder in the published layouts of the Kermany chest X-rays."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]


def write(folder: Path, seed: int = 0, n: int = 24, dashed: bool = False) -> None:
    """Write n training films of two a child, a third of them normal, eight test films and four of val.

    person2 is in train (bacteria) and in test (virus). train/NORMAL/NORMAL2-IM-0001-0001.jpeg is byte-identical to
    test/NORMAL/IM-0900-0001.jpeg.

    Args:
        folder: where to write.
        seed: of the pixels.
        n: training films.
        dashed: write the other layout: BACTERIA-N-M, VIRUS-N-M, NORMAL-N-M, and no val.
    """
    generator = np.random.default_rng(seed)

    def save(part: str, kind: int, child: int, number: int) -> Path:
        if dashed:
            stem = f"{('NORMAL', 'BACTERIA', 'VIRUS')[kind]}-{child}-{number:04d}"
        elif kind == 0:
            stem = f"IM-{child:04d}-{number:04d}"
        else:
            stem = f"person{child}_{('', 'bacteria', 'virus')[kind]}_{number}"
        path = folder / part / ("NORMAL" if kind == 0 else "PNEUMONIA") / f"{stem}.jpeg"
        save_picture(path, generator, level=50 + 70 * kind, size=(30, 26))
        return path

    for i in range(n):
        save("train", (i // 2) % 3, i // 2 + 1, i % 2 + 1)
    for i in range(8):
        save("test", i % 3, 900 + i, 1)
    save("test", 2, 2, 9)
    if not dashed:
        twin = folder / "train" / "NORMAL" / "NORMAL2-IM-0001-0001.jpeg"
        twin.write_bytes((folder / "test" / "NORMAL" / "IM-0900-0001.jpeg").read_bytes())
        for i in range(4):
            save("val", i % 3, 800 + i, 1)
