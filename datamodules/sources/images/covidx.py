"""COVIDx CXR: chest X-rays gathered from several collections, with COVID-19, with other findings or with none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.core.splits import SPLITS
from datamodules.io.files import parts_to_read, require_file
from datamodules.io.formats.folders import leaking
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

LABELS = {
    "binary": {"negative": "no COVID-19", "positive": "COVID-19"},
    "three": {"normal": "normal", "pneumonia": "pneumonia", "COVID-19": "COVID-19"},
}
"""Variant of the lists -> published label -> class."""
_LEAK = "its patient is in a more held-out part too"
_MISSING = "its image is not in the folder (missing_images: skip)"


@SOURCES.register
class COVIDx(Source):
    """Read chest X-rays with a label of COVID-19, by the lists of a COVIDx CXR release.

    A line of a list is "patient file class collection" (no collection in the first releases); the images of a list
    lie in the folder of its part. Images of one patient of one collection share a group. The group column ``origin``
    is the collection (its names are known once the source is open).

    Args:
        folder: folder of the lists and of ``train``, ``test`` and perhaps ``val`` below the root.
        task_name: name of the task.
        variant: "binary" for lists with the labels negative and positive (releases B, CXR-2, CXR-4), "three" for
            normal, pneumonia and COVID-19 (releases A, and those up to COVIDx5).
        lists: part ("train", "val", "test") -> name of its list, such as "train_COVIDx9A.txt"; a part that is not
            named has its default, such as "val.txt". Where there is no list of the part "val" (releases before
            CXR-4), the training part is divided into train and val by patient; "" says that there is none.
        published_split: keep the lists' split; False pools all images, to be split by patient.
        drop_leaks: with the published split, leave out images of patients who are in a more held-out part too. False
            leaves them in the index, where a whole patient goes to the most held-out part.
        missing_images: "skip" leaves out listed images that are not there, and counts them in ``skipped``.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "covidx",
        task_name: str = "disease",
        variant: Literal["binary", "three"] = "binary",
        lists: Mapping[str, str] | None = None,
        published_split: bool = True,
        drop_leaks: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "variant", variant, LABELS)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.variant, self.missing_images = task_name, variant, missing_images
        if wrong := set(lists or {}) - set(SPLITS):
            raise SpecError(f"COVIDx: lists names the lists of {SPLITS}, got {sorted(wrong)}")
        self.lists = {part: f"{part}.txt" for part in SPLITS} | dict(lists or {})
        self.published_split, self.drop_leaks = published_split, drop_leaks
        self._origins: tuple[str, ...] = ()
        self.card = SourceCard(
            title="COVIDx CXR",
            modalities=(RawModality("xray", "image"),),
            tasks=(RawTask(task_name, "classification", tuple(LABELS[variant].values()), ("xray",)),),
            licence="those of the collections that it is made of; see each",
            access="registration",
            citation="Wang, Lin, Wong, COVID-Net, Scientific Reports 10:19549, 2020; Pavlova et al., COVIDx CXR-3, "
            "arXiv:2206.03671, 2022; Wu et al., COVIDx CXR-4, arXiv:2311.17677, 2023",
            where="Kaggle (COVIDx CXR), or the scripts and lists of the repository lindawangg/COVID-Net",
            layout="train.txt, test.txt and perhaps val.txt (lines 'patient file class collection'), with the images "
            "in train/, test/ and val/",
            size="CXR-3: 29,986 training images of 16,648 patients and 400 test images of 378; CXR-4: 84,818 images "
            "of 45,342 patients",
            caution="The collection tells the label: negatives come nearly all from other hospitals and years than "
            "positives, and models learn that; report by the group 'origin', and test on other data. Patient numbers "
            "are those of each collection. Portable films dominate the positives, and some are of the abdomen.",
        )

    def _index(self) -> pd.DataFrame:
        has_val = bool(self.lists["val"]) and (self.path / self.lists["val"]).exists()
        parts = ("train", "val", "test") if has_val else ("train", "test")
        listed = parts_to_read(
            parts,
            lambda p: (self.path / self.lists[p]).exists() and (self.path / p).is_dir(),
            published=self.published_split,
        )
        tables = [self._part(part) for part in listed]
        table = pd.concat(tables, ignore_index=True)
        if not self.published_split:
            table["split"] = ""
        elif not has_val:
            table.loc[table["split"] == "train", "split"] = ""
        leaks = leaking(table["group"].tolist(), table["split"].tolist()) & self.drop_leaks
        self.skipped[_LEAK] = int(leaks.sum())
        self._origins = tuple(sorted(set(table["origin"]) - {""}))
        return table[~leaks]

    def _part(self, part: str) -> pd.DataFrame:
        """Read the list of a part, and check that its images are there."""
        path = require_file(self.path / self.lists[part], "it lists the images of its part")
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"the list cannot be read ({error}); copy it from the release", file=path) from error
        rows = [(row, *self._line(line.split(), path, row)) for row, line in enumerate(lines, 1) if line.strip()]
        table = pd.DataFrame(rows, columns=["row", "patient", "file", "label", "origin"])
        folder = self.path / part
        there = {e.name for e in os.scandir(folder)} if folder.is_dir() else set()
        found = table["file"].isin(there).to_numpy()
        if not found.all() and self.missing_images == "raise":
            first = table[~found].iloc[0]
            raise DataError(
                f"{int((~found).sum())} of the {len(table)} images that '{path.name}' lists are not in '{part}', the "
                f"first is '{first['file']}'; add them, or set missing_images: skip",
                file=folder / str(first["file"]),
                row=int(first["row"]),
            )
        self.skipped[_MISSING] = self.skipped.get(_MISSING, 0) + int((~found).sum())
        table = table[found]
        return table.assign(
            id=part + "/" + table["file"], subject="", group=table["origin"] + ":" + table["patient"],
            stratum=table["label"], split=part,
        )  # fmt: skip

    def _line(self, words: list[str], path: Path, row: int) -> tuple[str, str, str, str]:
        """Return patient, file, class and collection; the file name may hold blanks."""
        labels = LABELS[self.variant]
        at = -2 if len(words) > 3 and words[-2] in labels else -1
        if len(words) < 3 or words[at] not in labels:
            raise DataError(
                f"expected 'patient file class collection' with a class of {sorted(labels)}, got "
                f"{' '.join(words)[:200]!r}; for lists with other classes set variant (one of {sorted(LABELS)})",
                file=path,
                row=row,
            )
        return words[0], " ".join(words[1:at]), labels[words[at]], words[-1] if at == -2 else ""

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``origin``."""
        return {"origin": self._origins}

    @cached_property
    def _rows(self) -> list[tuple[str, str, int]]:
        codes = {name: code for code, name in enumerate(self._origins)}
        origins = [codes.get(name, -1) for name in self.index["origin"]]
        return list(zip(self.index["id"], self.index["label"], origins, strict=True))

    def peek(self, row: int) -> Sample:
        """Return the label and the collection of a row, without its image."""
        name, label, origin = self._rows[row]
        return Sample(name, {"xray": None}, {self.task_name: label}, {"origin": origin})

    def read(self, row: int) -> Sample:
        """Read the image, the label and the collection of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["xray"] = self.image("xray", self.path / sample.id)
        return sample
