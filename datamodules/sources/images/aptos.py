"""APTOS 2019: fundus photographs with five grades of diabetic retinopathy."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import all_of, content_keys, image_tree, listed_there, read_csv
from datamodules.sources.images.oct_fundus import RETINOPATHY
from zoo.contract import Sample
from zoo.errors import SpecError, check_choice
from zoo.raw import RawModality, RawTask

FIVE_GRADES = ("no_dr", "mild_npdr", "moderate_npdr", "severe_npdr", "pdr")
"""The International Clinical Diabetic Retinopathy scale, 0 to 4."""
THREE_GRADES = ("no_dr", "npdr", "npdr", "npdr", "pdr")
"""The same grades in the three classes of OCTFundus and RetinopathyGrades."""


def grade_names(grades: str, source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class of each grade 0 to 4, and the classes in order, for "five" or "three" grades.

    Raises:
        SpecError: ``grades`` is neither.

    >>> grade_names("three", "APTOS2019")
    (('no_dr', 'npdr', 'npdr', 'npdr', 'pdr'), ('no_dr', 'npdr', 'pdr'))
    """
    if grades not in ("five", "three"):
        raise SpecError(f"{source}: grades must be 'five' or 'three', got {grades!r}")
    return (FIVE_GRADES, FIVE_GRADES) if grades == "five" else (THREE_GRADES, RETINOPATHY)


@SOURCES.register
class APTOS2019(Source):
    """Read fundus photographs of the training part, which alone has published labels.

    There are no patients in the table; byte-identical files share a group.

    Args:
        folder: folder of ``train.csv`` and ``train_images`` below the root.
        task_name: name of the task.
        grades: "five" gives no_dr, mild_npdr, moderate_npdr, severe_npdr and pdr; "three" no_dr, npdr and pdr, the
            classes of OCTFundus and RetinopathyGrades, so that they share one task.
        missing_images: "raise" if a listed image is missing; "skip" leaves it out.
    """

    group_unit = "image"

    def __init__(
        self,
        *,
        folder: str = "aptos2019",
        task_name: str = "retinopathy",
        grades: Literal["five", "three"] = "five",
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.missing_images = task_name, missing_images
        self._names, classes = grade_names(grades, "APTOS2019")
        self.card = SourceCard(
            title="APTOS 2019 Blindness Detection",
            modalities=(RawModality("fundus", "image"),),
            tasks=(RawTask(task_name, "ordinal", classes, ("fundus",)),),
            licence="rules of the competition",
            access="registration",
            citation="Asia Pacific Tele-Ophthalmology Society, APTOS 2019 Blindness Detection, Kaggle, 2019; images "
            "by the Aravind Eye Hospital, India",
            where="the Kaggle competition aptos2019-blindness-detection",
            layout="train.csv (id_code, diagnosis: 0 to 4) and train_images/*.png",
            caution="No patient identifiers: two eyes of one patient may lie on both sides of a split. Some images "
            "occur several times, at times with other grades; copies that are not identical byte by byte are not "
            "found. One grader an image. Image size and crop differ by camera and go with the grade.",
            size="3,662 labelled images",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / "train.csv"
        table = read_csv(path, ("id_code", "diagnosis"))[["id_code", "diagnosis"]]
        all_of(table["diagnosis"], tuple("01234"), "diagnosis", file=path)
        files = image_tree(self.path, ("train_images",))
        names = [f"{code}.png" for code in table["id_code"]]
        there = listed_there(names, files, self.missing_images, path)
        self.skipped = {"image is missing": int((~there).sum())}
        table = table.assign(name=names)[there]
        labels = [self._names[int(d)] for d in table["diagnosis"]]
        table = table.assign(id=table["id_code"], file=table["name"].map(files), label=labels)
        keys = content_keys([self.path / f for f in table["file"]])
        return table.assign(subject="", group=keys, stratum=labels, split="")

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        return list(self.index[["id", "file", "label"]].itertuples(index=False, name=None))

    def peek(self, row: int) -> Sample:
        """Return the grade of a row, without its image."""
        name, _, label = self._rows[row]
        return Sample(name, {"fundus": None}, {self.task_name: label})

    def read(self, row: int) -> Sample:
        """Read the image and the grade of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["fundus"] = self.image("fundus", self.path / self._rows[row][1])
        return sample
