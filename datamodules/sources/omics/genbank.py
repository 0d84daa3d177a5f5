"""Features of GenBank records: coding sequences, RNA genes and others, as DNA."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.core.splits import connect
from datamodules.io.files import one_of
from datamodules.io.formats.sequences import MEMORY_LIMIT, class_order, sequence_key, text_lines
from datamodules.modalities.genomics import DNA
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

SUFFIXES = (".gb", ".gbk", ".gbff", ".genbank")
"""Suffixes of GenBank files, each of which may be followed by .gz."""
_GROUPS = ("record", "organism", "feature")


@dataclass(frozen=True)
class _Window:
    """A piece of a feature: its name, letters, class, and what it is grouped by."""

    name: str
    sequence: str
    label: str
    record: str
    organism: str
    feature: str


@dataclass(frozen=True)
class FeatureClasses(Settings):
    """What is made of the labels of features.

    Attributes:
        classes: the classes, in order; () takes the types, or the values of the qualifier that occur, sorted.
        other_classes: "raise" where a qualifier has a value outside of ``classes``; "skip" leaves such features
            out, counted.
        unlabelled: "raise" where a feature lacks the qualifier; "skip" leaves it out, counted.
    """

    classes: tuple[str, ...] = ()
    other_classes: Literal["raise", "skip"] = "raise"
    unlabelled: Literal["raise", "skip"] = "raise"


@dataclass(frozen=True)
class FeatureWindows(Settings):
    """How long features are cut.

    Attributes:
        max_length: letters of a window; 0 takes features whole.
        min_length: shorter features, and shorter last windows, are left out, counted.
    """

    max_length: int = 1024
    min_length: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_length < 1 or self.max_length < 0 or 0 < self.max_length < self.min_length:
            raise SpecError(
                "GenBankFeatures: needs 1 <= min_length <= max_length (or max_length 0), got "
                f"min_length={self.min_length}, max_length={self.max_length}"
            )


@SOURCES.register
class GenBankFeatures(Source):
    """Read the features of GenBank files as DNA, on the strand that they lie on and with their exons joined.

    The class is the type of a feature, or the value of a qualifier. A feature longer than ``windows.max_length``
    gives several rows, one a window. Files are parsed by Biopython (Cock et al., Bioinformatics 25:1422, 2009), at
    about a bacterial genome a second, and the letters of the chosen features are held in memory.

    Args:
        folder: folder of the files, below the root: *.gb, *.gbk, *.gbff, *.genbank, plain or gzip.
        types: types of the features to take. "gene" has the letters of the CDS or RNA within it.
        qualifier: qualifier whose first value is the class, such as "product"; "" takes the type.
        labels: the classes, and what to do with features that have none.
        windows: how long features are cut into rows.
        group_by: what never crosses a split: "record"; "organism"; or "feature", whose windows stay together, as do
            features of one sequence. Use "feature" for a single genome.
        modality: name of the modality.
        task_name: name of the task.
    """

    def __init__(
        self,
        *,
        folder: str = "genbank",
        types: tuple[str, ...] = ("CDS", "tRNA", "rRNA"),
        qualifier: str = "",
        labels: FeatureClasses = FeatureClasses(),
        windows: FeatureWindows = FeatureWindows(),
        group_by: Literal["record", "organism", "feature"] = "record",
        modality: str = "genomics",
        task_name: str = "feature_type",
    ) -> None:
        super().__init__(folder=folder)
        if not types or group_by not in _GROUPS:
            raise SpecError(f"GenBankFeatures: needs a type, and group_by of {_GROUPS}; got {types} and {group_by!r}")
        self.types, self.qualifier, self.unlabelled = tuple(types), qualifier, labels.unlabelled
        self.classes = tuple(labels.classes) or (() if qualifier else self.types)
        self.other_classes, self.max_length, self.min_length = (
            labels.other_classes,
            windows.max_length,
            windows.min_length,
        )
        self.group_by, self.modality, self.task_name = group_by, modality, task_name
        self.group_unit = group_by
        self.card = SourceCard(
            title="GenBank features",
            modalities=(RawModality(modality, "dna"),),
            tasks=(RawTask(task_name, "classification", self.classes, (modality,)),),
            licence="NCBI places no restrictions on GenBank; submitters may claim rights",
            access="open",
            citation="Sayers et al., GenBank, Nucleic Acids Research 48:D84, 2020",
            where="NCBI Nucleotide or Datasets, format GenBank (full), with the sequence",
            layout="*.gb, *.gbk, *.gbff or *.genbank, plain or gzip",
            caution="Annotation is mostly automatic. Records of related organisms hold near-identical genes, and all "
            "records of one genome are alike: group by organism to measure transfer. Features may overlap. Partial "
            "features are given as far as they are known.",
            size="that of the files",
        )

    def _index(self) -> pd.DataFrame:
        files = sorted(p for p in self.path.iterdir() if p.name.lower().removesuffix(".gz").endswith(SUFFIXES))
        files = [p for p in files if p.is_file() and not p.name.startswith(".")]
        if not files:
            raise self.absent("the folder holds no GenBank file")
        dropped: Counter[str] = Counter()
        rows: list[_Window] = []
        records: dict[str, Path] = {}
        for path in files:
            for record in _parse(path):
                if record.id in records:
                    raise DataError(
                        f"the record '{record.id}' is also in '{records[record.id].name}'; remove one", file=path,
                        row=record.id,
                    )  # fmt: skip
                records[record.id] = path
                rows += self._features(record, path, dropped)
        self.skipped = dict(dropped)
        if not self.classes:
            classes = class_order([row.label for row in rows])
            if len(classes) < 2:
                raise DataError(f"'{self.qualifier}' has the values {classes}; at least 2 are needed", file=self.path)
            self.card = replace(self.card, tasks=(replace(self.card.tasks[0], classes=classes),))
        keys = {
            "record": [[row.record] for row in rows],
            "organism": [[row.organism or f"record {row.record}"] for row in rows],
            "feature": [[row.feature, f"letters {sequence_key(row.sequence)}"] for row in rows],
        }[self.group_by]
        return pd.DataFrame(
            {
                "id": [row.name for row in rows],
                "subject": "",
                "group": [f"{self.group_by} {number}" for number in connect(keys)],
                "stratum": [row.label for row in rows],
                "split": "",
                "row": pd.Series(rows, dtype=object),
            }
        )

    def _features(self, record: Any, path: Path, dropped: Counter[str]) -> Iterator[_Window]:
        """Yield the windows of the chosen features of a record."""
        organism = str(record.annotations.get("organism", ""))
        seen: Counter[str] = Counter()
        for feature in record.features:
            if feature.type not in self.types:
                continue
            place = f"{record.id}:{feature.type}:{feature.location}".replace(" ", "")
            seen[place] += 1
            place += f"-{seen[place]}" if seen[place] > 1 else ""
            label = self._label(feature, path, place, dropped)
            if not label:
                continue
            try:
                letters = str(feature.extract(record.seq)).upper()
                DNA.check_letters(letters)
                if len(letters) != len(feature.location):
                    raise ValueError(f"the record ends at {len(record)}")
            except Exception as error:
                raise DataError(
                    f"the letters of a feature cannot be taken from its record ({error}); it may lie on another "
                    "record, or the record has no sequence: download it as GenBank (full)",
                    file=path,
                    row=place,
                ) from error
            size = self.max_length or len(letters)
            for start in range(0, len(letters), size):
                piece = letters[start : start + size]
                if len(piece) < self.min_length:
                    dropped["window is too short (min_length)"] += 1
                    continue
                name = place if len(letters) <= size else f"{place}/{start}"
                yield _Window(name, piece, label, record.id, organism, place)

    def _label(self, feature: Any, path: Path, place: str, dropped: Counter[str]) -> str:
        """The class of a feature; "" where it is left out."""
        if not self.qualifier:
            return one_of(str(feature.type), self.classes, "the type", file=path, row=place)
        value = " ".join(str((feature.qualifiers.get(self.qualifier) or [""])[0]).split())
        if not value:
            if self.unlabelled == "raise":
                raise DataError(
                    f"the feature has no qualifier '{self.qualifier}'; give unlabelled='skip' to leave such out",
                    file=path,
                    row=place,
                )
            dropped[f"no qualifier '{self.qualifier}' (unlabelled)"] += 1
            return ""
        if self.classes and value not in self.classes and self.other_classes == "skip":
            dropped[f"'{self.qualifier}' is in no class (other_classes)"] += 1
            return ""
        return one_of(value, self.classes or (value,), f"'{self.qualifier}'", file=path, row=place)

    @cached_property
    def _rows(self) -> list[_Window]:
        return list(self.index["row"])

    def read(self, row: int) -> Sample:
        """Read the letters of a window, in upper case, and its class."""
        window = self._rows[row]
        return Sample(window.name, {self.modality: window.sequence}, {self.task_name: window.label})


def _parse(path: Path) -> Iterator[Any]:
    """Yield the records of a GenBank file, each with as many letters as its first line says."""
    from Bio import BiopythonParserWarning, SeqIO

    parse: Any = SeqIO.parse
    text = "".join(text_lines(path, most=MEMORY_LIMIT))
    count = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", BiopythonParserWarning)
            warnings.filterwarnings("ignore", message=".*malformed locus line.*", category=BiopythonParserWarning)
            for record in parse(io.StringIO(text), "genbank"):
                count += 1
                yield record
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"the file cannot be read after {count} records ({type(error).__name__}: {error}); expected complete "
            "GenBank records: fetch it again",
            file=path,
            row=count + 1,
        ) from error
    ends = sum(line.rstrip() == "//" for line in text.splitlines())
    if not count or ends != count:
        raise DataError(
            f"the file has {count} records and {ends} ends of records ('//'); expected complete GenBank records: "
            "fetch it again",
            file=path,
        )
