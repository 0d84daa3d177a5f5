"""Write a tiny file in the layout of scanpy's processed PBMC3k."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

TYPES = ("CD4 T cells", "CD14+ Monocytes", "B cells", "NK cells")


def write(folder: Path, seed: int = 0, n: int = 24, genes: int = 30) -> None:
    """Write n cells of four types; X is scaled and of fewer genes, raw is log-normalised and sparse."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    kind = np.arange(n) % len(TYPES)
    counts = generator.poisson(0.5 + 4.0 * ((np.arange(genes) % len(TYPES))[None] == kind[:, None])).astype(
        np.float64
    )
    values = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    obs = pd.DataFrame(
        {"n_genes": (counts > 0).sum(axis=1), "louvain": pd.Categorical([TYPES[k] for k in kind])},
        index=[f"AAACATACAACC{i:04d}-1" for i in range(n)],
    )
    full = anndata.AnnData(
        sparse.csr_matrix(values), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(genes)])
    )
    data = full[:, : genes // 2].copy()
    data.X = ((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6))[:, : genes // 2]
    data.raw = full
    data.write_h5ad(folder / "pbmc3k_processed.h5ad")
