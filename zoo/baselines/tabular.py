"""Tables: numbers standardised, categories one-hot, what is unknown marked as such, linear model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.baselines.base import BASELINES, FeatureBaseline
from zoo.tasks.readout import Matrix

UNKNOWN = "?"
"""Category of what is None, or was not seen in training."""


@BASELINES.register
class TabularBaseline(FeatureBaseline):
    """Standardised numbers and one-hot categories, unknown ones with an indicator of their own, linear model."""

    modality_kinds: tuple[str, ...] = ("tabular",)
    citation = "Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, section 4.4"
    numbers: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = {}
    _scaler: Any = None

    def _learn_columns(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """A column is one of numbers where all that is known of it in training are numbers."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        known = {n: [row[n] for row in rows if row.get(n) is not None] for n in names}
        self.numbers = tuple(n for n in names if known[n] and all(_is_number(v) for v in known[n]))
        self.categories = {
            n: tuple(sorted({str(v) for v in known[n]} - {UNKNOWN}))
            for n in names
            if n not in self.numbers and known[n]
        }

    def _numbers(self, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
        """(N, numbers) floats, NaN where unknown, not finite or not a number."""
        table = [[_as_number(row.get(n)) for n in self.numbers] for row in rows]
        return np.array(table, dtype=np.float64).reshape(len(rows), len(self.numbers))

    def _categories(self, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
        """(N, categories + 1 a column) of 0 and 1."""
        blocks = [np.zeros((len(rows), 0))]
        for name, known in self.categories.items():
            place = {value: k for k, value in enumerate(known)}
            codes = [place.get(str(row.get(name)), len(known)) for row in rows]
            blocks.append(np.eye(len(known) + 1)[codes])
        return np.concatenate(blocks, 1)

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N rows to (N, F): numbers, their indicators, categories; all standardised."""
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if target is not None:
            self._learn_columns(values)
        table = np.concatenate([self._numbers(values), self._categories(values)], 1)
        if table.shape[1] == 0:
            return np.zeros((len(values), 1))
        if target is not None:
            self._scaler = make_pipeline(
                SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler()
            ).fit(table)
        return self._scaler.transform(table)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating)


def _as_number(value: Any) -> float:
    """The value, or NaN where it is no finite number."""
    return float(value) if _is_number(value) and np.isfinite(value) else float("nan")
