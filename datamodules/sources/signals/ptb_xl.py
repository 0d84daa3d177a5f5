"""PTB-XL: 12-lead ECGs of ten seconds with diagnostic statements, as WFDB records."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import listed_there, read_csv
from datamodules.io.formats.wfdb_records import read_record
from datamodules.io.table_values import finite
from datamodules.io.unknown import RULE
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
SEXES = {"0": "male", "1": "female"}
OLDEST = 90.0
"""Age in years that stands for all above 89, which the published table gives as 300."""
FILES = {100: "filename_lr", 500: "filename_hr"}
"""Sampling rate in Hz -> column of the records' paths."""
LEVELS = {"superclass": "diagnostic_class", "subclass": "diagnostic_subclass", "statement": ""}
"""Level of the labels -> its column in scp_statements.csv; "" for the code itself."""
_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "site", "scp_codes", "strat_fold", *FILES.values())
_FOLDS = {**{str(k): "train" for k in range(1, 9)}, "9": "val", "10": "test"}


@SOURCES.register
class PTBXL(Source):
    """Read ECGs (12, T) in mV with diagnostic labels, and age and sex as the table ``clinical``.

    ECGs of a patient share a group; ``site`` and ``sex`` are group columns. An ECG without any diagnostic statement
    is left out and counted. An age above 89 years, published as 300, is 90.

    Args:
        folder: folder of the two tables and of the records below the root.
        task_name: name of the task.
        sampling_rate: of the records, 100 or 500 Hz.
        level: labels are the five superclasses, the subclasses, or the diagnostic statements by themselves.
        likelihood: least likelihood in percent of a statement that counts; 0, as in the published benchmark, counts
            those of unknown likelihood too.
        published_split: folds 1 to 8 are the training split, 9 is val and 10 test; False leaves the split open.
        missing_records: "raise" if a listed record is missing; "skip" leaves it out, for those who have a part.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        folder: str = "ptb_xl",
        task_name: str = "ecg_diagnosis",
        sampling_rate: Literal[100, 500] = 100,
        level: Literal["superclass", "subclass", "statement"] = "superclass",
        likelihood: float = 0.0,
        published_split: bool = True,
        missing_records: Literal["raise", "skip"] = "raise",
    ) -> None:
        super().__init__(folder=folder)
        for name, value, allowed in (
            ("sampling_rate", sampling_rate, tuple(FILES)),
            ("level", level, tuple(LEVELS)),
            ("missing_records", missing_records, ("raise", "skip")),
        ):
            check_choice(self, name, value, allowed)
        if not 0 <= likelihood <= 100:
            raise SpecError(f"PTBXL: likelihood is a percentage, 0 to 100, got {likelihood}")
        self.task_name, self.rate, self.level, self.likelihood = task_name, sampling_rate, level, likelihood
        self.published_split, self.missing_records = published_split, missing_records
        self._sites: tuple[str, ...] = ()
        self.card = SourceCard(
            title="PTB-XL",
            modalities=(
                RawModality("ecg", "signal", "mV", float(sampling_rate), LEADS),
                RawModality("clinical", "tabular", features=("age", "sex")),
            ),
            tasks=(self._task(SUPERCLASSES if level == "superclass" else ()),),
            licence="CC BY 4.0",
            access="open",
            citation="Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, Scientific "
            "Data 7:154, 2020",
            where="PhysioNet, doi:10.13026/kfzx-aw45",
            layout="ptbxl_database.csv, scp_statements.csv, and records100/*/*.hea with .dat, or records500/",
            caution="A patient has up to ten ECGs: split by patient, as the published folds do; folds 9 and 10 were "
            "checked by a person. A likelihood of 0 means that none was stated. Device and site go with the period.",
            size="21,799 ECGs of 18,869 patients, 10 s of 12 leads; about 1.7 GB at 500 Hz",
        )

    def _task(self, classes: Sequence[str]) -> RawTask:
        return RawTask(self.task_name, "multilabel", tuple(classes), ("ecg", "clinical"))

    def _index(self) -> pd.DataFrame:
        path = self.path / "ptbxl_database.csv"
        told = read_csv(path, _COLUMNS)
        table = pd.DataFrame(
            {c: self._blanked(told[c].tolist(), c, whole=c != "scp_codes") for c in _COLUMNS}, dtype=object
        )
        for column in ("ecg_id", FILES[self.rate], "scp_codes", *(("strat_fold",) if self.published_split else ())):
            empty = (table[column] == "").to_numpy()
            if empty.any():
                raise DataError(f"{column} is empty; every ECG has one", file=path, row=int(empty.argmax()))
        known = self._statements()
        classes = SUPERCLASSES if self.level == "superclass" else tuple(dict.fromkeys(known.values()))
        self.card = replace(self.card, tasks=(self._task(classes),))
        labels = [self._labels(cell, known, classes, path, row) for row, cell in enumerate(table["scp_codes"])]
        files = table[FILES[self.rate]].tolist()
        there = {f for f in files if (self.path / f"{f}.hea").is_file()}
        present = listed_there(files, there, self.missing_records, path)
        labelled = pd.Series([bool(found) for found in labels])
        self.skipped = {
            "record is missing": int((~present).sum()),
            "no diagnostic statement": int((~labelled & present).sum()),
        }
        self._sites = tuple(sorted({s for s in table["site"] if s}, key=lambda s: (len(s), s)))
        split = [_fold(f, path, row) for row, f in enumerate(table["strat_fold"])] if self.published_split else ""
        return table.assign(
            id=table["ecg_id"], file=files, labels=pd.Series(labels, dtype=object), subject="",
            group=table["patient_id"],
            age=[_age(v, path, row) for row, v in enumerate(table["age"])],
            sex=[_sex(v, path, row) for row, v in enumerate(table["sex"])],
            stratum=[found[0] if found else "" for found in labels], split=split,
        )[labelled & present]  # fmt: skip

    def _blanked(self, values: Sequence[str], column: str, *, whole: bool) -> list[str]:
        """A column without its unknown cells; whole numbers lose the ".0" that pandas gave them beside gaps."""
        return [c.removesuffix(".0") if whole else c for c in self.known_cells(values, column)]

    def _statements(self) -> dict[str, str]:
        """Code of a diagnostic statement -> its label at the level that is wanted."""
        path = self.path / "scp_statements.csv"
        found = read_csv(path, ("diagnostic", "diagnostic_class", "diagnostic_subclass"))
        codes = found[found.columns[0]].tolist()  # the column of codes has no name in the published file
        column = LEVELS[self.level]
        names = found[column].tolist() if column else codes
        known = {}
        for row, (code, said, name) in enumerate(zip(codes, found["diagnostic"], names, strict=True)):
            if said in ("1", "1.0"):
                if not code or RULE(name):
                    raise DataError(f"the statement {code!r} has no {self.level}", file=path, row=row)
                known[code] = name
        if self.level == "superclass" and (wrong := sorted(set(known.values()) - set(SUPERCLASSES))):
            raise DataError(f"diagnostic_class says {wrong}; expected {SUPERCLASSES}", file=path)
        return known

    def _labels(
        self, cell: str, known: dict[str, str], classes: Sequence[str], path: Path, row: int
    ) -> tuple[str, ...]:
        """The labels of an ECG in the order of the classes, from {'NORM': 100.0, 'SR': 0.0}."""
        try:
            codes = {str(code): float(likely) for code, likely in ast.literal_eval(cell).items()}
        except (ValueError, SyntaxError, TypeError, AttributeError, MemoryError, RecursionError) as error:
            raise DataError(
                f"scp_codes must be a dictionary such as {{'NORM': 100.0}}, got {cell[:60]!r}", file=path, row=row
            ) from error
        found = {known[c] for c, likely in codes.items() if c in known and likely >= self.likelihood}
        return tuple(c for c in classes if c in found)

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Return the names behind the codes of ``site`` and ``sex``."""
        return {"site": self._sites, "sex": tuple(SEXES.values())}

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        columns = ["id", "file", "labels", "age", "sex", "site"]
        return list(self.index[columns].itertuples(index=False, name=None))

    def peek(self, row: int) -> Sample:
        """Return the labels and the table of a row, without its ECG."""
        name, _, labels, age, sex, site = self._rows[row]
        groups = {
            "site": self._sites.index(site) if site else -1,
            "sex": list(SEXES.values()).index(sex) if sex else -1,
        }
        clinical = {"age": None if pd.isna(age) else float(age), "sex": sex or None}
        target = {label: int(label in labels) for label in self.card.tasks[0].classes}
        return Sample(name, {"ecg": None, "clinical": clinical}, {self.task_name: target}, groups)

    def read(self, row: int) -> Sample:
        """Read the ECG (12, T) in mV, the table and the labels of a row.

        Raises:
            DataError: the record is missing or broken, lacks a lead, or has missing samples.
            MissingExtraError: the wfdb package is not installed.
        """
        sample = self.peek(row)
        header = self.path / f"{self._rows[row][1]}.hea"
        values = read_record(header, unit="mV", channels=LEADS, rate=self.rate)
        sample.inputs["ecg"] = finite(values, header)
        return sample


def _fold(text: str, path: Path, row: int) -> str:
    if text not in _FOLDS:
        raise DataError(f"strat_fold must be 1 to 10, got {text!r}", file=path, row=row)
    return _FOLDS[text]


def _sex(text: str, path: Path, row: int) -> str:
    if text and text not in SEXES:
        raise DataError(f"sex must be one of {SEXES}, or empty for unknown, got {text!r}", file=path, row=row)
    return SEXES.get(text, "")


def _age(text: str, path: Path, row: int) -> float:
    """Parse an age in years; NaN where unknown."""
    try:
        age = float(text or "nan")
    except ValueError:
        age = -1.0
    if age == 300:
        return OLDEST
    if text and not 0 <= age <= 89:
        raise DataError(f"age must be 0 to 89 years, 300 for above, or empty, got {text!r}", file=path, row=row)
    return age
