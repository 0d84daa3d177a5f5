"""Write a tiny file of clinical notes: notes.csv, and the same rows as notes.jsonl."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

LABELS = ("asthma", "pneumonia", "healthy")
COLUMNS = ("id", "patient", "text", "label", "findings", "split")


def write(folder: Path, seed: int = 0, n: int = 15) -> None:
    """Write n notes of n // 2 + 1 patients; the text names its label, and the last label is unknown."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        label = LABELS[i % 3]
        words = generator.choice(["cough", "fever", "clear", "dyspnoea", "stable"], 3)
        findings = ";".join(sorted(set(words.tolist())))
        split = ("train", "train", "validation", "test")[(i // 2) % 4]
        text = f"Seen for {label}, with {', '.join(words)}."
        rows.append((f"n{i:03d}", f"p{i // 2}", text, "" if i == n - 1 else label, findings, split))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "notes.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([COLUMNS, *rows])
    lines = [dict(zip(COLUMNS, r, strict=True)) for r in rows]
    (folder / "notes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
