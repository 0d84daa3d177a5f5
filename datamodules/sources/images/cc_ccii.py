"""CC-CCII: chest CT slices of patients with COVID-19, with common pneumonia or with neither."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, read_csv
from datamodules.io.formats.folders import require_classes, spread, subfolders
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

CLASSES = {"NCP": "COVID-19", "CP": "common pneumonia", "Normal": "normal"}
"""Folder -> class. CP is bacterial, viral or mycoplasma pneumonia other than COVID-19."""
_TABLE = "unzip_filenames.csv"
_ABSENT = "scan of unzip_filenames.csv whose folder or images are not there (missing_images: skip)"


@SOURCES.register
class CCCCII(Source):
    """Read slices of chest CT scans, with the diagnosis of the patient.

    The folders are class/patient/scan/slice; slices are ordered by the number in their names. Every slice carries
    the diagnosis of its patient. A patient's scans share a group, whichever class they are in.

    Args:
        folder: folder of ``NCP``, ``CP`` and ``Normal`` below the root.
        task_name: name of the task.
        slices_per_scan: evenly spaced slices of each scan that are rows of their own: 1 takes the middle one, 0 all.
            A scan with fewer slices gives what it has.
        missing_images: what to do where ``unzip_filenames.csv`` lists a scan that is not there, or a scan has no
            image: "raise", or "skip" and count it in ``skipped``. Without that table nothing is known to be missing.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "cc_ccii",
        task_name: str = "disease",
        slices_per_scan: int = 1,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        if slices_per_scan < 0:
            raise SpecError(f"CCCCII: slices_per_scan must be at least 1, or 0 for all, got {slices_per_scan}")
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        self.task_name, self.slices_per_scan, self.missing_images = task_name, slices_per_scan, missing_images
        self.card = SourceCard(
            title="China Consortium of Chest CT Image Investigation (CC-CCII)",
            modalities=(RawModality("ct", "image"),),
            tasks=(RawTask(task_name, "classification", tuple(CLASSES.values()), ("ct",)),),
            licence="not stated",
            access="open",
            citation="Zhang, Liu, Shen et al., Clinically Applicable AI System for Accurate Diagnosis, Quantitative "
            "Measurements, and Prognosis of COVID-19 Pneumonia Using Computed Tomography, Cell 181:1423-1433, 2020",
            where="the China National Center for Bioinformation (ncov-ai.big.ac.cn/download): the archives of NCP, "
            "CP and Normal, unpacked into one folder, and unzip_filenames.csv",
            layout="{NCP,CP,Normal}/patient/scan/*.png (or .jpg), and unzip_filenames.csv with the columns label, "
            "patient_id and scan_id where published",
            size="about 4,000 scans of 2,700 patients; a cleaned version counts 340,190 slices of 3,993 scans of "
            "2,698 patients",
            caution="Errors are known: scans that are damaged, there twice, out of order or of the wrong class "
            "(He et al., medRxiv 2020.06.08.20125963, publish a cleaned version), and patients under two labels. "
            "Images of 8 bits in an unstated window, not HU; some are cropped to the lungs. Sites differ by class. A "
            "slice of a sick patient may show nothing.",
        )

    def _index(self) -> pd.DataFrame:
        require_classes(self.path, CLASSES)
        self.skipped = {_ABSENT: 0}
        scans = [
            (label, patient, scan)
            for label in CLASSES
            for patient in subfolders(self.path / label)
            for scan in subfolders(self.path / label / patient)
        ]
        self._compare(set(scans))
        lines = []
        for label, patient, scan in scans:
            names = sorted(image_files(self.path / label / patient / scan), key=_number)
            if not names:
                self._absent("the scan has no image", f"{label}/{patient}/{scan}", None, 1)
            count = len(names) if self.slices_per_scan == 0 else min(self.slices_per_scan, len(names))
            for k in spread(count, len(names)) if count else []:
                lines.append((f"{label}/{patient}/{scan}/{names[k]}", patient, CLASSES[label]))
        table = pd.DataFrame(lines, columns=["id", "group", "label"])
        return table.assign(subject="", stratum=table["label"], split="")

    def _compare(self, found: set[tuple[str, str, str]]) -> None:
        """Compare the folders with the published table, where it is there."""
        path = self.path / _TABLE
        if not path.is_file():
            return
        table = read_csv(path, ("label", "patient_id", "scan_id"))
        listed = zip(table["label"], table["patient_id"], table["scan_id"], strict=True)
        absent = [(row, "/".join(scan)) for row, scan in enumerate(listed) if scan not in found]
        if absent:
            row, first = absent[0]
            problem = f"{len(absent)} of the {len(table)} scans that '{_TABLE}' lists are not there, the first"
            self._absent(problem, first, row, len(absent))

    def _absent(self, problem: str, scan: str, row: int | None, count: int) -> None:
        if self.missing_images == "raise":
            raise DataError(
                f"{problem}: '{scan}'; unpack the other archives, or set missing_images: skip",
                file=self.path / scan,
                row=row,
            )
        self.skipped[_ABSENT] += count

    @cached_property
    def _rows(self) -> list[tuple[str, str]]:
        return list(zip(self.index["id"], self.index["label"], strict=True))

    def peek(self, row: int) -> Sample:
        """Return the diagnosis of a row, without its slice."""
        name, label = self._rows[row]
        return Sample(name, {"ct": None}, {self.task_name: label})

    def read(self, row: int) -> Sample:
        """Read the slice and the diagnosis of a row.

        Raises:
            DataError: the image cannot be decoded.
        """
        sample = self.peek(row)
        sample.inputs["ct"] = self.image("ct", self.path / sample.id)
        return sample


def _number(name: str) -> tuple[int, str]:
    """Order slices by the last number in their names."""
    numbers = re.findall(r"\d+", name.rsplit(".", 1)[0])
    return int(numbers[-1]) if numbers else -1, name
