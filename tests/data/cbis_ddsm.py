"""Write a tiny folder in the published layouts of CBIS-DDSM."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

save_dicom = runpy.run_path(str(Path(__file__).with_name("rsna_pneumonia.py")))["save_dicom"]

PATHOLOGIES = ("BENIGN", "MALIGNANT", "BENIGN_WITHOUT_CALLBACK")
LAYOUTS = ("retriever", "uids", "jpeg")


def mammogram(seed: int, i: int) -> np.ndarray:
    """The stored 16-bit pixels (28, 18) of mammogram i."""
    return np.random.default_rng([seed, i]).integers(0, 65536, (28, 18)).astype("<u2")


def write(folder: Path, seed: int = 0, n: int = 24, layout: str = "retriever") -> None:
    """Write n mammograms, half of masses and half of calcifications, in one of LAYOUTS.

    Patients have two mammograms (CC and MLO). Every fourth mammogram has a second abnormality, which is malignant.
    The last patient of the masses is patient 0 of the training part again, now in the test part.
    """
    metadata = ["Series UID,Collection,Subject ID,Study UID,Series Description,Number of Images,File Location"]
    for short, kind, offset in (("mass", "mass", 0), ("calc", "calcification", n // 2)):
        lines: dict[str, list[str]] = {"train": [], "test": []}
        for k in range(n // 2):
            i, part = offset + k, "test" if k >= n // 2 - 4 else "train"
            patient = "P_00000" if (kind, k // 2) == ("mass", n // 4 - 1) else f"P_{i // 2:05d}"
            side, view = ("LEFT", "RIGHT")[i // 2 % 2], ("CC", "MLO")[i % 2]
            where = "Training" if part == "train" else "Test"
            case = f"{short.capitalize()}-{where}_{patient}_{side}_{view}"
            full = f"{case}/1.3.6.{i}.1/1.3.6.{i}.2"
            _save(folder, layout, full, [mammogram(seed, i)], "full mammogram images", metadata)
            for number in (1, 2) if k % 4 == 3 else (1,):
                crop = mammogram(seed, i)[4 : 12 + number, 3:11]
                mask = np.zeros((28, 18), "u1")
                mask[4 : 12 + number, 3:11] = 255
                pair = f"{case}_{number}/1.3.6.{i}.{number}3/1.3.6.{i}.{number}4"
                both = [crop, mask] if i % 2 else [mask, crop]
                _save(folder, layout, pair, both, "cropped images", metadata)
                pathology = "MALIGNANT" if number == 2 else PATHOLOGIES[k % 3]
                density = 0 if i == 1 else i % 4 + 1
                lines[part].append(
                    f"{patient},{density},{side},{view},{number},{kind},OVAL,SPICULATED,4,{pathology},4,"
                    f'{full}/000000.dcm,"{pair}/000000.dcm\n","{pair}/000001.dcm\n"'
                )
        shape = "mass shape,mass margins" if kind == "mass" else "calc type,calc distribution"
        density = "breast_density" if kind == "mass" else "breast density"
        header = (
            f"patient_id,{density},left or right breast,image view,abnormality id,abnormality type,{shape},"
            "assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path"
        )
        tables = folder / "csv" if layout == "jpeg" else folder
        tables.mkdir(exist_ok=True)
        for part, rows in lines.items():
            text = "\n".join([header, *rows]) + "\n"
            (tables / f"{short}_case_description_{part}_set.csv").write_text(text)
    if layout == "retriever":
        (folder / "metadata.csv").write_text("\n".join(metadata) + "\n")


def _save(
    folder: Path, layout: str, place: str, images: list[np.ndarray], description: str, metadata: list[str]
) -> None:
    """Save the images of one series, and note it as the NBIA Data Retriever does."""
    case, study, series = place.split("/")
    target = f"CBIS-DDSM/{place}"
    if layout == "retriever":
        target = f"CBIS-DDSM/{case}/07-20-2016-DDSM-{study[-4:]}/1.000000-{description}-{series[-4:]}"
    elif layout == "jpeg":
        target = f"jpeg/{series}"
    shutil.rmtree(folder / target, ignore_errors=True)
    (folder / target).mkdir(parents=True)
    for number, pixels in enumerate(images, start=1):
        if layout == "jpeg":
            grey = (pixels // 257 if pixels.dtype == np.uint16 else pixels).astype(np.uint8)
            Image.fromarray(grey).save(folder / target / f"{number}-{100 + number}.jpg", quality=95)
        else:
            save_dicom(folder / target / f"1-{number}.dcm", pixels, Modality="MG")
    metadata.append(f"{series},CBIS-DDSM,{case},{study},{description},{len(images)},./{target}")
