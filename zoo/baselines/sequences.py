"""Sequences: counts of k-mers (DNA and protein), and the letter at each position (DNA)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.baselines.base import BASELINES, FeatureBaseline, each_once
from zoo.contract import NUCLEOTIDES
from zoo.tasks.readout import Matrix

LONGEST = 2000
"""Positions that DNAPositionBaseline reads at most."""


class KmerBaseline(FeatureBaseline):
    """TF-IDF of k-mers of several lengths, then a linear model.

    A sequence that stands in several rows is one document, and is cut once.
    """

    strengths = (1.0, 10.0, 100.0)
    lengths: tuple[int, int] = (1, 4)
    """Shortest and longest k."""
    _vectoriser: Any = None

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N sequences to sparse rows of unit length, (N, number of k-mers seen in training)."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        if target is not None:
            self._vectoriser = TfidfVectorizer(
                analyzer="char", ngram_range=self.lengths, lowercase=False, sublinear_tf=True
            )
            self._vectoriser.fit(sorted(set(values)))
        return each_once(values, self._vectoriser.transform)


@BASELINES.register
class DNAKmerBaseline(KmerBaseline):
    """TF-IDF of DNA k-mers, k = 1 to 5, then a linear model."""

    modality_kinds = ("dna",)
    lengths = (1, 5)
    citation = "Leslie, Eskin and Noble, The spectrum kernel, PSB 2002; Ghandi et al., gkm-SVM, PLoS CB 10, 2014"


@BASELINES.register
class PeptideKmerBaseline(KmerBaseline):
    """TF-IDF of protein k-mers, k = 1 to 3 (composition, pairs and triples), then a linear model."""

    modality_kinds = ("protein",)
    lengths = (1, 3)
    citation = "Leslie, Eskin and Noble, The spectrum kernel, PSB 2002"


@BASELINES.register
class DNAPositionBaseline(FeatureBaseline):
    """One-hot letters at each position, counted from the start, then a linear model."""

    modality_kinds = ("dna",)
    strengths = (0.01, 0.1, 1.0)
    citation = "Staden, Computer methods to locate signals in nucleic acid sequences, NAR 12:505, 1984"
    length: int = 0

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N sequences to sparse (N, 5 L) of 0 and 1, with L the longest in training, at most LONGEST."""
        if target is not None:
            self.length = min(max(len(v) for v in values), LONGEST)
        return one_hot(values, NUCLEOTIDES, self.length)


def one_hot(sequences: Sequence[str], alphabet: str, length: int) -> Matrix:
    """Sparse (N, length x letters) of 0 and 1; a letter outside ``alphabet`` counts as its last letter (unknown).

    Args:
        sequences: N strings.
        alphabet: letters that have a column of their own, the last for unknown ones.
        length: positions that are read.

    >>> one_hot(["AC", "G"], "ACGTN", 2).toarray().tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    from scipy.sparse import csr_matrix

    codes = [letter_codes(s[:length], alphabet) for s in sequences]
    starts = np.concatenate([[0], np.cumsum([len(c) for c in codes])])
    columns = [np.arange(len(c)) * len(alphabet) + c for c in codes]
    flat = np.concatenate(columns) if columns else np.zeros(0, dtype=np.int64)
    return csr_matrix((np.ones(len(flat)), flat, starts), shape=(len(codes), length * len(alphabet)))


def letter_codes(sequence: str, alphabet: str) -> npt.NDArray[np.int64]:
    """Position of each letter in ``alphabet``; the last one for letters outside of it.

    >>> letter_codes("CAx", "ACN").tolist()
    [1, 0, 2]
    """
    known = {letter: k for k, letter in enumerate(alphabet)}
    return np.array([known.get(letter, len(alphabet) - 1) for letter in sequence], dtype=np.int64)
