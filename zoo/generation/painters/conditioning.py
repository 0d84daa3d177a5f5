"""Conditioning: what a painter is told of a row, as columns, as codes and numbers, and as one vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import DataError, SpecError
from zoo.generator import Condition, Flat

LABEL = "label"
"""Name of the column that holds the label of a row, for a painter that is conditioned on it."""
UNKNOWN_WORDS = ("", "unknown", "nan", "none")
"""Words that say nothing, compared in lower case."""


def described(row: Condition, columns: Sequence[str] = (), label: bool = False) -> dict[str, float | str]:
    """Columns of a row that are known: its flattened record over its metadata, in the order of their names.

    Args:
        row: what is known.
        columns: those to keep, all for none; a column that the row lacks counts as unknown.
        label: whether the label is added as column "label".

    Raises:
        DataError: the row has a column named "label" beside the label that shall be added.
    """
    table: dict[str, float | str | None] = dict(row.metadata or {})
    if row.record is not None:
        from zoo.generation.records.flat import flatten

        table.update(flatten(row.record))
    if label:
        if LABEL in table:
            raise DataError(
                f"the row has a column '{LABEL}', the name under which the label is told; rename the column",
                row=row.id,
            )
        table[LABEL] = row.label
    kept = {c: table[c] for c in sorted(table) if not columns or c in columns or (label and c == LABEL)}
    return {c: v for c, v in kept.items() if v is not None and _known(v)}


def _known(value: float | str) -> bool:
    return value.strip().lower() not in UNKNOWN_WORDS if isinstance(value, str) else bool(np.isfinite(value))


class ConditionState(TypedDict):
    """What Conditions learned, as plain JSON."""

    numbers: dict[str, list[float]]
    categories: dict[str, list[str]]


@dataclass(frozen=True)
class Conditions:
    """Turn the columns of rows into codes and standardised numbers, by what training rows hold.

    Attributes:
        numbers: column -> mean and standard deviation over the training rows that know it.
        categories: column -> its words, most frequent first; a word has code 1 + its place, 0 is unknown.
    """

    numbers: Mapping[str, tuple[float, float]]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, rows: Sequence[Flat], max_categories: int = 64) -> Conditions:
        """Learn from training rows.

        A column is one of numbers where every known value is one, else one of categories. A column that holds
        one value only tells nothing apart and is left out.

        Args:
            rows: known columns of training rows, as ``described`` gives them.
            max_categories: words that a column keeps, the most frequent; others count as unknown.

        Raises:
            DataError: no row, or no column that varies.
        """
        values: dict[str, list[float | str]] = {}
        for row in rows:
            for column, value in row.items():
                if value is not None and _known(value):
                    values.setdefault(column, []).append(value)
        numbers: dict[str, tuple[float, float]] = {}
        categories: dict[str, tuple[str, ...]] = {}
        for column in sorted(values):
            known = values[column]
            if all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
                array = np.asarray(known, dtype=np.float64)
                if array.std() > 0:
                    numbers[column] = (float(array.mean()), float(array.std()))
            else:
                counts = Counter(str(v) for v in known)
                words = sorted(counts, key=lambda word: (-counts[word], word))[:max_categories]
                if len(counts) > 1:
                    categories[column] = tuple(words)
        if not numbers and not categories:
            raise DataError(
                f"nothing to condition on: {len(rows)} training rows, whose columns {sorted(values)} hold one value "
                "each or none; give rows with metadata, or columns that vary"
            )
        return cls(numbers, categories)

    def encode(self, rows: Sequence[Flat]) -> tuple[Tensor, Tensor]:
        """Encode N rows.

        Returns:
            (N, 2 F) float: of each of F numeric columns the standardised value (0 where unknown, clipped to +-5) and
            whether it is known; (N, C) long: codes of the categories, 0 where unknown.
        """
        values = np.zeros((len(rows), 2 * len(self.numbers)), dtype=np.float32)
        codes = np.zeros((len(rows), len(self.categories)), dtype=np.int64)
        for i, row in enumerate(rows):
            for f, (column, (mean, scale)) in enumerate(self.numbers.items()):
                value = row.get(column)
                if isinstance(value, int | float) and np.isfinite(value):
                    values[i, 2 * f : 2 * f + 2] = np.clip((value - mean) / scale, -5, 5), 1.0
            for c, (column, words) in enumerate(self.categories.items()):
                word = str(row.get(column))
                codes[i, c] = 1 + words.index(word) if word in words else 0
        return torch.from_numpy(values), torch.from_numpy(codes)

    def state(self) -> ConditionState:
        """Return what was learned as plain JSON."""
        return {
            "numbers": {c: list(pair) for c, pair in self.numbers.items()},
            "categories": {c: list(words) for c, words in self.categories.items()},
        }

    @classmethod
    def from_state(cls, state: Any) -> Conditions:
        """Read what ``state`` wrote.

        Raises:
            SpecError: it is of another form.
        """
        try:
            numbers = {str(c): (float(mean), float(scale)) for c, (mean, scale) in state["numbers"].items()}
            categories = {str(c): tuple(str(w) for w in words) for c, words in state["categories"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SpecError(f"the conditions of a painter are not in the form that save writes: {error!r}") from error
        return cls(numbers, categories)


class ConditionEmbedding(nn.Module):
    """Map the codes and numbers of N rows to (N, D), with one learned vector for "told nothing".

    Each category has a table of vectors, the numbers one linear map; their sum goes through a small MLP. The
    vector of "told nothing" is what classifier-free guidance compares with (Ho and Salimans 2022, section 3.2).

    Args:
        conditions: the columns.
        dim: D.
    """

    def __init__(self, conditions: Conditions, dim: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(1 + len(words), dim) for words in conditions.categories.values())
        self.linear = nn.Linear(2 * len(conditions.numbers), dim) if conditions.numbers else None
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(dim, dim))
        self.nothing = nn.Parameter(torch.zeros(dim))

    def forward(self, values: Tensor, codes: Tensor, told: Tensor) -> Tensor:
        """Embed rows: values (N, 2 F), codes (N, C), told (N,) bool, False where the row shall not be told.

        Args:
            values: (N, 2 F) standardised numbers, and 1 where each is known.
            codes: (N, C) codes of categories.
            told: (N,) False where the row shall not be told.
        """
        parts = [table(codes[:, c]) for c, table in enumerate(self.tables)]
        if self.linear is not None:
            parts.append(self.linear(values))
        vector = self.mlp(torch.stack(parts).sum(0))
        return torch.where(told[:, None], vector, self.nothing)
