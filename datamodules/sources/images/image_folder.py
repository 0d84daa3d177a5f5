"""Your own images in a folder for each class, described in YAML alone."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import is_image
from datamodules.io.formats.folders import leaking, subfolders
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Name of a folder in lower case -> the split that it holds."""


@SOURCES.register
class ImageFolder(Source):
    """Read images of your own that lie in a folder for each class, or in such folders below train, val and test.

    The names of classes are those of their folders. Images may lie at any depth below them, in every format that is
    known, with or without a suffix; other files are counted and left out. A hidden folder is not looked into.

    Args:
        folder: folder of the classes, or of train, val and test, below the root.
        modality: name of the modality of the images.
        unit: of the values, such as "HU"; "" where they have none.
        task_name: name of the task.
        group: regular expression that finds in the path of an image what must not cross a split, such as the patient,
            in its first pair of brackets, as in ``(patient[0-9]+)_``; "" lets each image stand for itself. Training
            images of a group that is also in validation or test are left out.
        published_split: keep train, val and test where the folders say them; False puts all images together.
        title: what the data are called in reports; "" takes the name of the folder.
    """

    def __init__(
        self,
        *,
        folder: str = "image_folder",
        modality: str = "image",
        unit: str = "",
        task_name: str = "label",
        group: str = "",
        published_split: bool = True,
        title: str = "",
    ) -> None:
        super().__init__(folder=folder)
        try:
            self.group = re.compile(group) if group else None
        except re.error as error:
            raise SpecError(f"ImageFolder: group {group!r} is no regular expression: {error}") from error
        if self.group is not None and self.group.groups < 1:
            raise SpecError(f"ImageFolder: group {group!r} has no brackets around what names the group")
        self.modality, self.task_name, self.published_split = modality, task_name, published_split
        self.card = SourceCard(
            title=title or folder,
            modalities=(RawModality(modality, "image", unit=unit),),
            tasks=(RawTask(task_name, "classification", (), (modality,)),),
            licence="yours",
            access="open",
            citation="your own data",
            where="you have it: images in a folder for each class",
            layout="<class>/<image>, or {train,val,test}/<class>/<image>",
            size="any",
        )

    def _index(self) -> pd.DataFrame:
        parts = self._parts()
        rows, others = [], 0
        for place, split in parts.items():
            for label in subfolders(self.path / place):
                images, left_out = _images(self.path, f"{place}/{label}" if place else label)
                rows += [(name, label, split) for name in images]
                others += left_out
        table = pd.DataFrame(rows, columns=["id", "label", "split"])
        classes = tuple(sorted(set(table["label"])))
        if len(classes) < 2:
            raise DataError(
                f"images lie in the folders of the classes {list(classes)}; two are needed", file=self.path
            )
        self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=classes),))
        groups = [self._group_of(name) for name in table["id"]]
        if not self.published_split:
            table["split"] = ""
        out = leaking(groups, table["split"].tolist())
        self.skipped = {"file is no image": others, "group is also in a part that is held out": int(out.sum())}
        table = table.assign(subject="", group=groups, stratum=table["label"])
        return table[~out].reset_index(drop=True)

    def _parts(self) -> dict[str, str]:
        """Folder of classes -> its split: those of train, val and test, or the folder itself."""
        found = subfolders(self.path)
        parts = {name: SPLITS[name.lower()] for name in found if name.lower() in SPLITS}
        if not parts:
            return {"": ""}
        if len(parts) < len(found):
            others = sorted(set(found) - set(parts))
            raise DataError(
                f"beside {sorted(parts)} lie the folders {others}; move away what is not train, val or test",
                file=self.path,
            )
        if len(set(parts.values())) < len(parts):
            raise DataError(f"two of the folders {sorted(parts)} name one split; join them", file=self.path)
        return parts

    def _group_of(self, name: str) -> str:
        if self.group is None:
            return ""
        match = self.group.search(name)
        if match is None or not match[1]:
            raise DataError(
                f"the group {self.group.pattern!r} is not found in '{name}'; correct the expression, or the name",
                file=self.path / name,
            )
        return match[1]

    @cached_property
    def _rows(self) -> list[tuple[str, str]]:
        return list(zip(self.index["id"], self.index["label"], strict=True))

    def peek(self, row: int) -> Sample:
        """Return the class of a row, without its image."""
        name, label = self._rows[row]
        return Sample(name, {self.modality: None}, {self.task_name: label})

    def read(self, row: int) -> Sample:
        """Read the image and the class of a row.

        Raises:
            DataError: the image cannot be read.
        """
        sample = self.peek(row)
        sample.inputs[self.modality] = self.image(self.modality, self.path / sample.id)
        return sample


def _images(root: Path, folder: str) -> tuple[list[str], int]:
    """The images below a folder, by their paths below ``root``, and the number of other files."""
    found, others = [], 0
    for here, below, names in os.walk(root / folder):
        below[:] = sorted(n for n in below if not n.startswith("."))
        inside = Path(here).relative_to(root).as_posix()
        images = [n for n in names if is_image(Path(here) / n)]
        found += [f"{inside}/{n}" for n in images]
        others += len(names) - len(images)
    return sorted(found), others
