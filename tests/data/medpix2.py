"""Tiny files in the layout of medpix2: images as JSON lines, and cases as one JSON list."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]
PLACES = {"Brain and Neuro": "Head", "Eye and Orbit": "Head", "Chest, Pulmonary": "Thorax", "Left Blank": "Thorax"}


def write(folder: Path, seed: int = 0, n: int = 60) -> None:
    """Write index.jsonl, cases.json and images/; two images a case, every sixth of no plane that is learned."""
    rng = np.random.default_rng(seed)
    lines, cases = [], []
    for i in range(n):
        case, place = f"MPX{i // 2}", list(PLACES)[(3 if i == 1 else i // 2 % 3)]
        image, kind = f"images/{case}_synpic{i}.jpg", ("CT", "MR")[i // 2 % 2]
        save_picture(folder / image, rng, level=60 + 50 * (i // 2 % 4))
        plane = "Photograph" if i % 6 == 5 else ("Axial", "Coronal", "Sagittal")[i % 3]
        lines.append(
            {"image": image, "case": case, "type": kind, "caption": f"a {kind}", "modality": kind, "plane": plane,
             "age": str(20 + i), "sex": ("male", "female", "N/A")[i % 3], "location": place,
             "location_category": PLACES[place], "split": ("train", "train", "dev", "test")[i // 2 % 12 // 3]}
        )  # fmt: skip
        if i % 2 == 0:
            held = {"Title": place, "History": "N/A" if i == 4 else f"pain near {place}"}
            cases.append({"U_id": case, "TAC": [image], "MRI": [], "Case": held, "Topic": {"Title": place}})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "cases.json").write_text(json.dumps(cases))
