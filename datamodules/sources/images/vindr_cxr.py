"""VinDr-CXR: chest radiographs with findings and diagnoses marked by radiologists."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import parts_to_read, read_csv
from datamodules.io.formats.dicom import dicom_names
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

FINDINGS = {
    "Aortic enlargement": "aortic_enlargement",
    "Atelectasis": "atelectasis",
    "Calcification": "calcification",
    "Cardiomegaly": "cardiomegaly",
    "Clavicle fracture": "clavicle_fracture",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Emphysema": "emphysema",
    "Enlarged PA": "enlarged_pulmonary_artery",
    "ILD": "interstitial_lung_disease",
    "Infiltration": "infiltration",
    "Lung Opacity": "lung_opacity",
    "Lung cavity": "lung_cavity",
    "Lung cyst": "lung_cyst",
    "Mediastinal shift": "mediastinal_shift",
    "Nodule/Mass": "nodule_or_mass",
    "Pleural effusion": "pleural_effusion",
    "Pleural thickening": "pleural_thickening",
    "Pneumothorax": "pneumothorax",
    "Pulmonary fibrosis": "fibrosis",
    "Rib fracture": "rib_fracture",
    "Other lesion": "other_lesion",
    "COPD": "copd",
    "Lung tumor": "lung_tumor",
    "Pneumonia": "pneumonia",
    "Tuberculosis": "tuberculosis",
    "Other diseases": "other_diseases",
    "No finding": "no_finding",
}
"""Published column -> label, named as in the other sources of chest X-rays: 22 findings, 5 diagnoses, and none."""
RENAMED = {"Other disease": "Other diseases"}
"""Column of the test table -> its name in the training table."""
LABELS = tuple(FINDINGS.values())
_MARKS = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}


@SOURCES.register
class VinDrCXR(Source):
    """Read frontal chest radiographs with 28 labels of findings and diagnoses.

    Training images were read by three radiologists each, whose marks are joined by ``rule``; test images have one
    line, the consensus of five. Nothing tells which images are of one patient: each image is a group of its own.

    Args:
        folder: folder of ``train``, ``test`` and ``annotations`` below the root.
        task_name: name of the task.
        rule: "majority" sets a label that more than half of an image's readers marked; "any" one that at least one
            marked, and then "no_finding" only where every reader marked it.
        published_split: keep the publisher's test images as the split "test" (train is divided into train and val);
            False leaves the split open.
        missing_images: "raise" if a listed image is missing; "skip" leaves such rows out.

    Attributes:
        skipped: reason -> number of images that were left out.
    """

    def __init__(
        self,
        *,
        folder: str = "vindr_cxr",
        task_name: str = "radiographic_findings",
        rule: Literal["majority", "any"] = "majority",
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "rule", rule, ("majority", "any"))
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.rule = task_name, rule
        self.published_split, self.missing_images = published_split, missing_images
        self._rows: list[tuple[str, tuple[int, ...]]] = []
        self.card = SourceCard(
            title="VinDr-CXR",
            modalities=(RawModality("xray", "image"),),
            tasks=(RawTask(task_name, "multilabel", LABELS, ("xray",)),),
            licence="terms of PhysioNet's credentialed access, to be signed before the download",
            access="credentialed",
            citation="Nguyen et al., VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations, "
            "Scientific Data 9:429, 2022",
            where="PhysioNet, vindr-cxr 1.0.0, doi:10.13026/3akn-b287",
            layout="annotations/image_labels_train.csv, annotations/image_labels_test.csv, train/<image_id>.dicom "
            "and test/<image_id>.dicom",
            caution="Training labels are single readers' and test labels a consensus, so the same label means "
            "different things in the two parts; readers of the training part often disagree (see rule). No patient "
            "identifiers are published. Some images are stored inverted (MONOCHROME1), which is undone in reading.",
            size="18,000 postero-anterior images: 15,000 for training, 3,000 for testing",
        )

    def _index(self) -> pd.DataFrame:
        names = parts_to_read(("train", "test"), lambda n: (self.path / n).is_dir(), published=self.published_split)
        parts = [self._part(name) for name in names]
        self.skipped = {"image is missing": sum(absent for _, absent in parts)}
        table = pd.concat([part for part, _ in parts], ignore_index=True)
        if not self.published_split:
            table["split"] = ""
        marks = np.array(table["marks"].tolist(), dtype=np.int64).reshape(len(table), len(LABELS))
        by_rarity = np.argsort(marks.sum(axis=0), kind="stable")
        rarest = by_rarity[marks[:, by_rarity].argmax(axis=1)]
        table["stratum"] = np.where(marks.any(axis=1), np.array(LABELS)[rarest], "none agreed on")
        return table.assign(subject="", group="")

    def _part(self, name: str) -> tuple[pd.DataFrame, int]:
        """Build the lines of one part, and count the images that are missing."""
        images, marks = self._marks(name)
        there = dicom_names(self.path / name)
        found = np.array([image in there for image in images], dtype=bool)
        absent = int((~found).sum())
        if absent and self.missing_images == "raise":
            first = images[int(found.argmin())]
            raise DataError(
                f"{absent} of the {len(images)} listed images are missing, the first is '{first}.dicom'; add them, "
                "or give missing_images='skip'",
                file=self.path / name / f"{first}.dicom",
            )
        kept = [f"{name}/{image}" for image, ok in zip(images, found, strict=True) if ok]
        files = [f"{name}/{there[image]}" for image, ok in zip(images, found, strict=True) if ok]
        lines = [tuple(line) for line in marks[found].tolist()]
        split = "test" if name == "test" else ""
        return pd.DataFrame(
            {"id": kept, "file": files, "marks": pd.Series(lines, dtype=object), "split": split}
        ), absent

    def _marks(self, name: str) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Read the table of a part: its images, and their labels (N, 28) as 0 and 1 after ``rule``."""
        path = self.path / "annotations" / f"image_labels_{name}.csv"
        table = read_csv(path, ("image_id",)).rename(columns=RENAMED)
        if lacking := [c for c in (*FINDINGS, *(["rad_id"] if name == "train" else [])) if c not in table.columns]:
            raise DataError(
                f"the table lacks the columns {lacking}; it must have image_id and one a label", file=path
            )
        cells = table[list(FINDINGS)].to_numpy(dtype=str)
        wrong = np.argwhere(~np.isin(cells, list(_MARKS)))
        if len(wrong):
            row, column = (int(k) for k in wrong[0])
            raise DataError(
                f"{list(FINDINGS)[column]} must be 0 or 1, got {str(cells[row, column])!r}", file=path, row=row
            )
        readers = table["rad_id"] if name == "train" else pd.Series("", index=table.index)
        repeated = np.flatnonzero(pd.DataFrame({"image": table["image_id"], "reader": readers}).duplicated())
        if len(repeated):
            row = int(repeated[0])
            raise DataError(
                f"the image '{table['image_id'].iloc[row]}' has two lines of the reader "
                f"'{readers.iloc[row]}'; remove one",
                file=path,
                row=row,
            )
        codes, images = pd.factorize(table["image_id"])
        bad = [image for image in images if not image or "/" in image or "\\" in image]
        if bad:
            raise DataError(f"image_id must be the name of an image, got {bad[0]!r}", file=path)
        votes = np.zeros((len(images), len(LABELS)), dtype=np.int64)
        np.add.at(votes, codes, np.isin(cells, ["1", "1.0"]).astype(np.int64))
        count = np.bincount(codes, minlength=len(images))[:, None]
        needed = np.repeat(count // 2 + 1 if self.rule == "majority" else np.ones_like(count), len(LABELS), axis=1)
        if self.rule == "any":
            needed[:, LABELS.index("no_finding")] = count[:, 0]
        return [str(image) for image in images], (votes >= needed).astype(np.int64)

    def peek(self, row: int) -> Sample:
        """Return the labels of a row, without its image."""
        if not self._rows:
            self._rows = list(zip(self.index["id"].tolist(), self.index["marks"].tolist(), strict=True))
        name, marks = self._rows[row]
        return Sample(name, {"xray": None}, {self.task_name: dict(zip(LABELS, marks, strict=True))})

    def read(self, row: int) -> Sample:
        """Read the image and the labels of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["xray"] = self.image("xray", self.path / str(self.index["file"].iat[row]))
        return sample
