"""Records: a flat row of a generated or kept record becomes a (F,) tensor, as the paper encodes metadata."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.core.processor import PROCESSORS, Processor
from datamodules.io.column_types import ColumnKind
from datamodules.modalities.tabular import SMALLEST
from zoo.contract import ModalitySpec
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality

ORDERS = ("biopsy", "urgent_referral", "dermoscopy_follow_up", "excision", "reassurance")
"""Entries that the column orders may have (those of zoo.generation.records)."""
LISTS: Mapping[str, int | Sequence[str]] = {"orders": ORDERS, "visual_findings": 64}
"""Columns of several entries, and the tokens of each: given, or the number that is learned."""
SEPARATOR = ";"
"""What stands between the entries of such a column."""


@PROCESSORS.register
class RecordProcessor(Processor):
    """Map a flat record, column -> number, text or None, to (F,) float32 ("Cross-modal ...", appendix C.1).

    Features in order, all learned from training rows: each of ``numbers``, (x - mean) / sd with the mean and the
    (population) sd of the known values, sd 0 counting as 1; each of ``raw_numbers`` as it is; each of ``categories``
    as a code, 1, 2, ... for the training categories in sorted order and 0 for unknown and unseen ones; then 0 or 1
    for each token of each of ``lists``. An unknown number is the training mean, so 0 where it is standardised, and 0
    in a raw column that no training row knows; nothing else marks it. Other columns of a row are not read.

    Texts are compared in lower case with single spaces. The paper tokenises findings "using simple lowercase string
    matching" and says no more. We read it as words: an entry is split at everything but letters, digits and "_", so
    that "irregular border" and "Irregular, dark border" share two tokens. ``phrases`` takes each whole entry instead.
    A learned vocabulary is the tokens that most training rows have, ties in alphabetical order; a row counts once.

    Args:
        numbers: columns to standardise.
        raw_numbers: columns of numbers that are used as they are.
        categories: columns of one word or text each.
        lists: column of entries joined with ";" -> its tokens, or how many to learn; None takes LISTS.
        phrases: whether a token of a list is a whole entry rather than a word.
        max_categories: training categories of a column that are kept, the most frequent; others count as unknown.

    Raises:
        SpecError: no column, a column or token named twice, a size below 1, or a given token that is several words
            where ``phrases`` is not set.
    """

    kind = "tabular"
    fits = True

    def __init__(
        self,
        *,
        numbers: Sequence[str] = ("age_years", "size_mm"),
        raw_numbers: Sequence[str] = ("malignancy_risk",),
        categories: Sequence[str] = ("sex", "encounter_type", "site", "anatomical_site"),
        lists: Mapping[str, int | Sequence[str]] | None = None,
        phrases: bool = False,
        max_categories: int = 64,
    ) -> None:
        self.numbers = tuple(numbers)
        self.raw_numbers = tuple(raw_numbers)
        self.categories = tuple(categories)
        chosen = LISTS if lists is None else lists
        self.lists = {c: v if isinstance(v, int) else tuple(v) for c, v in chosen.items()}
        self.phrases = phrases
        self.max_categories = max_categories
        self._check_options()
        self._name = ""
        self._scales: dict[str, tuple[float, float]] = {}
        self._codes: dict[str, dict[str, int]] = {}
        self._tokens: dict[str, tuple[str, ...]] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (*self.numbers, *self.raw_numbers, *self.categories, *self.lists)

    @property
    def vocabularies(self) -> dict[str, tuple[str, ...]]:
        """Column of categories -> its training categories (code of the i-th: i + 1); of a list -> its tokens."""
        return {**{c: tuple(codes) for c, codes in self._codes.items()}, **self._tokens}

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Learn scales and vocabularies from training rows.

        Raises:
            DataError: no row, a row without a column that is read, or a value that does not fit its column.
        """
        self._name = raw.name
        known: dict[str, list[float]] = {c: [] for c in (*self.numbers, *self.raw_numbers)}
        words: dict[str, Counter[str]] = {c: Counter() for c in (*self.categories, *self.lists)}
        rows = 0
        for row in values:
            rows += 1
            self._check_row(row)
            for column, numbers in known.items():
                if (number := self._number(column, row[column])) is not None:
                    numbers.append(number)
            for column in self.categories:
                words[column].update(w for w in [self._word(column, row[column])] if w)
            for column in self.lists:
                words[column].update(self._split(column, row[column]))
        if not rows:
            raise DataError(f"record '{raw.name}': no training row to fit on")
        self._scales = {c: _scale(n, raw=c in self.raw_numbers) for c, n in known.items()}
        self._codes = {}
        for column in self.categories:
            kept = sorted(_most_frequent(words[column], self.max_categories))
            self._codes[column] = {word: code for code, word in enumerate(kept, start=1)}
        self._tokens = {
            c: tuple(_most_frequent(words[c], size)) if isinstance(size, int) else tuple(map(_clean, size))
            for c, size in self.lists.items()
        }

    def spec(self, raw: RawModality) -> ModalitySpec:
        """Spec of shape (F,), one cardinality a feature (0 for numbers and tokens); tokens are "column=token"."""
        self._check_fitted()
        features = [*self.numbers, *self.raw_numbers, *self.categories]
        sizes = [len(self._codes[c]) + 1 if c in self._codes else 0 for c in features]
        tokens = [f"{column}={token}" for column, known in self._tokens.items() for token in known]
        if not features and not tokens:
            raise DataError(
                f"record '{raw.name}': no training row has an entry in {self.columns}, so nothing is left"
            )
        return ModalitySpec(
            name=raw.name,
            kind=raw.kind,
            shape=(len(features) + len(tokens),),
            cardinalities=(*sizes, *(0 for _ in tokens)),
            features=(*features, *tokens),
        )

    def known_columns(self) -> dict[str, ColumnKind]:
        """The columns that are read."""
        numbers = {*self.numbers, *self.raw_numbers}
        return {c: "number" if c in numbers else "category" for c in self.columns}

    def tolerate(self, value: Any) -> tuple[Any, list[str]]:
        """Count columns that are not given as unknown."""
        return {c: value.get(c) for c in self.columns}, []

    def __call__(self, value: Any) -> Tensor:
        """Map a flat record to (F,) float32.

        Raises:
            DataError: a column is missing, or a value does not fit its column.
        """
        codes = [float(code) for code in self._category_codes(value)]
        return torch.tensor([*self._numbers_of(value), *codes, *self._flags(value)], dtype=torch.float32)

    def decode(self, value: Tensor) -> dict[str, float | str | None]:
        """Map (F,) back to the columns that are read: numbers, words, entries or words of lists joined with ";".

        An unknown number comes back as the training mean, which stands for it.
        """
        self._check_fitted()
        features = iter(float(v) for v in value.detach().cpu())
        row: dict[str, float | str | None] = {}
        for column in (*self.numbers, *self.raw_numbers):
            mean, deviation = self._scales[column]
            feature = next(features)
            row[column] = feature * deviation + mean if column in self.numbers else feature
        for column in self.categories:
            words = {code: word for word, code in self._codes[column].items()}
            row[column] = words.get(round(next(features)))
        for column, tokens in self._tokens.items():
            there = [token for token in tokens if next(features) > 0.5]
            row[column] = SEPARATOR.join(there) or None
        return row

    def vector(self, value: Any) -> Tensor:
        """Map a flat record to the paper's vector (V,) float32: numbers, one-hot categories, tokens of lists.

        The first slot of each category is that of unknown and unseen ones; ``vector_features`` names all V.

        Raises:
            DataError: see __call__.
        """
        slots: list[float] = []
        for column, code in zip(self.categories, self._category_codes(value), strict=True):
            slots += [float(code == k) for k in range(len(self._codes[column]) + 1)]
        return torch.tensor([*self._numbers_of(value), *slots, *self._flags(value)], dtype=torch.float32)

    @property
    def vector_features(self) -> tuple[str, ...]:
        """Names of the V entries of ``vector``."""
        self._check_fitted()
        slots = [f"{c}={w}" for c, codes in self._codes.items() for w in ("unknown", *codes)]
        tokens = [f"{c}={w}" for c, known in self._tokens.items() for w in known]
        return (*self.numbers, *self.raw_numbers, *slots, *tokens)

    def _check_options(self) -> None:
        if not self.columns:
            raise SpecError("RecordProcessor: no column is read; name some")
        twice = sorted(c for c, n in Counter(self.columns).items() if n > 1)
        if twice:
            raise SpecError(f"RecordProcessor: the columns {twice} are named twice")
        small = {c: v for c, v in self.lists.items() if (v if isinstance(v, int) else len(v)) < 1}
        if small or self.max_categories < 1:
            raise SpecError(
                f"RecordProcessor: sizes must be at least 1, got lists={small}, max_categories={self.max_categories}"
            )
        for column, tokens in self.lists.items():
            if not isinstance(tokens, int) and not self.phrases and any(not re.fullmatch(r"\w+", t) for t in tokens):
                raise SpecError(f"RecordProcessor: lists['{column}'] holds more than words; set phrases: {tokens}")
            if not isinstance(tokens, int) and len(set(map(_clean, tokens))) < len(tokens):
                raise SpecError(f"RecordProcessor: tokens of lists['{column}'] repeat: {tokens}")

    def _check_fitted(self) -> None:
        if not self._name:
            raise SpecError("RecordProcessor is not fitted: call fit with training rows")

    def _check_row(self, row: Any) -> None:
        if not isinstance(row, Mapping) or any(c not in row for c in self.columns):
            got = sorted(row) if isinstance(row, Mapping) else type(row).__name__
            raise DataError(f"record '{self._name}': a row holds {got}, expected the columns {sorted(self.columns)}")

    def _numbers_of(self, row: Any) -> list[float]:
        self._check_fitted()
        self._check_row(row)
        values = []
        for column in (*self.numbers, *self.raw_numbers):
            number = self._number(column, row[column])
            mean, deviation = self._scales[column]
            if column in self.numbers:
                values.append(0.0 if number is None else (number - mean) / deviation)
            else:
                values.append(mean if number is None else number)
        return values

    def _category_codes(self, row: Any) -> list[int]:
        self._check_fitted()
        self._check_row(row)
        return [self._codes[c].get(self._word(c, row[c]), 0) for c in self.categories]

    def _flags(self, row: Mapping[str, Any]) -> list[float]:
        flags: list[float] = []
        for column, tokens in self._tokens.items():
            there = self._split(column, row[column])
            flags += [float(token in there) for token in tokens]
        return flags

    def _number(self, column: str, value: Any) -> float | None:
        if value is None:
            return None
        if not isinstance(value, Real | np.bool_) or not np.isfinite(float(value)):
            raise DataError(f"record '{self._name}': column '{column}' holds {value!r}; allowed: a number, None")
        return float(value)

    def _word(self, column: str, value: Any) -> str:
        """The category that a value names, "" for unknown."""
        if isinstance(value, str):
            word = _clean(value)
            return "" if word == "unknown" else word
        number = self._number(column, value)
        return "" if number is None else f"{number:g}"

    def _split(self, column: str, value: Any) -> set[str]:
        """The tokens of a list column."""
        if value is None:
            return set()
        if not isinstance(value, str):
            raise DataError(
                f"record '{self._name}': column '{column}' holds {value!r}; allowed: entries joined with "
                f"'{SEPARATOR}', None"
            )
        if self.phrases:
            return {_clean(entry) for entry in value.split(SEPARATOR)} - {""}
        return set(re.findall(r"\w+", value.lower()))


def _clean(text: str) -> str:
    return " ".join(text.lower().split())


def _most_frequent(counts: Counter[str], most: int) -> list[str]:
    return sorted(counts, key=lambda word: (-counts[word], word))[:most]


def _scale(known: Sequence[float], *, raw: bool) -> tuple[float, float]:
    """Mean and sd by which a column is standardised; (0, 1) where nothing is known."""
    if not known:
        return 0.0, 1.0
    values = np.array(known, dtype=np.float64)
    deviation = float(values.std())
    constant = raw or values.min() == values.max() or deviation < SMALLEST
    return float(values.mean()), 1.0 if constant else deviation
