"""CB513: protein sequences with their secondary structure."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.files import read_csv
from datamodules.modalities.protein import encode_protein
from zoo.contract import Sample
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality, RawTask

STATES = {"H": "helix", "E": "strand", "C": "coil"}
"""Letter of the three-state DSSP string -> target."""
EIGHT = ("H", "G", "I", "E", "B", "T", "S", "C")
"""Letters of the eight-state string: those of DSSP, with C for what DSSP leaves blank."""
UNKNOWN = "-"
"""Letter of a residue that a mask leaves out."""


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
    states = masked(states, mask).replace(UNKNOWN, "")
    return {name: states.count(letter) / len(states) for letter, name in STATES.items()} if states else {}


def masked(states: str, *masks: str) -> str:
    """Put UNKNOWN where a mask (see ``fractions``) does not count the residue.

    >>> masked("HHEC", "1.0 0.0 1.0 1.0", "1.0 1.0 1.0 0.0")
    'H-E-'
    """
    for mask in masks:
        flags = mask.split()
        if len(flags) == len(states):
            states = "".join(s if float(f) > 0.0 else UNKNOWN for s, f in zip(states, flags, strict=True))
    return states


@SOURCES.register
class CB513(Source):
    """Read protein chains with their secondary structure: its fractions, or the state of every residue.

    Several rows hold the same chain with masks that mark its domains: they share a group, and are told
    apart by a number in the id. A row whose mask counts no residue has no target, and is counted in
    ``unlabelled``.

    Args:
        folder: the source's folder below the root.
        file: name of the csv.
        use_mask: count the residues that ``cb513_mask`` marks, and of single residues only those that the column
            ``disorder`` says are resolved; off, count all of them.
        per_residue: make the task token_classification, a state for each residue; off, it is regression of the
            fractions of a chain.
        states: 3 (H helix, E strand, C coil) or 8 (those of DSSP); 8 needs ``per_residue``.
        task_name: name of the task.

    Attributes:
        unlabelled: number of rows without a target.
    """

    group_unit = "sequence"

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
        caution="511 of 513 rows; 79 rows repeat a chain (grouped) with another mask; two masks count nothing; "
        "residues without coordinates are labelled coil (disorder is 0.0 there)",
        size="511 chains of 20 to 874 residues, 144,011 residues in all; 1.6 MB",
    )

    def __init__(
        self,
        *,
        folder: str = "cb513",
        file: str = "CB513.csv",
        use_mask: bool = True,
        per_residue: bool = False,
        states: Literal[3, 8] = 3,
        task_name: str = "secondary_structure",
    ) -> None:
        super().__init__(folder=folder)
        if states not in (3, 8) or (states == 8 and not per_residue):
            raise SpecError(f"CB513: states is 3, or 8 with per_residue, got {states} and per_residue={per_residue}")
        self.file = file
        self.use_mask = use_mask
        self.per_residue = per_residue
        self.states = states
        self.unlabelled = 0
        task = replace(self.card.tasks[0], name=task_name)
        if per_residue:
            letters = tuple(STATES) if states == 3 else EIGHT
            task = RawTask(task_name, "token_classification", letters, reads="protein")
        self.card = replace(self.card, tasks=(task,))

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        column = "dssp8" if self.states == 8 else "dssp3"
        masks = ["cb513_mask", "disorder"] if self.per_residue else ["cb513_mask"]
        table = read_csv(path, ("input", column, *masks), stripped=True)
        lines = []
        seen: Counter[str] = Counter()
        self.unlabelled = 0
        for number, (sequence, states, *flags) in enumerate(
            zip(table["input"], table[column], *(table[m] for m in masks), strict=True)
        ):
            label = self._label(path, number, sequence, states, flags)
            self.unlabelled += not label
            key = hashlib.blake2b(sequence.encode(), digest_size=8).hexdigest()
            seen[key] += 1
            unique = key + (f"-{seen[key]}" if seen[key] > 1 else "")
            values: list[Any] = [label if isinstance(label, str) else None]
            values += [label.get(name) if isinstance(label, dict) else None for name in STATES.values()]
            lines.append((unique, "", key, "", "", sequence, *values, number))
        names = ["id", "subject", "group", "stratum", "split", "sequence", "states", *STATES.values(), "row"]
        return pd.DataFrame(lines, columns=names)

    def _label(self, path: Path, number: int, sequence: str, states: str, flags: list[str]) -> dict[str, float] | str:
        """Check one line and return its target; an empty one where no residue counts."""
        allowed = EIGHT if self.states == 8 else tuple(STATES)
        wrong = sorted(set(states) - set(allowed))
        if wrong or len(states) != len(sequence) or not sequence:
            raise DataError(
                f"CB513: {'dssp8' if self.states == 8 else 'dssp3'} must hold one of {allowed} for each of the "
                f"{len(sequence)} residues of a chain; got {len(states)} letters"
                f"{f', among them {wrong}' if wrong else ''}; mend or remove the line",
                file=path,
                row=number,
            )
        flags = flags if self.use_mask else []
        try:
            if not self.per_residue:
                return fractions(states, *flags)
            found = masked(states, *flags)
        except ValueError as error:
            raise DataError(
                f"CB513: {' or '.join(('cb513_mask', 'disorder')[: len(flags)])} holds a field that is not a number "
                f"({error}); mend or remove the line",
                file=path,
                row=number,
            ) from error
        return found if found.strip(UNKNOWN) else ""

    @cached_property
    def _cells(self) -> tuple[list[str], list[str], list[int], list[dict[str, Any]]]:
        """Ids, sequences, lines and targets of the rows."""
        table, task = self.index, self.card.tasks[0].name
        targets: list[dict[str, Any]] = []
        for states, *values in zip(table["states"], *(table[n] for n in STATES.values()), strict=True):
            known = {n: float(v) for n, v in zip(STATES.values(), values, strict=True) if not pd.isna(v)}
            label: Any = states or None if self.per_residue else known
            targets.append({task: label} if label else {})
        return table["id"].tolist(), table["sequence"].tolist(), table["row"].tolist(), targets

    def read(self, row: int) -> Sample:
        """Read the protein string and its three fractions, or its string of states ("-" where masked)."""
        ids, sequences, lines, targets = self._cells
        try:
            encode_protein(sequences[row])
        except DataError as error:
            raise DataError(str(error), file=self.path / self.file, row=lines[row]) from error
        return Sample(id=ids[row], inputs={"protein": sequences[row]}, targets=dict(targets[row]))
