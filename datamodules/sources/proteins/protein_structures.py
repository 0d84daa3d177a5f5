"""Protein chains in PDB files, one folder a family."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.io.formats.structure import centred, read_structure
from zoo.contract import Sample
from zoo.errors import SpecError, unknown_name
from zoo.raw import RawModality, RawTask

SUFFIXES = (".pdb", ".pdb.gz", ".ent", ".ent.gz")
"""Endings of the files that are read; any other file (README, LICENSE) is counted in ``skipped``."""


@SOURCES.register
class ProteinStructures(Source):
    """Read chains as sequences with their C-alpha coordinates, centred on the mean of the resolved ones.

    Chains of one sequence share a group, families are strata and the group column ``family``.

    Args:
        folder: the source's folder below the root; each folder in it is a family.
        max_length: longest chain; 0 for any. Longer chains are refused, or cropped where that is asked.
        crop: keep the first ``max_length`` residues of longer chains.
        hold_out: families placed in the split "test" as a whole (unseen families).

    Attributes:
        skipped: reason -> number of files that were left out.
    """

    group_unit = "sequence"

    card = SourceCard(
        title="Single chains of a few protein families from the Protein Data Bank",
        modalities=(RawModality("protein", "protein"),),
        tasks=(RawTask("structure", "structure", reads="protein", unit="angstrom"),),
        licence="PDB data: CC0; the packages that hold the cut chains: GPL-3+ and BSD-3",
        access="open",
        citation="Berman et al., The Protein Data Bank, Nucleic Acids Research 28:235, 2000; chains cut by the "
        "authors of THESEUS, MUSTANG and Foldseek",
        where="any PDB files, one folder a family; these: packages theseus-examples and mustang-testdata of Debian",
        layout="<family>/<chain> ending in .pdb, .pdb.gz, .ent or .ent.gz",
        caution="far too few folds to learn folding: TM-score .81 within a family and .18 between; report seen and "
        "unseen families apart. Mostly near-identical homologues share a family",
        size="101 chains of 5 families in the folder described",
    )

    def __init__(
        self,
        *,
        folder: str = "protein_structures",
        max_length: int = 0,
        crop: bool = False,
        hold_out: Sequence[str] = (),
    ) -> None:
        super().__init__(folder=folder)
        if max_length < 0 or (crop and not max_length):
            raise SpecError(
                f"ProteinStructures: max_length must be positive with crop, else 0 or more, got {max_length}"
            )
        self.max_length = max_length
        self.crop = crop
        self.hold_out = tuple(hold_out)
        self._families: tuple[str, ...] = ()
        self._chains: dict[str, tuple[str, npt.NDArray[np.float32]]] = {}

    def _index(self) -> pd.DataFrame:
        files = [f for f in sorted(self.path.glob("*/*")) if f.is_file()]
        chains = [f for f in files if f.name.lower().endswith(SUFFIXES)]
        self.skipped = {f"file does not end in one of {SUFFIXES}": len(files) - len(chains)}
        self._families = tuple(sorted({f.parent.name for f in chains}))
        for family in self.hold_out:
            if family not in self._families:
                raise unknown_name("family in hold_out", family, self._families)
        lines = []
        for file in chains:
            name, family = f"{file.parent.name}/{file.name}", file.parent.name
            self._chains[name] = self._read_file(file)
            sequence = self._chains[name][0]
            group = hashlib.blake2b(sequence.encode(), digest_size=8).hexdigest()
            split = "test" if family in self.hold_out else ""
            lines.append((name, "", group, family, split, len(sequence)))
        return pd.DataFrame(lines, columns=["id", "subject", "group", "stratum", "split", "length"])

    def _read_file(self, file: Path) -> tuple[str, npt.NDArray[np.float32]]:
        """Read one chain and bring it to at most ``max_length`` residues, centred."""
        chain = read_structure(file, unobserved=False)
        chain = centred(chain, file, max_length=self.max_length, crop=self.crop)
        return chain.sequence, chain.xyz

    def read(self, row: int) -> Sample:
        """Read the sequence, (L, 4) coordinates and mask, and the code of the family.

        Chains are parsed when the source is opened, since groups need their sequences, and are kept.
        """
        entry = self.index.iloc[row]
        sequence, xyz = self._chains[entry["id"]]
        return Sample(
            id=entry["id"],
            inputs={"protein": sequence},
            targets={"structure": xyz.copy()},
            groups={"family": self._families.index(entry["stratum"])},
        )

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """The families, in the order of their codes."""
        return {"family": self._families}
