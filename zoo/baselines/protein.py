"""Proteins: structure by the nearest homologue, classes of residues by a sliding window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.baselines.base import BASELINES, Baseline, Row, learnable
from zoo.baselines.readout import Readout, fit_classes
from zoo.baselines.sequences import letter_codes
from zoo.contract import AMINO_ACIDS, TaskSpec
from zoo.errors import SpecError
from zoo.tasks.base import task_kind
from zoo.tasks.structure import BOND

Floats = npt.NDArray[np.float64]
GAP_OPEN, GAP_EXTEND = -11.0, -1.0
"""Costs of a gap that go with BLOSUM62, as in BLAST."""
TEMPLATES = 50
"""Training chains that are aligned to a query at most, the most similar ones by shared triples of residues."""
HALF = 7
"""Residues on each side of the one that ResidueWindowBaseline classifies."""
POSITIONS = 100_000
"""Positions that ResidueWindowBaseline learns from at most, evenly spaced."""


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


def fill_chain(xyz: Floats, known: npt.NDArray[np.bool_]) -> Floats:
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


@BASELINES.register
class HomologueBaseline(Baseline):
    """Copy the coordinates of the training chain whose global alignment to the query scores best.

    Aligned residues get the C-alpha atom of their partner, all others what ``fill_chain`` gives. A query that
    shares no resolved position with any training chain gets the medoid (Structure.constant).
    """

    modality_kinds = ("protein",)
    task_kinds = ("structure",)
    citation = "Chothia and Lesk, EMBO J. 5:823, 1986; Henikoff and Henikoff, PNAS 89:10915, 1992 (BLOSUM62)"
    _search: Any = None

    def __init__(self, task: TaskSpec, modality: str, seed: int = 0, sampling_rate: float = 0.0) -> None:
        super().__init__(task, modality, seed, sampling_rate)
        self._sequences: list[str] = []
        self._chains: list[Floats] = []
        self._fallback = torch.zeros(task.num_outputs, 3)

    @classmethod
    def available(cls) -> bool:
        """Whether Biopython is installed; it is a dependency of the zoo."""
        return True

    def fit(self, inputs: Sequence[Row], target: Tensor) -> None:
        """Keep the chains (N, L, 4) that have resolved residues, and index their triples of residues."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        if not learnable(self.task, target):
            raise SpecError(f"{type(self).__name__}: no chain of task '{self.task.name}' has resolved residues")
        sequences = [clean(v)[: self.task.num_outputs] for v in self.values(inputs)]
        keep = [i for i in range(len(target)) if bool((target[i, :, 3] > 0).any()) and len(sequences[i]) >= 3]
        self._sequences = [sequences[i] for i in keep]
        self._chains = [target[i].double().numpy() for i in keep]
        self._fallback = task_kind(self.task).constant(target, 1)[0]
        self._aligner = make_aligner()
        self._search = TfidfVectorizer(analyzer="char", ngram_range=(3, 3), lowercase=False)
        self._index = self._search.fit_transform(self._sequences)

    def predict(self, inputs: Sequence[Row]) -> Tensor:
        """Coordinates (N, L, 3) in angstrom, each row in the frame of its template."""
        if self._search is None:
            raise self.unfitted()
        rows = [self._model(clean(v)[: self.task.num_outputs]) for v in self.values(inputs)]
        return torch.stack(rows) if rows else torch.zeros(0, self.task.num_outputs, 3)

    def _model(self, sequence: str) -> Tensor:
        if not sequence:
            return self._fallback
        likeness = (self._index @ self._search.transform([sequence]).T).toarray()[:, 0]
        near = np.argsort(-likeness, kind="stable")[:TEMPLATES]
        scores = np.array([self._aligner.score(sequence, self._sequences[i]) for i in near])
        for best in np.argsort(-scores, kind="stable"):
            template = int(near[best])
            pairs = self._aligner.align(sequence, self._sequences[template])[0].indices
            both = pairs[:, (pairs >= 0).all(0)]
            both = both[:, self._chains[template][both[1], 3] > 0]
            if both.shape[1] < 2:
                continue
            xyz, known = np.zeros((len(sequence), 3)), np.zeros(len(sequence), dtype=bool)
            xyz[both[0]], known[both[0]] = self._chains[template][both[1], :3], True
            out = self._fallback.clone()
            out[: len(sequence)] = torch.from_numpy(fill_chain(xyz, known)).float()
            return out
        return self._fallback


@BASELINES.register
class ResidueWindowBaseline(Baseline):
    """One-hot residues of a window of 2 HALF + 1, then logistic regression for each position."""

    modality_kinds = ("protein",)
    task_kinds = ("token_classification",)
    citation = "Qian and Sejnowski, Predicting the secondary structure of globular proteins, J. Mol. Biol. 202, 1988"
    _readout: Readout | None = None

    def _windows(self, sequences: Sequence[str]) -> Any:
        """Sparse (positions, window x letters): for all residues of all sequences, one after the other."""
        from scipy.sparse import csr_matrix

        letters, width = len(AMINO_ACIDS) + 1, 2 * HALF + 1
        parts = [np.zeros((0, width), dtype=np.int64)]
        for sequence in sequences:
            codes = np.pad(letter_codes(sequence, AMINO_ACIDS), HALF, constant_values=letters - 1)
            parts.append(np.lib.stride_tricks.sliding_window_view(codes, width) if sequence else parts[0])
        columns = np.concatenate(parts) + letters * np.arange(width)
        starts = np.arange(len(columns) + 1) * width
        return csr_matrix((np.ones(columns.size), columns.ravel(), starts), shape=(len(columns), width * letters))

    def _cut(self, inputs: Sequence[Row]) -> list[str]:
        return [str(v)[: self.task.length] for v in self.values(inputs)]

    def fit(self, inputs: Sequence[Row], target: Tensor) -> None:
        """Learn from the positions whose class (N, L) is known."""
        if not learnable(self.task, target):
            raise SpecError(f"{type(self).__name__}: the residues of task '{self.task.name}' are of one class")
        sequences = self._cut(inputs)
        labels = np.concatenate([row[: len(s)] for row, s in zip(target.numpy(), sequences, strict=True)])
        known = np.flatnonzero(labels >= 0)
        if len(known) > POSITIONS:
            known = known[np.linspace(0, len(known) - 1, POSITIONS).round().astype(np.int64)]
        features = self._windows(sequences)[known]
        self._readout = fit_classes(features, labels[known], self.task.num_outputs, seed=self.seed, strengths=(0.1,))

    def predict(self, inputs: Sequence[Row]) -> Tensor:
        """Probabilities (N, L, K); equal ones behind the end of a chain."""
        if self._readout is None:
            raise self.unfitted()
        sequences, classes = self._cut(inputs), self.task.num_outputs
        out = torch.full((len(sequences), self.task.length, classes), 1.0 / classes)
        found = torch.from_numpy(self._readout(self._windows(sequences))).float()
        for row, part in enumerate(torch.split(found, [len(s) for s in sequences])):
            out[row, : len(part)] = part
        return out
