"""Single-cell expression: a row of counts becomes a (G,) tensor of normalised expression."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.core.processor import PROCESSORS, Processor
from datamodules.modalities.drawing import draw_profile
from zoo.contract import MODALITIES, ModalityKind, ModalitySpec
from zoo.errors import DataError, SpecError, check_choice
from zoo.modality import WORDS
from zoo.raw import RawModality
from zoo.thinning import evenly_spaced
from zoo.values import Shown, shorten

COUNT_UNITS = ("counts", "mean counts")
"""Units of values that are not normalised yet: counts of a cell, and averages of counts over cells."""
LOG_UNIT = "log1p CP10k"
"""Unit of log(1 + counts per ten thousand)."""
HIGHEST = 12
"""Genes that are named where a profile is shown."""
NORMALISATIONS = ("log1p_cp10k", "counts", "none")


def log1p_cp10k(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Map counts (..., G) to log(1 + 10000 * count / sum of the row).

    >>> [round(float(v), 3) for v in log1p_cp10k(np.array([1.0, 3.0], dtype=np.float32))]
    [7.824, 8.923]
    """
    total = rows.sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(np.log1p(rows * (1e4 / total)), dtype=np.float32)


@MODALITIES.register_as("expression")
class Expression(ModalityKind):
    """Expression of genes, of shape (G,); raw: numpy float32 (G,) in the unit of the modality."""

    encoder = "SCBERTEncoder"
    processor = "ExpressionProcessor"
    one_scale = True

    @classmethod
    def show(cls, raw: RawModality, value: Any, side: int) -> Shown:
        """The profile over all genes, and the names of those that are highest."""
        genes = np.asarray(value)
        order = np.argsort(-genes, kind="stable")[:HIGHEST]
        names = raw.features or tuple(f"gene {k}" for k in range(len(genes)))
        unit = f" {raw.unit}" if raw.unit else ""
        words = "highest: " + ", ".join(f"{names[k]} {genes[k]:.3g}{unit}" for k in order if genes[k] > 0)
        return Shown(shorten(words, WORDS), draw_profile(genes, side))


@PROCESSORS.register
class ExpressionProcessor(Processor):
    """Map raw expression (G0,) to (G,) float32, normalised, of the genes that are kept.

    A cell is normalised over all genes of the source, before genes are dropped. Only values whose unit is one
    of COUNT_UNITS are normalised; values that a source gives in another unit stay as they are.

    Args:
        genes: panel of genes to keep, in this order: their names, or a text file with one name a line ("#" starts a
            comment). Names are matched exactly, else without case and without the version of an Ensembl id
            ("ENSG00000141510.18"). Those that the source lacks are named in a warning and in ``missing_genes``.
            None keeps all genes.
        min_matched: smallest share of the panel that the source must have.
        normalise: "log1p_cp10k" maps counts to log(1 + counts per ten thousand); "counts" keeps counts and
            refuses a source that has none; "none" keeps whatever the source gives.
        num_genes: how many highly variable genes to keep, chosen on the training rows alone by
            ``scanpy.pp.highly_variable_genes`` (flavour "seurat": Satija et al., Nat. Biotechnol. 33:495, 2015)
            on log1p CP10k values; 0 keeps all genes. With a panel they are chosen among its genes.
        fit_cells: most training rows that are looked at to choose them, evenly spaced over all of them: memory is
            about 12 bytes a gene and row looked at, whatever the number of training rows.
        augment: set genes of training rows to zero at random, as drop-out of the assay does.
        dropout: probability of that, for each gene of a cell; the other genes keep their values.

    Attributes:
        missing_genes: genes of the panel that the source lacks; known after ``fit``.

    Raises:
        SpecError: an argument is out of range.
    """

    kind = "expression"

    def __init__(
        self,
        *,
        genes: list[str] | str | None = None,
        min_matched: float = 0.5,
        normalise: Literal["log1p_cp10k", "counts", "none"] = "log1p_cp10k",
        num_genes: int = 0,
        fit_cells: int = 4000,
        augment: bool = False,
        dropout: float = 0.1,
    ) -> None:
        check_choice(self, "normalise", normalise, NORMALISATIONS)
        if num_genes < 0:
            raise SpecError(f"ExpressionProcessor: num_genes must be at least 0, got {num_genes}")
        if fit_cells < 2:
            raise SpecError(f"ExpressionProcessor: fit_cells must be at least 2, got {fit_cells}")
        if not 0 <= min_matched <= 1:
            raise SpecError(f"ExpressionProcessor: min_matched must be in [0, 1], got {min_matched}")
        if genes is not None and not genes:
            raise SpecError("ExpressionProcessor: the panel 'genes' is empty; leave it out to keep all genes")
        if not 0 <= dropout < 1:
            raise SpecError(f"ExpressionProcessor: dropout must be in [0, 1), got {dropout}")
        self.normalise, self.num_genes, self.augments, self.dropout = normalise, num_genes, augment, dropout
        self.genes, self.min_matched, self.fit_cells = genes, min_matched, fit_cells
        self.missing_genes: tuple[str, ...] = ()
        self.fits = num_genes > 0
        self._raw = RawModality("", "expression")
        self._total = 0
        self._keep: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Choose the genes from training rows (G0,); without ``num_genes`` the first row gives their number.

        Raises:
            DataError: no row, fewer than two rows to choose genes from, a row that ``__call__`` would refuse, or a
                file with the panel that cannot be read.
            SpecError: more genes are asked than there are, too few genes of the panel are there, or the unit does
                not fit ``normalise``.
        """
        if not len(values):
            raise DataError(f"expression '{raw.name}': no training row to fit on")
        if self.normalise == "counts" and raw.unit not in COUNT_UNITS:
            raise SpecError(
                f"expression '{raw.name}': normalise='counts' needs counts, the source gives '{raw.unit}'; use 'none'"
            )
        self._raw = raw
        self._total = len(raw.features) or int(np.asarray(values[0]).size)
        self._keep = np.arange(self._total) if self.genes is None else self._match(raw, self.genes)
        if not self.fits:
            self._checked(values[0])
            return
        if self.num_genes > len(self._keep):
            raise SpecError(f"expression '{raw.name}': num_genes is {self.num_genes} of {len(self._keep)} genes")
        if len(values) < 2:
            raise DataError(
                f"expression '{raw.name}': variable genes need at least 2 training rows, got {len(values)}"
            )
        if raw.unit not in COUNT_UNITS and not raw.unit.startswith("log1p"):
            raise SpecError(
                f"expression '{raw.name}': variable genes are chosen on counts or log1p values, the source gives "
                f"'{raw.unit}'; use num_genes=0"
            )
        looked_at = evenly_spaced(len(values), self.fit_cells)
        rows = np.empty((len(looked_at), len(self._keep)), dtype=np.float32)
        for i, position in enumerate(looked_at.tolist()):
            row = self._checked(values[position])
            rows[i] = (log1p_cp10k(row) if raw.unit in COUNT_UNITS else row)[self._keep]
        self._keep = self._keep[variable_genes(rows, self.num_genes)]

    def _match(self, raw: RawModality, genes: list[str] | str) -> npt.NDArray[np.int64]:
        """Positions of the panel's genes, in its order."""
        if not raw.features:
            raise SpecError(
                f"expression '{raw.name}': its genes have no names, so that none can be chosen by 'genes'"
            )
        panel = read_panel(Path(genes)) if isinstance(genes, str) else genes
        positions, missing = match_genes(panel, raw.features)
        self.missing_genes = tuple(missing)
        shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        if len(positions) < max(1.0, self.min_matched * len(panel)):
            raise SpecError(
                f"expression '{raw.name}': the source has {len(positions)} of the {len(panel)} genes of the panel, "
                f"fewer than min_matched={self.min_matched:g}; missing: {shown}; its own genes are named like "
                f"{', '.join(raw.features[:3])}"
            )
        if missing:
            warnings.warn(
                f"expression '{raw.name}': {len(missing)} of {len(panel)} genes of the panel are missing: {shown}",
                stacklevel=2,
            )
        return np.asarray(positions, dtype=np.int64)

    def spec(self, raw: RawModality) -> ModalitySpec:
        """Spec of shape (G,), with the unit after normalisation and the names of the genes kept."""
        if not len(self._keep):
            raise SpecError(f"expression '{raw.name}': spec is known only after fit")
        return ModalitySpec(
            name=raw.name,
            kind=raw.kind,
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

    def decode(self, value: Tensor) -> npt.NDArray[np.float32]:
        """Map (G,) back to the genes that are kept (G,).

        Normalised values come back as counts per ten thousand: the number of counts of a cell is not kept.
        """
        row = value.detach().cpu().float().numpy()
        return np.asarray(np.expm1(row) if self._normalises else row, dtype=np.float32)

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


def read_panel(path: Path) -> list[str]:
    """Read names of genes, one a line; blank lines and what follows "#" do not count.

    Raises:
        DataError: the file is missing, is not text, or names no gene.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the gene panel cannot be read ({type(error).__name__}); expected text with one gene a line", file=path
        ) from error
    genes = [name for name in (line.split("#")[0].strip() for line in lines) if name]
    if not genes:
        raise DataError("the gene panel names no gene; expected one a line", file=path)
    return genes


def gene_key(name: str) -> str:
    """Name of a gene without case, and without the version where it is an Ensembl id.

    >>> gene_key("ENSG00000141510.18"), gene_key("Tp53"), gene_key("RP11-34P13.7")
    ('ensg00000141510', 'tp53', 'rp11-34p13.7')
    """
    return re.sub(r"^(ens[a-z]*[0-9]{11})\.[0-9]+$", r"\1", name.strip().casefold())


def match_genes(panel: Sequence[str], known: Sequence[str]) -> tuple[list[int], list[str]]:
    """Positions among ``known`` of the genes of a panel, in its order, and the names that are not there.

    >>> match_genes(["TP53", "ENSG00000141510", "XYZ"], ["Tp53", "ENSG00000141510.18"])
    ([0, 1], ['XYZ'])

    Raises:
        SpecError: two names of the panel are one gene, or one name fits several genes that differ in case or version.
    """
    exact = {name: i for i, name in reversed(list(enumerate(known)))}
    loose: dict[str, list[int]] = {}
    for i, name in enumerate(known):
        loose.setdefault(gene_key(name), []).append(i)
    taken: dict[int, str] = {}
    missing = []
    for name in panel:
        found = [exact[name]] if name in exact else loose.get(gene_key(name), [])
        if len(found) > 1:
            raise SpecError(
                f"gene '{name}' of the panel fits {', '.join(known[i] for i in found[:5])}; use one of them"
            )
        if not found:
            missing.append(name)
        elif found[0] in taken:
            raise SpecError(f"the panel names gene '{known[found[0]]}' twice: '{taken[found[0]]}' and '{name}'")
        else:
            taken[found[0]] = name
    return list(taken), missing


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
