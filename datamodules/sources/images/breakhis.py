"""BreakHis: microscope images of benign and malignant breast tumours at four magnifications."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_tree
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

CLASSES = {"B": "benign", "M": "malignant"}
SUBTYPES = {
    "A": ("adenosis", "B"),
    "F": ("fibroadenoma", "B"),
    "PT": ("phyllodes_tumor", "B"),
    "TA": ("tubular_adenoma", "B"),
    "DC": ("ductal_carcinoma", "M"),
    "LC": ("lobular_carcinoma", "M"),
    "MC": ("mucinous_carcinoma", "M"),
    "PC": ("papillary_carcinoma", "M"),
}
"""Code in file names -> subtype, which is also the name of its folder, and code of its class."""
MAGNIFICATIONS = (40, 100, 200, 400)
_ROOTS = ("histology_slides", "BreaKHis_v1/histology_slides", "BreaKHis_v1/BreaKHis_v1/histology_slides")
_NAME = re.compile(r"SOB_([BM])_(A|F|PT|TA|DC|LC|MC|PC)-(\d+)-(\d+)([A-Z]*)-(40|100|200|400)-(\d+)\.png")


@SOURCES.register
class BreakHis(Source):
    """Read microscope images of breast tumours: benign or malignant, and one of eight subtypes.

    Class, subtype, slide and magnification are in the file name, ``SOB_M_DC-14-2523-100-003.png``. Images share a
    group if their slides have one case number: 14-22549AB, 14-22549CD and 14-22549G are slides of one case. The
    group column is the magnification.

    Args:
        folder: folder below the root that holds ``BreaKHis_v1`` or ``histology_slides``.
        task_name: name of the task benign or malignant.
        subtype_task: name of the task of the subtypes; "" for none.
        magnifications: the magnifications to keep.
    """

    group_unit = "case"

    def __init__(
        self,
        *,
        folder: str = "breakhis",
        task_name: str = "breast_cancer",
        subtype_task: str = "breast_cancer_subtype",
        magnifications: Sequence[int] = MAGNIFICATIONS,
    ) -> None:
        super().__init__(folder=folder)
        if not magnifications or set(magnifications) - set(MAGNIFICATIONS):
            raise SpecError(f"BreakHis: magnifications must be some of {MAGNIFICATIONS}, got {list(magnifications)}")
        if task_name == subtype_task:
            raise SpecError(f"BreakHis: the two tasks have one name, {task_name!r}; give subtype_task another, or ''")
        self.task_name, self.subtype_task, self.magnifications = task_name, subtype_task, tuple(magnifications)
        subtypes = tuple(name for name, _ in SUBTYPES.values())
        self.card = SourceCard(
            title="BreakHis, Breast Cancer Histopathological Database",
            modalities=(RawModality("pathology", "image"),),
            tasks=(
                RawTask(task_name, "classification", tuple(CLASSES.values()), ("pathology",)),
                *((RawTask(subtype_task, "classification", subtypes, ("pathology",)),) if subtype_task else ()),
            ),
            licence="not verified here; see the laboratory's page",
            access="open",
            citation="Spanhol, Oliveira, Petitjean, Heutte, A Dataset for Breast Cancer Histopathological Image "
            "Classification, IEEE Transactions on Biomedical Engineering 63:1455, 2016",
            where="BreaKHis_v1.tar.gz from the Laboratory of Vision, Robotics and Imaging, Federal University of "
            "Parana",
            layout="BreaKHis_v1/histology_slides/breast/{benign,malignant}/SOB/<subtype>/<slide>/<magnification>X/"
            "SOB_<class>_<subtype>-<slide>-<magnification>-<number>.png",
            caution="A case has up to hundreds of images, and some cases several slides: random splits leak. Case "
            "14-13412 is filed both as ductal and as lobular carcinoma, with the same images. Few cases a subtype: "
            "three of phyllodes tumour. The authors' five folds are separate files and are not used here.",
            size="7,909 images (2,480 benign, 5,429 malignant) of 82 patients, 700 x 460, about 4 GB",
        )

    def _index(self) -> pd.DataFrame:
        root = next((r for r in _ROOTS if (self.path / r).is_dir()), "")
        if not root:
            raise self.absent("no folder histology_slides")
        rows, left_out = [], 0
        for name, file in sorted(image_tree(self.path, (root,)).items()):
            found = _NAME.fullmatch(name)
            if not found:
                raise DataError(
                    f"the file name {name!r} is none of BreakHis; expected one such as SOB_M_DC-14-2523-100-003.png",
                    file=self.path / file,
                )
            kind, code, year, case, _, magnification, _ = found.groups()
            subtype, owner = SUBTYPES[code]
            if owner != kind or f"/{subtype}/" not in file or f"/{CLASSES[kind]}/" not in file:
                raise DataError(
                    f"the file name says {CLASSES[kind]} and {subtype}, but lies in another folder; restore the "
                    "folders of the archive",
                    file=self.path / file,
                )
            if int(magnification) not in self.magnifications:
                left_out += 1
                continue
            rows.append((name, file, CLASSES[kind], subtype, f"{year}-{case}", int(magnification)))
        self.skipped = {"magnification not asked for": left_out}
        table = pd.DataFrame(rows, columns=["id", "file", "label", "subtype", "group", "magnification"])
        return table.assign(subject="", stratum=table["subtype"], split="")

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``magnification``."""
        return {"magnification": tuple(f"{m}X" for m in MAGNIFICATIONS)}

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        columns = ["id", "file", "label", "subtype", "magnification"]
        return list(self.index[columns].itertuples(index=False, name=None))

    def peek(self, row: int) -> Sample:
        """Return the labels and the magnification of a row, without its image."""
        name, _, label, subtype, magnification = self._rows[row]
        targets = {self.task_name: label, **({self.subtype_task: subtype} if self.subtype_task else {})}
        return Sample(name, {"pathology": None}, targets, {"magnification": MAGNIFICATIONS.index(magnification)})

    def read(self, row: int) -> Sample:
        """Read the image and the labels of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["pathology"] = self.image("pathology", self.path / self._rows[row][1])
        return sample
