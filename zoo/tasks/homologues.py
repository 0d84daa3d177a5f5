"""Known chains that are like a sequence, and their coordinates laid along it (homology modelling)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.contract import AMINO_ACIDS
from zoo.tasks.chains import BOND

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
GAP_OPEN, GAP_EXTEND = -11.0, -1.0
"""Costs of a gap that go with BLOSUM62, as in BLAST."""
ALIGNED = 50
"""Known chains that are aligned to a sequence at most, the most similar ones by shared triples of residues."""


def clean(sequence: str) -> str:
    """Replace letters that are no standard amino acid by X.

    >>> clean("AUB*C")
    'AXXXC'
    """
    return "".join(letter if letter in AMINO_ACIDS else "X" for letter in sequence)


def make_aligner() -> Any:
    """Aligner of Needleman and Wunsch (1970) with BLOSUM62 and affine gaps, from Biopython."""
    from Bio.Align import PairwiseAligner, substitution_matrices

    make: Any = PairwiseAligner
    load: Any = substitution_matrices.load
    aligner = make(mode="global", substitution_matrix=load("BLOSUM62"))
    aligner.open_gap_score, aligner.extend_gap_score = GAP_OPEN, GAP_EXTEND
    return aligner


def fill_chain(xyz: Floats, known: Flags) -> Floats:
    """Fill in residues of a chain (L, 3) that are not ``known``.

    Between two known residues by a straight line; beyond the first and the last in steps of BOND, straight on in
    the direction of the last few known residues.

    >>> fill_chain(np.array([[0.0, 0, 0], [9, 9, 9], [2.0, 0, 0], [9, 9, 9]]), np.array([1, 0, 1, 0], bool))[:, 0]
    array([0. , 1. , 2. , 5.8])
    """
    where, index = np.flatnonzero(known), np.arange(len(xyz))
    out = np.stack([np.interp(index, where, xyz[where, k]) for k in range(3)], -1)
    first, last = int(where[0]), int(where[-1])
    ahead = _direction(xyz[where[max(len(where) - 4, 0)]], xyz[last])
    behind = _direction(xyz[where[min(3, len(where) - 1)]], xyz[first])
    out[last + 1 :] = xyz[last] + BOND * np.arange(1, len(xyz) - last)[:, None] * ahead
    out[:first] = xyz[first] + BOND * np.arange(first, 0, -1)[:, None] * behind
    return out


def _direction(start: Floats, end: Floats) -> Floats:
    """Unit vector from ``start`` to ``end``; along x where they are one point."""
    span = end - start
    size = float(np.linalg.norm(span))
    unit: Floats = span / size if size > 1e-6 else np.array([1.0, 0.0, 0.0])
    return unit


@dataclass(frozen=True)
class Homologue:
    """A known chain laid along a sequence of L residues.

    Attributes:
        score: of the alignment, in units of BLOSUM62.
        xyz: (L, 3) coordinates of the aligned residues in angstrom, 0 elsewhere.
        known: (L,) residues that have one.
        same: (L,) residues whose partner is of the same kind.
    """

    score: float
    xyz: Floats
    known: Flags
    same: Flags


class Homologues:
    """Known chains to look sequences up in.

    Args:
        sequences: of the chains, cleaned; those of fewer than three residues, or without a resolved one, are left
            out.
        chains: (n, 4) of each: x, y, z in angstrom, and 1 where resolved; padded, or as long as its sequence.
    """

    def __init__(self, sequences: Sequence[str], chains: Sequence[Floats]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        keep = [i for i, c in enumerate(chains) if (c[:, 3] > 0).any() and len(sequences[i]) >= 3]
        self.sequences = [sequences[i] for i in keep]
        self.chains = [chains[i] for i in keep]
        self._aligner = make_aligner()
        self._search = TfidfVectorizer(analyzer="char", ngram_range=(3, 3), lowercase=False)
        self._index = self._search.fit_transform(self.sequences) if keep else None

    def self_score(self, sequence: str) -> float:
        """The score of a cleaned sequence aligned to itself."""
        return float(self._aligner.score(sequence, sequence))

    def nearest(self, sequence: str, count: int, other: bool = False) -> list[Homologue]:
        """The chains whose global alignment to a cleaned sequence scores best, the best first.

        Those with which it shares fewer than two resolved residues are passed over.

        Args:
            sequence: to be modelled.
            count: how many at most.
            other: pass over chains of this very sequence.
        """
        if self._index is None or not sequence:
            return []
        likeness = (self._index @ self._search.transform([sequence]).T).toarray()[:, 0]
        near = [i for i in np.argsort(-likeness, kind="stable") if not other or self.sequences[i] != sequence]
        scores = np.array([self._aligner.score(sequence, self.sequences[i]) for i in near[:ALIGNED]])
        found: list[Homologue] = []
        for place in np.argsort(-scores, kind="stable"):
            if len(found) == count:
                break
            laid = self._lay(sequence, int(near[place]), float(scores[place]))
            found += [laid] if laid.known.sum() >= 2 else []
        return found

    def _lay(self, sequence: str, chain: int, score: float) -> Homologue:
        pairs = self._aligner.align(sequence, self.sequences[chain])[0].indices
        mine, theirs = pairs[:, (pairs >= 0).all(0)]
        resolved = self.chains[chain][theirs, 3] > 0
        xyz, known = np.zeros((len(sequence), 3)), np.zeros(len(sequence), dtype=bool)
        xyz[mine[resolved]], known[mine[resolved]] = self.chains[chain][theirs[resolved], :3], True
        same = np.zeros(len(sequence), dtype=bool)
        same[mine] = [sequence[i] == self.sequences[chain][j] for i, j in zip(mine, theirs, strict=True)]
        return Homologue(score, xyz, known, same)
