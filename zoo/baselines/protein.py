"""Proteins: structure by the nearest homologue, classes of residues by a sliding window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.baselines.base import BASELINES, Baseline, Row
from zoo.baselines.sequences import letter_codes
from zoo.contract import AMINO_ACIDS
from zoo.errors import SpecError
from zoo.tasks.base import task_kind
from zoo.tasks.homologues import Homologues, clean, fill_chain
from zoo.tasks.readout import Readout, fit_classes
from zoo.thinning import thinned

HALF = 7
"""Residues on each side of the one that ResidueWindowBaseline classifies."""
POSITIONS = 100_000
"""Positions that ResidueWindowBaseline learns from at most, evenly spaced."""


@BASELINES.register
class HomologueBaseline(Baseline):
    """Copy the coordinates of the training chain whose global alignment to the query scores best.

    Aligned residues get the C-alpha atom of their partner, all others what ``fill_chain`` gives. A query that
    shares no resolved position with any training chain gets the medoid (Structure.constant).
    """

    modality_kinds = ("protein",)
    task_kinds = ("structure",)
    citation = "Chothia and Lesk, EMBO J. 5:823, 1986; Henikoff and Henikoff, PNAS 89:10915, 1992 (BLOSUM62)"
    _known: Homologues | None = None
    _fallback: Tensor

    @classmethod
    def available(cls) -> bool:
        """Whether Biopython is installed; it is a dependency of the zoo."""
        return True

    def fit(self, inputs: Sequence[Row], target: Tensor) -> None:
        """Keep the chains (N, L, 4) that have resolved residues, and index their triples of residues."""
        if not task_kind(self.task).learnable(target):
            raise SpecError(f"{type(self).__name__}: no chain of task '{self.task.name}' has resolved residues")
        self._known = Homologues([self._cut(v) for v in self.values(inputs)], list(target.double().numpy()))
        self._fallback = task_kind(self.task).constant(target, 1)[0]

    def _cut(self, value: Any) -> str:
        return clean(value)[: self.task.num_outputs]

    def predict(self, inputs: Sequence[Row]) -> Tensor:
        """Coordinates (N, L, 3) in angstrom, each row in the frame of its template."""
        if self._known is None:
            raise self.unfitted()
        rows = [self._model(self._known, self._cut(v)) for v in self.values(inputs)]
        return torch.stack(rows) if rows else torch.zeros(0, self.task.num_outputs, 3)

    def _model(self, known: Homologues, sequence: str) -> Tensor:
        out: Tensor = self._fallback.clone()
        for best in known.nearest(sequence, 1):
            out[: len(sequence)] = torch.from_numpy(fill_chain(best.xyz, best.known)).float()
        return out


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
        if not task_kind(self.task).learnable(target):
            raise SpecError(f"{type(self).__name__}: the residues of task '{self.task.name}' are of one class")
        sequences = self._cut(inputs)
        labels = np.concatenate([row[: len(s)] for row, s in zip(target.numpy(), sequences, strict=True)])
        known = thinned(np.flatnonzero(labels >= 0), POSITIONS)
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
