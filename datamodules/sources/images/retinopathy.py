"""Fundus photographs graded for diabetic retinopathy and maculopathy."""

from __future__ import annotations

import re
from typing import Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import content_keys, merge_groups, one_of, read_csv, require_listed
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

GRADES = {
    "1 - No DR": "no_dr",
    "2 - Mild DR without maculopathy": "npdr",
    "3 - Mild DR with maculopathy": "npdr",
    "4 - Moderate DR without maculopathy": "npdr",
    "5 - Moderate DR with maculopathy": "npdr",
    "6 - Severe DR without maculopathy": "npdr",
    "7 - Severe DR with maculopathy": "npdr",
    "8 - PDR without maculopathy": "pdr",
    "9 - PDR with maculopathy": "pdr",
    "10 - ADED": "pdr",
}
"""Published grade -> class of three; ADED is advanced diabetic eye disease."""


@SOURCES.register
class RetinopathyGrades(Source):
    """Read fundus photographs with one of ten grades of retinopathy and maculopathy.

    The patient, and so the group, is in the file name: ``4_Patient272_R.jpg``. Patients who share a byte-identical
    image share a group.

    Args:
        folder: folder of ``labels.csv`` and the images below the root.
        grades: "three" gives no_dr, npdr (mild, moderate and severe) and pdr (proliferative and advanced), the
            classes of OCTFundus; "ten" the published grades.
        task_name: name of the task; the ten grades need a name of their own beside a source with three.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "retinopathy",
        grades: Literal["three", "ten"] = "three",
        task_name: str = "retinopathy",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "grades", grades, ("three", "ten"))
        self.grades, self.task_name = grades, task_name
        self.classes = tuple(dict.fromkeys(GRADES.values())) if grades == "three" else tuple(GRADES)
        self.card = SourceCard(
            title="Retinal Fundus Image Dataset for Diabetic Retinopathy Detection",
            modalities=(RawModality("fundus", "image"),),
            tasks=(RawTask(task_name, "ordinal", self.classes, ("fundus",)),),
            licence="free to use for academic purposes, with attribution (README)",
            access="open",
            citation="Rahim, Retinal Fundus Image Dataset for Diabetic Retinopathy Detection, 2025",
            where="the author's repository SRahimDR/DR-image-dataset",
            layout="labels.csv (file, grade) and the images that it lists, named <grade>_Patient<number>_<L or R>",
            caution="Hard: an untuned classical baseline reaches AUC .59 for any grade but 1. Ten grades mix "
            "severity with maculopathy, so their order is that of their numbers.",
            size="600 images of 3872 x 2592, about 700 kB each",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / "labels.csv"
        table = read_csv(path, ("file", "grade"))[["file", "grade"]]
        require_listed(self.path, table["file"], path)
        patients = []
        for row, (file, grade) in enumerate(table.to_numpy()):
            one_of(grade, tuple(GRADES), "grade", file=path, row=row)
            found = re.search(r"(Patient\d+)[_-][LR]\b", file)
            if not found:
                raise DataError(
                    f"no patient in the file name {file!r}; expected a name such as 4_Patient272_R.jpg",
                    file=path,
                    row=row,
                )
            patients.append(found.group(1))
        labels = table["grade"].map(GRADES) if self.grades == "three" else table["grade"]
        groups = merge_groups(patients, content_keys([self.path / f for f in table["file"]]))
        return table.assign(id=table["file"], label=labels, subject="", group=groups, stratum=labels, split="")

    def peek(self, row: int) -> Sample:
        """Return the grade of a row, without its image."""
        table = self.index
        return Sample(str(table["id"].iloc[row]), {"fundus": None}, {self.task_name: str(table["label"].iloc[row])})

    def read(self, row: int) -> Sample:
        """Read the image and the grade of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["fundus"] = self.image("fundus", self.path / sample.id)
        return sample
