"""Write a tiny folder of EEG: a folder a subject, EDF+ files of three channels with two kinds of events."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

write_edf = runpy.run_path(str(Path(__file__).with_name("edf.py")))["write_edf"]

RATE = 100
CHANNELS = ("EEG C3..", "EEG Cz..", "EEG C4..", "EOG left")
ONSETS = (2.0, 7.25, 12.5, 18.0)


def recording(seed: int, seconds: int = 24) -> np.ndarray:
    """Noise (4, T) in uV, with 10 Hz that is weaker over C3 from the second and the last event on."""
    generator = np.random.default_rng(seed)
    times = np.arange(seconds * RATE) / RATE
    signals = generator.normal(0, 5, (len(CHANNELS), len(times)))
    signals[0] += 10 * np.sin(2 * np.pi * 10 * times) * (np.floor(times / 6) % 2 == 0)
    return signals + 3


def write(folder: Path, seed: int = 0, n: int = 24) -> None:
    """Write recordings of four events until there are ``n``: subjects sub01, sub02, ... of one session each."""
    for k in range(-(-n // len(ONSETS))):
        events = [(t, 4.0, ("left", "right")[i % 2]) for i, t in enumerate(ONSETS)]
        write_edf(folder / f"sub{k + 1:02d}" / "run1.edf", recording(seed + k), CHANNELS, RATE, events)
