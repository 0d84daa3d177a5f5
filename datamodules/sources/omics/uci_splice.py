"""Splice junctions of primate genes: exon-intron, intron-exon, or neither."""

from __future__ import annotations

import hashlib
from collections import Counter

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import read_csv
from datamodules.modalities.genomics import encode_dna
from zoo.contract import Sample
from zoo.errors import DataError
from zoo.raw import RawModality, RawTask

CLASSES = ("EI", "IE", "N")
"""Donor (exon to intron), acceptor (intron to exon), neither."""


@SOURCES.register
class UCISplice(Source):
    """Read 60 nt windows with the class of their centre (Towell, Noordewier and Shavlik 1991).

    Blanks around fields are stripped. Equal sequences share a group; a name that occurs again gets "-2".

    Args:
        folder: the source's folder below the root.
        file: name of the csv.
    """

    group_unit = "sequence"

    card = SourceCard(
        title="UCI Molecular Biology (Splice-junction Gene Sequences)",
        modalities=(RawModality("genomics", "dna"),),
        tasks=(RawTask("splice_junction", "classification", CLASSES),),
        licence="CC BY 4.0",
        access="open",
        citation="Towell, Noordewier and Shavlik, Molecular Biology (Splice-junction Gene Sequences), UCI "
        "Machine Learning Repository, 1991, doi:10.24432/C5M888",
        where="the UCI Machine Learning Repository, data set 69, with the header line label,instance_name,sequence",
        layout="splice.csv: label, instance_name, sequence",
        caution="185 rows repeat a sequence (grouped); 15 rows hold IUPAC ambiguity codes",
        size="3,190 sequences of 60 nt (1,655 N, 768 IE, 767 EI); 0.3 MB",
    )

    def __init__(self, *, folder: str = "uci_splice", file: str = "splice.csv") -> None:
        super().__init__(folder=folder)
        self.file = file

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        table = read_csv(path, ("label", "instance_name", "sequence"), stripped=True)
        lines = []
        seen: Counter[str] = Counter()
        for number, (label, name, sequence) in enumerate(
            zip(table["label"], table["instance_name"], table["sequence"], strict=True)
        ):
            if label not in CLASSES:
                raise DataError(f"UCISplice: the label {label!r} is none of {CLASSES}", file=path, row=number)
            if not name or not sequence:
                raise DataError(
                    "UCISplice: the name or the sequence is empty; remove the line", file=path, row=number
                )
            seen[name] += 1
            unique = name + (f"-{seen[name]}" if seen[name] > 1 else "")
            group = hashlib.blake2b(sequence.encode(), digest_size=8).hexdigest()
            lines.append((unique, "", group, label, "", sequence, number))
        return pd.DataFrame(lines, columns=["id", "subject", "group", "stratum", "split", "sequence", "row"])

    def read(self, row: int) -> Sample:
        """Read the DNA string and its class."""
        entry = self.index.iloc[row]
        try:
            encode_dna(entry["sequence"])
        except DataError as error:
            raise DataError(str(error), file=self.path / self.file, row=entry["row"]) from error
        return Sample(
            id=entry["id"],
            inputs={"genomics": str(entry["sequence"])},
            targets={"splice_junction": str(entry["stratum"])},
        )
