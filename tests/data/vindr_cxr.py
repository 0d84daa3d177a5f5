"""Write a tiny folder in the published layout of VinDr-CXR."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_dicom = runpy.run_path(str(Path(__file__).with_name("rsna_pneumonia.py")))["save_dicom"]

COLUMNS = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture", "Consolidation",
    "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity", "Lung cavity", "Lung cyst",
    "Mediastinal shift", "Nodule/Mass", "Pleural effusion", "Pleural thickening", "Pneumothorax",
    "Pulmonary fibrosis", "Rib fracture", "Other lesion", "COPD", "Lung tumor", "Pneumonia", "Tuberculosis",
    "Other diseases", "No finding",
)  # fmt: skip


def picture(seed: int, part: str, i: int) -> np.ndarray:
    """The stored 16-bit pixels (22, 26) of image i of a part."""
    return np.random.default_rng([seed, i, len(part)]).integers(0, 4096, (22, 26)).astype("<u2")


def line(marked: set[str]) -> str:
    """The cells of a reader who marked some columns."""
    return ",".join("1" if column in marked else "0" for column in COLUMNS)


def write(folder: Path, seed: int = 0, n: int = 16) -> None:
    """Write n training images and n // 4 test images.

    All three readers of image i mark column i % 3 (or "No finding" where i % 4 is 3); the first reader also marks
    "Tuberculosis" on image 0, and two readers "Other diseases" on image 1. Odd images are stored inverted.
    """
    header = ",".join(COLUMNS)
    train = [f"image_id,rad_id,{header}"]
    test = [f"image_id,{header.replace('Other diseases', 'Other disease')}"]
    for part, count in (("train", n), ("test", n // 4)):
        for i in range(count):
            name = f"{part[:2]}{i:030x}"
            marked = {"No finding"} if i % 4 == 3 else {COLUMNS[i % 3]}
            for reader in range(3) if part == "train" else ():
                own = {"Tuberculosis"} if (i, reader) == (0, 0) else set()
                own |= {"Other diseases"} if i == 1 and reader < 2 else set()
                train.append(f"{name},R{reader + i % 5 + 1},{line(marked | own)}")
            if part == "test":
                test.append(f"{name},{line(marked)}")
            kind = f"MONOCHROME{1 if i % 2 else 2}"
            save_dicom(
                folder / part / f"{name}.dicom", picture(seed, part, i), BitsStored=12, HighBit=11,
                PhotometricInterpretation=kind, WindowCenter="2048", WindowWidth="4096",
            )  # fmt: skip
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / "image_labels_train.csv").write_text("\n".join(train) + "\n")
    (folder / "annotations" / "image_labels_test.csv").write_text("\n".join(test) + "\n")
