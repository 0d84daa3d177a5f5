"""NLM malaria cell images: single red blood cells from thin smears, parasitized or not."""

from __future__ import annotations

import re
from functools import cached_property

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files
from datamodules.io.formats.folders import class_images
from zoo.contract import Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

CLASSES = {"Parasitized": "parasitized", "Uninfected": "uninfected"}
"""Folder -> class."""
_NESTED = "cell_images"
_PATIENT = re.compile(r"(C\d+(?:[A-Z]?P\d+)?).*_cell_\d+.*\.png", re.IGNORECASE)


@SOURCES.register
class MalariaCells(Source):
    """Read segmented red blood cells, with or without Plasmodium falciparum.

    File names begin with the smear, such as C33P1thinF; its case and patient numbers (C33P1) are the group, so that
    the two microscopes under which one smear was photographed do not cross a split. No split is published. The
    whole second copy of the images that lies in the folder ``cell_images`` of the Kaggle archive is left out, and
    counted in ``skipped``.

    Args:
        folder: folder of ``Parasitized`` and ``Uninfected`` below the root.
        task_name: name of the task.
    """

    group_unit = "patient"

    def __init__(self, *, folder: str = "cell_images", task_name: str = "disease") -> None:
        super().__init__(folder=folder)
        self.task_name = task_name
        self.card = SourceCard(
            title="Malaria cell images (Malaria Screener, thin smears of P. falciparum)",
            modalities=(RawModality("pathology", "image"),),
            tasks=(RawTask(task_name, "classification", tuple(CLASSES.values()), ("pathology",)),),
            licence="not stated",
            access="open",
            citation="Rajaraman et al., Pre-trained convolutional neural networks as feature extractors toward "
            "improved malaria parasite detection in thin blood smear images, PeerJ 6:e4568, 2018",
            where="cell_images.zip from the malaria data sheet of the Lister Hill National Center (US National "
            "Library of Medicine)",
            layout="{Parasitized,Uninfected}/C33P1thinF_IMG_..._cell_179.png",
            size="27,558 cells, 13,779 a class, of 150 infected and 50 healthy patients; 337 MB",
            caution="Thumbs.db lies among the images, and the Kaggle copy holds every image twice (a folder "
            "cell_images in cell_images). Uninfected cells come from infected patients too. Stain and microscope "
            "tell patients apart, so that a split by cells flatters.",
        )

    def _index(self) -> pd.DataFrame:
        rows = class_images(self.path, CLASSES, beside=(_NESTED,))
        table = pd.DataFrame(rows, columns=["id", "label"])
        self.skipped = {f"second copy in the nested folder {_NESTED}": self._second_copies(set(table["id"]))}
        groups = [self._patient(name) for name in table["id"]]
        return table.assign(subject="", group=groups, stratum=table["label"], split="")

    def _second_copies(self, known: set[str]) -> int:
        """Count the images of the nested folder, each of which must be a copy."""
        nested = self.path / _NESTED
        found = [f"{c}/{n}" for c in CLASSES if (nested / c).is_dir() for n in image_files(nested / c)]
        more = sorted(set(found) - known)
        if more:
            raise DataError(
                f"{len(more)} images of the nested folder are no copies of outer ones, the first is '{more[0]}'; "
                "move them to the outer folders, or move the nested folder away",
                file=nested / more[0],
            )
        return len(found)

    def _patient(self, name: str) -> str:
        match = _PATIENT.fullmatch(name.rsplit("/", 1)[-1])
        if match is None:
            raise DataError(
                "the file name must begin with the smear, as in C33P1thinF_IMG_..._cell_179.png: without it the "
                "patient is unknown; restore the name, or move the file away",
                file=self.path / name,
            )
        return match[1].upper()

    @cached_property
    def _rows(self) -> list[tuple[str, str]]:
        return list(zip(self.index["id"], self.index["label"], strict=True))

    def peek(self, row: int) -> Sample:
        """Return the label of a row, without its image."""
        name, label = self._rows[row]
        return Sample(name, {"pathology": None}, {self.task_name: label})

    def read(self, row: int) -> Sample:
        """Read the cell and the label of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["pathology"] = self.image("pathology", self.path / sample.id)
        return sample
