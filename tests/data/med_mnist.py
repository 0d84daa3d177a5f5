"""Write a tiny archive in the layout of MedMNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(
    folder: Path,
    seed: int = 0,
    n: int = 12,
    flag: str = "pneumoniamnist",
    size: int = 28,
    labels: int = 2,
    colour: bool = False,
    multilabel: bool = False,
    compressed: bool = True,
) -> None:
    """Write an archive with n training, n // 2 validation and n // 2 test images; classes take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", n), ("val", n // 2), ("test", n // 2)):
        classes = np.arange(count) % labels
        shape = (count, size, size, 3) if colour else (count, size, size)
        base = 90 + (60 * classes / max(1, labels - 1)).astype(int).reshape(-1, *[1] * (len(shape) - 1))
        arrays[f"{split}_images"] = (base + generator.integers(-30, 30, shape)).astype(np.uint8)
        single = classes[:, None].astype(np.uint8)
        several = (generator.random((count, labels)) < 0.3).astype(np.uint8)
        arrays[f"{split}_labels"] = several if multilabel else single
    name = f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz"
    (np.savez_compressed if compressed else np.savez)(folder / name, **arrays)
