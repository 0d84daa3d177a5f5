"""Write a tiny Cell Ranger run: h5 (version 3 and 2), mtx folders (version 3 and 2) and a table of clusters."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

PROTEINS = ("CD3", "CD19")


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write ``n`` cells of 30 genes and two antibodies, in three clusters.

    Beside the default filtered_feature_bc_matrix.h5 there are a folder of that name, and, in the layout of
    version 2, filtered_gene_bc_matrices_h5.h5 and filtered_gene_bc_matrices/GRCh38. Two genes share a symbol.
    """
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.arange(n) % 3
    counts = generator.poisson(np.where(np.arange(32)[:, None] // 10 == kind[None, :], 8.0, 1.0)).astype(np.int32)
    ids = [f"ENSG{i:011d}" for i in range(30)] + list(PROTEINS)
    symbols = [f"GENE{i if i != 7 else 6}" for i in range(30)] + list(PROTEINS)
    kinds = ["Gene Expression"] * 30 + ["Antibody Capture"] * 2
    barcodes = [f"{''.join('ACGT'[i // 4**k % 4] for k in range(16))}-1" for i in range(n)]
    matrix = sparse.csc_matrix(counts)
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "w") as file:
        group = _h5_matrix(file.create_group("matrix"), matrix, barcodes)
        for name, values in (("id", ids), ("name", symbols), ("feature_type", kinds), ("genome", ["GRCh38"] * 32)):
            group.create_dataset(f"features/{name}", data=np.array(values, dtype="S"), compression="gzip")
        group.create_dataset("features/_all_tag_keys", data=np.array([b"genome"]))
    with h5py.File(folder / "filtered_gene_bc_matrices_h5.h5", "w") as file:
        group = _h5_matrix(file.create_group("GRCh38"), matrix[:30], barcodes)
        group.create_dataset("genes", data=np.array(ids[:30], dtype="S"))
        group.create_dataset("gene_names", data=np.array(symbols[:30], dtype="S"))
    new, old = folder / "filtered_feature_bc_matrix", folder / "filtered_gene_bc_matrices" / "GRCh38"
    for place in (new, old):
        place.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("matrix.mtx", _mtx(counts)),
        ("features.tsv", "".join(f"{a}\t{b}\t{c}\n" for a, b, c in zip(ids, symbols, kinds, strict=True))),
        ("barcodes.tsv", "".join(f"{b}\n" for b in barcodes)),
    ):
        (new / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (old / "matrix.mtx").write_text(_mtx(counts[:30]))
    (old / "genes.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in zip(ids[:30], symbols[:30], strict=True)))
    (old / "barcodes.tsv").write_text("".join(f"{b}\n" for b in barcodes))
    clusters = folder / "analysis" / "clustering" / "graphclust"
    clusters.mkdir(parents=True, exist_ok=True)
    lines = [f"{b},{k + 1}" for b, k in zip(barcodes, kind, strict=True)]
    (clusters / "clusters.csv").write_text("\n".join(["Barcode,Cluster", *lines]) + "\n")


def _h5_matrix(group: h5py.Group, matrix: sparse.csc_matrix, barcodes: list[str]) -> h5py.Group:
    matrix = sparse.csc_matrix(matrix)
    group.create_dataset("barcodes", data=np.array(barcodes, dtype="S"), compression="gzip")
    group.create_dataset("data", data=matrix.data, chunks=(16,), compression="gzip")
    group.create_dataset("indices", data=matrix.indices.astype(np.int64), chunks=(16,), compression="gzip")
    group.create_dataset("indptr", data=matrix.indptr.astype(np.int64), compression="gzip")
    group.create_dataset("shape", data=np.array(matrix.shape, dtype=np.int32))
    return group


def _mtx(counts: np.ndarray) -> str:
    rows, columns = np.nonzero(counts)
    entries = "".join(f"{r + 1} {c + 1} {counts[r, c]}\n" for r, c in zip(rows, columns, strict=True))
    head = '%%MatrixMarket matrix coordinate integer general\n%metadata_json: {"format_version": 2}\n'
    return f"{head}{counts.shape[0]} {counts.shape[1]} {len(rows)}\n{entries}"
