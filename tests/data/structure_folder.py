"""Tiny structures in families, as PDB and as mmCIF, with SEQRES, helices and strands."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

NAMES = {"A": "ALA", "D": "ASP", "G": "GLY", "K": "LYS", "L": "LEU", "V": "VAL", "M": "MSE", "S": "SER", "X": "UNK"}
ENDINGS = (".pdb", ".cif", ".ent.gz", ".mmcif.gz")
HEADER = """data_{name}
#
_entry.id   {name}
_struct.title
;A made-up chain
_atom_site.fake 1
;
#
loop_
_entity_poly_seq.entity_id
_entity_poly_seq.num
_entity_poly_seq.mon_id
_entity_poly_seq.hetero
{residues}
#
"""
ATOMS = [
    "group_PDB",
    "id",
    "type_symbol",
    "label_atom_id",
    "label_alt_id",
    "label_comp_id",
    "label_asym_id",
    "label_entity_id",
    "label_seq_id",
    "pdbx_PDB_ins_code",
    "Cartn_x",
    "Cartn_y",
    "Cartn_z",
    "occupancy",
    "auth_seq_id",
    "auth_asym_id",
    "pdbx_PDB_model_num",
]
RANGE = [
    "beg_label_asym_id",
    "beg_label_seq_id",
    "pdbx_beg_PDB_ins_code",
    "end_label_asym_id",
    "end_label_seq_id",
    "pdbx_end_PDB_ins_code",
    "beg_auth_asym_id",
    "beg_auth_seq_id",
    "end_auth_asym_id",
    "end_auth_seq_id",
]

Place = npt.NDArray[np.float64] | None


def curve(kind: str, length: int) -> npt.NDArray[np.float64]:
    """(L, 3) C-alpha positions in angstrom of an ideal helix or strand."""
    i = np.arange(length)
    if kind == "H":
        return np.stack([2.3 * np.cos(np.radians(100) * i), 2.3 * np.sin(np.radians(100) * i), 1.5 * i], 1)
    return np.stack([3.3 * i, 0.9 * (-1.0) ** i, np.zeros(length)], 1)


def pdb(sequence: str, places: list[Place], kind: str, *, first: int = 1, chain: str = "A") -> str:
    """Write a PDB file; residues without a place stand in SEQRES alone, and ``kind`` runs from the 2nd to the 5th."""
    names = [NAMES[s] for s in sequence]
    lines = [
        f"SEQRES {k // 13 + 1:>3} {chain} {len(names):>4}  " + " ".join(names[k : k + 13])
        for k in range(0, len(names), 13)
    ]
    a, b = first + 1, first + 4
    if kind == "H":
        lines.append(f"HELIX    1   1 {names[1]} {chain} {a:>4}  {names[4]} {chain} {b:>4}  1{'':30}{4:>6}")
    if kind == "E":
        lines.append(f"SHEET    1   A 1 {names[1]} {chain}{a:>4}  {names[4]} {chain}{b:>4}  0")
    serial = 0
    for number, (name, place) in enumerate(zip(names, places, strict=True), start=first):
        if place is None:
            continue
        for atom, shift in (("N", -0.5), ("CA", 0.0)):
            serial += 1
            x, y, z = place + shift
            record = "HETATM" if name == "MSE" else "ATOM"
            lines.append(
                f"{record:<6}{serial:>5}  {atom:<3} {name:>3} {chain}{number:>4}    "
                f"{x:8.3f}{y:8.3f}{z:8.3f}{1.0:6.2f}{0.0:6.2f}          {atom[0]:>2}"
            )
    lines.append(f"TER   {serial + 1:>5}      {names[-1]} {chain}{first + len(names) - 1:>4}")
    lines.append(f"HETATM{serial + 2:>5}  CA  ALA {chain} 900       0.000   0.000   0.000  1.00  0.00           C")
    return "\n".join([*lines, "END"]) + "\n"


def cif(
    sequence: str, places: list[Place], kind: str, *, first: int = 1, chain: str = "A", name: str = "TEST"
) -> str:
    """Write an mmCIF file of the same chain; its label_asym_id is not the name that the authors gave."""
    names = [NAMES[s] for s in sequence]
    text = HEADER.format(name=name, residues="\n".join(f"1 {k} {n} n" for k, n in enumerate(names, start=1)))
    ends = f"Z 2 ? Z 5 ? {chain} {first + 1} {chain} {first + 4}"
    if kind == "H":
        text += "".join(f"_struct_conf.{c} {v}\n" for c, v in zip(RANGE, ends.split(), strict=True))
        text += "_struct_conf.conf_type_id HELX_P\n#\n"
    if kind == "E":
        text += "loop_\n" + "".join(f"_struct_sheet_range.{c}\n" for c in RANGE) + ends + "\n#\n"
    text += "loop_\n" + "".join(f"_atom_site.{c}\n" for c in ATOMS)
    serial = 0
    for number, (residue, place) in enumerate(zip(names, places, strict=True), start=1):
        for atom, shift in (("N", -0.5), ("CA", 0.0), ('"O5\'"', 1.0)) if place is not None else ():
            serial += 1
            x, y, z = place + shift
            group = "HETATM" if residue == "MSE" else "ATOM"
            text += (
                f"{group} {serial} C {atom} . {residue} Z 1 {number} ? {x:.3f} {y:.3f} {z:.3f} 1.00 "
                f"{first + number - 1} {chain} 1\n"
            )
    return text + f"HETATM {serial + 1} O O . HOH W 2 . ? 0 0 0 1.00 901 {chain} 1\n#\n"


def write(folder: Path, seed: int = 0, n: int = 16) -> None:
    """Write n chains of 9 to 14 residues in the families f0 to f7 below ``folder``, and a README and a table.

    Even families are helices and odd ones strands; the third residue has no coordinates in the chains 3, 7, 11 ...,
    and the endings take turns. Chain 9 repeats the sequence of chain 0, which is of another family.
    """
    rng = np.random.default_rng(seed)
    first, rows = "", ["id,family,chain"]
    for i in range(n):
        kind = "HE"[i % 2]
        sequence = "".join(rng.choice(list("ADLKM" if kind == "H" else "VGLKS"), int(rng.integers(9, 15))))
        first = first or sequence
        sequence = first if i == 9 else sequence
        xyz = curve(kind, len(sequence)) + rng.normal(0, 0.1, (len(sequence), 3)) + rng.uniform(-20, 20, 3)
        places: list[Place] = [None if i % 4 == 3 and k == 2 else xyz[k] for k in range(len(sequence))]
        make = pdb if i % 2 == 0 else cif
        text = make(sequence, places, kind, first=1 + i % 3 * 10, chain="AB"[i % 2])
        ending = ENDINGS[i % 2 + 2 * (i // 2 % 2)]
        path = folder / f"f{i % 8}" / f"chain{i:03d}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), mtime=0) if ending.endswith(".gz") else text.encode())
        rows.append(f"chain{i:03d},{'helices' if kind == 'H' else 'strands'},{'AB'[i % 2]}")
    (folder / "README").write_text("Made by a test.\n", encoding="ascii")
    (folder / "chains.csv").write_text("\n".join(rows) + "\n", encoding="ascii")
