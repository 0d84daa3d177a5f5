"""Write a tiny h5ad in the layout of scrna/cbmc_citeseq.h5ad: counts, surface proteins, a numbered type."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write ``n`` cells of 30 genes, 10 proteins and three types."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.arange(n) % 3
    counts = generator.poisson(np.where(np.arange(30)[None, :] // 10 == kind[:, None], 8.0, 1.0))
    obs = pd.DataFrame({"cell_type": [f"type_{k + 1}" for k in kind]}, index=[f"cell{i}" for i in range(n)])
    data = anndata.AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=obs)
    data.var_names = [f"gene{i}" for i in range(30)]
    data.obsm["protein"] = generator.normal(kind[:, None], 0.5, (n, 10))
    data.write_h5ad(folder / "cbmc_citeseq.h5ad")
