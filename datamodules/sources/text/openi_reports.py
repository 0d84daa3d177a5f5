"""Chest X-ray reports of Indiana University (Open-i): text and its indexed findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import merge_groups, read_csv
from datamodules.io.unknown import RULE
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

SECTIONS = ("indication", "comparison", "findings", "impression")
"""Sections of a report that may be read as text; MeSH and Problems are the labels."""
NORMAL = "normal"
NOT_INDEXED = "no_indexing"
"""Normalised label of reports that nobody indexed: their findings are unknown, not absent."""


def label_name(label: str) -> str:
    """Normalise a label to lower-case words joined by underscores.

    >>> label_name("Catheters, Indwelling")
    'catheters_indwelling'
    """
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def frequent_findings(
    labels: Sequence[tuple[str, ...]], num_findings: int, include_normal: bool, *, file: Path
) -> tuple[str, ...]:
    """Choose the label set: the most frequent findings of all reports, after "normal" where that is wanted.

    Args:
        labels: findings of each report.
        num_findings: how many to keep.
        include_normal: whether "normal" is a label.
        file: of the reports, for errors.

    Raises:
        DataError: the reports have fewer findings than ``num_findings``.
    """
    counts = Counter(name for found in labels for name in set(found))
    findings = sorted((n for n in counts if n not in (NORMAL, NOT_INDEXED)), key=lambda n: (-counts[n], n))
    if len(findings) < num_findings:
        raise DataError(
            f"num_findings is {num_findings}, but the file has {len(findings)} findings; lower it", file=file
        )
    return (*((NORMAL,) if include_normal else ()), *findings[:num_findings])


@SOURCES.register
class OpenIReports(Source):
    """Read report texts and their labels (Demner-Fushman et al. 2016).

    The label set is a property of the published file: the ``num_findings`` most frequent entries of Problems
    over all reports (ties in alphabetical order), so the classes of the task are known once the source is
    open. A report with no label, or marked "No Indexing", is kept without a target. A report without text in
    the chosen sections is left out, and counted in ``skipped``.

    Args:
        folder: the source's folder below the root.
        file: name of the csv.
        sections: sections joined into the text, in this order.
        task: "findings" for the multilabel task radiographic_findings, "normal" for the classification
            task normal_report with the classes abnormal and normal.
        num_findings: number of findings, "normal" not among them.
        include_normal: give radiographic_findings the further label "normal", as its first.
        group_texts: keep reports of one wording in one split: many normal ones repeat.

    Attributes:
        skipped: reason -> number of reports that were left out.
        unlabelled: number of reports without a target.
    """

    group_unit = "wording"

    card = SourceCard(
        title="Indiana University chest X-ray collection (Open-i), reports",
        modalities=(RawModality("text", "text"),),
        tasks=(RawTask("radiographic_findings", "multilabel"),),
        licence="not stated in the csv form",
        access="open",
        citation="Demner-Fushman et al., Preparing a collection of radiology examinations for distribution and "
        "retrieval, JAMIA 23:304, 2016",
        where="Open-i (National Library of Medicine); the csv form is 'Chest X-rays (Indiana University)' on Kaggle",
        layout="indiana_reports.csv: uid, Problems, indication, comparison, findings, impression",
        caution="de-identified words read XXXX; labels were indexed from these texts, so they tell what is written, "
        "not what is seen; several frequent labels are places (lung, spine), not findings; many normal reports "
        "repeat word for word (see group_texts)",
        size="3,851 reports",
    )

    def __init__(
        self,
        *,
        folder: str = "openi_reports",
        file: str = "indiana_reports.csv",
        sections: Sequence[str] = ("findings", "impression"),
        task: Literal["findings", "normal"] = "findings",
        num_findings: int = 8,
        include_normal: bool = False,
        group_texts: bool = True,
    ) -> None:
        super().__init__(folder=folder)
        unknown = [s for s in sections if s not in SECTIONS]
        if unknown or not sections:
            raise SpecError(f"OpenIReports: sections must be some of {SECTIONS}, got {list(sections)}")
        check_choice(self, "task", task, ("findings", "normal"))
        if num_findings < 1:
            raise SpecError(f"OpenIReports: num_findings must be at least 1, got {num_findings}")
        self.file = file
        self.sections = tuple(sections)
        self.task = task
        self.num_findings = num_findings
        self.include_normal = include_normal
        self.group_texts = group_texts
        self.unlabelled = 0
        if task == "normal":
            self.card = replace(self.card, tasks=(RawTask("normal_report", "classification", ("abnormal", NORMAL)),))

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        table = read_csv(path, ("uid", "Problems", *self.sections), stripped=True)
        labels = [tuple(label_name(p) for p in cell.split(";") if label_name(p)) for cell in table["Problems"]]
        if self.task == "findings":
            classes = frequent_findings(labels, self.num_findings, self.include_normal, file=path)
            self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=classes),))
        lines = []
        self.skipped = {f"no text in {' and '.join(self.sections)}": 0}
        self.unlabelled = 0
        for number, (uid, found) in enumerate(zip(table["uid"], labels, strict=True)):
            if RULE(uid):
                raise DataError("OpenIReports: the uid is empty; fetch the file again", file=path, row=number)
            text = " ".join(t for t in (table[s].iloc[number] for s in self.sections) if t)
            if not text:
                self.skipped[next(iter(self.skipped))] += 1
                continue
            known = bool(found) and NOT_INDEXED not in found
            self.unlabelled += not known
            stratum = "" if not known else NORMAL if NORMAL in found else "abnormal"
            lines.append((uid, f"openi-{uid}", uid, stratum, "", text, ";".join(found) if known else ""))
        rows = pd.DataFrame(lines, columns=["id", "subject", "group", "stratum", "split", "text", "labels"])
        if self.group_texts:
            texts = [f"text:{' '.join(t.casefold().split())}" for t in rows["text"]]
            rows["group"] = merge_groups(rows["group"].tolist(), texts)
        return rows

    def read(self, row: int) -> Sample:
        """Read the text, and the labels or the class."""
        entry = self.index.iloc[row]
        sample = Sample(id=entry["id"], inputs={"text": str(entry["text"])})
        if entry["stratum"]:
            found = set(entry["labels"].split(";"))
            task = self.card.tasks[0]
            sample.targets[task.name] = (
                {name: int(name in found) for name in task.classes} if self.task == "findings" else entry["stratum"]
            )
        return sample
