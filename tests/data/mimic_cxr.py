"""Write a tiny folder in the published layout of MIMIC-CXR-JPG, with the reports of MIMIC-CXR."""

from __future__ import annotations

import gzip
import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture", "Lung Lesion",
    "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax",
    "Support Devices",
)  # fmt: skip
REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___F with cough  // eval

 FINDINGS:

 Study {study} shows {said}.
 Lungs are ___.

 IMPRESSION:

 Number {study}: {said}.
"""


def write(folder: Path, seed: int = 0, n: int = 16) -> None:
    """Write n studies of n // 2 + 1 subjects, each with a PA, an AP and, every other one, a lateral image.

    Labels run through 1, 0, -1 and blank. Study 5 has no label, study 6 a report without sections, study 7 only an
    image without a view. Images of every third study are of a lighter grey.
    """
    generator = np.random.default_rng(seed)
    metadata = ["dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns"]
    splits, labels = ["dicom_id,study_id,subject_id,split"], [f"subject_id,study_id,{','.join(LABELS)}"]
    for i in range(n):
        subject, study = f"{10_000_000 + 500_000 * (i // 2)}", f"{50_000_000 + i}"
        split = ("train", "train", "validate", "test")[(i // 2) % 4]
        views = ("AP", "PA", "LATERAL") if i % 2 == 0 else ("PA", "AP")
        place = f"p{subject[:2]}/p{subject}/s{study}"
        for k, view in enumerate(("",) if i == 7 else views):
            dicom = f"{i:08x}-{k:08x}"
            save_picture(folder / "files" / place / f"{dicom}.jpg", generator, level=90 + 80 * (i % 3 == 0) + 10 * k)
            metadata.append(f"{dicom},{subject},{study},CHEST (PA AND LAT),{view},20,24")
            splits.append(f"{dicom},{study},{subject},{split}")
        if i != 5:
            labels.append(f"{subject},{study},{','.join(('1.0', '0.0', '-1.0', '')[(i + k) % 4] for k in range(14))}")
        report = folder / "mimic-cxr-reports" / "files" / place
        report.parent.mkdir(parents=True, exist_ok=True)
        text = "No sections here." if i == 6 else REPORT.format(study=study, said=("nothing", "opacity")[i % 2])
        report.with_suffix(".txt").write_text(text)
    for name, lines in (("metadata", metadata), ("split", splits), ("chexpert", labels), ("negbio", labels[:-1])):
        with gzip.open(folder / f"mimic-cxr-2.0.0-{name}.csv.gz", "wt") as handle:
            handle.write("\n".join(lines) + "\n")
