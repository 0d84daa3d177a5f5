"""Tiny files in the layout of the medical abstracts data set (the test part alone, as it is often found)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NAMES = (
    "neoplasms",
    "digestive system diseases",
    "nervous system diseases",
    "cardiovascular diseases",
    "general pathological conditions",
)
WORDS = ("tumor carcinoma", "gastric bowel", "seizure cortex", "cardiac artery", "injury fever")


def abstract(rng: np.random.Generator, label: int) -> str:
    """Write one abstract of class ``label`` (0 to 4)."""
    common = ["patients", "were", "studied", "with", "treatment", "results", "of", "the", "group", "after"]
    words = [*rng.choice(common, 12), *rng.choice(WORDS[label].split(), 6)]
    return " ".join(str(w) for w in rng.permutation(words)) + ", and so on."


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write the labels and a test csv of n rows below ``folder``; the last row repeats the first."""
    rng = np.random.default_rng(seed)
    rows = [f'{i % 5 + 1},"{abstract(rng, i % 5)}"' for i in range(n - 1)]
    rows.append(rows[0])
    folder.mkdir(parents=True, exist_ok=True)
    labels = "".join(f"{i},{name}\n" for i, name in enumerate(NAMES, start=1))
    (folder / "medical_tc_labels.csv").write_text("condition_label,condition_name\n" + labels, encoding="utf-8")
    text = "condition_label,medical_abstract\n" + "\n".join(rows) + "\n"
    (folder / "medical_tc_test.csv").write_text(text, encoding="utf-8")
