"""Bone age from hand X-rays, in classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from datamodules.files import content_keys, one_of, read_csv, read_image, require_listed, whole_number
from datamodules.source import SOURCES, RawModality, RawTask, Source, SourceCard
from datamodules.sources.rsna_bone_age import age_classes
from zoo.contract import Sample
from zoo.errors import SpecError

_SEX = {"True": "male", "False": "female", "1": "male", "0": "female", "": None}


@SOURCES.register
class BoneAge(Source):
    """Read X-rays of children's hands with the bone age in classes of months.

    Class k holds edges[k - 1] <= months < edges[k]. Byte-identical files share a group.

    Args:
        folder: folder of ``labels.csv`` and the images below the root.
        edges_months: rising inner edges of the classes, in months; the default gives five classes.
        max_months: upper end of the last class; an older hand is refused.
        include_sex: also give the sex as the tabular modality ``demographics``.
    """

    def __init__(
        self,
        *,
        folder: str = "bone_age",
        edges_months: Sequence[int] = (48, 96, 144, 192),
        max_months: int = 240,
        include_sex: bool = False,
    ) -> None:
        super().__init__(folder=folder)
        bounds = [0, *edges_months, max_months]
        if len(bounds) < 3 or any(a >= b for a, b in pairwise(bounds)):
            raise SpecError(
                f"BoneAge: edges_months must rise between 0 and max_months = {max_months}, got {list(edges_months)}"
            )
        self.edges_months, self.max_months, self.include_sex = tuple(edges_months), max_months, include_sex
        self.classes = age_classes(self.edges_months, max_months)
        extra = (RawModality("demographics", "tabular", features=("sex",)),) if include_sex else ()
        modalities = (RawModality("xray", "image"), *extra)
        self.card = SourceCard(
            title="RSNA Pediatric Bone Age Challenge 2017",
            modalities=modalities,
            tasks=(RawTask("bone_age", "ordinal", self.classes, tuple(m.name for m in modalities)),),
            licence="not stated for copies of the images; the RSNA's terms are non-commercial research",
            access="open",
            citation="Halabi et al., The RSNA Pediatric Bone Age Machine Learning Challenge, Radiology 290, 2019",
            where="the RSNA's challenge page; name the columns of its table file, boneage_months and male",
            layout="labels.csv (file, boneage_months, male: True, False or empty) and the images that it lists",
            caution="Bone age depends on sex: the same X-ray is read against a sex's own atlas.",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / "labels.csv"
        columns = ["file", "boneage_months", *(["male"] if self.include_sex else [])]
        table = read_csv(path, columns)[columns]
        require_listed(self.path, table["file"], path)
        months = [
            whole_number(text, 0, self.max_months - 1, "boneage_months", file=path, row=row)
            for row, text in enumerate(table["boneage_months"])
        ]
        if self.include_sex:
            for row, value in enumerate(table["male"]):
                one_of(value, tuple(_SEX), "male", file=path, row=row)
        labels = [self.classes[k] for k in np.searchsorted(self.edges_months, months, side="right")]
        keys = content_keys([self.path / f for f in table["file"]])
        return table.assign(
            id=table["file"], months=months, label=labels, subject="", group=keys, stratum=labels, split=""
        )

    def peek(self, row: int) -> Sample:
        """Return the class, and the sex where asked for, without the image."""
        table = self.index
        sample = Sample(str(table["id"].iloc[row]), {"xray": None}, {"bone_age": str(table["label"].iloc[row])})
        if self.include_sex:
            sample.inputs["demographics"] = {"sex": _SEX[str(table["male"].iloc[row])]}
        return sample

    def read(self, row: int) -> Sample:
        """Read the image, the class, and the sex where asked for.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["xray"] = read_image(self.path / sample.id, at_least=self.image_size)
        return sample
