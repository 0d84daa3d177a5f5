"""Kermany OCT (OCT2017): retinal B-scans with neovascularization, macular edema, drusen or none of them."""

from __future__ import annotations

import re
from functools import cached_property

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.formats.folders import leaking, published_images
from zoo.contract import Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

CLASSES = {
    "CNV": "choroidal neovascularization",
    "DME": "diabetic macular edema",
    "DRUSEN": "drusen",
    "NORMAL": "normal",
}
"""Folder -> class."""
_NAME = re.compile(r"(CNV|DME|DRUSEN|NORMAL)-(\d+)-\d+\.jpe?g", re.IGNORECASE)
_LEAK = "its patient is in a more held-out part too"


@SOURCES.register
class KermanyOCT(Source):
    """Read macular OCT B-scans with one of four diagnoses.

    File names are CLASS-patient-number; the images of a patient share a group.

    Args:
        folder: folder of ``train``, ``test`` and perhaps ``val`` below the root.
        task_name: name of the task.
        published_split: keep ``test`` as the split "test"; False pools all images, to be split by patient.
        published_val: with the published split, keep ``val`` (8 images a class in the copy that has it) as the split
            "val" and ``train`` as "train". False divides both anew, by patient, since 8 images choose no model.
        drop_leaks: with the published split, leave out images of ``train`` and ``val`` whose patient is in the test
            part too (and of ``train`` those of patients in a published val). False leaves them in the index, where
            a whole patient goes to the most held-out part, so that the test part is no longer the published one.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "OCT2017",
        task_name: str = "disease",
        published_split: bool = True,
        published_val: bool = False,
        drop_leaks: bool = True,
    ) -> None:
        super().__init__(folder=folder)
        self.task_name = task_name
        self.published_split, self.published_val, self.drop_leaks = published_split, published_val, drop_leaks
        self.card = SourceCard(
            title="Large Dataset of Labeled Optical Coherence Tomography (OCT) Images",
            modalities=(RawModality("oct", "image"),),
            tasks=(RawTask(task_name, "classification", tuple(CLASSES.values()), ("oct",)),),
            licence="CC BY 4.0",
            access="open",
            citation="Kermany, Goldbaum, Cai et al., Identifying Medical Diagnoses and Treatable Diseases by "
            "Image-Based Deep Learning, Cell 172:1122-1131, 2018",
            where="Mendeley Data, doi:10.17632/rscbjbr9sj (OCT2017), or the Kaggle copy, which adds val",
            layout="{train,test}/{CNV,DME,DRUSEN,NORMAL}/CLASS-patient-number.jpeg, and perhaps val/ likewise",
            size="about 108,300 training images of 4,686 patients and 1,000 test images (250 a class) of 633 "
            "patients; some releases hold 83,484 training images; the Kaggle copy has 242 a class in test, 8 in val",
            caution="The published split shares patients: leaving them out of the training part took 108,312 images "
            "to 104,649 in one study (see drop_leaks). Scans of a patient are nearly identical. One diagnosis an "
            "image, though diseases occur together.",
        )

    def _index(self) -> pd.DataFrame:
        rows = published_images(
            self.path, CLASSES, published_split=self.published_split, published_val=self.published_val
        )
        table = pd.DataFrame(rows, columns=["id", "label", "split"])
        groups = [self._patient(name) for name in table["id"]]
        leaks = leaking(groups, table["split"].tolist()) & self.drop_leaks
        self.skipped = {_LEAK: int(leaks.sum())}
        return table.assign(subject="", group=groups, stratum=table["label"])[~leaks]

    def _patient(self, name: str) -> str:
        folder, file = name.split("/")[-2:]
        match = _NAME.fullmatch(file)
        if match is None or match[1].upper() != folder:
            raise DataError(
                f"the file name '{file}' must be {folder}-patient-number.jpeg, as published: without it the patient "
                "is unknown; restore the name, or move the file away",
                file=self.path / name,
            )
        return match[2]

    @cached_property
    def _rows(self) -> list[tuple[str, str]]:
        return list(zip(self.index["id"], self.index["label"], strict=True))

    def peek(self, row: int) -> Sample:
        """Return the diagnosis of a row, without its image."""
        name, label = self._rows[row]
        return Sample(name, {"oct": None}, {self.task_name: label})

    def read(self, row: int) -> Sample:
        """Read the image and the diagnosis of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["oct"] = self.image("oct", self.path / sample.id)
        return sample
