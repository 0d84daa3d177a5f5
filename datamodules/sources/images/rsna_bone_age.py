"""RSNA bone age: hand X-rays of children with the bone age, in classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import all_of, content_keys, image_tree, listed_there, read_csv
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

SEXES = {
    "True": "male", "TRUE": "male", "1": "male", "M": "male",
    "False": "female", "FALSE": "female", "0": "female", "F": "female", "": "",
}  # fmt: skip
"""Published sex -> name, "" where unknown; the three tables spell it in their own ways."""


class Part(NamedTuple):
    """Where one part lies: names its table may have, folders of its images, and columns of name, age and sex."""

    tables: tuple[str, ...]
    folders: tuple[str, ...]
    columns: tuple[str, str, str]


PARTS = {
    "train": Part(
        ("boneage-training-dataset.csv", "train.csv"), ("boneage-training-dataset",), ("id", "boneage", "male")
    ),
    "val": Part(
        ("Validation Dataset.csv", "Bone Age Validation Set/Validation Dataset.csv"),
        (
            *(f"boneage-validation-dataset-{k}" for k in (1, 2)),
            *(f"Bone Age Validation Set/boneage-validation-dataset-{k}" for k in (1, 2)),
        ),
        ("Image ID", "Bone Age (months)", "male"),
    ),
    "test": Part(
        ("Bone age ground truth.csv", "boneage-test-dataset.csv"),
        ("boneage-test-dataset", "Test Set Images"),
        ("Case ID", "Ground truth bone age (months)", "Sex"),
    ),
}
"""The parts of the challenge as they are published."""
_SINGLE = Part(("labels.csv",), (), ("file", "boneage_months", "male"))


def age_classes(edges_months: Sequence[int], max_months: int) -> tuple[str, ...]:
    """Name the classes between 0, the edges and the maximum, in years where all are whole years.

    >>> age_classes([48, 96], 240)
    ('0-4y', '4-8y', '8-20y')
    >>> age_classes([30], 60)
    ('0-30m', '30-60m')
    """
    bounds = [0, *edges_months, max_months]
    divisor, unit = (12, "y") if all(b % 12 == 0 for b in bounds) else (1, "m")
    return tuple(f"{low // divisor}-{high // divisor}{unit}" for low, high in pairwise(bounds))


@SOURCES.register
class RSNABoneAge(Source):
    """Read X-rays of children's hands with the bone age in classes of months.

    Class k holds edges[k - 1] <= months < edges[k]. Byte-identical files share a group. A folder with a single
    table ``labels.csv`` (file, boneage_months, male: True, False or empty) beside its images is read too.

    Args:
        folder: folder of the tables and image folders below the root.
        task_name: name of the task.
        edges_months: rising inner edges of the classes, in months; the default gives five classes.
        max_months: upper end of the last class; an older hand is refused.
        include_sex: also give the sex as the tabular modality ``demographics``.
        parts: parts of the challenge to read, of "train", "val" and "test"; each is a download of its own. Not used
            for ``labels.csv``.
        published_split: images of the parts val and test are those splits, and what they leave open is divided;
            False leaves every split open.
        missing_images: "raise" if a listed image is missing; "skip" leaves it out.
    """

    group_unit = "image"

    def __init__(
        self,
        *,
        folder: str = "rsna_bone_age",
        task_name: str = "bone_age",
        edges_months: Sequence[int] = (48, 96, 144, 192),
        max_months: int = 240,
        include_sex: bool = False,
        parts: Sequence[str] = ("train",),
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        bounds = [0, *edges_months, max_months]
        if len(bounds) < 3 or any(a >= b for a, b in pairwise(bounds)):
            raise SpecError(
                f"RSNABoneAge: edges_months must rise between 0 and max_months = {max_months}, got "
                f"{list(edges_months)}"
            )
        if not parts or set(parts) - set(PARTS):
            raise SpecError(f"RSNABoneAge: parts must be some of {tuple(PARTS)}, got {list(parts)}")
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.include_sex, self.parts = task_name, include_sex, tuple(dict.fromkeys(parts))
        self.edges_months, self.max_months = tuple(edges_months), max_months
        self.published_split, self.missing_images = published_split, missing_images
        self.classes = age_classes(self.edges_months, max_months)
        extra = (RawModality("demographics", "tabular", features=("sex",)),) if include_sex else ()
        modalities = (RawModality("xray", "image"), *extra)
        self.card = SourceCard(
            title="RSNA Pediatric Bone Age Challenge 2017",
            modalities=modalities,
            tasks=(RawTask(task_name, "ordinal", self.classes, tuple(m.name for m in modalities)),),
            licence="not stated for copies of the images; the RSNA's terms are non-commercial research",
            access="open",
            citation="Halabi et al., The RSNA Pediatric Bone Age Machine Learning Challenge, Radiology 290, 2019",
            where="the RSNA's page of the challenge, which links to Stanford's folder",
            layout="boneage-training-dataset.csv (id, boneage, male) and boneage-training-dataset/*.png; for part "
            "val 'Validation Dataset.csv' and boneage-validation-dataset-{1,2}/*.png; for part test 'Bone age ground "
            "truth.csv' (save the published .xlsx so) and boneage-test-dataset/*.png",
            caution="Bone age depends on sex: the same X-ray is read against a sex's own atlas. Ages are estimates "
            "of one radiologist's report in train, and means of several readers in test. No patient identifiers. "
            "Letters and markers in the images differ by hospital.",
            size="12,611 images in train, 1,425 in val, 200 in test",
        )

    def _index(self) -> pd.DataFrame:
        self.skipped = {"image is missing": 0}
        single = (self.path / "labels.csv").is_file()
        listings = [self._listing("", _SINGLE)] if single else [self._listing(p, PARTS[p]) for p in self.parts]
        table = pd.concat(listings, ignore_index=True)
        table["label"] = [
            self.classes[k] for k in np.searchsorted(self.edges_months, table["months"].to_numpy(), side="right")
        ]
        keys = content_keys([self.path / f for f in table["file"]])
        return table.assign(subject="", group=keys, stratum=table["label"])

    def _listing(self, name: str, part: Part) -> pd.DataFrame:
        """Read the table of a part and look up its images."""
        path = next((self.path / t for t in part.tables if (self.path / t).is_file()), self.path / part.tables[0])
        columns: tuple[str, ...] = part.columns if self.include_sex else part.columns[:2]
        table = read_csv(path, columns)[list(columns)]
        months = [self._months(text, part.columns[1], path, row) for row, text in enumerate(table[columns[1]])]
        if self.include_sex:
            all_of(table[columns[2]], tuple(SEXES), columns[2], file=path)
        if name:
            files = image_tree(self.path, part.folders)
            names = [f if f.endswith(".png") else f"{f}.png" for f in table[columns[0]]]
        else:
            names = table[columns[0]].tolist()
            files = {n: n for n in names if (self.path / n).is_file()}
        there = listed_there(names, files, self.missing_images, path)
        self.skipped["image is missing"] += int((~there).sum())
        return pd.DataFrame({
            "id": [f"{name}/{n.removesuffix('.png')}" if name else n for n in names],
            "split": name if name in ("val", "test") and self.published_split else "",
            "file": [files.get(n, "") for n in names],
            "months": months,
            "sex": table[columns[2]].map(SEXES) if self.include_sex else "",
        })[there]  # fmt: skip

    def _months(self, text: str, column: str, path: Path, row: int) -> float:
        try:
            months = float(text)
        except ValueError:
            months = -1.0
        if not 0 <= months < self.max_months:
            raise DataError(
                f"{column} must be from 0 to below max_months = {self.max_months}, got {text!r}", file=path, row=row
            )
        return months

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        return list(self.index[["id", "file", "label", "sex"]].itertuples(index=False, name=None))

    def peek(self, row: int) -> Sample:
        """Return the class, and the sex where asked for, without the image."""
        name, _, label, sex = self._rows[row]
        sample = Sample(name, {"xray": None}, {self.task_name: label})
        if self.include_sex:
            sample.inputs["demographics"] = {"sex": sex or None}
        return sample

    def read(self, row: int) -> Sample:
        """Read the image, the class, and the sex where asked for.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["xray"] = self.image("xray", self.path / self._rows[row][1])
        return sample
