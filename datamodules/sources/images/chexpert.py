"""CheXpert: chest X-rays with fourteen observations, some of them uncertain."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import all_of, listed_there, parts_to_read, read_csv
from datamodules.sources.images.nih_chest_xray14 import rarest
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

OBSERVATIONS = {
    "No Finding": "no_finding",
    "Enlarged Cardiomediastinum": "enlarged_cardiomediastinum",
    "Cardiomegaly": "cardiomegaly",
    "Lung Opacity": "lung_opacity",
    "Lung Lesion": "lung_lesion",
    "Edema": "edema",
    "Consolidation": "consolidation",
    "Pneumonia": "pneumonia",
    "Atelectasis": "atelectasis",
    "Pneumothorax": "pneumothorax",
    "Pleural Effusion": "pleural_effusion",
    "Pleural Other": "pleural_other",
    "Fracture": "fracture",
    "Support Devices": "support_devices",
}
"""Published observation -> label, named as in the other sources of chest X-rays."""
VIEWS = ("AP", "PA", "LL", "RL", "lateral")
"""Projections of frontal images as published, and lateral images."""
SEXES = {"Female": "female", "Male": "male", "Unknown": ""}
FOLDERS = ("CheXpert-v1.0-small", "CheXpert-v1.0")
_MARKS = {"1.0": "1", "1": "1", "0.0": "0", "0": "0", "-1.0": "u", "-1": "u", "": "b"}
_COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *OBSERVATIONS)
_PATH = r"^(?:CheXpert-v1\.0[^/]*/)?((train|valid)/(patient\d+)/study\d+/view\d+_(frontal|lateral)\.jpg)$"


@SOURCES.register
class CheXpert(Source):
    """Read chest X-rays with fourteen observations, and age, sex and view as the table ``clinical``.

    Observations are published as 1 (present), 0 (absent), -1 (uncertain) or blank (not mentioned in the report).
    Images of a patient share a group; view and sex are group columns too. An age of 0 counts as unknown.

    Args:
        folder: folder below the root that holds ``CheXpert-v1.0-small`` or ``CheXpert-v1.0``, or is one of them.
        task_name: name of the task.
        uncertain: what -1 becomes: "ignore" leaves the label unknown, "zeros" 0, "ones" 1.
        unmentioned: what a blank becomes: "zeros" 0, as is usual; "unknown" leaves it unknown, and then "no_finding"
            is known only where it is 1.
        frontal_only: leave lateral images out.
        published_split: the images of ``valid.csv``, which radiologists labelled, are the test split, and those of
            ``train.csv`` are divided into train and val; False leaves the split open.
        missing_images: "raise" if a patient's folder is missing, or at reading if an image is; "skip" looks for
            every image at opening and leaves the missing ones out.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "chexpert",
        task_name: str = "radiographic_findings",
        uncertain: Literal["ignore", "zeros", "ones"] = "ignore",
        unmentioned: Literal["unknown", "zeros"] = "zeros",
        frontal_only: bool = False,
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        for name, value, allowed in (
            ("uncertain", uncertain, ("ignore", "zeros", "ones")),
            ("unmentioned", unmentioned, ("unknown", "zeros")),
            ("missing_images", missing_images, ("raise", "skip")),
        ):
            check_choice(self, name, value, allowed)
        self.task_name, self.frontal_only = task_name, frontal_only
        self.published_split, self.missing_images = published_split, missing_images
        self._values = {"1": 1, "0": 0}
        if uncertain != "ignore":
            self._values["u"] = int(uncertain == "ones")
        if unmentioned == "zeros":
            self._values["b"] = 0
        self._base = self.path
        self._decoded: dict[str, dict[str, int]] = {}
        self.card = SourceCard(
            title="CheXpert",
            modalities=(
                RawModality("xray", "image"),
                RawModality("clinical", "tabular", features=("age", "sex", "view")),
            ),
            tasks=(RawTask(task_name, "multilabel", tuple(OBSERVATIONS.values()), ("xray", "clinical")),),
            licence="Stanford University Dataset Research Use Agreement (non-commercial research)",
            access="registration",
            citation="Irvin et al., CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert "
            "Comparison, AAAI 2019",
            where="Stanford AIMI's page of shared datasets, after accepting the agreement",
            layout="CheXpert-v1.0-small/ or CheXpert-v1.0/ with train.csv, valid.csv, and "
            "{train,valid}/patientNNNNN/studyN/viewN_{frontal,lateral}.jpg",
            caution="Labels of train.csv were mined from reports by rules, those of valid.csv were read from the "
            "images by radiologists: they differ in prevalence, and valid.csv has neither uncertain nor blank "
            "labels. Blank means not mentioned, not absent. Labels are those of a study: a lateral image carries "
            "what the frontal one shows.",
            size="224,316 images of 65,240 patients; train.csv has 223,414 and valid.csv 234 (200 studies); about "
            "439 GB, small version 11 GB",
        )

    def _index(self) -> pd.DataFrame:
        self._base = self._find_base()
        names = parts_to_read(
            ("train", "valid"),
            lambda n: (self._base / n).is_dir() and (self._base / f"{n}.csv").is_file(),
            published=self.published_split,
        )
        parts = [self._listing(name) for name in names]
        table = pd.concat(parts, ignore_index=True)
        self.skipped = {"image is missing": 0, "lateral image (frontal_only)": 0}
        if self.frontal_only:
            lateral = table["view"] == "lateral"
            self.skipped["lateral image (frontal_only)"] = int(lateral.sum())
            table = table[~lateral]
        if self.missing_images == "skip":
            there = np.array([os.path.exists(self._base / name) for name in table["id"]], dtype=bool)
            self.skipped["image is missing"] = int((~there).sum())
            table = table[there]
        return table

    def _find_base(self) -> Path:
        """The folder of train.csv: the source's own, or the one release below it."""
        if (self.path / "train.csv").is_file():
            return self.path
        found = [self.path / f for f in FOLDERS if (self.path / f).is_dir()]
        if len(found) > 1:
            raise DataError(f"both {FOLDERS} are there; name one of them in folder", file=self.path)
        if not found:
            raise self.absent("neither train.csv nor a folder of a release is there")
        return found[0]

    def _listing(self, name: str) -> pd.DataFrame:
        """Read train.csv or valid.csv; the column marks holds a character an observation, 1, 0, u or b."""
        path = self._base / f"{name}.csv"
        table = read_csv(path, _COLUMNS)
        parsed = table["Path"].str.extract(_PATH)
        bad = np.flatnonzero((parsed[1] != name).to_numpy())
        if len(bad):
            raise DataError(
                f"Path must be such as CheXpert-v1.0-small/{name}/patient00001/study1/view1_frontal.jpg, got "
                f"{table['Path'].iloc[bad[0]]!r}",
                file=path,
                row=int(bad[0]),
            )
        for column in OBSERVATIONS:
            all_of(table[column], tuple(_MARKS), column, file=path)
        all_of(table["Sex"], tuple(SEXES), "Sex", file=path)
        lateral = (parsed[3] == "lateral").to_numpy()
        views = np.where(lateral, "lateral", table["AP/PA"].to_numpy(dtype=object))
        all_of(views, VIEWS, "AP/PA", file=path)
        if self.missing_images == "raise":
            self._require_patients(name, parsed[2].tolist(), path)
        marks = np.stack([table[c].map(_MARKS).to_numpy(dtype=object) for c in OBSERVATIONS], axis=1)
        return pd.DataFrame({
            "id": parsed[0],
            "subject": "",
            "group": parsed[2],
            "stratum": rarest(marks == "1", tuple(OBSERVATIONS.values()), "none"),
            "split": "test" if name == "valid" and self.published_split else "",
            "marks": ["".join(m) for m in marks],
            "age": [_age(text, path, row) for row, text in enumerate(table["Age"])],
            "sex": table["Sex"].map(SEXES),
            "view": views,
        })  # fmt: skip

    def _require_patients(self, part: str, patients: Sequence[str], path: Path) -> None:
        """Check that every patient has a folder, with one look: the archive comes in several pieces."""
        folder = self._base / part
        there = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
        listed_there(patients, there, "raise", path)

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``view`` and ``sex``."""
        return {"view": VIEWS, "sex": ("female", "male")}

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        return list(self.index[["id", "marks", "age", "sex", "view"]].itertuples(index=False, name=None))

    def peek(self, row: int) -> Sample:
        """Return the observations and the table of a row, without its image."""
        name, marks, age, sex, view = self._rows[row]
        if marks not in self._decoded:
            pairs = zip(OBSERVATIONS.values(), marks, strict=True)
            self._decoded[marks] = {label: self._values[mark] for label, mark in pairs if mark in self._values}
        labels = dict(self._decoded[marks])
        clinical = {"age": None if math.isnan(age) else age, "sex": sex or None, "view": view}
        groups = {"view": VIEWS.index(view), "sex": ("female", "male").index(sex) if sex else -1}
        targets: dict[str, Any] = {self.task_name: labels} if labels else {}
        return Sample(name, {"xray": None, "clinical": clinical}, targets, groups)

    def read(self, row: int) -> Sample:
        """Read the image, the table and the observations of a row.

        Raises:
            DataError: the image is missing or cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["xray"] = self.image("xray", self._base / sample.id)
        return sample


def _age(text: str, path: Path, row: int) -> float:
    """Parse an age in whole years; NaN for 0, which stands for unknown."""
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0 <= age <= 130:
        raise DataError(f"Age must be 0 to 130 years, got {text!r}", file=path, row=row)
    return age or math.nan
