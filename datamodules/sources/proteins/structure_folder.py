"""Any folder of protein structures: PDB, mmCIF or BinaryCIF files, their own or fetched by PDB id."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from datamodules.core.settings import Settings
from datamodules.core.source import SOURCES, Overview, Source, SourceCard
from datamodules.core.splits import connect
from datamodules.io import download
from datamodules.io.formats.sequences import read_delimited, sequence_key
from datamodules.io.formats.structure import SUFFIXES, Chain, centred, file_kind, protein_chains, read_structure, stem
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, unknown_name
from zoo.raw import RawModality, RawTask

URL = "https://files.rcsb.org/download/{}.cif.gz"
"""Where the Protein Data Bank gives an entry, by its id in upper case."""
STATES = ("H", "E", "C")
"""Classes of the task of secondary structure: helix, strand, coil."""
_PDB_ID = re.compile(r"([1-9][A-Za-z0-9]{3})(?:_([A-Za-z0-9]+))?")


@dataclass(frozen=True)
class ChainTable(Settings):
    """A table with a row a chain.

    Attributes:
        file: csv or tsv, below the source's folder; "" for none. Files that it does not name are left out, and
            counted.
        id: column with the name of the file, with or without its folder and ending.
        family: column of the family; "" takes the names of folders.
        chain: column of the chain; "" for none. The id of a row is then the file, "_" and the chain.
        missing_files: "raise" where the table names a file that is not there; "skip" leaves it out, counted.
    """

    file: str = ""
    id: str = "id"
    family: str = "family"
    chain: str = ""
    missing_files: Literal["raise", "skip"] = "raise"


@dataclass(frozen=True)
class FamilyOptions(Settings):
    """What never crosses a split, and which families are held out.

    Attributes:
        group_by: "family" (chains without one: the file); "sequence", chains of equal sequence, with families as
            strata; or "both". The latter two parse every file when the source is opened, and keep the chains in
            memory.
        hold_out: families placed in the split "test" as a whole.
    """

    group_by: Literal["family", "sequence", "both"] = "family"
    hold_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResidueOptions(Settings):
    """Which residues of a chain are kept.

    Attributes:
        unobserved: keep residues of SEQRES or entity_poly_seq without coordinates, with mask 0.
        max_length: longest chain; 0 for any. Longer chains are refused, or cropped where that is asked.
        crop: keep the first ``max_length`` residues of longer chains.
    """

    unobserved: bool = True
    max_length: int = 0
    crop: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 0 or (self.crop and not self.max_length):
            raise SpecError(
                f"StructureFolder: max_length must be positive with crop, else 0 or more, got {self.max_length}"
            )


@SOURCES.register
class StructureFolder(Source):
    """Read chains as sequences with their C-alpha coordinates, centred on the mean of the resolved ones.

    One chain of every file, or each of them, or the rows of a table, or a list of PDB ids. A family is the name of
    the first folder below ``folder``, or what the table says; it is the group column ``family``.

    Args:
        folder: the source's folder below the root; files may lie in folders in it.
        pdb_ids: entries to read and, on download, to fetch: "1abc", or "1abc_A" for one chain of it (the
            identifier that the authors gave it); () reads every file there is.
        chain: chain of every file; "" takes the first that has a C-alpha, "*" makes a row of each, whose id is the
            file, "_" and the chain. Molecules without an identifier of their own are ":2" and so on.
        table: the table of chains, where there is one.
        families: what never crosses a split, and which families are held out.
        residues: which residues of a chain are kept.
        task_name: name of the task of coordinates.
        secondary_task: name of a further task of H, E and C a residue from the records of the file; rows of files
            without such records have no label. "" adds none.
    """

    card = SourceCard(
        title="A folder of protein structures",
        modalities=(RawModality("protein", "protein"),),
        tasks=(),
        licence="not stated; entries of the Protein Data Bank: CC0",
        access="open",
        citation="Your own files; or Berman et al., The Protein Data Bank, Nucleic Acids Research 28:235, 2000",
        where="any structures of your own, or give pdb_ids and open with download: rcsb.org has every entry",
        layout="<family>/<name> or <name>, ending in .pdb, .ent, .cif, .mmcif or .bcif, plain or .gz",
        caution="homologues that are not in one family or sequence group can lie in two splits: cluster the chains "
        "and give the clusters as families; secondary structure from a file's own records is that of its author or "
        "of one of several programs, and coil includes what nobody marked",
        size="that of the folder",
    )

    def __init__(
        self,
        *,
        folder: str = "structures",
        pdb_ids: Sequence[str] = (),
        chain: str = "",
        table: ChainTable = ChainTable(),
        families: FamilyOptions = FamilyOptions(),
        residues: ResidueOptions = ResidueOptions(),
        task_name: str = "structure",
        secondary_task: str = "",
    ) -> None:
        super().__init__(folder=folder)
        for name in pdb_ids:
            if not _PDB_ID.fullmatch(name):
                raise SpecError(f"StructureFolder: {name!r} is no PDB id; expected such as '1abc' or '1abc_A'")
        if table.file and (pdb_ids or chain):
            raise SpecError("StructureFolder: give a table, or pdb_ids and chain, not both")
        self.pdb_ids, self.chain, self.table = tuple(pdb_ids), chain, table.file
        self.id_column, self.family_column, self.chain_column = table.id, table.family, table.chain
        self.missing_files, self.group_by, self.hold_out = (
            table.missing_files,
            families.group_by,
            tuple(families.hold_out),
        )
        self.group_unit = "family" if self.group_by == "both" else self.group_by
        self.unobserved, self.secondary_task = residues.unobserved, secondary_task
        self.max_length, self.crop = residues.max_length, residues.crop
        self._families: tuple[str, ...] = ()
        self._chains: dict[str, Chain] = {}
        tasks = [RawTask(task_name, "structure", reads="protein", unit="angstrom")]
        if secondary_task:
            tasks.append(RawTask(secondary_task, "token_classification", STATES, reads="protein"))
        self.card = replace(self.card, tasks=tuple(tasks))

    def fetch(self) -> None:
        """Download the entries of ``pdb_ids`` that are missing, as <id>.cif.gz.

        The Protein Data Bank publishes no checksums: each file is parsed, and removed again where that fails.

        Raises:
            DataError: a transfer failed, or a file is no structure or has no such chain.
        """
        if not self.pdb_ids:
            return super().fetch()
        there = {_entry(name) for name in self._files()} if self.path.is_dir() else set()
        for wanted in self.pdb_ids:
            code, _, chain = wanted.partition("_")
            if code.lower() in there:
                continue
            path = download.fetch(URL.format(code.upper()), self.path / f"{code.lower()}.cif.gz")
            try:
                wanted_chain = chain or self.chain.replace("*", "")
                read_structure(path, chain=wanted_chain, unobserved=self.unobserved)
            except DataError:
                path.unlink(missing_ok=True)
                raise
            there.add(code.lower())
        return None

    def _files(self) -> list[str]:
        """Names of all files below the folder, relative to it, in order; hidden ones do not count."""
        found = []
        for here, below, names in os.walk(self.path):
            below[:] = sorted(b for b in below if not b.startswith("."))
            inside = Path(here).relative_to(self.path)
            found += [(inside / n).as_posix() for n in sorted(names) if not n.startswith(".")]
        return found

    def _index(self) -> pd.DataFrame:
        every = self._files()
        files = [n for n in every if file_kind(Path(n)) and n != self.table]
        others = len(every) - len(files) - (self.table in every)
        self.skipped = {f"file does not end in one of {SUFFIXES}, perhaps with .gz": others}
        if self.pdb_ids:
            rows = self._asked(files)
        elif self.table:
            rows = self._listed(files)
        else:
            rows = [row for n in files for row in self._chains_of(n, n)]
        self._families = tuple(sorted({family for *_, family in rows if family}))
        for family in self.hold_out:
            if family not in self._families:
                raise unknown_name("family in hold_out", family, self._families)
        table = pd.DataFrame(rows, columns=["id", "file", "chain", "family"], dtype=object)
        table["subject"] = ""
        table["group"] = self._groups(table)
        table["stratum"] = table["family"] if self.group_by == "sequence" else ""
        table["split"] = np.where(table["family"].isin(self.hold_out), "test", "")
        return table

    def _chains_of(self, identifier: str, file: str) -> list[tuple[str, str, str, str]]:
        """Rows (id, file, chain, family) of a file: one, or one for each of its protein chains."""
        if self.chain != "*":
            return [(identifier, file, self.chain, _folder(file))]
        chains = protein_chains(self.path / file)
        return [(f"{identifier}_{c}" if c else identifier, file, c, _folder(file)) for c in chains]

    def _asked(self, files: Sequence[str]) -> list[tuple[str, str, str, str]]:
        """One row (id, file, chain, family) a PDB id."""
        by_entry = {_entry(n): n for n in files}
        rows = []
        for wanted in self.pdb_ids:
            code, _, chain = wanted.partition("_")
            name = by_entry.get(code.lower())
            if name is None:
                raise DataError(
                    f"StructureFolder: there is no file of the entry '{code}'; open with download, or put "
                    f"{code.lower()}.cif.gz there",
                    file=self.path,
                )
            rows += [(wanted, name, chain, _folder(name))] if chain else self._chains_of(wanted, name)
        self.skipped["file is not in pdb_ids"] = len(files) - len({name for _, name, _, _ in rows})
        return rows

    def _listed(self, files: Sequence[str]) -> list[tuple[str, str, str, str]]:
        """One row (id, file, chain, family) a line of the table."""
        path = self.path / self.table
        columns = [c for c in (self.id_column, self.family_column, self.chain_column) if c]
        table, lines = read_delimited(path, columns)
        known: dict[str, list[str]] = {}
        for name in files:
            for alias in {name, Path(name).name, stem(Path(name).name), stem(name)}:
                known.setdefault(alias, []).append(name)
        families = table[self.family_column].tolist() if self.family_column else None
        chains = table[self.chain_column].tolist() if self.chain_column else [""] * len(table)
        rows, lost = [], 0
        for k, name in enumerate(table[self.id_column]):
            found = known.get(name, [])
            if len(found) > 1 or (not found and self.missing_files == "raise"):
                problem = f"is the name of {len(found)} files" if found else "is not there"
                advice = "give its folder and ending" if found else "add it, or give missing_files='skip'"
                raise DataError(f"the file '{name}' {problem}; {advice}", file=path, row=lines[k])
            lost += not found
            for file in found:
                chain = chains[k]
                rows.append(
                    (f"{file}_{chain}" if chain else file, file, chain, families[k] if families else _folder(file))
                )
        self.skipped["file of the table is missing"] = lost
        self.skipped["file is not in the table"] = len(files) - len({file for _, file, _, _ in rows})
        return rows

    def _groups(self, table: pd.DataFrame) -> list[str]:
        """Groups by family, by equal sequence, or by both; parses every file where sequences are asked for."""
        families = [f"family {f}" if f else "" for f in table["family"]]
        if self.group_by == "family":
            return [f or f"file {name}" for f, name in zip(families, table["file"], strict=True)]
        self._chains = {
            i: self._parse(file, chain)
            for i, file, chain in zip(table["id"], table["file"], table["chain"], strict=True)
        }
        keys = [f"sequence {sequence_key(self._chains[i].sequence)}" for i in table["id"]]
        if self.group_by == "sequence":
            return keys
        return [f"group {k}" for k in connect(list(zip(keys, families, strict=True)))]

    def _parse(self, file: str, chain: str) -> Chain:
        path = self.path / file
        found = read_structure(path, chain=chain, unobserved=self.unobserved)
        return centred(found, path, max_length=self.max_length, crop=self.crop)

    @cached_property
    def _cells(self) -> tuple[list[str], list[str], list[str], list[int]]:
        """Ids, files, chains and codes of families of the rows."""
        codes = {family: k for k, family in enumerate(self._families)}
        table = self.index
        families = [codes.get(f, -1) for f in table["family"]]
        return table["id"].tolist(), table["file"].tolist(), table["chain"].tolist(), families

    def read(self, row: int) -> Sample:
        """Read the sequence, (L, 4) coordinates and mask, the secondary structure, and the code of the family."""
        ids, files, chains, families = self._cells
        name = ids[row]
        chain = self._chains.get(name) or self._parse(files[row], chains[row])
        targets: dict[str, object] = {self.card.tasks[0].name: chain.xyz.copy()}
        if self.secondary_task and chain.secondary is not None:
            targets[self.card.tasks[1].name] = chain.secondary
        groups = {"family": families[row]} if families[row] >= 0 else {}
        return Sample(name, {"protein": chain.sequence}, targets, groups)

    def overview(self) -> Overview | None:
        """Every row has a sequence and coordinates; None where secondary structure has to be looked for."""
        if self.secondary_task:
            return None
        every = np.ones(len(self), dtype=np.bool_)
        return Overview({"protein": every}, {self.card.tasks[0].name: every})

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """The families, in the order of their codes."""
        return {"family": self._families} if self._families else {}


def _folder(name: str) -> str:
    """The first folder of a relative name; "" for none."""
    return name.split("/")[0] if "/" in name else ""


def _entry(name: str) -> str:
    """The PDB id, in lower case, that a file is named after: 1abc.cif.gz, or pdb1abc.ent.gz as in the archive."""
    bare = stem(Path(name).name).lower()
    return bare.removeprefix("pdb") if len(bare) == 7 else bare
