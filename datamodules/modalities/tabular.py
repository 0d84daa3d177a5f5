"""Tables: a row of numbers and words becomes a (F,) tensor of standardised numbers and category codes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.core.processor import PROCESSORS, Processor
from datamodules.io.column_types import ColumnKind
from zoo.contract import MODALITIES, ModalityKind, ModalitySpec
from zoo.errors import DataError, SpecError
from zoo.modality import WORDS
from zoo.raw import RawModality
from zoo.values import Cell, Shown, digest, shorten

UNSEEN, KNOWN, MISSING = 0, 1, 2
"""Codes of a ``<column>_missing`` feature."""


def _category(value: Any) -> str:
    return value if isinstance(value, str) else f"{float(value):g}"


SMALLEST = 1e-150
"""A standard deviation below this counts as 0: squares of such numbers underflow."""


@MODALITIES.register_as("tabular")
class Tabular(ModalityKind):
    """Rows of a table, of shape (F,); raw: dict column -> float | str | None where unknown, the same in every row."""

    encoder = "TabularEncoder"
    processor = "TabularProcessor"
    table = True
    cheap = True
    distinct = False

    @classmethod
    def check(cls, spec: ModalitySpec) -> None:
        """Refuse a table that does not say of each feature whether it is a number or a category."""
        super().check(spec)
        if len(spec.cardinalities) != spec.shape[0]:
            raise SpecError(
                f"modality '{spec.name}': {len(spec.cardinalities)} cardinalities for {spec.shape[0]} features"
            )

    @classmethod
    def read(cls, cell: Cell) -> dict[str, float | str | None]:
        """Numbers where cells read as numbers, else words."""
        return dict(cell.row())

    @classmethod
    def fingerprint(cls, value: Any) -> bytes:
        """Rows are equal in whatever order of columns."""
        return digest(repr(sorted((k, _plain(v)) for k, v in value.items())).encode())

    @classmethod
    def show(cls, raw: RawModality, value: Any, side: int) -> Shown:
        """The columns that are known."""
        known = {k: v for k, v in value.items() if v is not None}
        words = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in known.items())
        return Shown(shorten(words, WORDS))


def _plain(value: Any) -> str:
    return "" if value is None else str(float(value)) if isinstance(value, (int, float, np.number)) else str(value)


@PROCESSORS.register
class TabularProcessor(Processor):
    """Map a raw row, column -> number, word or None, to (F,) float32.

    A column that holds a word in any training row is categorical; numbers in it are read as words. Its codes
    are 1, 2, ... for the training categories in sorted order; 0 stands for None and for categories that no
    training row has. Every other column is a number: (x - mean) / sd with the mean and the (population) sd of
    the known training values, sd 0 counting as 1. A None in such a column becomes 0, the training mean. If the
    column has a None in training, a categorical feature ``<column>_missing`` is added after all columns, with
    code 1 for known and 2 for missing (0, the unseen category, does not occur). If it has none in training, a
    None at evaluation is 0 and nothing else marks it.

    Args:
        max_categories: largest number of training categories of a column; more are refused, since such a
            column is free text or an identifier.

    Raises:
        SpecError: ``max_categories`` is below 1.
    """

    kind = "tabular"
    fits = True

    def __init__(self, *, max_categories: int = 64) -> None:
        if max_categories < 1:
            raise SpecError(f"TabularProcessor: max_categories must be at least 1, got {max_categories}")
        self.max_categories = max_categories
        self._name = ""
        self._columns: tuple[str, ...] = ()
        self._codes: dict[str, dict[str, int]] = {}
        self._scales: dict[str, tuple[float, float]] = {}
        self._flagged: tuple[str, ...] = ()

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Learn categories, means and deviations from training rows, each a mapping of the same columns.

        Raises:
            DataError: no row or column, columns that differ between rows, a number that is not finite, or a
                column of more than ``max_categories`` categories.
        """
        if not len(values):
            raise DataError(f"tabular '{raw.name}': no training row to fit on")
        values = list(values)
        self._name = raw.name
        self._columns = tuple(raw.features or values[0])
        if not self._columns:
            raise DataError(f"tabular '{raw.name}': rows without columns")
        for row in values:
            self._check(row)
        self._codes, self._scales = {}, {}
        flagged = []
        for column in self._columns:
            known = [row[column] for row in values if row[column] is not None]
            if any(isinstance(v, str) for v in known):
                self._codes[column] = self._categories(column, known)
                continue
            numbers = np.array([float(v) for v in known], dtype=np.float64)
            mean, deviation = (float(numbers.mean()), float(numbers.std())) if len(numbers) else (0.0, 1.0)
            constant = len(numbers) == 0 or numbers.min() == numbers.max() or deviation < SMALLEST
            self._scales[column] = (mean, 1.0 if constant else deviation)
            if len(known) < len(values):
                flagged.append(column)
        self._flagged = tuple(flagged)
        clash = [f"{c}_missing" for c in self._flagged if f"{c}_missing" in self._columns]
        if clash:
            raise SpecError(f"tabular '{raw.name}': the columns {clash} clash with added features; rename them")

    def spec(self, raw: RawModality) -> ModalitySpec:
        """Spec of shape (F,), with one cardinality a feature (0 for numbers) and the names of the features."""
        if not self._columns:
            raise SpecError(f"tabular '{raw.name}': spec is known only after fit")
        sizes = [len(self._codes[c]) + 1 if c in self._codes else 0 for c in self._columns]
        sizes += [3] * len(self._flagged)
        return ModalitySpec(
            name=raw.name,
            kind=raw.kind,
            shape=(len(sizes),),
            cardinalities=tuple(sizes),
            features=(*self._columns, *(f"{c}_missing" for c in self._flagged)),
        )

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """Categorical column -> its training categories; the code of the i-th is i + 1."""
        return {column: tuple(codes) for column, codes in self._codes.items()}

    def known_columns(self) -> dict[str, ColumnKind]:
        """The training columns."""
        return {c: "category" if c in self._codes else "number" for c in self._columns}

    def tolerate(self, value: Any) -> tuple[Any, list[str]]:
        """Take words out of columns of numbers, and say which words and categories no training row has."""
        row: dict[str, Any] = {c: value.get(c) for c in self._columns}
        said = []
        for column, cell in row.items():
            if cell is None:
                continue
            if column not in self._codes and isinstance(cell, str):
                said.append(f"{column}: {cell!r} is no number, and counts as unknown")
                row[column] = None
            elif column in self._codes and _category(cell) not in self._codes[column]:
                said.append(f"{column}: the category {_category(cell)!r} is new, and counts as unknown")
        return row, said

    def __call__(self, value: Any) -> Tensor:
        """Map a row, column -> number, word or None, to (F,) float32.

        Raises:
            DataError: other columns than in training, a number that is not finite, or a word in a number column.
        """
        self._check(value)
        features = [self._feature(column, value[column]) for column in self._columns]
        features += [float(MISSING if value[c] is None else KNOWN) for c in self._flagged]
        return torch.tensor(features, dtype=torch.float32)

    def decode(self, value: Tensor) -> dict[str, float | str | None]:
        """Map (F,) back to a row: numbers in their own unit, words, None where a value is missing or unseen.

        A number that is missing is known as such only in a column that has missing ones in training.
        """
        features = [float(v) for v in value.detach().cpu()]
        marks = dict(zip(self._flagged, features[len(self._columns) :], strict=True))
        row: dict[str, float | str | None] = {}
        for column, feature in zip(self._columns, features, strict=False):
            if column in self._codes:
                words = {code: word for word, code in self._codes[column].items()}
                row[column] = words.get(round(feature))
            elif column in marks and round(marks[column]) == MISSING:
                row[column] = None
            else:
                mean, deviation = self._scales[column]
                row[column] = feature * deviation + mean
        return row

    def _feature(self, column: str, value: Any) -> float:
        if column in self._codes:
            return 0.0 if value is None else float(self._codes[column].get(_category(value), UNSEEN))
        if isinstance(value, str):
            raise DataError(
                f"tabular '{self._name}': column '{column}' holds numbers in training, but here the word {value!r}"
            )
        mean, deviation = self._scales[column]
        return 0.0 if value is None else (float(value) - mean) / deviation

    def _categories(self, column: str, known: Sequence[Any]) -> dict[str, int]:
        names = sorted({_category(v) for v in known})
        if len(names) > self.max_categories:
            raise DataError(
                f"tabular '{self._name}': column '{column}' has {len(names)} categories in training, more than "
                f"max_categories={self.max_categories}; drop the column or raise max_categories"
            )
        return {name: code for code, name in enumerate(names, start=1)}

    def _check(self, row: Any) -> None:
        if not isinstance(row, Mapping) or set(row) != set(self._columns):
            got = sorted(row) if isinstance(row, Mapping) else type(row).__name__
            raise DataError(
                f"tabular '{self._name}': a row holds {got}, expected the columns {sorted(self._columns)}"
            )
        for column, value in row.items():
            if value is None or isinstance(value, str) or (value.__class__ is float and math.isfinite(value)):
                continue
            if not isinstance(value, Real | np.bool_):
                raise DataError(
                    f"tabular '{self._name}': column '{column}' holds {value!r} of type {type(value).__name__}; "
                    "allowed: a number, a word, None"
                )
            if not np.isfinite(float(value)):
                raise DataError(f"tabular '{self._name}': column '{column}' holds {value}; use None where unknown")
