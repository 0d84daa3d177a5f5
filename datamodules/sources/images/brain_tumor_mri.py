"""Brain tumour classification from single MRI slices."""

from __future__ import annotations

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, parts_to_read
from datamodules.io.images import pixel_keys
from zoo.contract import Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

CLASSES = {
    "no_tumor": "no_tumor",
    "glioma_tumor": "glioma",
    "meningioma_tumor": "meningioma",
    "pituitary_tumor": "pituitary",
}
"""Folder -> class."""


@SOURCES.register
class BrainTumorMRI(Source):
    """Read MRI slices with a glioma, a meningioma, a pituitary tumour or none.

    The published Testing folder is the split "test"; Training is to be split into train and val. Images of
    equal pixels share a group, and ``skipped`` counts the Training images that are also in Testing.

    Args:
        folder: folder of ``Training`` and ``Testing`` below the root.
        published_split: keep Testing as the split "test"; False pools both folders, to be split as other sources
            are. The two folders differ in more than chance: models do markedly worse on Testing.
        drop_leaks: leave Training images whose pixels equal those of a Testing image out of the index. False
            lists them too, in one group with their twins.

    Attributes:
        skipped: reason -> number of files that were left out.
    """

    group_unit = "image"

    def __init__(
        self, *, folder: str = "brain_tumor_mri", published_split: bool = True, drop_leaks: bool = True
    ) -> None:
        super().__init__(folder=folder)
        self.published_split = published_split
        self.drop_leaks = drop_leaks
        self.card = SourceCard(
            title="Brain Tumor Classification (MRI)",
            modalities=(RawModality("mri", "image"),),
            tasks=(RawTask("brain_tumor", "classification", tuple(CLASSES.values()), ("mri",)),),
            licence="not stated",
            access="open",
            citation="Bhuvaji, Kadam, Bhumkar, Dedge, Kanchan, Brain Tumor Classification (MRI), Kaggle, 2020",
            where="the authors' repository SartajBhuvaji/Brain-Tumor-Classification-DataSet, or Kaggle",
            layout="{Training,Testing}/{no_tumor,glioma_tumor,meningioma_tumor,pituitary_tumor}/*.jpg",
            caution="No patient identifiers: slices of one patient may lie on both sides of a split. In the full "
            "publication 64 files are byte-identical between Training and Testing, most of them no_tumor, and "
            "copies of other bytes but equal pixels occur too. Testing differs from Training by more than chance "
            "(see published_split).",
            size="3,264 slices: 2,870 for training (826 glioma, 822 meningioma, 395 no tumour, 827 pituitary), 394 "
            "for testing",
        )

    def _index(self) -> pd.DataFrame:
        files = []
        parts = (("Training", ""), ("Testing", "test"))
        for part, split in parts_to_read(
            parts, lambda p: (self.path / p[0]).is_dir(), published=self.published_split
        ):
            found = (
                {p.name for p in (self.path / part).iterdir() if p.is_dir()} if (self.path / part).is_dir() else set()
            )
            if found != set(CLASSES):
                raise DataError(
                    f"the folders of classes must be {sorted(CLASSES)}; missing: {sorted(set(CLASSES) - found)}, "
                    f"unknown: {sorted(found - set(CLASSES))}",
                    file=self.path / part,
                )
            for name, label in CLASSES.items():
                files += [(f"{part}/{name}/{f}", label, split) for f in image_files(self.path / part / name)]
        if not files:
            return pd.DataFrame(columns=["id", "subject", "group", "stratum", "split"])
        table = pd.DataFrame(files, columns=["id", "label", "split"])
        keys = pixel_keys([self.path / f for f in table["id"]])
        table = table.assign(subject="", group=keys, stratum=table["label"])
        tested = set(table["group"][(table["split"] == "test") & (table["group"] != "")])
        leaks = (table["split"] == "") & table["group"].isin(tested) & self.drop_leaks
        self.skipped = {"Training image is also in Testing": int(leaks.sum())}
        if not self.published_split:
            table["split"] = ""
        return table[~leaks]

    def peek(self, row: int) -> Sample:
        """Return the label of a row, without its image."""
        table = self.index
        return Sample(str(table["id"].iloc[row]), {"mri": None}, {"brain_tumor": str(table["label"].iloc[row])})

    def read(self, row: int) -> Sample:
        """Read the image and the label of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["mri"] = self.image("mri", self.path / sample.id)
        return sample
