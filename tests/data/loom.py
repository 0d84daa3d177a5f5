"""Write a tiny loom file, specification 3.0: matrix (genes, cells), chunked and compressed, and its attributes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write ``n`` cells of 30 genes, three named types and four donors."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.arange(n) % 3
    counts = generator.poisson(np.where(np.arange(30)[:, None] // 10 == kind[None, :], 8.0, 1.0)).astype(np.float32)
    text = h5py.string_dtype("utf-8")
    columns = {
        "CellID": [f"cell{i}" for i in range(n)],
        "cell_type": [("T cell", "B cell", "NK cell")[k] for k in kind],
        "donor": [f"d{i // 3 % 4}" for i in range(n)],
    }
    with h5py.File(folder / "cells.loom", "w") as file:
        file.create_dataset("matrix", data=counts, chunks=(8, 8), maxshape=(30, None), compression="gzip")
        file.create_dataset("layers/spliced", data=counts // 2, chunks=(8, 8), compression="gzip")
        file.create_dataset("row_attrs/Gene", data=[f"gene{i}" for i in range(30)], dtype=text)
        for name, values in columns.items():
            file.create_dataset(f"col_attrs/{name}", data=values, dtype=text)
        file.create_dataset("col_attrs/Clusters", data=kind.astype(np.int64))
        file.create_dataset("col_attrs/PCA", data=np.zeros((n, 2), dtype=np.float32))
        file.create_group("row_graphs")
        file.create_group("col_graphs")
        file.create_dataset("attrs/LOOM_SPEC_VERSION", data="3.0.0", dtype=text)
