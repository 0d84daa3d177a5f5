"""Indiana University chest X-rays (Open-i) as published: reports in XML, images in PNG."""

from __future__ import annotations

import os
import re
import xml.parsers.expat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import image_files, one_of, read_csv, require_file
from datamodules.sources.text.openi_reports import NORMAL, NOT_INDEXED, SECTIONS, frequent_findings, label_name
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

_LARGEST_REPORT = 4 << 20
_PROJECTIONS = "indiana_projections.csv"
_VIEWS = {"Frontal": "xray", "Lateral": "xray_lateral"}


def parse_xml(path: Path) -> ElementTree.Element:
    """Parse a small XML file; a file that declares entities or a document type is refused.

    Raises:
        DataError: the file is missing, larger than 4 MiB, not XML, or declares a document type.
    """
    require_file(path)
    if path.stat().st_size > _LARGEST_REPORT:
        raise DataError(f"the report is larger than {_LARGEST_REPORT >> 20} MiB; that is no published one", file=path)
    builder = ElementTree.TreeBuilder()
    parser = xml.parsers.expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise DataError("the XML declares a document type or an entity, which no published report does", file=path)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except DataError:
        raise
    except (xml.parsers.expat.ExpatError, ValueError, LookupError, OSError, AssertionError) as error:
        raise DataError(f"the report is not XML ({error}); copy it again from the data set", file=path) from error


@dataclass
class _Report:
    """What an XML file says: its number, sections (lower-case name -> text), MeSH labels and image names."""

    uid: str
    sections: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


def _read_report(path: Path) -> _Report:
    root = parse_xml(path)
    number = root.find("uId")
    uid = (number.get("id", "") if number is not None else "").removeprefix("CXR")
    report = _Report(uid or path.stem)
    for part in root.iter("AbstractText"):
        name = part.get("Label", "").strip().lower()
        text = " ".join("".join(part.itertext()).split())
        if text:
            report.sections[name] = f"{report.sections[name]} {text}" if name in report.sections else text
    major = [m.text or "" for mesh in root.iter("MeSH") for m in mesh.iter("major")]
    report.labels = tuple(n for m in major if (n := label_name(m.split("/")[0])))
    report.images = tuple(i.get("id", "").strip() for i in root.iter("parentImage") if i.get("id", "").strip())
    return report


def image_key(uid: str, name: str) -> str:
    """Name an image by report and number: the table of views lacks the prefix, and its uid 1 one more part.

    >>> image_key("1", "CXR1_1_IM-0001-3001"), image_key("1", "1_IM-0001-3001.dcm.png")
    ('1/IM-0001-3001', '1/IM-0001-3001')
    """
    found = re.search(r"IM-[^.]*", name)
    return f"{uid}/{found.group() if found else name}"


@SOURCES.register
class OpenI(Source):
    """Read studies of the chest: a frontal and a lateral image, the report, and what it was indexed with.

    A row is a report. Where ``indiana_projections.csv`` lies in the folder, the first frontal image is ``xray`` and
    the first lateral one ``xray_lateral``; without it no view is known, and the first image of a report is ``xray``.
    Labels are the major MeSH terms up to the first slash, as in OpenIReports, whose rows have the same subject.
    Reports that nobody indexed have no label. A row without an image or without text lacks that modality.

    Args:
        folder: folder of ``ecgen-radiology``, ``NLMCXR_png`` and, if there, ``indiana_projections.csv``.
        sections: sections joined into ``text``, in this order; () leaves reports unread as inputs.
        task: "normal" for the classification normal_report (abnormal, normal), "findings" for the multilabel
            radiographic_findings of the most frequent terms.
        task_name: name of the task; "" takes the one just given.
        num_findings: number of findings, "normal" not among them.
        include_normal: give the findings the further label "normal", as their first.
        missing_images: "raise" if an image that a report names is missing; "skip" leaves the image out.

    Attributes:
        skipped: reason -> number of reports, and of images, that were left out.
        unlabelled: number of reports without a target.
        views_known: whether the table of views was there.
    """

    group_unit = "report"

    def __init__(
        self,
        *,
        folder: str = "open_i",
        sections: Sequence[str] = ("findings", "impression"),
        task: Literal["normal", "findings"] = "normal",
        task_name: str = "",
        num_findings: int = 8,
        include_normal: bool = False,
        missing_images: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        if unknown := [s for s in sections if s not in SECTIONS]:
            raise SpecError(f"OpenI: sections must be some of {SECTIONS}, got {unknown}")
        check_choice(self, "task", task, ("normal", "findings"))
        check_choice(self, "missing_images", missing_images, ("raise", "skip"))
        if num_findings < 1:
            raise SpecError(f"OpenI: num_findings must be at least 1, got {num_findings}")
        self.sections, self.task, self.missing_images = tuple(sections), task, missing_images
        self.num_findings, self.include_normal = num_findings, include_normal
        self.unlabelled = 0
        self.views_known = False
        normal = RawTask(task_name or "normal_report", "classification", ("abnormal", NORMAL))
        findings = RawTask(task_name or "radiographic_findings", "multilabel")
        images = (RawModality("xray", "image"), RawModality("xray_lateral", "image"))
        self.card = SourceCard(
            title="Indiana University chest X-ray collection (Open-i)",
            modalities=(*images, RawModality("text", "text")) if sections else images,
            tasks=(normal if task == "normal" else findings,),
            licence="CC BY-NC-ND 4.0, as the XML files state",
            access="open",
            citation="Demner-Fushman et al., Preparing a collection of radiology examinations for distribution and "
            "retrieval, JAMIA 23:304, 2016",
            where="Open-i (National Library of Medicine): NLMCXR_reports.tgz and NLMCXR_png.tgz; the table of views "
            "is in 'Chest X-rays (Indiana University)' on Kaggle",
            layout="ecgen-radiology/*.xml, NLMCXR_png/*.png and, for the views, indiana_projections.csv (uid, "
            "filename, projection)",
            caution="The labels were indexed from the texts: leave the text out (sections: []) to learn from images. "
            "De-identified words read XXXX. The XML does not say which image is frontal. Patients are not named: "
            "rows are grouped by report. Several frequent terms are places (lung), not findings.",
            size="3955 reports, 7470 images",
        )

    def _index(self) -> pd.DataFrame:
        folder = self.path / "ecgen-radiology"
        if not folder.is_dir():
            raise self.absent("the folder 'ecgen-radiology' is missing")
        names = sorted(e.name for e in os.scandir(folder) if e.name.endswith(".xml") and not e.name.startswith("."))
        reports = [_read_report(folder / n) for n in names]
        labels = [r.labels for r in reports]
        if self.task == "findings":
            classes = frequent_findings(labels, self.num_findings, self.include_normal, file=folder)
            self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=classes),))
        views = self._views()
        there = set(image_files(self.path / "NLMCXR_png"))
        self.skipped = {"no image, and no text in the sections": 0, "an image is missing": 0}
        self.unlabelled = 0
        lines = []
        first: dict[str, str] = {}
        for name, report in zip(names, reports, strict=True):
            if first.setdefault(report.uid, name) != name:
                raise DataError(
                    f"the report has the uid '{report.uid}' of {first[report.uid]}; fetch both files again",
                    file=folder / name,
                )
            images = self._images(report, views, there, name)
            text = " ".join(report.sections[s] for s in self.sections if s in report.sections)
            if not text and not images:
                self.skipped["no image, and no text in the sections"] += 1
                continue
            known = bool(report.labels) and NOT_INDEXED not in report.labels
            self.unlabelled += not known
            stratum = "" if not known else NORMAL if NORMAL in report.labels else "abnormal"
            found = ";".join(report.labels) if known else ""
            frontal, lateral = images.get("xray", ""), images.get("xray_lateral", "")
            lines.append((report.uid, f"openi-{report.uid}", report.uid, stratum, "", text, found, frontal, lateral))
        columns = ["id", "subject", "group", "stratum", "split", "text", "labels", "xray", "xray_lateral"]
        return pd.DataFrame(lines, columns=columns)

    def _views(self) -> dict[str, str]:
        """Read the table of views: image key -> modality; {} where there is no table."""
        path = self.path / _PROJECTIONS
        self.views_known = path.is_file()
        if not self.views_known:
            return {}
        table = read_csv(path, ("uid", "filename", "projection"))
        cells = zip(table["uid"], table["filename"], table["projection"], strict=True)
        return {
            image_key(uid, name): _VIEWS[one_of(view, tuple(_VIEWS), "projection", file=path, row=row)]
            for row, (uid, name, view) in enumerate(cells)
        }

    def _images(self, report: _Report, views: dict[str, str], there: set[str], xml_name: str) -> dict[str, str]:
        """Choose the images of a report: modality -> file name."""
        chosen: dict[str, str] = {}
        for image in report.images:
            if f"{image}.png" not in there:
                if self.missing_images == "raise":
                    raise DataError(
                        f"the image '{image}.png' of the report '{xml_name}' is missing; add it, or give "
                        "missing_images='skip'",
                        file=self.path / "NLMCXR_png" / f"{image}.png",
                        row=report.uid,
                    )
                self.skipped["an image is missing"] += 1
                continue
            view = views.get(image_key(report.uid, image), "") if self.views_known else "xray"
            if view:
                chosen.setdefault(view, f"{image}.png")
        return chosen

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """Columns of the index as lists: row by row they are far faster than a table."""
        return {c: self.index[c].tolist() for c in self.index.columns}

    def peek(self, row: int) -> Sample:
        """Return the text and the labels of a row, without its images."""
        columns = self._columns
        sample = Sample(columns["id"][row])
        sample.inputs.update({m: None for m in ("xray", "xray_lateral") if columns[m][row]})
        if columns["text"][row]:
            sample.inputs["text"] = columns["text"][row]
        if columns["stratum"][row]:
            found = set(columns["labels"][row].split(";"))
            task = self.card.tasks[0]
            sample.targets[task.name] = (
                {n: int(n in found) for n in task.classes} if self.task == "findings" else columns["stratum"][row]
            )
        return sample

    def read(self, row: int) -> Sample:
        """Read the images, the text and the labels of a row.

        Raises:
            DataError: an image cannot be decoded.
        """
        sample = self.peek(row)
        for modality in ("xray", "xray_lateral"):
            if modality in sample.inputs:
                path = self.path / "NLMCXR_png" / self._columns[modality][row]
                sample.inputs[modality] = self.image(modality, path)
        return sample
