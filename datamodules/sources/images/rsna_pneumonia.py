"""RSNA Pneumonia Detection Challenge 2018: chest radiographs with and without lung opacities."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import one_of, read_csv, read_json_rows
from datamodules.io.formats.dicom import dicom_names
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

CLASSES = {
    "Normal": "normal",
    "No Lung Opacity / Not Normal": "abnormal without lung opacity",
    "Lung Opacity": "lung opacity",
}
"""Published class -> class of the task."""
BINARY = ("no pneumonia", "pneumonia")
"""Classes of the binary task: the published Target 0 and 1."""
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
"""The publisher's list of the NIH images that the challenge's images are."""
_IMAGES = "stage_2_train_images"
_LABELS = ("stage_2_train_labels.csv", "stage_2_detailed_class_info.csv")


@SOURCES.register
class RSNAPneumonia(Source):
    """Read frontal chest radiographs that are normal, have a lung opacity, or are abnormal without one.

    A row is an image of the labelled training set; the two tables have a line a box and are brought to a line an
    image. The challenge's test images have no labels and are not read, so no split is published.

    Args:
        folder: folder of the tables and ``stage_2_train_images`` below the root.
        task_name: name of the task.
        binary: give the classes "no pneumonia" and "pneumonia" (Target) in place of the three detailed ones.
        group_by: "image" makes each patientId a group, which is one image; "patient" reads the publisher's mapping
            file, which must lie in the folder, and groups the images of one NIH patient.
        missing_images: "raise" if a listed image is missing; "skip" leaves such rows out.

    Attributes:
        skipped: reason -> number of images that were left out.
    """

    def __init__(
        self,
        *,
        folder: str = "rsna_pneumonia",
        task_name: str = "disease",
        binary: bool = False,
        group_by: Literal["image", "patient"] = "image",
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "group_by", group_by, ("image", "patient"))
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.binary = task_name, binary
        self.group_by, self.missing_images = group_by, missing_images
        self.group_unit = group_by
        self._rows: list[tuple[str, str]] = []
        classes = BINARY if binary else tuple(CLASSES.values())
        self.card = SourceCard(
            title="RSNA Pneumonia Detection Challenge (2018)",
            modalities=(RawModality("xray", "image"),),
            tasks=(RawTask(task_name, "classification", classes, ("xray",)),),
            licence="terms of the challenge, to be accepted before the download",
            access="registration",
            citation="Shih et al., Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert "
            "Annotations of Possible Pneumonia, Radiology: Artificial Intelligence 1(1):e180041, 2019",
            where="Kaggle, competition rsna-pneumonia-detection-challenge (stage 2); the mapping from the RSNA's "
            "page of the challenge",
            layout="stage_2_train_labels.csv, stage_2_detailed_class_info.csv and "
            f"stage_2_train_images/<patientId>.dcm; {MAPPING} for group_by='patient'",
            caution="patientId names an image, not a patient: the images are from NIH ChestX-ray14, where many "
            "patients have several, so group_by='image' lets a patient cross a split, and models trained on "
            "ChestX-ray14 have seen them. 'Lung Opacity' is an opacity suspicious for pneumonia on the image, not a "
            "clinical diagnosis.",
            size="26,684 labelled images: 8,851 normal, 11,821 abnormal without lung opacity, 6,012 lung opacity",
        )

    def _index(self) -> pd.DataFrame:
        targets = self._one_a_patient(_LABELS[0], "Target", ("0", "1"))
        details = self._one_a_patient(_LABELS[1], "class", tuple(CLASSES))
        self._agree(targets, details)
        there = dicom_names(self.path / _IMAGES)
        absent = [name for name in details if name not in there]
        if absent and self.missing_images == "raise":
            raise DataError(
                f"{len(absent)} of the {len(details)} listed images are missing, the first is '{absent[0]}.dcm'; add "
                "them, or give missing_images='skip'",
                file=self.path / _IMAGES / f"{absent[0]}.dcm",
            )
        self.skipped = {"image is missing": len(absent)}
        gone = set(absent)
        names = [name for name in details if name not in gone]
        labels = [BINARY[int(targets[n])] if self.binary else CLASSES[details[n]] for n in names]
        groups = self._patients(names) if self.group_by == "patient" else names
        return pd.DataFrame(
            {
                "id": names,
                "file": [there[n] for n in names],
                "label": labels,
                "subject": "",
                "group": groups,
                "stratum": labels,
                "split": "",
            }
        )

    def _one_a_patient(self, name: str, column: str, allowed: tuple[str, ...]) -> dict[str, str]:
        """Bring a table of a line a box to patientId -> value; the lines of an image must agree."""
        path = self.path / name
        table = read_csv(path, ("patientId", column))
        found: dict[str, str] = {}
        for row, (patient, value) in enumerate(table[["patientId", column]].to_numpy().tolist()):
            if not patient or "/" in patient or "\\" in patient:
                raise DataError(f"patientId must be the name of an image, got {patient!r}", file=path, row=row)
            one_of(value, allowed, column, file=path, row=row)
            if found.setdefault(patient, value) != value:
                raise DataError(
                    f"the lines of patientId '{patient}' differ in {column}: {found[patient]!r} and {value!r}",
                    file=path,
                    row=row,
                )
        return found

    def _agree(self, targets: dict[str, str], details: dict[str, str]) -> None:
        """Check that both tables list the same images and say the same."""
        if different := sorted(set(targets) ^ set(details)):
            raise DataError(
                f"{len(different)} images are in only one of {_LABELS[0]} and {_LABELS[1]}, the first is "
                f"'{different[0]}'; take both tables from stage 2",
                file=self.path / _LABELS[1],
            )
        for name, value in details.items():
            if (value == "Lung Opacity") != (targets[name] == "1"):
                raise DataError(
                    f"patientId '{name}' has the class {value!r} and in {_LABELS[0]} the Target {targets[name]}; "
                    "Target is 1 for 'Lung Opacity' only",
                    file=self.path / _LABELS[1],
                )

    def _patients(self, names: list[str]) -> list[str]:
        """Return the NIH patient of each image: the part of the NIH file name before the underscore."""
        path = self.path / MAPPING
        images = {
            str(r["subset_img_id"]): str(r["img_id"]) for r in read_json_rows(path, ("subset_img_id", "img_id"))
        }
        for name in names:
            if "_" not in images.get(name, ""):
                raise DataError(
                    f"the mapping has no NIH image <patient>_<number>.png for '{name}', got {images.get(name)!r}; "
                    "give group_by='image', or the complete mapping",
                    file=path,
                )
        return ["nih:" + images[name].split("_")[0] for name in names]

    def peek(self, row: int) -> Sample:
        """Return the label of a row, without its image."""
        if not self._rows:
            self._rows = list(zip(self.index["id"].tolist(), self.index["label"].tolist(), strict=True))
        name, label = self._rows[row]
        return Sample(name, {"xray": None}, {self.task_name: label})

    def read(self, row: int) -> Sample:
        """Read the image and the label of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["xray"] = self.image("xray", self.path / _IMAGES / str(self.index["file"].iat[row]))
        return sample
