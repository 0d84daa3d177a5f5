"""Write a tiny folder in the published layout of PatchCamelyon."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

PREFIX = "camelyonpatch_level_2_split_"


def write(folder: Path, seed: int = 0, n: int = 12, meta: bool = True) -> None:
    """Write n training, n // 2 validation and n // 2 test patches; labels alternate, a slide has two patches."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for split, count in (("train", n), ("valid", n // 2), ("test", n // 2)):
        labels = np.arange(count) % 2
        images = 150 - 60 * labels[:, None, None, None] + generator.integers(-40, 40, (count, 96, 96, 3))
        with h5py.File(folder / f"{PREFIX}{split}_x.h5", "w") as file:
            file.create_dataset("x", data=images.astype(np.uint8), chunks=(2, 96, 96, 3), compression="gzip")
        with h5py.File(folder / f"{PREFIX}{split}_y.h5", "w") as file:
            file.create_dataset("y", data=labels.reshape(-1, 1, 1, 1).astype(np.uint8))
        if meta:
            lines = [",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi"]
            for i, label in enumerate(labels.tolist()):
                slide = f"camelyon16_{'test' if split == 'test' else 'train'}_{split}_{i // 2:03d}"
                lines.append(f"{i},{1000 + i},{2000 + i},{bool(label)},{bool(label)},{slide}")
            (folder / f"{PREFIX}{split}_meta.csv").write_text("\n".join(lines) + "\n")
