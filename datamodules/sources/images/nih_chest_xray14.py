"""NIH ChestX-ray14: frontal chest X-rays with fourteen findings mined from reports."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import all_of, image_tree, listed_there, read_csv, require_file
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

FINDINGS = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Effusion": "pleural_effusion",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Hernia": "hernia",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pleural_Thickening": "pleural_thickening",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
}
"""Published finding -> label, named as in the other sources of chest X-rays."""
NO_FINDING = "no_finding"
VIEWS = ("PA", "AP")
SEXES = {"F": "female", "M": "male"}
OLDEST = 120
"""Ages above this many years are typing errors of the published table and count as unknown."""
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
FOLDERS = ("images", *(f"images_{k:03d}" for k in range(1, 13)))
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "View Position")
_SEX_COLUMNS = ("Patient Gender", "Patient Sex")


def rarest(positive: npt.NDArray[np.bool_], names: Sequence[str], none: str) -> list[str]:
    """Name for each row its rarest positive label, for a stratified split.

    Args:
        positive: (N, K) whether the row has the label.
        names: K names.
        none: the name for rows without a label.
    """
    order = np.argsort(positive.sum(0), kind="stable")
    ranked = positive[:, order]
    first = np.where(ranked.any(1), ranked.argmax(1), len(names))
    ordered = [*(names[int(k)] for k in order), none]
    return [ordered[f] for f in first.tolist()]


@SOURCES.register
class NIHChestXray14(Source):
    """Read frontal chest X-rays with fourteen findings, and age, sex and view as the table ``clinical``.

    A row that is published as "No Finding" has all labels 0. Images of a patient share a group. Sex and view are
    group columns too.

    Args:
        folder: folder of the table, the lists and the image folders below the root.
        task_name: name of the task.
        include_no_finding: also give the label "no_finding", which is 1 where all others are 0.
        published_split: the images of ``test_list.txt`` are the test split and those of ``train_val_list.txt`` are
            divided into train and val; False leaves the split open and needs no lists.
        missing_images: "raise" if a listed image is missing; "skip" leaves it out, for those who have some of the
            twelve archives.

    Attributes:
        impossible_ages: number of rows whose age counts as unknown because it is above OLDEST.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "nih_chest_xray14",
        task_name: str = "radiographic_findings",
        include_no_finding: bool = False,
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.include_no_finding = task_name, include_no_finding
        self.published_split, self.missing_images = published_split, missing_images
        self.impossible_ages = 0
        labels = (*FINDINGS.values(), *((NO_FINDING,) if include_no_finding else ()))
        self.card = SourceCard(
            title="NIH ChestX-ray14",
            modalities=(
                RawModality("xray", "image"),
                RawModality("clinical", "tabular", features=("age", "sex", "view")),
            ),
            tasks=(RawTask(task_name, "multilabel", labels, ("xray", "clinical")),),
            licence="no restriction on use is stated; the NIH Clinical Center asks for a link, citation and "
            "acknowledgement",
            access="open",
            citation="Wang et al., ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on "
            "Weakly-Supervised Classification and Localization of Common Thorax Diseases, CVPR 2017",
            where="the NIH Clinical Center's folder ChestXray-NIHCC on Box",
            layout="Data_Entry_2017_v2020.csv or Data_Entry_2017.csv, train_val_list.txt, test_list.txt, and "
            "images/*.png or images_001/images/*.png to images_012/images/*.png",
            caution="Labels were mined from reports by rules and are often wrong; radiologists who read the images "
            "disagree with many. Absent means not mentioned. Patients have up to dozens of films: split by patient, "
            "as the published split does. Drains mark treated pneumothorax, and the AP view marks the sick.",
            size="112,120 images of 30,805 patients, 1024 x 1024, about 42 GB; 86,524 in train_val_list, 25,596 in "
            "test_list",
        )

    def _index(self) -> pd.DataFrame:
        path = next((self.path / t for t in TABLES if (self.path / t).is_file()), self.path / TABLES[0])
        table = read_csv(path, _COLUMNS)
        sex = next((c for c in _SEX_COLUMNS if c in table.columns), "")
        if not sex:
            raise DataError(f"the table lacks the column of the sex; it must have one of {_SEX_COLUMNS}", file=path)
        table = table[[*_COLUMNS, sex]].set_axis(["id", "findings", "group", "age", "view", "sex"], axis=1)
        all_of(table["view"], VIEWS, "View Position", file=path)
        all_of(table["sex"], tuple(SEXES), sex, file=path)
        files = image_tree(self.path, FOLDERS)
        mask = listed_there(table["id"].tolist(), files, self.missing_images, path)
        ages = np.array([_age(text, path, row) for row, text in enumerate(table["age"])])
        self.impossible_ages = int((ages > OLDEST).sum())
        positive = self._positive(table["findings"].tolist(), path)
        splits = self._splits(table["id"].tolist())
        table = table.assign(
            age=np.where(ages > OLDEST, np.nan, ages),
            file=table["id"].map(files),
            subject="",
            group=self.known_cells(table["group"], "Patient ID"),
            stratum=rarest(positive, tuple(FINDINGS.values()), NO_FINDING),
            split=splits,
        )
        self.skipped = {"image is missing": int((~mask).sum())}
        return table[mask]

    def _positive(self, cells: Sequence[str], path: Path) -> npt.NDArray[np.bool_]:
        """Parse "Mass|Nodule" cells to (N, 14); "No Finding" stands alone and gives no label."""
        code = {name: k for k, name in enumerate(FINDINGS)}
        positive = np.zeros((len(cells), len(code)), dtype=bool)
        for row, cell in enumerate(cells):
            if cell == "No Finding":
                continue
            for name in cell.split("|"):
                if name not in code:
                    raise DataError(
                        f"the finding {name!r} in {cell!r} is unknown; allowed: {', '.join(code)} joined by |, or "
                        "'No Finding' alone",
                        file=path,
                        row=row,
                    )
                positive[row, code[name]] = True
        return positive

    def _splits(self, names: Sequence[str]) -> list[str]:
        """The split of each image: "test", or "" for those to be divided."""
        if not self.published_split:
            return [""] * len(names)
        splits: dict[str, str] = {}
        for file, split in (("train_val_list.txt", ""), ("test_list.txt", "test")):
            path = require_file(self.path / file, "get it from the same folder, or give published_split=False")
            try:
                listed = path.read_text(encoding="utf-8").split()
            except (UnicodeDecodeError, OSError) as error:
                raise DataError(f"not a list of image names ({error}); fetch it again", file=path) from error
            for name in listed:
                if splits.setdefault(name, split) != split:
                    raise DataError(f"the image '{name}' is in both lists; fetch them again", file=path)
        row = next((row for row, name in enumerate(names) if name not in splits), None)
        if row is not None:
            raise DataError(
                f"the image '{names[row]}' is in neither train_val_list.txt nor test_list.txt; fetch them again, or "
                "give published_split=False",
                file=self.path,
                row=row,
            )
        return [splits[name] for name in names]

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``view`` and ``sex``."""
        return {"view": VIEWS, "sex": tuple(SEXES.values())}

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        columns = ["id", "file", "findings", "age", "sex", "view"]
        return list(self.index[columns].itertuples(index=False, name=None))

    def peek(self, row: int) -> Sample:
        """Return the findings and the table of a row, without its image."""
        name, _, findings, age, sex, view = self._rows[row]
        found = {FINDINGS[f] for f in findings.split("|") if f in FINDINGS}
        labels = {label: int(label in found) for label in FINDINGS.values()}
        if self.include_no_finding:
            labels[NO_FINDING] = int(not found)
        clinical = {"age": None if math.isnan(age) else age, "sex": SEXES[sex], "view": view}
        groups = {"view": VIEWS.index(view), "sex": list(SEXES).index(sex)}
        return Sample(name, {"xray": None, "clinical": clinical}, {self.task_name: labels}, groups)

    def read(self, row: int) -> Sample:
        """Read the image, the table and the findings of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["xray"] = self.image("xray", self.path / self._rows[row][1])
        return sample


def _age(text: str, path: Path, row: int) -> float:
    """Parse an age, such as 58, 058Y, 011M (months) or 003D (days), to years."""
    found = re.fullmatch(r"(\d{1,3})([YMD]?)", text)
    if not found:
        raise DataError(f"Patient Age must be a number of years such as 58 or 058Y, got {text!r}", file=path, row=row)
    return int(found.group(1)) / {"": 1.0, "Y": 1.0, "M": 12.0, "D": 365.25}[found.group(2)]
