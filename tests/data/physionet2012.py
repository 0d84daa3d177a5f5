"""Tiny files in the layout of physionet2012: static data, outcomes, and a row a measurement."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

PARAMETERS = (
    "HR", "RespRate", "Temp", "SysABP", "DiasABP", "MAP", "NISysABP", "NIDiasABP", "NIMAP", "GCS", "MechVent", "FiO2",
    "Urine", "SaO2", "Weight", "Albumin", "ALP", "ALT", "AST", "Bilirubin", "BUN", "Cholesterol", "Creatinine",
    "Glucose", "HCO3", "HCT", "K", "Lactate", "Mg", "Na", "PaCO2", "PaO2", "pH", "Platelets", "TroponinI",
    "TroponinT", "WBC",
)  # fmt: skip


def write(folder: Path, seed: int = 0, n: int = 60) -> None:
    """Write static_a.csv, outcomes_a.csv (of one patient more) and series_a.csv.gz (of one patient fewer)."""
    rng = np.random.default_rng(seed)
    static, outcomes = ["RecordID,Age,Gender,Height,ICUType,Weight"], []
    series = ["RecordID,Minutes,Parameter,Value"]
    for i in range(n + 1):
        patient, dead = 132539 + i, int(i % 3 == 0)
        outcomes.append(f"{patient},{6 + 3 * dead},{1 + 6 * dead},5,{3 if dead else -1},{dead}")
        if i == n:
            continue
        height = -1 if i % 2 else round(float(rng.normal(170, 8)), 1)
        static.append(
            f"{patient},{int(rng.integers(40, 90))},{-1 if i == 3 else i % 2},{height},,{-1 if i == 5 else 76}"
        )
        for k in (k for k in range(len(PARAMETERS)) if i and (k == 0 or rng.random() < 0.4)):
            for minute in sorted(rng.choice(2880, 3, replace=False)):
                value = -1 if rng.random() < 0.05 else round(float(rng.normal(80 + 20 * dead, 5)), 1)
                series.append(f"{patient},{minute},{PARAMETERS[k]},{value}")
    series += [f"132541,{10 + k},{name},{70 + k}" for k, name in enumerate(PARAMETERS)]  # each is measured once
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "static_a.csv").write_text("\n".join(static) + "\n")
    header = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death"
    (folder / "outcomes_a.csv").write_text("\n".join([header, *outcomes]) + "\n")
    with gzip.open(folder / "series_a.csv.gz", "wt") as file:
        file.write("\n".join(series) + "\n")
