"""Write a tiny BIDS folder of EEG: subjects of one or two sessions, events beside the recordings, two groups."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np

write_edf = runpy.run_path(str(Path(__file__).with_name("edf.py")))["write_edf"]

RATE = 100
CHANNELS = ("C3", "Cz", "C4", "EOG")
ONSETS = (2.0, 7.25, 12.5, 18.0)


def recording(seed: int, seconds: int = 24) -> np.ndarray:
    """Noise (4, T) in uV, with 10 Hz over C3 in every other stretch of six seconds."""
    generator = np.random.default_rng(seed)
    times = np.arange(seconds * RATE) / RATE
    signals = generator.normal(0, 5, (len(CHANNELS), len(times)))
    signals[0] += 10 * np.sin(2 * np.pi * 10 * times) * (np.floor(times / 6) % 2 == 0)
    return signals + 3


def write_one(
    folder: Path,
    subject: str,
    session: str = "",
    *,
    task: str = "motor",
    seed: int = 0,
    events: str | None = None,
    channels: str | None = None,
    labels: tuple[str, ...] = CHANNELS,
    signals: np.ndarray | None = None,
    **options: object,
) -> Path:
    """Write one recording with the files beside it, and return its path; "" leaves one of them out."""
    below = folder / f"sub-{subject}" / (f"ses-{session}" if session else "") / "eeg"
    stem = f"sub-{subject}_" + (f"ses-{session}_" if session else "") + f"task-{task}_"
    path = below / f"{stem}eeg.edf"
    write_edf(path, recording(seed) if signals is None else signals, labels, RATE, (), **options)
    if events is None:
        lines = [f"{t}\t4.0\t{('left', 'right')[i % 2]}" for i, t in enumerate(ONSETS)]
        events = "\n".join(["onset\tduration\ttrial_type", *lines]) + "\n"
    if channels is None:
        lines = [f"{n}\t{'EOG' if n == 'EOG' else 'EEG'}\tuV\tgood" for n in labels]
        channels = "\n".join(["name\ttype\tunits\tstatus", *lines]) + "\n"
    for name, text in (("events", events), ("channels", channels)):
        if text:
            (below / f"{stem}{name}.tsv").write_text(text, encoding="utf-8")
    told = {"TaskName": task, "SamplingFrequency": RATE, "PowerLineFrequency": 50, "EEGReference": "Cz"}
    (below / f"{stem}eeg.json").write_text(json.dumps(told))
    (folder / "dataset_description.json").write_text(json.dumps({"Name": "made up", "BIDSVersion": "1.8.0"}))
    return path


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n subjects, of whom the second has two sessions, and participants.tsv, where the third has no sex."""
    lines = ["participant_id\tage\tsex\tgroup"]
    for k in range(n):
        name = f"{k + 1:02d}"
        for session in ("a", "b") if k == 1 else ("a",):
            write_one(folder, name, session, seed=seed + k)
        lines.append(f"sub-{name}\t{30 + k}\t{'n/a' if k == 2 else 'FM'[k % 2]}\t{('control', 'patient')[k % 2]}")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
