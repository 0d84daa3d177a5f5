"""Write a tiny folder in the layout of VQA-RAD."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

ORGANS = ("HEAD", "CHEST", "ABD")
QUESTIONS = (
    ("Is there a mass?", "Yes", "CLOSED"),
    ("Is this normal?", "no ", "CLOSED "),
    ("What is the plane?", "Axial.", "OPEN"),
    ("How many lesions?", 2, "OPEN"),
)


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n training and n // 2 test questions, on n // 2 images that both share; four questions in turn."""
    generator = np.random.default_rng(seed)
    images = max(3, n // 2)
    for k in range(images):
        save_picture(folder / "images" / f"synpic{k}.jpg", generator, level=60 + 60 * (k % 3))
    for name, first, count in (("trainset.json", 0, n), ("testset.json", n, n // 2)):
        rows = []
        for qid in range(first, first + count):
            question, answer, kind = QUESTIONS[qid % len(QUESTIONS)]
            k = qid % images
            rows.append(
                {
                    "qid": qid,
                    "image_name": f"synpic{k}.jpg",
                    "image_organ": ORGANS[k % 3],
                    "answer": answer,
                    "answer_type": kind,
                    "question_type": "PRES",
                    "question": question,
                    "phrase_type": "freeform",
                }
            )
        (folder / name).write_text(json.dumps(rows))
