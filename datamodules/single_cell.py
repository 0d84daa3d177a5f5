"""Single-cell expression: a row of counts becomes a (G,) tensor of normalised expression."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.base import BaseDataModule
from datamodules.processor import PROCESSORS, Processor
from datamodules.source import RawModality
from zoo.contract import ModalitySpec
from zoo.errors import DataError, SpecError

COUNT_UNITS = ("counts", "mean counts")
"""Units of values that are not normalised yet: counts of a cell, and averages of counts over cells."""
LOG_UNIT = "log1p CP10k"
"""Unit of log(1 + counts per ten thousand)."""
NORMALISATIONS = ("log1p_cp10k", "counts", "none")


def log1p_cp10k(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Map counts (..., G) to log(1 + 10000 * count / sum of the row).

    >>> [round(float(v), 3) for v in log1p_cp10k(np.array([1.0, 3.0], dtype=np.float32))]
    [7.824, 8.923]
    """
    total = rows.sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(np.log1p(rows * (1e4 / total)), dtype=np.float32)


@PROCESSORS.register_as("expression")
class ExpressionProcessor(Processor):
    """Map raw expression (G0,) to (G,) float32, normalised, of the genes that are kept.

    A cell is normalised over all genes of the source, before genes are dropped. Only values whose unit is one
    of COUNT_UNITS are normalised; values that a source gives in another unit stay as they are.

    Args:
        normalise: "log1p_cp10k" maps counts to log(1 + counts per ten thousand); "counts" keeps counts and
            refuses a source that has none; "none" keeps whatever the source gives.
        num_genes: how many highly variable genes to keep, chosen on the training rows alone by
            ``scanpy.pp.highly_variable_genes`` (flavour "seurat": Satija et al., Nat. Biotechnol. 33:495, 2015)
            on log1p CP10k values; 0 keeps all genes.
        augment: set genes of training rows to zero at random, as drop-out of the assay does.
        dropout: probability of that, for each gene of a cell; the other genes keep their values.

    Raises:
        SpecError: an argument is out of range.
    """

    kind = "expression"

    def __init__(
        self,
        *,
        normalise: Literal["log1p_cp10k", "counts", "none"] = "log1p_cp10k",
        num_genes: int = 0,
        augment: bool = False,
        dropout: float = 0.1,
    ) -> None:
        if normalise not in NORMALISATIONS:
            raise SpecError(f"ExpressionProcessor: normalise is {normalise!r}; allowed: {NORMALISATIONS}")
        if num_genes < 0:
            raise SpecError(f"ExpressionProcessor: num_genes must be at least 0, got {num_genes}")
        if not 0 <= dropout < 1:
            raise SpecError(f"ExpressionProcessor: dropout must be in [0, 1), got {dropout}")
        self.normalise, self.num_genes, self.augments, self.dropout = normalise, num_genes, augment, dropout
        self.fits = num_genes > 0
        self._raw = RawModality("", "expression")
        self._total = 0
        self._keep: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Choose the genes from training rows (G0,); without ``num_genes`` the first row gives their number.

        Raises:
            DataError: no row, fewer than two rows to choose genes from, or a row that ``__call__`` would refuse.
            SpecError: more genes are asked than there are, or the unit does not fit ``normalise``.
        """
        if not len(values):
            raise DataError(f"expression '{raw.name}': no training row to fit on")
        if self.normalise == "counts" and raw.unit not in COUNT_UNITS:
            raise SpecError(
                f"expression '{raw.name}': normalise='counts' needs counts, the source gives '{raw.unit}'; use 'none'"
            )
        self._raw = raw
        self._total = len(raw.features) or int(np.asarray(values[0]).size)
        self._keep = np.arange(self._total)
        if not self.fits:
            self._checked(values[0])
            return
        if self.num_genes > self._total:
            raise SpecError(f"expression '{raw.name}': num_genes is {self.num_genes} of {self._total} genes")
        if len(values) < 2:
            raise DataError(
                f"expression '{raw.name}': variable genes need at least 2 training rows, got {len(values)}"
            )
        rows = np.stack([self._checked(v) for v in values])
        if raw.unit in COUNT_UNITS:
            rows = log1p_cp10k(rows)
        elif not raw.unit.startswith("log1p"):
            raise SpecError(
                f"expression '{raw.name}': variable genes are chosen on counts or log1p values, the source gives "
                f"'{raw.unit}'; use num_genes=0"
            )
        self._keep = variable_genes(rows, self.num_genes)

    def spec(self, raw: RawModality) -> ModalitySpec:
        """Spec of shape (G,), with the unit after normalisation and the names of the genes kept."""
        if not len(self._keep):
            raise SpecError(f"expression '{raw.name}': spec is known only after fit")
        return ModalitySpec(
            name=raw.name,
            kind="expression",
            shape=(len(self._keep),),
            unit=LOG_UNIT if self._normalises else raw.unit,
            features=tuple(raw.features[i] for i in self._keep) if raw.features else (),
        )

    def __call__(self, value: Any) -> Tensor:
        """Map (G0,) to (G,) float32.

        Raises:
            DataError: wrong number of genes, a value not finite or a negative count, or a cell without any count.
        """
        row = self._checked(value)
        if self._normalises:
            row = log1p_cp10k(row)
        return torch.from_numpy(np.ascontiguousarray(row[self._keep], dtype=np.float32))

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Return (G,) expression with genes dropped, where the constructor's ``augment`` is set."""
        if not self.augments:
            return value
        kept = torch.from_numpy(generator.random(value.shape) >= self.dropout)
        return value * kept

    @property
    def _normalises(self) -> bool:
        return self.normalise == "log1p_cp10k" and self._raw.unit in COUNT_UNITS

    def _checked(self, value: Any) -> npt.NDArray[np.float32]:
        row = np.asarray(value, dtype=np.float32)
        name = self._raw.name
        if row.shape != (self._total,):
            raise DataError(f"expression '{name}': got shape {row.shape}, expected ({self._total},) genes")
        if not np.isfinite(row).all():
            raise DataError(f"expression '{name}': {self._gene(~np.isfinite(row))} is not finite")
        if self._raw.unit in COUNT_UNITS:
            if (row < 0).any():
                raise DataError(f"expression '{name}': {self._gene(row < 0)} has a negative count, {row.min():g}")
            if not row.any():
                raise DataError(f"expression '{name}': a cell has no count in any gene; filter such cells out")
        return row

    def _gene(self, bad: npt.NDArray[np.bool_]) -> str:
        position = int(np.flatnonzero(bad)[0])
        return f"gene '{self._raw.features[position]}'" if self._raw.features else f"gene number {position}"


def variable_genes(rows: npt.NDArray[np.float32], num_genes: int) -> npt.NDArray[np.int64]:
    """Positions, in increasing order, of the genes of highest normalised dispersion in log1p rows (N, G).

    The dispersions are scanpy's (flavour "seurat"); ties, and genes for which it is undefined, which come
    last, keep their order, so that exactly ``num_genes`` are returned.
    """
    import anndata
    import scanpy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = scanpy.pp.highly_variable_genes(anndata.AnnData(rows), flavor="seurat", inplace=False)
    dispersion = np.nan_to_num(table["dispersions_norm"].to_numpy(np.float64), nan=-np.inf)
    best = np.argsort(-dispersion, kind="stable")[:num_genes]
    return np.sort(best).astype(np.int64)


class SingleCellDataModule(BaseDataModule):
    """Serve single-cell expression alone: the modalities of kind expression.

    Takes every option of BaseDataModule.
    """

    kind = "expression"
