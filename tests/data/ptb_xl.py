"""Write a tiny folder in the published layout of PTB-XL: two tables, and records of 100 and 500 Hz."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

write_record = runpy.run_path(str(Path(__file__).with_name("wfdb_records.py")))["write_record"]

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
STATEMENTS = """,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NORM,normal ECG,1.0,,,NORM,NORM
IMI,inferior myocardial infarction,1.0,,,MI,IMI
ASMI,anteroseptal myocardial infarction,1.0,,,MI,AMI
NDT,non-diagnostic T abnormalities,1.0,1.0,,STTC,STTC
LAFB,left anterior fascicular block,1.0,,,CD,LAFB/LPFB
LVH,left ventricular hypertrophy,1.0,,,HYP,LVH
SR,sinus rhythm,,,1.0,,
"""
CODES = (
    "{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 35.0, 'LAFB': 100.0}", "{'NDT': 0.0, 'LVH': 50.0}", "{'ASMI': 80.0}",
)  # fmt: skip


def write(folder: Path, seed: int = 0, n: int = 24) -> None:
    """Write n ECGs of two patients in three; ECG 2 has no site, 3 no age and sex, 4 is above 89, 5 a rhythm alone."""
    generator = np.random.default_rng(seed)
    lines = ["ecg_id,patient_id,age,sex,site,scp_codes,strat_fold,filename_lr,filename_hr"]
    for k in range(1, n + 1):
        age, sex, site = f"{40 + k}.0", str(k % 2), f"{k % 3}.0"
        site = "" if k == 2 else site
        age, sex = ("nan", "") if k == 3 else ("300.0" if k == 4 else age, sex)
        codes = "{'SR': 0.0}" if k == 5 else CODES[k % 4]
        files = []
        for rate, part in ((100, "lr"), (500, "hr")):
            name = f"records{rate}/00000/{k:05d}_{part}"
            heart = 300 * np.sin(np.arange(10 * rate) / rate * (6 + k % 4))[None]
            codes_of = np.rint(heart + generator.normal(0, 20, (12, 10 * rate))).astype(np.int64)
            write_record(folder / name, codes_of, LEADS, rate, gain="1000.0(0)")
            files.append(name)
        fold = (k - 1) % 10 + 1
        lines.append(f'{k},{1000 + k - k // 3}.0,{age},{sex},{site},"{codes}",{fold},{files[0]},{files[1]}')
    (folder / "ptbxl_database.csv").write_text("\n".join(lines) + "\n")
    (folder / "scp_statements.csv").write_text(STATEMENTS)
