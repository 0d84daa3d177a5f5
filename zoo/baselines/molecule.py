"""Molecules: counts of circular environments, and with a protein beside them ridge regression on pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.baselines.base import BASELINES, Baseline, FeatureBaseline, Row, each_once
from zoo.errors import SpecError
from zoo.smiles import morgan_counts
from zoo.tasks.base import task_kind
from zoo.tasks.readout import Matrix

FINGERPRINT = 1024
"""Counts that the environments of a molecule are folded into."""
STRENGTHS = (0.03, 0.1, 0.3, 1.0)
"""Strengths of the ridge regression on pairs to choose from."""
HELD_OUT = 5
"""One of so many distinct partners, or molecules where there is no partner, is held out to choose the strength."""
Floats = npt.NDArray[np.float64]
Strings = npt.NDArray[np.object_]


def fingerprints(smiles: Sequence[str]) -> Matrix:
    """Sparse rows (N, FINGERPRINT) of log(1 + count) of Morgan fingerprints."""
    from scipy.sparse import csr_matrix

    return csr_matrix(np.log1p(np.stack([morgan_counts(s, FINGERPRINT) for s in smiles])))


@BASELINES.register
class FingerprintBaseline(FeatureBaseline):
    """Morgan fingerprints of radius 2 as log(1 + count), then a linear model."""

    modality_kinds = ("molecule",)
    citation = "Rogers and Hahn, Extended-connectivity fingerprints, J. Chem. Inf. Model. 50:742, 2010"

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N SMILES to sparse rows (N, FINGERPRINT)."""
        return each_once(values, fingerprints)


@BASELINES.register
class AffinityBaseline(Baseline):
    """Ridge regression on pairs of a molecule and a protein, by the product of their kernels (KronRLS).

    The kernel of two pairs is (1 + k(molecules)) (1 + k(proteins)): Tanimoto's coefficient of Morgan counts, and the
    cosine of the TF-IDF of words of 1 to 3 letters. The ones give either side an effect of its own. The system is
    solved by conjugate gradients, for which the kernel of all pairs is never written down. The strength of the ridge
    is the best on held-out proteins. Without a partner the kernel is that of the molecules.
    """

    modality_kinds = ("molecule",)
    partner_kinds = ("protein",)
    task_kinds = ("regression",)
    citation = "Pahikkala et al., Toward more realistic drug-target predictions, Brief. Bioinf. 16:325, 2015"
    _models: list[_PairRidge | None] | None = None

    def fit(self, inputs: Sequence[Row], target: Tensor) -> None:
        """Learn each target (N, 2, K) from the rows where it is known."""
        if not task_kind(self.task).learnable(target):
            raise SpecError(f"{type(self).__name__}: the {len(target)} targets of '{self.task.name}' are all alike")
        molecules, partners = self._read(inputs)
        value, seen = target[:, 0].double().numpy(), target[:, 1].numpy() > 0
        self._models = []
        for k in range(self.task.num_outputs):
            rows = np.flatnonzero(seen[:, k])
            given = molecules[rows], partners[rows], value[rows, k]
            self._models.append(_PairRidge(*given, strength=chosen_strength(*given)) if len(rows) else None)

    def _read(self, inputs: Sequence[Row]) -> tuple[Strings, Strings]:
        """The molecules (N,) and their partners (N,), "" without."""
        partners = self.values(inputs, self.partner) if self.partner else [""] * len(inputs)
        return np.asarray(self.values(inputs), dtype=object), np.asarray(partners, dtype=object)

    def predict(self, inputs: Sequence[Row]) -> Tensor:
        """Predict (N, K) values; 0 for a target that was never known."""
        if self._models is None:
            raise self.unfitted()
        if not inputs:
            return torch.zeros(0, self.task.num_outputs)
        molecules, partners = self._read(inputs)
        found = [m(molecules, partners) if m is not None else np.zeros(len(inputs)) for m in self._models]
        return torch.from_numpy(np.stack(found, 1)).float()


def chosen_strength(molecules: Strings, partners: Strings, values: Floats) -> float:
    """The strength that predicts held-out partners best, or molecules where there is one partner.

    Where there are too few to hold any out it is the greatest.

    Args:
        molecules: (N,) SMILES.
        partners: (N,) sequences.
        values: (N,) targets.
    """
    side = partners if len(set(partners)) > 1 else molecules
    distinct = sorted(set(side))
    if len(distinct) < HELD_OUT:
        return STRENGTHS[-1]
    out = np.isin(side, distinct[::HELD_OUT])
    errors = []
    for strength in STRENGTHS:
        model = _PairRidge(molecules[~out], partners[~out], values[~out], strength=strength)
        errors.append(float(np.square(model(molecules[out], partners[out]) - values[out]).mean()))
    return STRENGTHS[int(np.argmin(errors))]


class _PairRidge:
    """Ridge regression by the product of a kernel of molecules and one of proteins.

    Args:
        molecules: (N,) SMILES.
        partners: (N,) sequences; "" where a row has none.
        values: (N,) targets.
        strength: of the ridge.
    """

    def __init__(self, molecules: Strings, partners: Strings, values: Floats, *, strength: float) -> None:
        from scipy.sparse.linalg import LinearOperator, cg
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._smiles, m = np.unique(molecules, return_inverse=True)
        self._sequences, p = np.unique(partners, return_inverse=True)
        self._counts = np.stack([morgan_counts(s, FINGERPRINT) for s in self._smiles])
        self._words: Any = None
        if self._sequences.tolist() != [""]:
            self._words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False, sublinear_tf=True)
            self._profiles = self._words.fit_transform(self._sequences)
        left, right = self._molecule_kernel(self._smiles), self._partner_kernel(self._sequences)
        shape = (len(self._smiles), len(self._sequences))
        self._mean = float(values.mean())

        def product(weights: Floats) -> Floats:
            table = np.zeros(shape)
            np.add.at(table, (m, p), weights.ravel())
            out: Floats = (left @ table @ right.T)[m, p] + strength * weights.ravel()
            return out

        system = LinearOperator((len(values), len(values)), matvec=product, dtype=np.float64)
        weights, _ = cg(system, values - self._mean, rtol=1e-4, maxiter=300)
        self._table = np.zeros(shape)
        np.add.at(self._table, (m, p), weights)

    def _molecule_kernel(self, smiles: Strings) -> Floats:
        """1 + Tanimoto's coefficient (M, molecules of training) of counts."""
        counts = np.stack([morgan_counts(s, FINGERPRINT) for s in smiles])
        shared = np.stack([np.minimum(row, self._counts).sum(1) for row in counts])
        total = counts.sum(1)[:, None] + self._counts.sum(1) - shared
        return np.asarray(1 + shared / np.maximum(total, 1))

    def _partner_kernel(self, sequences: Strings) -> Floats:
        """1 + cosine (M, proteins of training) of words; 1 where there are no proteins."""
        if self._words is None:
            return np.ones((len(sequences), 1))
        return np.asarray(1 + (self._words.transform(sequences) @ self._profiles.T).toarray())

    def __call__(self, molecules: Strings, partners: Strings) -> Floats:
        """Predict (N,) values."""
        smiles, m = np.unique(molecules, return_inverse=True)
        sequences, p = np.unique(partners, return_inverse=True)
        found: Floats = self._molecule_kernel(smiles) @ self._table @ self._partner_kernel(sequences).T
        return self._mean + found[m, p]
