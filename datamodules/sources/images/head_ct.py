"""Head CT with and without hemorrhage."""

from __future__ import annotations

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import content_keys, one_of, read_csv, require_listed
from zoo.contract import Sample
from zoo.raw import RawModality, RawTask


@SOURCES.register
class HeadCT(Source):
    """Read single head CT slices, as exported pictures of 8 bits, that show a hemorrhage or do not.

    Byte-identical files share a group.

    Args:
        folder: folder of ``labels.csv`` and the images below the root.
    """

    group_unit = "image"

    def __init__(self, *, folder: str = "head_ct") -> None:
        super().__init__(folder=folder)
        self.card = SourceCard(
            title="Head CT - hemorrhage",
            modalities=(RawModality("ct", "image"),),
            tasks=(RawTask("radiographic_findings", "multilabel", ("hemorrhage",), ("ct",)),),
            licence="not stated",
            access="open",
            citation="Kitamura, Head CT - hemorrhage, Kaggle (felipekitamura/head-ct-hemorrhage), 2018",
            where="Kaggle, data set felipekitamura/head-ct-hemorrhage; name the columns of its labels.csv "
            "file and hemorrhage, and put the images beside it",
            layout="labels.csv (file, hemorrhage: 0 or 1) and the images that it lists",
            caution="No patient identifiers. Pictures of varied windows, not HU; some carry letters of figures, so "
            "normal slices and bleeds may differ in where they come from.",
            size="200 slices, 100 with haemorrhage",
        )

    def _index(self) -> pd.DataFrame:
        path = self.path / "labels.csv"
        table = read_csv(path, ("file", "hemorrhage"))[["file", "hemorrhage"]]
        for row, value in enumerate(table["hemorrhage"]):
            one_of(value, ("0", "1"), "hemorrhage", file=path, row=row)
        require_listed(self.path, table["file"], path)
        keys = content_keys([self.path / f for f in table["file"]])
        return table.assign(id=table["file"], subject="", group=keys, stratum=table["hemorrhage"], split="")

    def peek(self, row: int) -> Sample:
        """Return the label of a row, without its image."""
        table = self.index
        finding = {"hemorrhage": int(table["hemorrhage"].iloc[row])}
        return Sample(str(table["id"].iloc[row]), {"ct": None}, {"radiographic_findings": finding})

    def read(self, row: int) -> Sample:
        """Read the image and the label of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["ct"] = self.image("ct", self.path / str(self.index["file"].iloc[row]))
        return sample
