"""MIMIC-CXR: chest X-rays in JPEG (MIMIC-CXR-JPG), their mined labels and the reports (MIMIC-CXR)."""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import all_of
from datamodules.sources.images.chexpert import OBSERVATIONS
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice, unknown_name
from zoo.raw import RawModality, RawTask

SECTIONS = ("findings", "impression", "indication", "history", "comparison", "technique", "examination")
"""Sections of a report that may be read as text."""
_VIEWS = {"xray": ("PA", "AP"), "xray_lateral": ("LATERAL", "LL")}
"""Modality -> its values of ViewPosition, the preferred one first."""
_SPLITS = {"train": "train", "validate": "val", "test": "test"}
_MARKS = {"1.0": 1, "1": 1, "0.0": 0, "0": 0, "-1.0": 2, "-1": 2, "": 3}
_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z /&]{2,40}):", re.MULTILINE)
_LARGEST_REPORT = 1 << 20


def report_sections(text: str) -> dict[str, str]:
    """Divide a report at its headings, capital letters at the start of a line that end in a colon.

    >>> report_sections(" FINDINGS: Clear lungs." + chr(10) + " IMPRESSION: Normal: yes.")
    {'findings': 'Clear lungs.', 'impression': 'Normal: yes.'}
    """
    found: dict[str, str] = {}
    heads = list(_HEADING.finditer(text))
    for head, end in zip(heads, [*(h.start() for h in heads[1:]), len(text)], strict=bool(heads)):
        name = " ".join(head.group(1).lower().split())
        body = " ".join(text[head.end() : end].split())
        if body:
            found[name] = f"{found[name]} {body}" if name in found else body
    return found


def read_zipped_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of a csv, or of the same file with .gz after it, into strings; "" where a cell is empty.

    Raises:
        DataError: neither file is there, it is broken, unpacks to far more than tables do, or lacks a column.
    """
    packed = path.with_name(f"{path.name}.gz")
    path = packed if packed.is_file() else path
    if not path.is_file():
        raise DataError(f"the file is missing, as '{path.name}' and as '{packed.name}'; restore it", file=packed)
    most = (64 << 20) + 100 * path.stat().st_size
    try:
        with gzip.open(path) if path == packed else path.open("rb") as handle:
            data = handle.read(most + 1)
        if len(data) > most:
            raise ValueError(f"it unpacks to more than {most >> 20} MiB")
        header = pd.read_csv(io.BytesIO(data), nrows=0, dtype=str).columns.tolist()
        lacking = [c for c in columns if c not in header]
        if lacking:
            raise DataError(f"the table lacks a column: {unknown_name('column', lacking[0], header)}", file=path)
        table = pd.read_csv(io.BytesIO(data), usecols=list(columns), dtype=str, keep_default_na=False)
    except DataError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, pd.errors.ParserError, MemoryError) as error:
        raise DataError(
            f"the table cannot be read ({type(error).__name__}: {error}); download it again", file=path
        ) from error
    table.attrs["path"] = path
    return table


@dataclass(frozen=True)
class ReportOptions(Settings):
    """Which parts of the reports are read, and what they are for.

    Attributes:
        sections: sections of the report joined into ``text``, in this order; () leaves the reports unread.
        folder: folder of the reports below that of the source.
        inform: let the text inform the task. The labels were mined from it, so it gives them away.
        missing: "raise" if a report is missing; "skip" leaves its study without text.
    """

    sections: tuple[str, ...] = ("findings", "impression")
    folder: str = "mimic-cxr-reports/files"
    inform: bool = False
    missing: Literal["raise", "skip"] = "raise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [s for s in self.sections if s not in SECTIONS]:
            raise SpecError(f"MIMICCXR: sections must be some of {SECTIONS}, got {unknown}")


@dataclass(frozen=True)
class ObservationLabels(Settings):
    """Whose labels are taken, and what uncertain ones become.

    Attributes:
        labeler: "chexpert" or "negbio", the two programs whose labels are published.
        uncertain: what -1 becomes: "ignore" leaves the label unknown, "zeros" 0, "ones" 1.
        unmentioned: what a blank becomes: "zeros" 0, as is usual; "unknown" leaves it unknown.
    """

    labeler: Literal["chexpert", "negbio"] = "chexpert"
    uncertain: Literal["ignore", "zeros", "ones"] = "ignore"
    unmentioned: Literal["unknown", "zeros"] = "zeros"


@SOURCES.register
class MIMICCXR(Source):
    """Read studies of the chest: a frontal and a lateral image, the report, and fourteen observations.

    A row is a study. Of its images, ``xray`` is the first PA one, or else AP, and ``xray_lateral`` the first lateral
    one; images without a known view are not used. A study without such an image, or without text in the chosen
    sections, lacks that modality. Observations are published as 1 (present), 0 (absent), -1 (uncertain) or blank
    (not mentioned). Studies of a subject share a group.

    Args:
        folder: folder below the root that holds ``files`` and the tables of MIMIC-CXR-JPG.
        task_name: name of the task.
        reports: which parts of the reports are read, and what they are for.
        labels: whose labels are taken, and what uncertain ones become.
        published_split: take the publisher's train, validate and test; False leaves the split open.
        missing_images: "raise" fails when a missing image is read; "skip" looks for every image at opening, and
            studies do without the missing ones.

    Attributes:
        skipped: reason -> number of studies, or of images and reports, that were left out.
        unlabelled: number of studies that the table of labels does not hold.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "mimic_cxr",
        task_name: str = "radiographic_findings",
        reports: ReportOptions = ReportOptions(),
        labels: ObservationLabels = ObservationLabels(),
        published_split: bool = True,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        sections = self.sections = tuple(reports.sections)
        self.task_name, self.reports, self.labeler = task_name, reports.folder, labels.labeler
        self.published_split, self.missing_images = published_split, missing_images
        self.missing_reports, self.unlabelled = reports.missing, 0
        # by mark: absent, present, uncertain, blank; -1 is unknown
        uncertain_value = {"ignore": -1, "zeros": 0, "ones": 1}[labels.uncertain]
        self._values = np.array([0, 1, uncertain_value, 0 if labels.unmentioned == "zeros" else -1], dtype=np.int8)
        images = (RawModality("xray", "image"), RawModality("xray_lateral", "image"))
        informs = ("xray", "xray_lateral", "text") if reports.inform and sections else ("xray", "xray_lateral")
        self.card = SourceCard(
            title="MIMIC-CXR-JPG 2 and the reports of MIMIC-CXR 2",
            modalities=(*images, RawModality("text", "text")) if sections else images,
            tasks=(RawTask(task_name, "multilabel", tuple(OBSERVATIONS.values()), informs),),
            licence="PhysioNet Credentialed Health Data License 1.5.0",
            access="credentialed",
            citation="Johnson, Pollard, Berkowitz, Greenbaum, Lungren, Deng, Mark, Horng, MIMIC-CXR, a de-identified "
            "publicly available database of chest radiographs with free-text reports, Scientific Data 6:317, 2019; "
            "MIMIC-CXR-JPG: arXiv:1901.07042",
            where="PhysioNet: mimic-cxr-jpg, and mimic-cxr-reports.zip of mimic-cxr, after training and an agreement",
            layout="mimic-cxr-2.0.0-{metadata,split,chexpert,negbio}.csv.gz, files/p10/p10000032/s50414267/*.jpg and "
            "mimic-cxr-reports/files/p10/p10000032/s50414267.txt",
            caution="Labels were mined from the reports by rules, not read from the images; only part of the test "
            "split was checked by radiologists, in a file of its own. Blank means not mentioned, not absent. Reports "
            "speak of earlier studies. Opening reads every report. Subjects are those of MIMIC-IV.",
            size="377110 images, 227835 studies, 65379 subjects; about 570 GB",
        )

    def _index(self) -> pd.DataFrame:
        self.skipped = {}
        metadata = self._published("metadata", ("dicom_id", "subject_id", "study_id", "ViewPosition"))
        studies = metadata[["study_id", "subject_id"]].drop_duplicates("study_id").reset_index(drop=True)
        table = studies.assign(
            id="s" + studies["study_id"], subject="", group="p" + studies["subject_id"], stratum="",
            folder="p" + studies["subject_id"].str[:2] + "/p" + studies["subject_id"] + "/s" + studies["study_id"],
            split=self._splits(studies) if self.published_split else "",
        )  # fmt: skip
        for modality, views in _VIEWS.items():
            table[modality] = self._images(metadata, views, table)
        table["text"] = [self._report(f) for f in table["folder"]] if self._reports_there() else ""
        table["labels"] = list(self._labels(studies))
        bare = (table["xray"] == "") & (table["xray_lateral"] == "") & (table["text"] == "")
        self.skipped["no frontal or lateral image, and no text"] = int(bare.sum())
        return table[~bare]

    def _published(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        return read_zipped_csv(self.path / f"mimic-cxr-2.0.0-{name}.csv", columns)

    def _splits(self, studies: pd.DataFrame) -> pd.Series[str]:
        """The publisher's split of each study."""
        table = self._published("split", ("study_id", "split"))
        all_of(table["split"], tuple(_SPLITS), "split", file=table.attrs["path"])
        known = table.drop_duplicates("study_id").set_index("study_id")["split"].map(_SPLITS)
        split = studies["study_id"].map(known)
        if split.isna().any():
            first = studies["study_id"][split.isna()].iloc[0]
            raise DataError(
                f"{int(split.isna().sum())} studies of the metadata have no split, the first is {first}; download "
                "the table again, or give published_split=False",
                file=table.attrs["path"],
                row=first,
            )
        return split

    def _images(self, metadata: pd.DataFrame, views: tuple[str, ...], table: pd.DataFrame) -> list[str]:
        """The image of each study in one of the views, relative to ``files``; "" for none."""
        seen = metadata[metadata["ViewPosition"].isin(views)]
        seen = seen.assign(rank=seen["ViewPosition"].map(views.index)).sort_values(["rank", "dicom_id"])
        first = seen.drop_duplicates("study_id").set_index("study_id")["dicom_id"]
        names = table["study_id"].map(first).fillna("")
        files = [f"{f}/{n}.jpg" if n else "" for f, n in zip(table["folder"], names, strict=True)]
        if self.missing_images == "raise":
            return files
        there = [bool(f) and os.path.exists(self.path / "files" / f) for f in files]
        lost = sum(bool(f) for f in files) - sum(there)
        self.skipped["image is missing"] = self.skipped.get("image is missing", 0) + lost
        return [f if t else "" for f, t in zip(files, there, strict=True)]

    def _reports_there(self) -> bool:
        if self.sections and not (self.path / self.reports).is_dir():
            raise self.absent(
                f"the folder of reports '{self.reports}' is missing; give reports.sections=[] to do without"
            )
        return bool(self.sections)

    def _report(self, study: str) -> str:
        """Read the chosen sections of a report; "" where it has none of them."""
        path = f"{self.path}/{self.reports}/{study}.txt"
        try:
            with open(path, "rb") as handle:
                data = handle.read(_LARGEST_REPORT + 1)
        except FileNotFoundError as error:
            if self.missing_reports == "skip":
                self.skipped["report is missing"] = self.skipped.get("report is missing", 0) + 1
                return ""
            raise DataError("the report is missing; add it, or give reports.missing='skip'", file=path) from error
        except OSError as error:
            raise DataError(f"the report cannot be read ({error})", file=path) from error
        try:
            if len(data) > _LARGEST_REPORT:
                raise ValueError("it is larger than 1 MiB")
            found = report_sections(data.decode())
        except ValueError as error:
            raise DataError(f"the report is no text in UTF-8 ({error}); download it again", file=path) from error
        return " ".join(found[s] for s in self.sections if s in found)

    def _labels(self, studies: pd.DataFrame) -> npt.NDArray[np.int8]:
        """Labels (N, 14) in the order of OBSERVATIONS: 0, 1, or -1 where unknown."""
        table = self._published(self.labeler, ("study_id", *OBSERVATIONS))
        marks = np.empty((len(table), len(OBSERVATIONS)), dtype=np.int8)
        for k, name in enumerate(OBSERVATIONS):
            all_of(table[name], tuple(_MARKS), name, file=table.attrs["path"])
            marks[:, k] = table[name].map(_MARKS)
        place = studies["study_id"].map(pd.Series(table.index, index=table["study_id"]).groupby(level=0).first())
        known = place.notna().to_numpy()
        self.unlabelled = int((~known).sum())
        labels = np.full((len(studies), len(OBSERVATIONS)), -1, dtype=np.int8)
        labels[known] = self._values[marks[place[known].astype(int)]]
        return labels

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the index as lists: row by row they are far faster than a table."""
        return {c: self.index[c].tolist() for c in ("id", "xray", "xray_lateral", "text", "labels")}

    def peek(self, row: int) -> Sample:
        """Return the text and the known observations of a row, without its images."""
        columns = self._columns
        sample = Sample(columns["id"][row], {m: None for m in _VIEWS if columns[m][row]})
        if columns["text"][row]:
            sample.inputs["text"] = columns["text"][row]
        values = zip(OBSERVATIONS.values(), columns["labels"][row].tolist(), strict=True)
        if known := {name: value for name, value in values if value >= 0}:
            sample.targets[self.task_name] = known
        return sample

    def read(self, row: int) -> Sample:
        """Read the images, the text and the observations of a row.

        Raises:
            DataError: an image is missing or cannot be decoded.
        """
        sample = self.peek(row)
        for modality in _VIEWS:
            if modality in sample.inputs:
                path = self.path / "files" / self._columns[modality][row]
                sample.inputs[modality] = self.image(modality, path)
        return sample
