"""A tiny file in the layout of the Open-i reports csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FINDINGS = (
    "Cardiomegaly",
    "Pleural Effusion",
    "Opacity",
    "Nodule",
    "Catheters, Indwelling",
    "Scoliosis",
    "Airspace Disease",
    "Calcified Granuloma",
    "Fractures, Bone",
)


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write indiana_reports.csv of n reports below ``folder``.

    Every third report is normal, the third last is marked "No Indexing", the last has neither findings nor
    impression.
    """
    rng = np.random.default_rng(seed)
    rows = ["uid,MeSH,Problems,image,indication,comparison,findings,impression"]
    for i in range(n):
        chosen = [FINDINGS[k] for k in rng.permutation(len(FINDINGS))[:3]]
        problems = "normal" if i % 3 == 0 else ";".join([FINDINGS[i % len(FINDINGS)], *chosen])
        said = "No acute disease" if i % 3 == 0 else " and ".join(p.lower() for p in problems.split(";"))
        findings, impression = f"There is XXXX. {said}.", f"{said}." if i % 4 else ""
        if i == n - 3:
            problems = "No Indexing"
        if i == n - 1:
            findings, impression = "", ""
        rows.append(f'{i + 1},"{problems}","{problems}",Xray Chest,pain,None.,"{findings}","{impression}"')
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "indiana_reports.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
