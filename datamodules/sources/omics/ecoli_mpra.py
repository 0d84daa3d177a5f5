"""E. coli promoter activity measured by a massively parallel reporter assay."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.modalities.genomics import encode_dna
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

FILES = {
    "": "tss_expression_model_format_train_genome_split.txt",
    "test": "tss_expression_model_format_test_genome_split.txt",
}
"""Split -> file; the training file has no fixed split, so that a validation part can be taken from it."""
FLOOR = 0.1
"""Background-subtracted activities below this value are noise; the target is log(max(activity, FLOOR))."""


@SOURCES.register
class EcoliMPRA(Source):
    """Read 150 bp E. coli sequences and log(max(activity, 0.1)) (Urtecho et al. 2020).

    Sequences of the training file that occur again in the test file are dropped from the latter, and counted
    in ``skipped``. Repeats share a group.

    Args:
        folder: the source's folder below the root.
        max_rows: keep a random subset of this many rows over both files, after dropping; 0 keeps all.
        seed: seed of that subset.
        drop_leaks: leave rows of the test file whose sequence is in the training file out of the index. False lists
            them too, in one group with their twins.

    Attributes:
        skipped: reason -> number of rows that were left out.
    """

    group_unit = "sequence"

    card = SourceCard(
        title="Genome-wide E. coli TSS promoter MPRA, genome split",
        modalities=(RawModality("genomics", "dna"),),
        tasks=(RawTask("expression", "regression", ("promoter_activity",), unit="log RNA/DNA"),),
        licence="not stated",
        access="open",
        citation="Urtecho et al., Genome-wide functional characterization of Escherichia coli promoters and "
        "sequence elements encoding their regulation, bioRxiv 2020.01.04.894907",
        where="GitHub repository KosuriLab/ecoli_promoter_mpra, processed_data/endo_tss/lb/model_files",
        layout=f"{FILES['']} and {FILES['test']}: DNA <tab> activity, no header",
        caution="28 sequences are in both files (dropped from the test file); heavy right tail",
        size="17,667 sequences of 150 bp: 13,118 for training, 4,549 for testing; 3 MB",
    )

    def __init__(
        self, *, folder: str = "ecoli_mpra", max_rows: int = 0, seed: int = 0, drop_leaks: bool = True
    ) -> None:
        super().__init__(folder=folder)
        if max_rows < 0:
            raise SpecError(f"EcoliMPRA: max_rows must be 0 (all rows) or more, got {max_rows}")
        self.max_rows = max_rows
        self.seed = seed
        self.drop_leaks = drop_leaks

    def _index(self) -> pd.DataFrame:
        tables = {split: self._file(self.path / name) for split, name in FILES.items()}
        shared = tables["test"]["sequence"].isin(set(tables[""]["sequence"])) & self.drop_leaks
        self.skipped = {"test sequence is also in the training file": int(shared.sum())}
        tables["test"] = tables["test"][~shared]
        lines = []
        for split, table in tables.items():
            seen: Counter[str] = Counter()
            for sequence, activity, line in zip(table["sequence"], table["activity"], table["line"], strict=True):
                key = hashlib.blake2b(sequence.encode(), digest_size=8).hexdigest()
                seen[key] += 1
                name = f"{split or 'train'}/{key}" + (f"-{seen[key]}" if seen[key] > 1 else "")
                lines.append((name, "", key, "", split, sequence, activity, line))
        names = ["id", "subject", "group", "stratum", "split", "sequence", "activity", "line"]
        index = pd.DataFrame(lines, columns=names)
        if self.max_rows and self.max_rows < len(index):
            chosen = np.random.default_rng(self.seed).permutation(len(index))[: self.max_rows]
            index = index.sort_values("id", kind="stable").iloc[np.sort(chosen)]
        return index

    def _file(self, path: Path) -> pd.DataFrame:
        """Read one file into the columns sequence, activity and line (from 1)."""
        if not path.is_file():
            raise DataError(
                f"EcoliMPRA: the file '{path.name}' is missing. Expected: {self.card.layout}. "
                f"Get it: {self.card.where}",
                file=path,
            )
        lines = []
        for number, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines(), start=1):
            fields = line.split("\t")
            if len(fields) != 2 or not fields[0]:
                raise DataError(
                    f"EcoliMPRA: expected 'sequence <tab> activity', got {line[:60]!r}; mend or fetch the file again",
                    file=path,
                    row=number,
                )
            try:
                activity = float(fields[1])
            except ValueError:
                activity = math.nan
            if not math.isfinite(activity):
                raise DataError(
                    f"EcoliMPRA: the activity {fields[1]!r} is not a finite number; remove the line",
                    file=path,
                    row=number,
                )
            lines.append((fields[0], activity, number))
        return pd.DataFrame(lines, columns=["sequence", "activity", "line"])

    def read(self, row: int) -> Sample:
        """Read the DNA string and {"promoter_activity": log(max(activity, 0.1))}."""
        entry = self.index.iloc[row]
        try:
            encode_dna(entry["sequence"])
        except DataError as error:
            raise DataError(str(error), file=self.path / FILES[entry["split"]], row=entry["line"]) from error
        target = math.log(max(float(entry["activity"]), FLOOR))
        return Sample(
            id=entry["id"],
            inputs={"genomics": str(entry["sequence"])},
            targets={"expression": {"promoter_activity": target}},
        )
