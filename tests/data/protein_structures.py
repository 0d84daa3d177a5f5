"""Tiny PDB files, one folder a family."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

CODES = {"A": "ALA", "D": "ASP", "G": "GLY", "K": "LYS", "L": "LEU", "V": "VAL", "M": "MET", "X": "UNK"}


def atom(
    serial: int,
    residue: str,
    number: int,
    xyz: npt.NDArray[np.float64],
    *,
    name: str = "CA",
    alternate: str = " ",
    occupancy: float = 1.0,
    record: str = "ATOM",
    chain: str = "A",
) -> str:
    """Write one line of the coordinate section (wwPDB format 3.3)."""
    x, y, z = (float(v) for v in xyz)
    return (
        f"{record:<6}{serial:>5}  {name:<3}{alternate}{residue:>3} {chain}{number:>4}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{0.0:6.2f}          {name[0]:>2}"
    )


def curve(family: str, length: int) -> npt.NDArray[np.float64]:
    """(L, 3) C-alpha positions in angstrom of an ideal helix or strand."""
    i = np.arange(length)
    if family == "helices":
        return np.stack([2.3 * np.cos(np.radians(100) * i), 2.3 * np.sin(np.radians(100) * i), 1.5 * i], 1)
    return np.stack([3.3 * i, 0.9 * (-1.0) ** i, np.zeros(length)], 1)


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write n chains of 8 to 15 residues in the families helices and strands below ``folder``, and a README.

    Endings alternate between .pdb, .pdb.gz and .ent. The second chain of a family repeats the first's sequence.
    """
    rng = np.random.default_rng(seed)
    endings = (".pdb", ".pdb.gz", ".ent")
    first: dict[str, list[str]] = {}
    for i in range(n):
        family = ("helices", "strands")[i % 2]
        letters = list("ADLKM" if family == "helices" else "VGLK")
        residues = [CODES[c] for c in rng.choice(letters, int(rng.integers(8, 16)))]
        if i // 2 == 1:
            residues = first[family]
        first.setdefault(family, residues)
        xyz = curve(family, len(residues)) + rng.normal(0, 0.1, (len(residues), 3)) + rng.uniform(-20, 20, 3)
        lines = [atom(k + 1, r, k + 1, xyz[k]) for k, r in enumerate(residues)]
        lines.append(atom(900, "HOH", 500, np.zeros(3), name="O", record="HETATM"))
        text = "\n".join([*lines, "TER", "END"]) + "\n"
        (folder / family).mkdir(parents=True, exist_ok=True)
        path = folder / family / f"chain{i:03d}{endings[i % 3]}"
        path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())
    (folder / "helices" / "README").write_text("Made by a test.\n", encoding="ascii")
