"""Write a tiny h5ad in the layout of scrna/kidney.h5ad: counts and a numbered cell type."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write ``n`` cells of 30 genes and three types; each type has ten genes of its own."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.arange(n) % 3
    rate = np.where(np.arange(30)[None, :] // 10 == kind[:, None], 8.0, 1.0)
    counts = generator.poisson(rate).astype(np.float32)
    obs = pd.DataFrame({"cell_type": [f"type_{k}" for k in kind]}, index=[f"cell{i}" for i in range(n)])
    var = pd.DataFrame(index=[f"gene{i}" for i in range(30)])
    anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var).write_h5ad(folder / "kidney.h5ad")
