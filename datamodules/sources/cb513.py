"""CB513: protein sequences with their secondary structure."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pandas as pd

from datamodules.protein import encode_protein
from datamodules.source import SOURCES, RawModality, RawTask, Source, SourceCard
from datamodules.text import read_strings
from zoo.contract import Sample
from zoo.errors import DataError

STATES = {"H": "helix", "E": "strand", "C": "coil"}
"""Letter of the three-state DSSP string -> target."""


def fractions(states: str, mask: str = "") -> dict[str, float]:
    """Fractions of helix, strand and coil over the residues that count.

    Args:
        states: letters H, E and C, one a residue.
        mask: as published, "1.0" (counts) or "0.0" a residue, parted by blanks. One of another length than
            ``states`` says nothing about residues, and every residue counts.

    Returns:
        Target -> fraction; {} where no residue counts.

    >>> fractions("HHEC")
    {'helix': 0.5, 'strand': 0.25, 'coil': 0.25}
    >>> fractions("HHEC", "1.0 0.0 0.0 1.0")
    {'helix': 0.5, 'strand': 0.0, 'coil': 0.5}
    """
    flags = mask.split()
    if len(flags) == len(states):
        states = "".join(s for s, f in zip(states, flags, strict=True) if float(f) > 0.0)
    return {name: states.count(letter) / len(states) for letter, name in STATES.items()} if states else {}


@SOURCES.register
class CB513(Source):
    """Read protein chains with the fractions of their residues in helix, strand and coil.

    Several rows hold the same chain with masks that mark its domains: they share a group, and are told
    apart by a number in the id. A row whose mask counts no residue has no target, and is counted in
    ``unlabelled``.

    Args:
        folder: the source's folder below the root.
        file: name of the csv.
        use_mask: count the residues that ``cb513_mask`` marks; off, count all of them.

    Attributes:
        unlabelled: number of rows without a target.
    """

    card = SourceCard(
        title="CB513 secondary structure (layout of NetSurfP-2.0)",
        modalities=(RawModality("protein", "protein"),),
        tasks=(RawTask("secondary_structure", "regression", tuple(STATES.values()), unit="fraction of residues"),),
        licence="not stated",
        access="open",
        citation="Cuff and Barton, Evaluation and improvement of multiple sequence methods for protein secondary "
        "structure prediction, Proteins 34:508, 1999; csv of Klausen et al., NetSurfP-2.0, Proteins 2019",
        where="CB513.csv of NetSurfP-2.0, as redistributed with ProtTrans",
        layout="CB513.csv: input, dssp3, dssp8, disorder, cb513_mask",
        caution="511 of 513 rows; 79 rows repeat a chain (grouped) with another mask; two masks count nothing",
    )

    def __init__(self, *, folder: str = "cb513", file: str = "CB513.csv", use_mask: bool = True) -> None:
        super().__init__(folder=folder)
        self.file = file
        self.use_mask = use_mask
        self.unlabelled = 0

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        table = read_strings(path, ("input", "dssp3", "cb513_mask"), self.name)
        lines = []
        seen: Counter[str] = Counter()
        self.unlabelled = 0
        for number, (sequence, states, mask) in enumerate(
            zip(table["input"], table["dssp3"], table["cb513_mask"], strict=True), start=2
        ):
            target = self._target(path, number, sequence, states, mask)
            self.unlabelled += not target
            key = hashlib.blake2b(sequence.encode(), digest_size=8).hexdigest()
            seen[key] += 1
            unique = key + (f"-{seen[key]}" if seen[key] > 1 else "")
            values = [target.get(name) for name in STATES.values()]
            lines.append((unique, "", key, "", "", sequence, *values, number))
        names = ["id", "subject", "group", "stratum", "split", "sequence", *STATES.values(), "line"]
        return pd.DataFrame(lines, columns=names)

    def _target(self, path: Path, number: int, sequence: str, states: str, mask: str) -> dict[str, float]:
        """Check one line and return its target."""
        wrong = sorted(set(states) - set(STATES))
        if wrong or len(states) != len(sequence) or not sequence:
            raise DataError(
                f"CB513: dssp3 must hold one of {tuple(STATES)} for each of the {len(sequence)} residues of a chain; "
                f"got {len(states)} letters{f', among them {wrong}' if wrong else ''}; mend or remove the line",
                file=path,
                row=number,
            )
        try:
            return fractions(states, mask if self.use_mask else "")
        except ValueError as error:
            raise DataError(
                f"CB513: cb513_mask holds a field that is not a number ({error}); mend or remove the line",
                file=path,
                row=number,
            ) from error

    def read(self, row: int) -> Sample:
        """Read the protein string and its three fractions."""
        entry = self.index.iloc[row]
        try:
            encode_protein(entry["sequence"])
        except DataError as error:
            raise DataError(str(error), file=self.path / self.file, row=entry["line"]) from error
        target = {name: float(entry[name]) for name in STATES.values() if not pd.isna(entry[name])}
        return Sample(
            id=entry["id"],
            inputs={"protein": str(entry["sequence"])},
            targets={"secondary_structure": target} if target else {},
        )
