"""How far the labeler agrees with labels that people gave: a table of reports with columns of 0 and 1."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from zoo.errors import DataError, unknown_name
from zoo.evaluation.generated.findings.labeler import FindingsLabeler
from zoo.evaluation.generated.findings.rules import FINDINGS
from zoo.evaluation.generated.findings.scores import FindingScores, positive, score_findings

Half = Literal["development", "evaluation", "all"]
HALVES = ("development", "evaluation", "all")


@dataclass(frozen=True)
class Validation:
    """Agreement of the labeler with manual labels.

    Attributes:
        strict: uncertain findings count as absent.
        lenient: uncertain findings count as positive.
        rows: that were scored.
        unknown: rows whose labels are unknown, which are left out.
        empty: rows without a word of report, which are scored as if nothing was mentioned.
    """

    strict: FindingScores
    lenient: FindingScores
    rows: int
    unknown: int
    empty: int


def half_of(name: str) -> Half:
    """The half to which a study belongs, by the parity of the SHA-256 of its name.

    Rules were written while looking at the half "development"; figures are of the half "evaluation".

    >>> half_of("1"), half_of("3")
    ('evaluation', 'development')
    """
    return "evaluation" if hashlib.sha256(name.encode()).digest()[-1] % 2 else "development"


def validate(
    file: str | Path,
    *,
    identifier: str = "uid",
    texts: Sequence[str] = ("findings", "impression"),
    unknown: tuple[str, str] = ("MeSH", "No Indexing"),
    half: Half = "evaluation",
    resamples: int = 500,
) -> Validation:
    """Compare the labeler with a table (CSV) that has a column of 0 and 1 for each of FINDINGS.

    Args:
        file: the table.
        identifier: column with the patient or study, which intervals draw and which names the half.
        texts: columns of the report, joined.
        unknown: column and the value that says that a row's labels are unknown; ("", "") for none.
        half: "development", "evaluation" or "all".
        resamples: of the bootstrap.

    Raises:
        UnknownNameError: an unknown half.
        DataError: the table lacks a column, a label is neither 0 nor 1, or no row is left.
    """
    if half not in HALVES:
        raise unknown_name("half", half, HALVES)
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    wanted = [identifier, *texts, *FINDINGS, *([unknown[0]] if unknown[0] else [])]
    missing = [name for name in wanted if name not in table]
    if missing:
        raise DataError(f"the table has no column {missing}; it has {list(table.columns)}", file=file)
    if half != "all":
        table = table[[half_of(name) == half for name in table[identifier]]]
    known = table[table[unknown[0]] != unknown[1]] if unknown[0] else table
    if known.empty:
        raise DataError(f"the half '{half}' of the table has no row with known labels", file=file)
    wrong = known[~known[list(FINDINGS)].isin(["0", "1"]).all(axis=1)]
    if len(wrong):
        raise DataError("labels must be 0 or 1", file=file, row=wrong[identifier].iloc[0])
    reports = ["\n".join(row) for row in known[list(texts)].itertuples(index=False)]
    values = FindingsLabeler().matrix(reports)
    truth = (known[list(FINDINGS)] == "1").to_numpy()
    units = [f"{identifier}:{name}" for name in known[identifier]]
    strict, lenient = (
        score_findings(positive(values, uncertain=doubt), truth, units=units, resamples=resamples)
        for doubt in (False, True)
    )
    return Validation(strict, lenient, len(known), len(table) - len(known), sum(not r.strip() for r in reports))
