"""EyePACS: fundus photographs of both eyes with five grades of diabetic retinopathy."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import all_of, image_tree, listed_there, read_csv
from datamodules.sources.images.aptos import grade_names
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

EYES = ("left", "right")


@SOURCES.register
class EyePACS(Source):
    """Read fundus photographs of the left and right eyes of patients.

    Files are named ``10_left.jpeg``: the number is the patient's, and his images share a group. The eye is the
    group column.

    Args:
        folder: folder of the tables and of ``train`` and ``test`` below the root.
        task_name: name of the task.
        grades: "five" gives no_dr, mild_npdr, moderate_npdr, severe_npdr and pdr; "three" no_dr, npdr and pdr, the
            classes of OCTFundus and RetinopathyGrades, so that they share one task.
        include_test: also list the images of ``test``, whose labels came out after the competition in
            ``retinopathy_solution.csv``.
        published_split: with ``include_test``, the images of ``test`` are the test split; False leaves it open.
        missing_images: "raise" if a listed image is missing; "skip" leaves it out.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "eyepacs",
        task_name: str = "retinopathy",
        grades: Literal["five", "three"] = "five",
        include_test: bool = False,
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.missing_images = task_name, missing_images
        self.include_test, self.published_split = include_test, published_split
        self._names, classes = grade_names(grades, "EyePACS")
        self.card = SourceCard(
            title="Diabetic Retinopathy Detection (EyePACS)",
            modalities=(RawModality("fundus", "image"),),
            tasks=(RawTask(task_name, "ordinal", classes, ("fundus",)),),
            licence="rules of the competition",
            access="registration",
            citation="Kaggle and EyePACS, Diabetic Retinopathy Detection, 2015",
            where="the Kaggle competition diabetic-retinopathy-detection; join the pieces of the archives first",
            layout="trainLabels.csv (image, level: 0 to 4) and train/*.jpeg; for include_test "
            "retinopathy_solution.csv (image, level, Usage) and test/*.jpeg",
            caution="One grader an image, and noisy: many images are out of focus or too dark to be graded. About "
            "three in four are without retinopathy. The two eyes of a patient are alike: split by patient.",
            size="35,126 images of 17,563 patients in train, 53,576 in test; about 88 GB",
        )

    def _index(self) -> pd.DataFrame:
        parts = [("train", "trainLabels.csv"), *([("test", "retinopathy_solution.csv")] if self.include_test else [])]
        self.skipped = {"image is missing": 0}
        return pd.concat([self._listing(*part) for part in parts], ignore_index=True)

    def _listing(self, part: str, name: str) -> pd.DataFrame:
        """Read one table and look up its images."""
        path = self.path / name
        table = read_csv(path, ("image", "level"))[["image", "level"]]
        all_of(table["level"], tuple("01234"), "level", file=path)
        parsed = table["image"].str.extract(r"^(\d+)_(left|right)$")
        bad = np.flatnonzero(parsed[0].isna().to_numpy())
        if len(bad):
            raise DataError(
                f"image must be a patient's number and an eye, such as 10_left, got {table['image'].iloc[bad[0]]!r}",
                file=path,
                row=int(bad[0]),
            )
        files = image_tree(self.path, (part,))
        names = (table["image"] + ".jpeg").tolist()
        there = listed_there(names, files, self.missing_images, path)
        self.skipped["image is missing"] += int((~there).sum())
        labels = [self._names[int(level)] for level in table["level"]]
        return pd.DataFrame({
            "id": part + "/" + table["image"],
            "subject": "",
            "group": parsed[0],
            "stratum": labels,
            "split": "test" if part == "test" and self.published_split else "",
            "file": [files.get(n, "") for n in names],
            "label": labels,
            "eye": parsed[1],
        })[there]  # fmt: skip

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``eye``."""
        return {"eye": EYES}

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        return list(self.index[["id", "file", "label", "eye"]].itertuples(index=False, name=None))

    def peek(self, row: int) -> Sample:
        """Return the grade and the eye of a row, without its image."""
        name, _, label, eye = self._rows[row]
        return Sample(name, {"fundus": None}, {self.task_name: label}, {"eye": EYES.index(eye)})

    def read(self, row: int) -> Sample:
        """Read the image and the grade of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["fundus"] = self.image("fundus", self.path / self._rows[row][1])
        return sample
