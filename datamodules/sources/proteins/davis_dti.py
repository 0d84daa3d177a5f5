"""DAVIS: how strongly 68 kinase inhibitors bind to 442 kinases."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from datamodules.core.source import SOURCES, Overview, Source, SourceCard
from datamodules.core.splits import connect
from datamodules.io.files import read_csv
from datamodules.io.unknown import RULE
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality, RawTask

CENSORED = 5.0
"""pKd of what did not bind at 10,000 nM, the highest concentration that was tried."""
FOLDS = (0, 1, 2, 3, 4)
"""Published parts of the training rows."""


def gene(protein: str) -> str:
    """The gene of a kinase: its name up to a bracket, which names a mutation or a domain.

    >>> gene("ABL1(T315I)p"), gene("AAK1")
    ('ABL1', 'AAK1')
    """
    return protein.split("(")[0]


@SOURCES.register
class DavisDTI(Source):
    """Read pairs of a drug (SMILES) and a kinase (sequence) with their affinity, pKd = -log10(Kd in mol/l).

    By default the kinases of one gene, or of one sequence, stay in one split: the test rows are of proteins that were
    not seen in training, with drugs that were. Each row carries the groups ``protein`` and ``drug``.

    Args:
        folder: the source's folder below the root.
        group: what must not cross a split: "gene" (and so the protein), "drug", or "" for nothing: pairs are then
            drawn on their own, and both drug and protein of a test row are known from training.
        published: take the published parts: the rows of fold -1 are the test rows, ``val_fold`` validates, the rest
            trains. ``group`` must then be "".
        val_fold: the published fold that validates, 0 to 4; used with ``published`` alone.
        task_name: name of the task.

    Raises:
        SpecError: an unknown group or fold, or a group beside the published parts, which cross it.
    """

    card = SourceCard(
        title="DAVIS kinase inhibitor affinities (layout of DeepDTA)",
        modalities=(RawModality("drug", "molecule"), RawModality("protein", "protein")),
        tasks=(RawTask("affinity", "regression", ("pKd",), unit="-log10(mol/l)"),),
        licence="not stated",
        access="open",
        citation="Davis et al., Comprehensive analysis of kinase inhibitor selectivity, Nature Biotechnology 29, "
        "2011; parts of Oeztuerk et al., DeepDTA, Bioinformatics 34:i821, 2018",
        where="folder data/davis of github.com/hkmztrk/DeepDTA, written as three tables",
        layout="drugs.csv (drug, smiles), proteins.csv (protein, sequence), affinities.csv.gz (drug, protein, Kd_nM, "
        "pKd, fold)",
        caution="70 % of the pairs have pKd 5: no binding was seen at 10,000 nM, so that the true value lies at or "
        "below it (censored). They are learned as 5, which is not a model of censored values, and are alike in "
        "rankings. Many kinases are mutants of one gene, 63 of them with the sequence of another kinase; the "
        "published test part shares drugs and proteins with training",
        size="30,056 pairs of 68 drugs and 442 kinases, 5,010 of them the published test part; .5 MB",
    )

    def __init__(
        self,
        *,
        folder: str = "davis_dti",
        group: Literal["gene", "drug", ""] = "gene",
        published: bool = False,
        val_fold: int = 0,
        task_name: str = "affinity",
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "group", group, ("gene", "drug", ""))
        if published and group:
            raise SpecError(f"DavisDTI: the published parts share drugs and proteins; set group to '', got {group!r}")
        if val_fold not in FOLDS:
            raise SpecError(f"DavisDTI: val_fold must be one of {FOLDS}, got {val_fold}")
        self.group = group
        self.group_unit = group or "group"
        self.published = published
        self.val_fold = val_fold
        self.card = replace(self.card, tasks=(replace(self.card.tasks[0], name=task_name),))

    def _lookup(self, file: str, name: str, value: str) -> dict[str, str]:
        """Read name -> value from one of the two small tables.

        Raises:
            DataError: an empty field, or a name that occurs twice.
        """
        table = read_csv(self.path / file, (name, value), stripped=True)
        for row, (key, held) in enumerate(zip(table[name], table[value], strict=True)):
            if RULE(key) or RULE(held):
                raise DataError(f"DavisDTI: {name} or {value} is empty; fill it in", file=self.path / file, row=row)
        twice = table[name][table[name].duplicated()]
        if len(twice):
            raise DataError(f"DavisDTI: the {name} '{twice.iloc[0]}' occurs twice", file=self.path / file)
        return dict(zip(table[name], table[value], strict=True))

    def _index(self) -> pd.DataFrame:
        self._smiles = self._lookup("drugs.csv", "drug", "smiles")
        self._sequences = self._lookup("proteins.csv", "protein", "sequence")
        path = self.path / "affinities.csv.gz"
        pairs = read_pairs(path)
        for column, known in (("drug", self._smiles), ("protein", self._sequences)):
            unknown = ~pairs[column].isin(list(known))
            if unknown.any():
                row = int(np.argmax(unknown))
                raise DataError(
                    f"DavisDTI: the {column} '{pairs[column].iat[row]}' is not in {column}s.csv; add or remove it",
                    file=path,
                    row=row,
                )
        split = pd.Series("", index=pairs.index)
        if self.published:
            split = pairs["fold"].map({-1: "test", self.val_fold: "val"}).fillna("train")
        return pd.DataFrame(
            {
                "id": pairs["drug"] + "-" + pairs["protein"],
                "subject": "",
                "group": self._groups(pairs),
                "stratum": "",
                "split": split,
                "drug": pairs["drug"],
                "protein": pairs["protein"],
                "pKd": pairs["pKd"],
            }
        )

    def _groups(self, pairs: pd.DataFrame) -> pd.Series[str]:
        """What must not cross a split, row by row."""
        if self.group == "gene":
            names = list(self._sequences)
            keys = [[f"gene {gene(n)}", f"sequence {self._sequences[n]}"] for n in names]
            part = connect(keys)
            first = {p: gene(n) for n, p in reversed(list(zip(names, part.tolist(), strict=True)))}
            return pairs["protein"].map({n: first[p] for n, p in zip(names, part.tolist(), strict=True)})
        return pairs["drug"] if self.group else pd.Series("", index=pairs.index)

    @cached_property
    def _rows(self) -> list[tuple[str, str, str, float]]:
        """Id, drug, protein and pKd of the rows."""
        table = self.index
        return list(zip(table["id"], table["drug"], table["protein"], table["pKd"].tolist(), strict=True))

    @cached_property
    def _numbers(self) -> tuple[dict[str, int], dict[str, int]]:
        """Codes of the drugs and of the proteins."""
        drugs, proteins = self.group_names()["drug"], self.group_names()["protein"]
        return {d: k for k, d in enumerate(drugs)}, {p: k for k, p in enumerate(proteins)}

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the drugs and the proteins."""
        self.ready()
        return {"drug": tuple(sorted(self._smiles)), "protein": tuple(sorted(self._sequences))}

    def overview(self) -> Overview:
        """Every row has both modalities and its label."""
        whole = np.ones(len(self), dtype=bool)
        return Overview({m.name: whole for m in self.card.modalities}, {self.card.tasks[0].name: whole})

    def read(self, row: int) -> Sample:
        """Read a SMILES, a sequence and their pKd."""
        name, drug, protein, value = self._rows[row]
        drugs, proteins = self._numbers
        return Sample(
            id=name,
            inputs={"drug": self._smiles[drug], "protein": self._sequences[protein]},
            targets={self.card.tasks[0].name: {"pKd": value}},
            groups={"drug": drugs[drug], "protein": proteins[protein]},
        )


def read_pairs(path: Path) -> pd.DataFrame:
    """Read affinities.csv.gz: drug, protein, pKd (float) and fold (int).

    Raises:
        DataError: the file is missing or no table, or a field is not what it must be.
    """
    columns = ("drug", "protein", "Kd_nM", "pKd", "fold")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"DavisDTI: the table cannot be read ({error}); fetch it again", file=path) from error
    if tuple(table.columns) != columns:
        raise DataError(f"DavisDTI: expected the columns {columns}, got {tuple(table.columns)}", file=path)
    values = pd.to_numeric(table["pKd"], errors="coerce").to_numpy(dtype=float)
    folds = pd.to_numeric(table["fold"], errors="coerce").to_numpy(dtype=float)
    for what, wrong in (
        ("pKd must be a finite number", ~np.isfinite(values)),
        (f"fold must be -1 or one of {FOLDS}", ~np.isin(folds, (-1, *FOLDS))),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(f"DavisDTI: {what}, got {table.iloc[row].tolist()}", file=path, row=row)
    return table.assign(pKd=values, fold=folds.astype(int))
