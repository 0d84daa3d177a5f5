"""Write a tiny folder in the published layout of the RSNA Pneumonia Detection Challenge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CLASSES = ("Normal", "No Lung Opacity / Not Normal", "Lung Opacity")


def save_dicom(path: Path, pixels: np.ndarray, **attributes: object) -> None:
    """Save (H, W) uint8 or uint16 pixels as a grey DICOM file with further attributes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)


def picture(seed: int, i: int) -> np.ndarray:
    """The pixels (24, 20) of image i."""
    return np.random.default_rng([seed, i]).integers(0, 100 + 50 * (i % 3), (24, 20)).astype("u1")


def write(folder: Path, seed: int = 0, n: int = 18) -> None:
    """Write n images; each opacity has two boxes, so two lines; images 0 and 1, 2 and 3, ... share an NIH patient."""
    boxes, details, mapping = ["patientId,x,y,width,height,Target"], ["patientId,class"], []
    for i in range(n):
        name, kind = f"{i:08x}-a0ff-4b09", CLASSES[i % 3]
        for box in range(2 if kind == "Lung Opacity" else 1):
            place = f"{100.0 + box},152.0,213.0,379.0,1" if kind == "Lung Opacity" else ",,,,0"
            boxes.append(f"{name},{place}")
            details.append(f"{name},{kind}")
        save_dicom(folder / "stage_2_train_images" / f"{name}.dcm", picture(seed, i), Modality="CR")
        mapping.append({"subset_img_id": name, "img_id": f"{i // 2:08d}_{i % 2:03d}.png", "orig_labels": []})
    (folder / "stage_2_train_labels.csv").write_text("\n".join(boxes) + "\n")
    (folder / "stage_2_detailed_class_info.csv").write_text("\n".join(details) + "\n")
    (folder / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(mapping))
