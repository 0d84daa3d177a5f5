"""Write a tiny eegmmidb: S001 ... with the imagery runs R04, R06, ... of two movements each, at 160 Hz."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

write_edf = runpy.run_path(str(Path(__file__).with_name("edf.py")))["write_edf"]

CHANNELS = ("Fc5.", "C3..", "Cz..", "Fp1.")
RUNS = (4, 6, 8, 10, 12, 14)
RATE = 160
SECONDS = 18


def write(folder: Path, seed: int = 0, n: int = 72, runs: tuple[int, ...] = RUNS) -> None:
    """Write subjects of six runs, two movements a run, until there are ``n`` movements."""
    for k in range(-(-n // (2 * len(runs)))):
        for run in runs:
            generator = np.random.default_rng([seed, k, run])
            signals = generator.normal(0, 20, (len(CHANNELS), SECONDS * RATE))
            events = [(0.0, 4.2, "T0"), (4.2, 4.1, "T1"), (8.3, 4.2, "T0"), (12.5, 4.1, "T2")]
            path = folder / f"S{k + 1:03d}" / f"S{k + 1:03d}R{run:02d}.edf"
            write_edf(path, signals, CHANNELS, RATE, events, step=1.0)
