"""Write a tiny archive in the layout of MedMNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write pneumoniamnist.npz with n training, n // 2 validation and n // 2 test images; classes alternate."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", n), ("val", n // 2), ("test", n // 2)):
        labels = np.arange(count) % 2
        base = 90 + 60 * labels[:, None, None]
        noise = generator.integers(-30, 30, (count, 28, 28))
        arrays[f"{split}_images"] = (base + noise).astype(np.uint8)
        arrays[f"{split}_labels"] = labels[:, None].astype(np.uint8)
    np.savez_compressed(folder / "pneumoniamnist.npz", **arrays)
