"""Promoter DNA of a virtual patient, and the activity that follows from its motifs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datamodules.phantom.latent import Patient
from zoo.errors import DataError, SpecError

LETTERS = "ACGT"
BOX_35 = "TTGACA"
"""Consensus of the -35 box."""
BOX_10 = "TATAAT"
"""Consensus of the -10 box: exact in a strong promoter, three letters off in a weak one."""
SPACER = 17
"""Letters between the boxes."""
UP_LENGTH = 20
"""Length of the UP element, which ends two letters before the -35 box (Ross et al. 1993)."""
MIN_LENGTH = 80
"""Shortest sequence that holds the promoter at every jitter."""

_CONSERVED_35 = (0.69, 0.79, 0.61, 0.56, 0.54, 0.54)
_CONSERVED_10 = (0.77, 0.76, 0.60, 0.61, 0.56, 0.82)
_SCALE = 0.6
_UP_KT = 3.5
_OFF_KT = 6.0
_SPACER_KT = {16: 1.0, 17: 0.0, 18: 1.0}
_NOISE = 0.15


def _log_odds(consensus: str, conserved: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Position weight matrix (6, 5) in nats against a uniform background; the last column is N."""
    table = np.zeros((len(consensus), 5))
    for i, (letter, share) in enumerate(zip(consensus, conserved, strict=True)):
        table[i, :4] = np.log((1.0 - share) / 3.0 / 0.25)
        table[i, LETTERS.index(letter)] = np.log(share / 0.25)
    return table


_PWM_35, _PWM_10 = _log_odds(BOX_35, _CONSERVED_35), _log_odds(BOX_10, _CONSERVED_10)


def _mutate(box: str, positions: npt.NDArray[np.intp], generator: np.random.Generator) -> str:
    """Replace the letters at ``positions`` by other ones."""
    letters = list(box)
    for i in positions:
        others = [c for c in LETTERS if c != box[i]]
        letters[i] = others[int(generator.integers(3))]
    return "".join(letters)


def render_dna(patient: Patient, length: int = 100) -> str:
    """Return promoter DNA of ``length`` letters A, C, G and T.

    A random background holds a -35 box (each letter off with probability 0.08), 17 letters, and a -10 box:
    TATAAT if ``patient.promoter``, else three letters off it. With ``patient.upstream`` the twenty letters
    before are nine tenths A or T (UP element). The whole promoter shifts by up to four letters. An exact
    TATAAT occurs nowhere else, so the promoter class can be read without error.

    Raises:
        SpecError: ``length`` is below 80.
    """
    if length < MIN_LENGTH:
        raise SpecError(f"render_dna: length must be at least {MIN_LENGTH}, got {length}")
    g = patient.generator("dna")
    letters = [LETTERS[i] for i in g.integers(4, size=length)]
    start = length - 52 + int(g.integers(-4, 5))
    if patient.upstream:
        begin = start - 2 - UP_LENGTH
        letters[begin : begin + UP_LENGTH] = ["ATCG"[i] for i in g.choice(4, UP_LENGTH, p=(0.45, 0.45, 0.05, 0.05))]
    box_35 = _mutate(BOX_35, np.flatnonzero(g.uniform(size=6) < 0.08), g)
    box_10 = BOX_10 if patient.promoter else _mutate(BOX_10, g.permutation(6)[:3], g)
    at_10 = start + 6 + SPACER
    letters[start : start + 6] = box_35
    letters[at_10 : at_10 + 6] = box_10
    dna = "".join(letters)
    where = dna.find(BOX_10)
    while where >= 0:  # break accidental copies, never a letter of the -10 box itself
        if where != at_10:
            i = next(j for j in range(where, where + 6) if not at_10 <= j < at_10 + 6)
            dna = dna[:i] + "GC"[int(g.integers(2))] + dna[i + 1 :]
        where = dna.find(BOX_10, where + 1)
    return dna


def occupancy(dna: str) -> float:
    """Probability in (0, 1) that the polymerase sits on ``dna``, summed over all sites.

    The weight of a site is exp(0.6 (S35 + S10) + UP - spacer - 6) in units of kT, with log-odds scores S of
    the position weight matrices (letter frequencies: Lisser and Margalit 1993), UP = 3.5 times the excess of
    A and T over one half in the twenty letters before (N counts as one half), and 1 kT for a spacer of 16 or
    18 instead of 17. The occupancy is Z / (1 + Z) for the summed weight Z (Berg and von Hippel 1987).

    Raises:
        DataError: a letter is not one of A, C, G, T, N, or the sequence is shorter than one site.
    """
    codes = np.array(["ACGTN".find(c) for c in dna], dtype=np.int64)
    if (codes < 0).any():
        i = int(np.flatnonzero(codes < 0)[0])
        raise DataError(f"promoter DNA: the letter {dna[i]!r} at position {i} is not one of A, C, G, T, N")
    shortest = 2 * 6 + max(_SPACER_KT)
    if len(dna) < shortest:
        raise DataError(f"promoter DNA: {len(dna)} letters are too short for a site of {shortest}")
    windows = np.lib.stride_tricks.sliding_window_view(codes, 6)
    score_35 = _PWM_35[np.arange(6), windows].sum(axis=1)
    score_10 = _PWM_10[np.arange(6), windows].sum(axis=1)
    share = np.array([0.5, -0.5, -0.5, 0.5, 0.0])[codes]
    rich = np.concatenate([[0.0], np.cumsum(share)])
    total = 0.0
    for spacer, cost in _SPACER_KT.items():
        sites = np.arange(len(dna) - 2 * 6 - spacer + 1)
        end = np.maximum(sites - 2, 0)
        up = (rich[end] - rich[np.maximum(end - UP_LENGTH, 0)]) / UP_LENGTH
        energy = _SCALE * (score_35[sites] + score_10[sites + 6 + spacer]) + _UP_KT * up - cost - _OFF_KT
        total += float(np.exp(energy).sum())
    return total / (1.0 + total)


def expression(patient: Patient, dna: str) -> float:
    """Return the measured log activity of the promoter: ln occupancy plus noise of 0.15.

    The patient contributes the measurement noise only; everything else is in ``dna``.
    """
    return float(np.log(occupancy(dna)) + patient.generator("expression").normal(0.0, _NOISE))
