"""Small proteins: a sequence, and the C-alpha trace that follows from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datamodules.phantom.latent import Patient

ARCHITECTURES = ("all-alpha", "all-beta", "alpha-beta", "long helix")
"""Helix hairpin, three-stranded meander, helix with beta hairpin, single helix; equally likely."""
CA_DISTANCE = 3.8
"""Distance between neighbouring C-alpha atoms in angstrom (trans peptide)."""
LENGTHS = (24, 48)
"""Shortest and longest sequence."""

HELIX, STRAND = (91.0, 50.0), (122.0, -168.0)
"""Virtual bond angle at a residue, and torsion of the bond after it, in degrees (Levitt 1976)."""
_HELIX_LETTERS = dict(zip("AELKMQR", (0.22, 0.16, 0.18, 0.16, 0.10, 0.09, 0.09), strict=True))
_STRAND_LETTERS = dict(zip("VIYFTW", (0.28, 0.22, 0.15, 0.12, 0.15, 0.08), strict=True))
_LOOP = {"S": (120.4, 178.2), "P": (111.1, 102.1), "D": (105.7, -129.1)}
_TURN = {"N": (89.3, -40.7), "G": (103.5, 65.5), "H": (120.9, -90.3)}
_SWAP = 0.05
_ANGLE_SD, _TORSION_SD = 0.75, 1.5
_CLASH = 3.8
_DAMPING = (1.0, 1.0, 1.0, 0.5, 0.5, 0.25)

Segment = tuple[str, int]


def _segments(generator: np.random.Generator) -> list[Segment]:
    """Draw an architecture: (kind, length) along the chain; h helix, e strand, l loop, t turn."""

    def between(low: int, high: int) -> int:
        return int(generator.integers(low, high + 1))

    kind = ARCHITECTURES[int(generator.integers(len(ARCHITECTURES)))]
    if kind == "all-alpha":
        return [("h", between(11, 18)), ("l", 3), ("h", between(11, 18))]
    if kind == "all-beta":  # the middle strand is odd: the outer two then lie on opposite sides of it
        middle = 7 + 2 * between(0, 1)
        return [("e", between(6, 9)), ("t", 3), ("e", middle), ("t", 3), ("e", between(6, 9))]
    if kind == "alpha-beta":
        strand = between(6, 9)
        return [("h", between(12, 18)), ("l", 3), ("e", strand), ("t", 3), ("e", strand)]
    return [("h", between(24, 38))]


def _draw_letters(table: dict[str, float], other: dict[str, float], n: int, g: np.random.Generator) -> list[str]:
    """Draw ``n`` residues by propensity; one in twenty comes from the other kind of segment."""
    own = g.choice(list(table), n, p=list(table.values()))
    alien = g.choice(list(other), n, p=list(other.values()))
    return [str(c) for c in np.where(g.uniform(size=n) < _SWAP, alien, own)]


def trace(angles: npt.NDArray[np.float64], torsions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Place C-alpha atoms 3.8 angstrom apart (natural extension of a local frame; Parsons et al. 2005).

    Args:
        angles: (L,) degrees; entry i is the angle at atom i. The first and last are not used.
        torsions: (L,) degrees; entry i is the torsion of atoms i-1, i, i+1, i+2. The first and the last two
            are not used.

    Returns:
        (L, 3) in angstrom, first atom at the origin.
    """
    bend, turn = np.pi - np.radians(angles), np.radians(torsions)
    cos_b, sin_b, cos_t, sin_t = np.cos(bend), np.sin(bend), np.cos(turn), np.sin(turn)
    frame = np.eye(3)
    steps = np.zeros((len(angles), 3))
    for i in range(1, len(angles)):
        steps[i] = frame[:, 0]
        c, s = cos_t[i - 1], sin_t[i - 1]
        if i == 1:
            c, s = 1.0, 0.0  # no torsion before the first bond
        twist = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
        fold = np.array([[cos_b[i], -sin_b[i], 0.0], [sin_b[i], cos_b[i], 0.0], [0.0, 0.0, 1.0]])
        frame = frame @ twist @ fold
    return np.asarray(np.cumsum(CA_DISTANCE * steps, axis=0))


def closest(atoms: npt.NDArray[np.float64]) -> float:
    """Return the smallest distance in angstrom between atoms of (L, 3) three or more places apart."""
    gaps = np.linalg.norm(atoms[:, None] - atoms[None], axis=-1)
    return float(gaps[np.triu_indices(len(atoms), 3)].min())


def _fold(ideal: npt.NDArray[np.float64], g: np.random.Generator) -> npt.NDArray[np.float64]:
    """Trace (L, 2) ideal angles and torsions with noise; noise that makes atoms clash is drawn again, smaller."""
    for damping in _DAMPING:
        angles, torsions = (ideal + damping * g.normal(size=ideal.shape) * (_ANGLE_SD, _TORSION_SD)).T
        atoms = trace(angles, torsions)
        if closest(atoms) >= _CLASH:
            return atoms
    return trace(ideal[:, 0], ideal[:, 1])  # every ideal fold is free of clashes


def render_protein(patient: Patient) -> tuple[str, npt.NDArray[np.float32]]:
    """Return a sequence of 24 to 48 residues and its (L, 3) C-alpha coordinates in angstrom, centred.

    Segments of helix, strand, loop and turn are drawn first, then residues by their propensity for the
    segment. Angles and torsions are those of the segment (each residue of a loop or turn has its own) plus
    noise of 0.75 and 1.5 degrees, so the fold follows from the sequence read locally. Atoms three or more
    places apart are at least 3.8 angstrom apart. It says nothing about any other factor of the patient.
    """
    g = patient.generator("protein")
    letters: list[str] = []
    geometry: list[tuple[float, float]] = []
    for kind, n in _segments(g):
        if kind in "lt":
            table = _LOOP if kind == "l" else _TURN
            letters += list(table)
            geometry += list(table.values())
        elif kind == "h":
            letters += _draw_letters(_HELIX_LETTERS, _STRAND_LETTERS, n, g)
            geometry += [HELIX] * n
        else:
            letters += _draw_letters(_STRAND_LETTERS, _HELIX_LETTERS, n, g)
            geometry += [STRAND] * n
    atoms = _fold(np.array(geometry), g)
    return "".join(letters), (atoms - atoms.mean(axis=0)).astype(np.float32)
