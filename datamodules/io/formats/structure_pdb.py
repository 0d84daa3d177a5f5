"""Reading of PDB files: the few records that a chain needs, those of modified residues and of SEQRES among them."""

from __future__ import annotations

from datamodules.io.formats.residues import is_common
from datamodules.io.formats.structure_model import Key, Model, Molecule, Polymer, Site


def read_pdb(content: bytes) -> Model:
    """Read the records of the PDB format 3.3 that a chain needs, up to the end of the first model."""
    model = Model()
    current: dict[str, Molecule] = {}
    polymers: dict[str, Polymer] = {}
    last: Molecule | None = None
    for line in content.decode("latin-1").splitlines():
        record = line[:6].rstrip()
        if record in ("ATOM", "HETATM"):
            last = _add_atom(line, record == "HETATM", model, current) or last
        elif record == "TER" and last is not None:
            last.ended = True
        elif record in ("ENDMDL", "END") or (record == "MODEL" and model.molecules):
            if model.molecules:
                break
        elif record == "SEQRES":
            polymers.setdefault(line[11:12].strip(), []).extend((None, n) for n in line[19:70].split())
        else:
            _add_description(record, line, model)
    for molecule in model.molecules:
        molecule.polymer = polymers.pop(molecule.name, [])  # of several with one identifier, the first has it
    return model


def _add_atom(line: str, hetero: bool, model: Model, current: dict[str, Molecule]) -> Molecule | None:
    """Take an atom; return its molecule, None where it is a ligand behind the end of its chain."""
    chain, segment = line[21:22].strip(), line[72:76].strip()
    key = (_number(line[22:26]), line[26:27].strip())
    atom = (line[12:16].strip(), line[16:17].strip())
    molecule = current.get(chain)
    if molecule is not None and hetero and molecule.ended:
        return None  # a ligand, be it an amino acid
    if molecule is None or (not hetero and molecule.is_followed(key, atom, segment)):
        molecule = current[chain] = Molecule(chain, segment=segment)
        model.molecules.append(molecule)
    site = Site(f"{key[0]}{key[1]}", line[17:21].strip(), hetero)
    if atom[0] == "CA" and (line[12:16] == " CA " or is_common(site.name)):  # "CA  " is calcium
        site.xyz = (float(line[30:38]), float(line[38:46]), float(line[46:54]))
        site.occupancy = float(line[54:60].strip() or 1.0)
    molecule.add(key, site, atom)
    return molecule


def _number(text: str) -> int:
    """Number of a residue; beyond 9999 in the hybrid-36 form, whose first digit is a letter."""
    try:
        return int(text)
    except ValueError:
        from biotite.structure.io.pdb.hybrid36 import decode_hybrid36

        return int(decode_hybrid36(text.strip()))


def _add_description(record: str, line: str, model: Model) -> None:
    if record == "MODRES":
        model.parents[line[12:15].strip()] = line[24:27].strip()
    elif record == "HELIX" and line[38:40].strip() != "10":  # 10: polyproline
        model.ranges.append(("H", line[19:20].strip(), _place(line, 21), _place(line, 33)))
    elif record == "SHEET":
        model.ranges.append(("E", line[21:22].strip(), _place(line, 22), _place(line, 33)))


def _place(line: str, start: int) -> Key:
    return _number(line[start : start + 4]), line[start + 4 : start + 5].strip()
