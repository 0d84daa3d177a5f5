"""One letter of a residue name: standard, modified and ambiguous ones, and those that simulation programs write.

Modified residues are looked up in the Chemical Component Dictionary, through the tables of Biopython and biotite.
That dictionary knows no protonation states, and gives some of their names to other molecules: HSE is homoserine there
and a histidine in CHARMM. Simulation programs write their residues as ATOM, the Protein Data Bank modified ones as
HETATM, so the record decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

_FORCE_FIELDS = {
    "H": "HID HIE HIP HSD HSE HSP HISA HISB HISD HISE HISH HISP HIS1 HIS2 HYD",
    "C": "CYX CYM CYD CYN CYSH CYS1 CYS2 CYSD",
    "D": "ASH ASPH ASPP",
    "E": "GLH GLUH GLUP",
    "K": "LYN LSN LYP LYSH LYSN",
    "R": "ARN AR0 ARGN",
    "Y": "TYM",
}
STATES = {name: letter for letter, names in _FORCE_FIELDS.items() for name in names.split()}
"""Name of a protonation or bonding state in the force fields Amber, CHARMM, OPLS and GROMOS -> letter."""


def one_letter(name: str, *, hetero: bool = False, parents: Mapping[str, str] | None = None) -> str:
    """One letter of a residue; "X" for an amino acid that has no single one, "" for what is no amino acid.

    Args:
        name: of the residue, of three letters or as long as mmCIF and simulation programs write them.
        hetero: whether its record is HETATM, so that the dictionary counts before the force fields.
        parents: name of a modified residue -> name of its parent, as the file itself says; it counts first.

    >>> [one_letter(n) for n in ("MSE", "HSE", "CYX", "NGLY", "CRO", "HOH")]
    ['M', 'H', 'C', 'G', 'X', '']
    >>> one_letter("HSE", hetero=True)
    'S'
    """
    parent = (parents or {}).get(name, "")
    told = _dictionary(parent) if parent and parent != name else ""
    if told:
        return told
    return (_dictionary(name) or _state(name)) if hetero else (_state(name) or _dictionary(name))


def is_common(name: str) -> bool:
    """Whether a name is that of an amino acid by the tables that are at hand, without loading the dictionary."""
    return bool(_biopython(name) or _state(name))


@lru_cache(maxsize=4096)
def _state(name: str) -> str:
    """Letter by the force fields; in Amber the ends of a chain have an N or a C before their names."""
    if name in STATES:
        return STATES[name]
    inner = name[1:] if len(name) == 4 and name[0] in "NC" else ""
    return STATES.get(inner, "") or (_biopython(inner) if inner else "")


def _biopython(name: str) -> str:
    from Bio.Data.PDBData import protein_letters_3to1_extended as letters

    found = str(letters.get(name, ""))
    return found if len(found) <= 1 else "X"


@lru_cache(maxsize=4096)
def _dictionary(name: str) -> str:
    """Letter by the Chemical Component Dictionary; "X" for peptide-linking components of several or no letters."""
    found = _biopython(name)
    if found or not name:
        return found
    from biotite.structure import info

    if "PEPTIDE" not in str(info.link_type(name) or "").upper():
        return ""
    found = str(info.one_letter_code(name) or "")
    return found if len(found) == 1 else "X"
