"""Write a tiny h5ad in the layout of scrna/mca_tissues.h5ad: average profiles of types in organs."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

TYPES = ("Macrophage", "T cell", "B cell", "Secretory alveoli cell")
ORGANS = ("Lung", "Kidney", "Brain")


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write ``n`` profiles of 20 named genes; every fourth is of a type that is not recurrent."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.arange(n) % len(TYPES)
    values = generator.gamma(2.0, np.where(np.arange(20)[None, :] // 5 == kind[:, None], 90.0, 10.0))
    types = [TYPES[k] for k in kind]
    organs = [ORGANS[i // len(TYPES) % len(ORGANS)] for i in range(n)]
    profile = [f"{t}_marker{i}({o})" for i, (t, o) in enumerate(zip(types, organs, strict=True))]
    names = [f"profile{i}" for i in range(n)]
    obs = pd.DataFrame({"profile": profile, "organ": organs, "cell_type": types}, index=names)
    var = pd.DataFrame(index=[f"Gene{i}" for i in range(20)])
    data = anndata.AnnData(sparse.csr_matrix(values.astype(np.float32)), obs=obs, var=var)
    data.write_h5ad(folder / "mca_tissues.h5ad")
