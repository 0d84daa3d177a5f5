"""Write BNCI 2014-001 (BCI Competition IV, data set 2a), tiny, where MOABB looks for it: A01T.mat ... A09E.mat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat

RATE = 250
CLASSES = ("left hand", "right hand", "feet", "tongue")
SPACING = 7
"""Seconds from trial to trial; the cue comes after 2 s, the imagery ends after 6 s."""


def signals(seed: int, subject: int, session: str, trials: int = 4) -> np.ndarray:
    """Whole uV (T, 25) of a run: 22 channels of EEG and 3 of EOG."""
    generator = np.random.default_rng([seed, subject, ord(session)])
    return np.rint(generator.normal(0, 30, ((trials * SPACING + 2) * RATE, 25))).astype(np.int16)


def write(folder: Path, seed: int = 0, n: int = 72) -> None:
    """Write ``n`` trials: nine subjects, two sessions of one run each, the four classes in turn."""
    target = folder / "MNE-bnci-data" / "~bci" / "database" / "001-2014"
    target.mkdir(parents=True, exist_ok=True)
    trials = n // 18
    for subject in range(1, 10):
        for session in "TE":
            run = {
                "X": signals(seed, subject, session, trials),
                "trial": (np.arange(trials) * SPACING + 1) * RATE + 1,
                "y": np.arange(trials) % 4 + 1,
                "fs": 250,
                "classes": np.array(CLASSES, dtype=object),
                "artifacts": np.zeros(trials, dtype=np.uint8),
                "gender": "male",
                "age": 25,
            }
            data = np.empty(1, dtype=object)
            data[0] = run
            savemat(target / f"A{subject:02d}{session}.mat", {"data": data}, do_compression=True)
