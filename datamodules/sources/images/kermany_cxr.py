"""Kermany chest X-ray: films of children with bacterial pneumonia, viral pneumonia or neither."""

from __future__ import annotations

import re
from functools import cached_property

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import content_keys, merge_groups
from datamodules.io.formats.folders import leaking, published_images
from zoo.contract import Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

FOLDERS = {"NORMAL": "normal", "PNEUMONIA": "pneumonia"}
"""Folder -> class, of the two classes that are published as folders."""
CAUSES = {"bacteria": "bacterial pneumonia", "virus": "viral pneumonia"}
"""Word in the file name -> class, with ``causes``."""
_NAMES = (
    re.compile(r"(?P<child>person\d+)_(?P<cause>bacteria|virus)_\d+"),
    re.compile(r"(?P<child>(?:NORMAL2-)?IM-\d+)(?:-\d+)+"),
    re.compile(r"(?P<cause>BACTERIA|VIRUS)-(?P<child>\d+)-\d+"),
    re.compile(r"NORMAL-(?P<child>\d+)-\d+"),
)
_LEAK = "its child, or a byte-identical film, is in a more held-out part too"


@SOURCES.register
class KermanyChestXRay(Source):
    """Read paediatric chest X-rays, normal or with pneumonia.

    Two ways to name the files were published: personN_bacteria_M, personN_virus_M, IM-N-M and NORMAL2-IM-N-M; and
    BACTERIA-N-M, VIRUS-N-M and NORMAL-N-M. N stands for the child here; its films share a group.

    Args:
        folder: folder of ``train``, ``test`` and perhaps ``val`` below the root.
        task_name: name of the task.
        causes: tell bacterial from viral pneumonia, by the file names: three classes instead of two.
        published_split: keep ``test`` as the split "test"; False pools all films, to be split by child.
        published_val: with the published split, keep ``val`` (8 films a class) as the split "val" and ``train`` as
            "train". False divides both anew, by child, since 8 films choose no model.
        drop_leaks: with the published split, leave out films of ``train`` and ``val`` whose child or byte-identical
            twin is in a more held-out part too. False leaves them in the index, where a whole group goes to the
            most held-out part, so that the test part is no longer the published one.
        merge_twins: let byte-identical films share a group, whatever they are named. Files of equal size are read
            for it when the source is opened (seconds).
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "chest_xray",
        task_name: str = "disease",
        causes: bool = False,
        published_split: bool = True,
        published_val: bool = False,
        drop_leaks: bool = True,
        merge_twins: bool = True,
    ) -> None:
        super().__init__(folder=folder)
        self.task_name, self.causes, self.merge_twins = task_name, causes, merge_twins
        self.published_split, self.published_val, self.drop_leaks = published_split, published_val, drop_leaks
        classes = ("normal", *CAUSES.values()) if causes else tuple(FOLDERS.values())
        self.card = SourceCard(
            title="Chest X-Ray Images (Pneumonia)",
            modalities=(RawModality("xray", "image"),),
            tasks=(RawTask(task_name, "classification", classes, ("xray",)),),
            licence="CC BY 4.0",
            access="open",
            citation="Kermany, Goldbaum, Cai et al., Identifying Medical Diagnoses and Treatable Diseases by "
            "Image-Based Deep Learning, Cell 172:1122-1131, 2018",
            where="Mendeley Data, doi:10.17632/rscbjbr9sj (ChestXRay2017), or the Kaggle copy, which adds val",
            layout="{train,test}/{NORMAL,PNEUMONIA}/*.jpeg, and val/ likewise where published",
            size="5,856 films of children of one to five years: 5,232 for training and 624 for testing; the Kaggle "
            "copy has moved 16 of the former to val",
            caution="What the numbers in the file names mean is not documented: the same number under bacteria and "
            "virus, or in two parts, may or may not be one child, and is taken for one. Some films are there twice, "
            "byte for byte, under different numbers, also in both train and test. The test part has 62 % pneumonia, "
            "the training part 74 %. One hospital.",
        )

    def _index(self) -> pd.DataFrame:
        rows = published_images(
            self.path, FOLDERS, published_split=self.published_split, published_val=self.published_val
        )
        table = pd.DataFrame(rows, columns=["id", "label", "split"])
        told = [self._told(name) for name in table["id"]]
        groups = [child for child, _ in told]
        if self.merge_twins:
            groups = merge_groups(groups, content_keys([self.path / name for name in table["id"]]))
        if self.causes:
            table["label"] = [CAUSES.get(cause, "normal") for _, cause in told]
        leaks = leaking(groups, table["split"].tolist()) & self.drop_leaks
        self.skipped = {_LEAK: int(leaks.sum())}
        return table.assign(subject="", group=groups, stratum=table["label"])[~leaks]

    def _told(self, name: str) -> tuple[str, str]:
        """Return what a file name tells: the child, and "bacteria", "virus" or ""."""
        folder, file = name.split("/")[-2:]
        stem = file.rsplit(".", 1)[0]
        match = next((m for m in (pattern.fullmatch(stem) for pattern in _NAMES) if m), None)
        cause = (match.groupdict().get("cause") or "").lower() if match else ""
        if match is None or bool(cause) != (folder == "PNEUMONIA"):
            named = "personN_bacteria_M, personN_virus_M, BACTERIA-N-M or VIRUS-N-M"
            raise DataError(
                f"the file name '{file}' in {folder} is not one of those published ("
                + (named if folder == "PNEUMONIA" else "IM-N-M, NORMAL2-IM-N-M or NORMAL-N-M")
                + "): without it the child is unknown; restore the name, or move the file away",
                file=self.path / name,
            )
        return match["child"], cause

    @cached_property
    def _rows(self) -> list[tuple[str, str]]:
        return list(zip(self.index["id"], self.index["label"], strict=True))

    def peek(self, row: int) -> Sample:
        """Return the label of a row, without its film."""
        name, label = self._rows[row]
        return Sample(name, {"xray": None}, {self.task_name: label})

    def read(self, row: int) -> Sample:
        """Read the film and the label of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["xray"] = self.image("xray", self.path / sample.id)
        return sample
