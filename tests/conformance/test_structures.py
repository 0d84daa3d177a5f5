"""Protein chains as Biopython and biotite read them: identifiers, models, alternates, insertion codes, names."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio.Data.PDBData import protein_letters_3to1_extended
from Bio.PDB import MMCIFParser, PDBParser
from Bio.PDB.Polypeptide import is_aa
from biotite.structure import get_chain_starts
from biotite.structure.info import one_letter_code
from biotite.structure.io import pdb, pdbx

from datamodules.io.formats.structure import protein_chains, read_structure
from tests.conformance.table import Case, Format, Variant, cases

Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Atom:
    """One atom of a made-up file; its place follows from where it stands in the list."""

    residue: str
    number: int
    chain: str = "A"
    name: str = "CA"
    element: str = "C"
    code: str = ""
    alternate: str = ""
    occupancy: float = 1.0
    hetero: bool = False
    label: str = ""
    entity: str = "1"
    place: int = 0  # in the entity; 0 for none


def residues(names: str, chain: str = "A", first: int = 1, **more: Any) -> list[Atom]:
    return [Atom(name, first + k, chain, place=k + 1, **more) for k, name in enumerate(names.split())]


def line(atom: Atom, k: int) -> str:
    record = "HETATM" if atom.hetero else "ATOM  "
    name = f" {atom.name:<3}" if len(atom.element) == 1 else f"{atom.name:<4}"
    number = f"{atom.number:4d}" if atom.number < 10_000 else f"A{atom.number - 10_000:03d}"  # hybrid-36
    return (
        f"{record}{k + 1:5d} {name}{atom.alternate or ' '}{atom.residue:<4}{atom.chain or ' '}{number}"
        f"{atom.code or ' '}   {1.5 * k:8.3f}{0.5 * k:8.3f}{-0.25 * k:8.3f}{atom.occupancy:6.2f}  0.00          "
        f"{atom.element:>2}"
    )


def pdb_file(*parts: Sequence[Atom] | str, name: str = "a.pdb", width: int = 80) -> Make:
    """Atoms, and records between them as they stand."""

    def make(folder: Path) -> Path:
        lines: list[str] = []
        count = 0
        for part in parts:
            if isinstance(part, str):
                lines.append(part)
                continue
            lines += [line(atom, count + k)[:width] for k, atom in enumerate(part)]
            count += len(part)
        content = "\n".join([*lines, "END", ""]).encode()
        path = folder / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return make


COLUMNS = (
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
    "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num", "B_iso_or_equiv",
)  # fmt: skip


def cif_file(*models: Sequence[Atom], before: str = "", left_out: Sequence[str] = (), name: str = "a.cif") -> Make:
    """An mmCIF file of one list of atoms a model; ``before`` stands before them."""

    def make(folder: Path) -> Path:
        rows = []
        for number, atoms in enumerate(models, start=1):
            for k, a in enumerate(atoms):
                values = (
                    "HETATM" if a.hetero else "ATOM", len(rows) + 1, a.element, a.name, a.alternate or ".",
                    a.residue, a.label or a.chain or ".", a.entity, a.place or ".", a.code or "?", f"{1.5 * k:.3f}",
                    f"{0.5 * k:.3f}", f"{-0.25 * k:.3f}", f"{a.occupancy:.2f}", a.number, a.chain or ".", number,
                    "0.00",
                )  # fmt: skip
                rows.append([str(v) for c, v in zip(COLUMNS, values, strict=True) if c not in left_out])
        heads = "\n".join(f"_atom_site.{c}" for c in COLUMNS if c not in left_out)
        body = "\n".join(" ".join(row) for row in rows)
        content = f"data_X\n#\n{before}loop_\n{heads}\n{body}\n#\n".encode()
        path = folder / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return make


def binary_file(*models: Sequence[Atom], **more: Any) -> Make:
    """The same as BinaryCIF, by biotite."""

    def make(folder: Path) -> Path:
        block = pdbx.CIFFile.read(cif_file(*models, **more)(folder)).block
        out = pdbx.BinaryCIFBlock()
        numbers = {"Cartn_x": float, "Cartn_y": float, "Cartn_z": float, "occupancy": float}
        whole = ("id", "label_seq_id", "auth_seq_id", "pdbx_PDB_model_num")
        for category, columns in block.items():
            held = {}
            for key, column in columns.items():
                kind = numbers.get(key, int if key in whole else str)
                values = column.as_array(kind) if kind is not int else column.as_array(int, masked_value=0)
                mask = None if column.mask is None else pdbx.BinaryCIFData(column.mask.array)
                held[key] = pdbx.BinaryCIFColumn(pdbx.BinaryCIFData(values), mask)
            out[category] = pdbx.BinaryCIFCategory(held)
        path = folder / "a.bcif"
        pdbx.compress(pdbx.BinaryCIFFile({"X": out})).write(path)
        return path

    return make


def ours(path: Path) -> dict[str, Any]:
    chains = {name: read_structure(path, chain=name, unobserved=False) for name in protein_chains(path)}
    return {
        name: {"letters": c.sequence, "numbers": list(c.numbers), "places": c.xyz[:, :3].astype(np.float64)}
        for name, c in chains.items()
    }


def letters_of(path: Path) -> dict[str, str]:
    return {name: chain["letters"] for name, chain in ours(path).items()}


def with_biopython(path: Path) -> dict[str, Any]:
    """Amino acids with a C-alpha of the first model; of alternates those that Biopython chooses."""
    parser = MMCIFParser(QUIET=True) if path.name.startswith("a.cif") else PDBParser(QUIET=True)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as handle:
        model = next(iter(parser.get_structure("x", handle)))
    found = {}
    for chain in model:
        kept = [r for r in chain if is_aa(r, standard=False) and "CA" in r]
        if kept:
            found[chain.id.strip()] = {
                "letters": "".join(protein_letters_3to1_extended[r.get_resname()] for r in kept),
                "numbers": [f"{r.id[1]}{r.id[2].strip()}" for r in kept],
                "places": np.array([r["CA"].coord for r in kept], dtype=np.float64),
            }
    return found


def with_biotite(path: Path) -> dict[str, Any]:
    """Residues with a C-alpha of the first model, alternates by occupancy; molecules as ``get_chain_starts`` cuts."""
    options: dict[str, Any] = {"model": 1, "altloc": "occupancy"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".pdb":
            atoms = pdb.PDBFile.read(path).get_structure(**options)
        else:
            file = (pdbx.BinaryCIFFile if path.suffix == ".bcif" else pdbx.CIFFile).read(path)
            atoms = pdbx.get_structure(file, **options)
    found: dict[str, Any] = {}
    for part in _parts(atoms):
        kept = part[(part.atom_name == "CA") & (part.element != "CA")]
        told = [(a, one_letter_code(a.res_name)) for a in kept]
        told = [(a, letter if len(letter) == 1 else "X") for a, letter in told if letter]
        if not told:
            continue
        name, count = str(part.chain_id[0]), 2
        while name in found:
            name, count = f"{part.chain_id[0]}:{count}", count + 1
        found[name] = {
            "letters": "".join(letter for _, letter in told),
            "numbers": [f"{a.res_id}{a.ins_code}" for a, _ in told],
            "places": np.array([a.coord for a, _ in told], dtype=np.float64),
        }
    return found


def _parts(atoms: Any) -> list[Any]:
    starts = get_chain_starts(atoms, add_exclusive_stop=True)
    return [atoms[a:b] for a, b in pairwise(starts)]


PLAIN = "MET LYS TRP HIS ASP"
BACKBONE = [Atom("GLY", 5, name=n, element=e) for n, e in (("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"))] + [
    Atom("ALA", 6, name=n, element=e) for n, e in (("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"), ("CB", "C"))
]
ALTERNATES = [
    Atom("GLY", 1, place=1),
    Atom("SER", 2, alternate="A", occupancy=0.4, place=2),
    Atom("SER", 2, alternate="B", occupancy=0.6, place=2),
    Atom("LYS", 3, alternate="A", occupancy=0.5, place=3),
    Atom("LYS", 3, alternate="B", occupancy=0.5, place=3),
]
MIXED = [
    Atom("GLY", 1, place=1),
    Atom("SER", 2, alternate="A", occupancy=0.7, place=2),
    Atom("THR", 2, alternate="B", occupancy=0.3, place=2),
    Atom("ALA", 3, place=3),
]
INSERTED = [Atom("GLY", 52, place=1), Atom("ALA", 52, code="A", place=2), Atom("SER", 52, code="B", place=3),
            Atom("TRP", 53, place=4)]  # fmt: skip
MODIFIED = "MSE SEP TPO PTR CSO MLY HYP PCA KCX LLP CME FME"
AMBER = "HIS HIE HID HIP HSD HSE HSP CYX CYM ASH GLH LYN ARN NALA CGLY"
WATER = Atom("HOH", 101, name="O", element="O", hetero=True)
IONS = [Atom("CA", 201, name="CA", element="CA", hetero=True), Atom("ZN", 202, name="ZN", element="ZN", hetero=True)]
DNA = [Atom(n, k + 1, "D", name="P", element="P", label="D", entity="2", place=k + 1) for k, n in
       enumerate(("DA", "DC", "DG"))]  # fmt: skip

PDB = Format(
    "PDB",
    library="Bio.PDB.PDBParser, biotite.structure.io.pdb",
    reference=with_biopython,
    ours=ours,
    atol=2e-3,
    variants=(
        Variant("two chains", pdb_file(residues(PLAIN), "TER", residues("GLY ALA", "B"), "TER")),
        Variant("all atoms of the backbone", pdb_file(BACKBONE)),
        Variant("packed by gzip", pdb_file(residues(PLAIN), name="a.pdb.gz")),
        Variant("numbers below zero", pdb_file(residues(PLAIN, first=-3))),
        Variant("numbers beyond 9999 (hybrid-36)", pdb_file(residues(PLAIN, first=9998)), reference=with_biotite),
        Variant("a gap in the numbering", pdb_file(residues("GLY ALA"), residues("SER TRP", first=40))),
        Variant("insertion codes", pdb_file(INSERTED)),
        Variant("alternate locations", pdb_file(ALTERNATES)),
        Variant("two residues at one place", pdb_file(MIXED), reference=with_biotite),
        Variant("modified residues as HETATM", pdb_file(residues(MODIFIED, hetero=True))),
        Variant("modified residues as ATOM", pdb_file(residues(MODIFIED))),
        Variant("a D amino acid, U, O and ambiguous ones", pdb_file(residues("DAL SEC PYL ASX GLX")),
                reference=with_biotite),
        Variant("a chromophore of three residues", pdb_file(residues("GLY CRO ALA")), reference=with_biotite),
        Variant("homoserine, HSE as HETATM", pdb_file(residues("GLY HSE", hetero=True)), reference=with_biotite),
        Variant("water and ions", pdb_file(residues(PLAIN), "TER", IONS, [WATER])),
        Variant("a chain of DNA", pdb_file(residues(PLAIN), "TER", DNA)),
        Variant("two models", pdb_file("MODEL        1", residues(PLAIN), "ENDMDL", "MODEL        2",
                                       residues("GLY ALA"), "ENDMDL")),
        Variant("a model without its end", pdb_file("MODEL        1", residues(PLAIN), "MODEL        2",
                                                    residues("GLY ALA")),
                differs="the next model ends it; Biopython reads on", ours=letters_of, expected={"A": "MKWHD"}),
        Variant("TER within a chain", pdb_file(residues("GLY ALA"), "TER", residues("SER TRP", first=3))),
        Variant("a ligand behind TER that is an amino acid", pdb_file(residues(PLAIN), "TER", [
            Atom("GLU", 301, hetero=True)]), ours=letters_of, expected={"A": "MKWHD"},
            differs="what follows TER as HETATM is no residue of the chain"),
        Variant("no identifier of the chain", pdb_file(residues(PLAIN, ""))),
        Variant("two molecules without identifiers", pdb_file(residues("GLY ALA", ""), "TER",
                residues("SER TYR TRP", ""), "TER"), reference=with_biotite),
        Variant("two molecules without identifiers or TER", pdb_file(residues("GLY ALA", ""),
                residues("SER TYR TRP", "")), reference=with_biotite),
        Variant("two molecules of one identifier", pdb_file(residues("GLY ALA"), "TER",
                residues("SER TYR TRP"), "TER"), reference=with_biotite),
        Variant("molecules that TER parts, numbered on", pdb_file(residues("GLY ALA", ""), "TER",
                residues("SER TYR", "", first=3), "TER"), ours=letters_of, expected={"": "GA", ":2": "SY"},
                differs="without identifiers TER ends a molecule; the libraries do not heed it"),
        Variant("names of protonation states (Amber, CHARMM)", pdb_file(residues(AMBER)), ours=letters_of,
                expected={"A": "HHHHHHHCCDEKRAG"},
                differs="the letters of their parents; the dictionary of the libraries has other molecules there"),
        Variant("lines that end behind the coordinates", pdb_file(residues(PLAIN), width=54), ours=letters_of,
                reference=lambda p: {k: v["letters"] for k, v in with_biopython(p).items()}),
        Variant("no C-alpha", pdb_file([WATER]), error="no C-alpha"),
        Variant("a coordinate that is no number", pdb_file([Atom("GLY", 1)],
                "ATOM      2  CA  ALA A   2    ********   0.000   0.000  1.00  0.00"), error="not a readable PDB"),
    ),
)  # fmt: skip

TWO_CHAINS = [*residues(PLAIN, "A"), *residues("GLY ALA", "B", entity="2")]
OTHER_LABELS = [*residues(PLAIN, "H", first=5, label="A"), *residues("GLY ALA", "L", label="B", entity="2")]
ONE_AUTHOR = [*residues("GLY ALA", "A", label="A"), *residues("SER TYR TRP", "A", label="B", entity="2")]
LIGAND = Atom("ATP", 400, name="PG", element="P", hetero=True, label="C", entity="3")
FREE = Atom("GLU", 401, hetero=True, label="D", entity="4")
SEQUENCE = (
    "loop_\n_entity_poly_seq.entity_id\n_entity_poly_seq.num\n_entity_poly_seq.mon_id\n"
    "1 1 GLY\n1 2 SER\n1 3 LYS\n1 4 ALA\n#\n"
)


def variants(make: Callable[..., Make]) -> tuple[Variant, ...]:
    """What mmCIF and BinaryCIF share."""
    return (
        Variant("two chains", make(TWO_CHAINS)),
        Variant("labels that are not those of the authors", make(OTHER_LABELS)),
        Variant("insertion codes", make(INSERTED)),
        Variant("numbers below zero", make(residues(PLAIN, first=-3))),
        Variant("alternate locations", make(ALTERNATES)),
        Variant("two residues at one place", make(MIXED), reference=with_biotite),
        Variant("modified residues as HETATM", make(residues(MODIFIED, hetero=True))),
        Variant("homoserine, HSE as HETATM", make(residues("GLY HSE", hetero=True)), reference=with_biotite),
        Variant("two models", make(residues(PLAIN), residues("GLY ALA"))),
        Variant("water and ions", make([*residues(PLAIN), *IONS, WATER])),
        Variant("a ligand with the identifier of a chain", make([*residues(PLAIN), LIGAND])),
        Variant("a chain of DNA", make([*residues(PLAIN), *DNA])),
        Variant(
            "a free amino acid with the identifier of a chain",
            make([*residues(PLAIN), FREE]),
            ours=letters_of,
            differs="what has no place in the entity is no residue of it",
            expected={"A": "MKWHD"},
        ),
        Variant(
            "two entities under one identifier of the authors",
            make(ONE_AUTHOR),
            ours=letters_of,
            differs="two molecules; the libraries join them by that identifier",
            expected={"A": "GA", "B": "SYW"},
        ),
        Variant(
            "residues of the entity that have no atoms",
            make([Atom("GLY", 7, place=1), Atom("LYS", 9, place=3)], before=SEQUENCE),
            ours=lambda p: read_structure(p).sequence,
            differs="the whole sequence, with a mask; the libraries give what has atoms",
            expected="GSKA",
        ),
        Variant(
            "names of protonation states",
            make(residues("HIE HSD CYX GLH")),
            ours=letters_of,
            differs="the letters of their parents",
            expected={"A": "HHCE"},
        ),
        Variant("no numbers of the authors", make(residues(PLAIN), left_out=("auth_seq_id",)), ours=letters_of,
                differs="numbers of the entity; the libraries refuse the file", expected={"A": "MKWHD"}),
        Variant("no place in the entity", make(residues(PLAIN), left_out=("label_seq_id",)), ours=letters_of,
                differs="numbers of the authors; biotite refuses the file", expected={"A": "MKWHD"}),
        Variant("no coordinates", make(residues(PLAIN), left_out=("Cartn_x",)), error="lacks the columns"),
    )  # fmt: skip


MMCIF = Format(
    "mmCIF",
    library="Bio.PDB.MMCIFParser, biotite.structure.io.pdbx",
    reference=with_biopython,
    ours=ours,
    atol=2e-3,
    variants=(*variants(cif_file), Variant("packed", cif_file(TWO_CHAINS, name="a.cif.gz"))),
)
BINARY = Format(
    "BinaryCIF",
    library="biotite.structure.io.pdbx",
    reference=with_biotite,
    ours=ours,
    atol=2e-3,
    variants=variants(binary_file),
)


@pytest.mark.parametrize("case", cases(PDB, MMCIF, BINARY), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
