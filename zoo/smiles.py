"""Molecules as SMILES: the vocabulary of their tokens, canonical form and fingerprints, all read by RDKit.

SMILES: Weininger, J. Chem. Inf. Comput. Sci. 28:31, 1988. RDKit (the extra "molecules") is imported where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, MissingExtraError

Codes = npt.NDArray[np.int64]

SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr "
    "Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W "
    "Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt "
    "Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
"""Chemical symbols by atomic number."""
ELEMENTS = tuple(SYMBOLS.split())
AROMATIC = ("b", "c", "n", "o", "p", "s", "as", "se", "si", "te")
"""Symbols of aromatic atoms."""
SHAPES = ("TH", "AL", "SP", "TB", "OH")
"""Names of chirality behind an @."""
MASK = "*"
"""The token of an atom that is not told."""
VOCABULARY = (
    "", *ELEMENTS, *AROMATIC, *SHAPES, *"0123456789", *"[]().=#$:/\\-+%@~", MASK, "->", "<-",
)  # fmt: skip
"""Tokens by code; the code 0 is padding. It covers every SMILES, since what stands in brackets is cut up."""
RADIUS = 2
"""Bonds from its centre to which an environment of a Morgan fingerprint reaches (ECFP4: Rogers and Hahn 2010)."""

_CODE = {token: code for code, token in enumerate(VOCABULARY) if token}
_OUTSIDE = re.compile(r"Br|Cl|->|<-|[BCNOPSFIbcnops*0-9().=#$:/\\\-%~]")
_INSIDE = re.compile(r"(?<=@)(?:TH|AL|SP|TB|OH)|as|se|si|te|[A-Z][a-z]?|[bcnops*0-9@+\-:]")
_ATOM = re.compile(r"\[[^\[\]]*\]|Br|Cl|[BCNOPSFIbcnops*]")


@cache
def rdkit_modules() -> tuple[Any, Any, Any]:
    """Import the modules Chem, rdBase and rdFingerprintGenerator of RDKit.

    Raises:
        MissingExtraError: RDKit is not installed.
    """
    try:
        names = ("rdkit.Chem", "rdkit.rdBase", "rdkit.Chem.rdFingerprintGenerator")
        chem, base, generator = (import_module(name) for name in names)
    except ImportError as error:
        raise MissingExtraError("rdkit", "molecules") from error
    return chem, base, generator


def smiles_tokens(smiles: str) -> list[str]:
    """Cut a SMILES into tokens: atoms, bonds, branches and ring numbers, and the parts of what stands in brackets.

    Raises:
        DataError: a character that no SMILES holds, an element that does not exist, or a bracket that is not closed.

    >>> smiles_tokens("BrCc1c[nH]c1[C@@H](N)[O-]")[:8]
    ['Br', 'C', 'c', '1', 'c', '[', 'n', 'H']
    >>> "".join(smiles_tokens("[13CH3][Se]%12")), smiles_tokens("[Sc]C")
    ('[13CH3][Se]%12', ['[', 'Sc', ']', 'C'])
    """
    found: list[str] = []
    place = 0
    inside = False
    while place < len(smiles):
        if smiles[place] in "[]" and (smiles[place] == "]") == inside:
            token, inside = smiles[place], not inside
        else:
            match = (_INSIDE if inside else _OUTSIDE).match(smiles, place)
            token = match[0] if match else ""
            if inside and token and token not in _CODE:  # such as "Cs" of an unknown symbol: the first letter alone
                token = token[0] if token[0] in _CODE else ""
        if not token:
            raise DataError(
                f"SMILES {smiles!r}: {smiles[place]!r} at position {place} begins no token; write the molecule as "
                "SMILES, such as 'CC(=O)O'"
            )
        found.append(token)
        place += len(token)
    if inside:
        raise DataError(f"SMILES {smiles!r}: its last bracket is not closed; add ']'")
    return found


def encode_smiles(smiles: str) -> Codes:
    """Map a SMILES to the (L,) codes of its tokens.

    Raises:
        DataError: see ``smiles_tokens``.
    """
    return np.array([_CODE[token] for token in smiles_tokens(smiles)], dtype=np.int64)


def decode_smiles(codes: Iterable[Any]) -> str:
    """Map codes of tokens (L,) back to the SMILES, without the padding.

    Raises:
        DataError: a code is outside the vocabulary.

    >>> decode_smiles([*encode_smiles("C[C@H](N)Cl"), 0, 0])
    'C[C@H](N)Cl'
    """
    values = [int(c) for c in codes]
    if any(c < 0 or c >= len(VOCABULARY) for c in values):
        raise DataError(f"codes of SMILES tokens lie in 0..{len(VOCABULARY) - 1}, got {sorted(set(values))}")
    return "".join(VOCABULARY[c] for c in values)


def read_molecule(smiles: Any) -> Any:
    """Read a SMILES as a molecule of RDKit.

    Raises:
        DataError: it is not a string, empty, or no molecule: wrong syntax, valence or aromaticity.
        MissingExtraError: RDKit is not installed.
    """
    chem, base, _ = rdkit_modules()
    if not isinstance(smiles, str) or not smiles.strip():
        raise DataError(f"a molecule must be a SMILES string, got {smiles!r}; drop the row or fill it in")
    with base.BlockLogs():
        molecule = chem.MolFromSmiles(smiles.strip())
        if molecule is not None and molecule.GetNumAtoms():
            return molecule
        loose = chem.MolFromSmiles(smiles.strip(), sanitize=False)
        problems = [] if loose is None else [p.Message() for p in chem.DetectChemistryProblems(loose)]
    why = "; ".join(" ".join(p.split()) for p in problems) or "its syntax is wrong"
    raise DataError(f"{smiles!r} is not a molecule that RDKit reads: {why}; mend the SMILES or drop the row")


def canonical_smiles(smiles: str, *, stereo: bool = True) -> str:
    """The canonical SMILES of RDKit, with or without stereochemistry.

    Raises:
        DataError: see ``read_molecule``.
    """
    return str(rdkit_modules()[0].MolToSmiles(read_molecule(smiles), isomericSmiles=stereo))


def random_smiles(smiles: str, seed: int) -> str:
    """Another SMILES of the same molecule: from a random atom, along random branches.

    Raises:
        DataError: see ``read_molecule``.
    """
    return str(rdkit_modules()[0].MolToRandomSmilesVect(read_molecule(smiles), 1, randomSeed=seed)[0])


def mask_atoms(smiles: str, masked: Iterable[int]) -> str:
    """Replace atoms by the wildcard ``*``, with what stands in their brackets.

    Args:
        smiles: of the molecule.
        masked: numbers of the atoms, in the order in which the SMILES names them.

    >>> mask_atoms("C[C@H](N)Cl", [1, 3])
    'C*(N)*'
    """
    chosen = set(masked)
    number = iter(range(len(smiles)))
    return _ATOM.sub(lambda atom: MASK if next(number) in chosen else atom[0], smiles)


def count_atoms(smiles: str) -> int:
    """How many atoms a SMILES names; hydrogens without brackets are not named.

    >>> count_atoms("C[C@H](N)Cl")
    4
    """
    return len(_ATOM.findall(smiles))


@cache
def _generator(size: int) -> Any:
    return rdkit_modules()[2].GetMorganGenerator(radius=RADIUS, fpSize=size)


def morgan_counts(smiles: str, size: int) -> Codes:
    """Count the circular environments of a molecule: its Morgan fingerprint (size,), folded.

    A molecule with masked atoms may have aromatic rings that cannot be told; it is then taken as it is written.

    Args:
        smiles: of the molecule; it may hold wildcards.
        size: number of counts.

    Raises:
        DataError: the syntax of the SMILES is wrong.
    """
    chem, base, _ = rdkit_modules()
    with base.BlockLogs():
        molecule = chem.MolFromSmiles(smiles)
        if molecule is None and MASK in smiles:
            molecule = chem.MolFromSmiles(smiles, sanitize=False)
            if molecule is not None:
                molecule.UpdatePropertyCache(strict=False)
                chem.FastFindRings(molecule)
    if molecule is None:
        molecule = read_molecule(smiles)
    return np.asarray(_generator(size).GetCountFingerprintAsNumPy(molecule), dtype=np.int64)
