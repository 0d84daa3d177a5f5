"""Single-cell RNA counts of a virtual patient."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from datamodules.phantom.latent import CELL_TYPES, ORGANS, Patient
from zoo.errors import SpecError

MARKERS = {
    "T cell": ("CD3D", "CD3E", "CD2", "IL7R", "TRAC", "LTB"),
    "B cell": ("CD79A", "CD79B", "MS4A1", "CD19", "CD74", "BANK1"),
    "monocyte": ("CD14", "LYZ", "S100A8", "S100A9", "FCN1", "VCAN"),
    "NK cell": ("NKG7", "GNLY", "KLRD1", "PRF1", "GZMB", "KLRF1"),
    "dendritic cell": ("FCER1A", "CD1C", "CLEC10A", "CLEC9A", "FLT3", "IRF8"),
}
"""Marker genes of each cell type; they carry the clearest signal."""
MIN_GENES = 60
_PROGRAM_SEED = 7_041
_INVERSE_DISPERSION = 2.0


def gene_names(genes: int = 200) -> tuple[str, ...]:
    """Return the names of ``genes`` genes: the markers, then simulated ones.

    >>> gene_names(60)[:2], gene_names(60)[-1]
    (('CD3D', 'CD3E'), 'SIM059')

    Raises:
        SpecError: fewer than 60 genes.
    """
    if genes < MIN_GENES:
        raise SpecError(f"scRNA: genes must be at least {MIN_GENES} (30 of them markers), got {genes}")
    markers = [name for cell_type in CELL_TYPES for name in MARKERS[cell_type]]
    return (*markers, *(f"SIM{i:03d}" for i in range(len(markers), genes)))


GENES = gene_names()
"""Names of the default 200 genes."""


@lru_cache(maxsize=8)
def programs(genes: int = 200) -> npt.NDArray[np.float64]:
    """Return expected counts (cell types, organs, genes) at library size 1; the same for every cohort.

    Markers rise 2.5- to 6-fold in their cell type; every cell type also shifts a tenth of the other genes,
    and every organ another tenth, two-fold up or down.
    """
    gene_names(genes)
    g = np.random.default_rng([_PROGRAM_SEED, genes])
    base = g.normal(-0.3, 0.9, genes)
    mean = np.tile(base, (len(CELL_TYPES), len(ORGANS), 1))
    first = 0
    rest = np.arange(sum(len(m) for m in MARKERS.values()), genes)
    for k, cell_type in enumerate(CELL_TYPES):
        width = len(MARKERS[cell_type])
        mean[k, :, first : first + width] += g.uniform(np.log(2.5), np.log(6.0), width)
        first += width
        shifted = g.choice(rest, max(1, len(rest) // 10), replace=False)
        mean[k, :, shifted] += np.log(2.0) * g.choice((-1.0, 1.0), (len(shifted), 1))
    for organ in range(len(ORGANS)):
        shifted = g.choice(rest, max(1, len(rest) // 10), replace=False)
        mean[:, organ, shifted] += np.log(2.0) * g.choice((-1.0, 1.0), len(shifted))
    table = np.exp(mean)
    table.setflags(write=False)
    return table


def render_scrna(patient: Patient, genes: int = 200) -> npt.NDArray[np.float32]:
    """Return (genes,) counts of one cell of ``patient.cell_type`` from ``patient.organ``.

    Negative binomial with inverse dispersion 2 (a gamma-Poisson mixture, as in Lopez et al. 2018) around the
    program of cell type and organ, times a log-normal library size.

    Raises:
        SpecError: fewer than 60 genes.
    """
    g = patient.generator("scrna")
    mean = programs(genes)[patient.cell_type, patient.organ] * np.exp(g.normal(0.0, 0.35))
    rate = g.gamma(_INVERSE_DISPERSION, mean / _INVERSE_DISPERSION)
    return np.asarray(g.poisson(rate), dtype=np.float32)
