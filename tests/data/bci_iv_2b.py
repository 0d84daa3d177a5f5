"""Write a tiny file in the layout of bci_iv_2b: three subjects of two sessions."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write ``n`` trials, (3, 400) whole numbers at 100 Hz; a right hand weakens 10 Hz over C3, a left over C4."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    y = np.arange(n) % 2
    wave = np.sin(2 * np.pi * 10 * np.arange(400) / 100)
    x = generator.normal(0, 2, (n, 3, 400))
    x[:, 0] += np.where(y == 0, 12, 2)[:, None] * wave
    x[:, 2] += np.where(y == 1, 12, 2)[:, None] * wave
    np.savez_compressed(
        folder / "bci4_2b_100hz_int16.npz",
        x=np.rint(x * 100).astype(np.int16),
        y=y.astype(np.int8),
        subject=(1 + np.arange(n) // 2 % 3).astype(np.int8),
        session=(1 + np.arange(n) // 6 % 2).astype(np.int8),
        scale=np.float32(0.01),
        sfreq=np.float32(100),
        channels=np.array(["C3", "Cz", "C4"]),
    )
