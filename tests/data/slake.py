"""Write a tiny folder in the published layout of SLAKE."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

PLACES = (("CT", "Abdomen"), ("X-Ray", "Lung"), ("MRI", "Head"))
QUESTIONS = (
    ("en", "Is there a mass?", "Yes", "CLOSED"),
    ("en", "What is the largest organ in the picture?", "Liver, Kidney.", "OPEN"),
    ("zh", "\u56fe\u4e2d\u6709\u809d\u810f\u5417?", "\u662f", "CLOSED"),
)


def write(folder: Path, seed: int = 0, n: int = 18) -> None:
    """Write n images, two thirds for training, with three questions each: two English ones and a Chinese one."""
    generator = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, object]]] = {"train": [], "validate": [], "test": []}
    for k in range(n):
        modality, location = PLACES[k % 3]
        save_picture(folder / "imgs" / f"xmlab{k}" / "source.jpg", generator, level=60 + 60 * (k % 3), colour=True)
        for q, (language, question, answer, kind) in enumerate(QUESTIONS):
            if k % 2 and answer == "Yes":
                answer = "No "
            rows[("train", "train", "train", "train", "validate", "test")[(k // 3) % 6]].append(
                {
                    "img_id": k,
                    "img_name": f"xmlab{k}/source.jpg",
                    "question": question,
                    "answer": answer,
                    "q_lang": language,
                    "location": location,
                    "modality": modality,
                    "answer_type": kind,
                    "base_type": "vqa",
                    "content_type": "Organ",
                    "triple": ["vhead", "_", "_"],
                    "qid": 3 * k + q,
                }
            )
    for name, entries in rows.items():
        (folder / f"{name}.json").write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
