"""The cells of one file: their names, genes, description and matrix, in memory or on disk."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.io.formats.csr import open_rows
from datamodules.io.formats.h5 import check_claims, check_heaps, reading
from datamodules.io.formats.matrix_rows import MatrixRows, bad_value
from datamodules.io.unknown import RULE
from zoo.errors import DataError, unknown_name

Backed = bool | Literal["auto"]
"""Whether a matrix stays on disk; "auto": where its file is larger than AUTO_BYTES."""
AUTO_BYTES = 1 << 30


@dataclass(frozen=True)
class Cells:
    """The cells of one file.

    Attributes:
        file: where they come from.
        matrix: scipy CSR matrix (N, G) of float32, or the rows of one on disk.
        names: N names of cells.
        genes: G names of genes.
        obs: table of N lines that describes the cells.
        obsm: name -> further table (N, ...) of the file.
        columns: positions in the matrix of the genes; None where it holds just these.
        remarks: column of obs that was asked for -> what is to be said of its unknown values.
    """

    file: Path | str
    matrix: Any
    names: tuple[str, ...]
    genes: tuple[str, ...]
    obs: pd.DataFrame
    obsm: Mapping[str, Any] = field(default_factory=dict)
    columns: npt.NDArray[np.int64] | None = None
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def rows(self, cells: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Expression (n, G) of ``cells``, in that order."""
        dense = self.matrix.dense(cells) if isinstance(self.matrix, MatrixRows) else self.matrix[cells].toarray()
        return np.asarray(dense if self.columns is None else dense[:, self.columns], dtype=np.float32)

    def row(self, i: int) -> npt.NDArray[np.float32]:
        """Expression (G,) of cell ``i``."""
        return np.asarray(self.rows([i])[0])

    def column(self, name: str) -> list[str]:
        """Column ``name`` of obs as text, "" where unknown: null, or a word such as nan (see datamodules.io.unknown).

        Raises:
            UnknownNameError: obs has no such column.
        """
        if name not in self.obs.columns:
            raise unknown_name(f"obs column of {Path(self.file).name}", name, map(str, self.obs.columns))
        values = self.obs[name]
        known = [None if unknown else v for v, unknown in zip(values, values.isna(), strict=True)]
        cells, told = RULE.blank(known, name)
        self.remarks[name] = told
        return cells


def stays_on_disk(path: Path, backed: Backed) -> bool:
    """Whether the matrix of the file stays on disk."""
    return path.stat().st_size > AUTO_BYTES if backed == "auto" else backed


def load_cells(
    path: Path, *, integers: bool, backed: Backed = False, layer: str = "", obsm: Sequence[str] = ()
) -> Cells:
    """Read an h5ad file and check its matrix.

    Args:
        path: the file.
        integers: whether the values must be whole numbers, as counts are.
        backed: leave the matrix on disk, and check it as it is read.
        layer: "" takes X, "raw" the matrix and genes of raw, any other name that layer.
        obsm: which tables of obsm are read where the matrix is left on disk; in memory all of them are.

    Raises:
        DataError: the file is missing or broken, or a value is negative, not finite, or not whole where it
            must be.
    """
    if not path.is_file():
        raise DataError("the file does not exist; check the source's 'file' argument", file=path)
    check_heaps(path)
    if stays_on_disk(path, backed):
        return _on_disk(path, integers=integers, layer=layer, obsm=obsm)
    import anndata
    import h5py

    with reading(path, "h5ad file"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with h5py.File(path, "r") as file:
            check_claims(file, path)
        data = anndata.read_h5ad(path)
        known = {"": data.X, **data.layers, **({"raw": data.raw.X} if data.raw is not None else {})}
    if layer not in known:
        raise unknown_name(f"layer of {path.name}", layer, [*data.layers, "raw"])
    if known[layer] is None or 0 in data.shape:
        raise DataError(
            f"the file holds no expression matrix (shape {data.shape}); X must be (cells, genes)", file=path
        )
    genes = data.raw.var_names if layer == "raw" else data.var_names
    return make_cells(data, path, known[layer], map(str, genes), integers=integers)


def _on_disk(path: Path, *, integers: bool, layer: str, obsm: Sequence[str]) -> Cells:
    import anndata
    import h5py

    key = {"": "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
    with reading(path, "h5ad file"), warnings.catch_warnings(), h5py.File(path, "r") as file:
        warnings.simplefilter("ignore")
        if layer not in ("", "raw") and key not in file:
            raise unknown_name(f"layer of {path.name}", layer, [*file.get("layers", ()), "raw"])
        for name in obsm:
            if f"obsm/{name}" not in file:
                raise unknown_name(f"obsm table of {path.name}", name, file.get("obsm", ()))
        obs = _read_frame(file, "obs", path)
        var = _read_frame(file, "raw/var" if layer == "raw" else "var", path)
        for name in obsm:
            check_claims(file[f"obsm/{name}"], path)
        tables = {name: anndata.io.read_elem(file[f"obsm/{name}"]) for name in obsm}
    names, genes = tuple(map(str, obs.index)), tuple(map(str, var.index))
    return Cells(path, open_rows(path, key, names=names, genes=genes, whole=integers), names, genes, obs, tables)


def _read_frame(file: Any, key: str, path: Path) -> pd.DataFrame:
    """Read obs or var, also as anndata wrote them before 0.7: one table, its categories apart, in uns."""
    import anndata
    import h5py

    if key not in file:
        raise DataError(f"the file has no '{key}'; it has {sorted(file)}: get it again", file=path)
    node = file[key]
    check_claims(node, path)
    if isinstance(node, h5py.Group):
        frame = anndata.io.read_elem(node)
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"'{key}' is no table; get the file again", file=path)
        return frame
    records = node[()]
    columns: dict[str, Any] = {}
    for name in records.dtype.names:
        values = records[name]
        if values.dtype.kind in "SO":
            values = [v.decode() if isinstance(v, bytes) else str(v) for v in values]
        if f"uns/{name}_categories" in file:
            stored = file[f"uns/{name}_categories"]
            check_claims(stored, path)
            known = [v.decode() if isinstance(v, bytes) else str(v) for v in stored[()]]
            values = pd.Categorical.from_codes(np.asarray(values, dtype=np.int64), pd.Index(known))
        columns[name] = values
    return pd.DataFrame(columns).set_index(records.dtype.names[0])


def make_cells(data: Any, file: Path | str, matrix: Any, genes: Any, *, integers: bool) -> Cells:
    """Check ``matrix`` (N, G) of an AnnData ``data`` and gather what sources need of it; see load_cells.

    Args:
        data: an AnnData object.
        file: it was read from, for errors.
        matrix: (N, G) its counts or levels.
        genes: names of the G genes.
        integers: whether values must be whole numbers.
    """
    names = tuple(str(n) for n in data.obs_names)
    return checked_cells(file, matrix, names, tuple(genes), data.obs, dict(data.obsm), integers=integers)


def checked_cells(
    file: Path | str,
    matrix: Any,
    names: tuple[str, ...],
    genes: tuple[str, ...],
    obs: pd.DataFrame,
    obsm: Mapping[str, Any],
    *,
    integers: bool,
) -> Cells:
    """Cells in memory, of a matrix (N, G) of any kind, whose every value is checked.

    Args:
        file: the cells were read from, for errors.
        matrix: (N, G) counts or levels, sparse or dense.
        names: of the N cells.
        genes: names of the G genes.
        obs: description of the cells, a row each.
        obsm: name -> further table of the cells.
        integers: whether values must be whole numbers.
    """
    from scipy import sparse

    _check_sparse(matrix, file)
    cells = Cells(file, sparse.csr_matrix(matrix, dtype=np.float32), names, genes, obs, obsm)
    if cells.matrix.nnz < 2**31:  # scipy copies all indices for every row where the two types differ
        cells.matrix.indptr = cells.matrix.indptr.astype(np.int32, copy=False)
        cells.matrix.indices = cells.matrix.indices.astype(np.int32, copy=False)
    values = cells.matrix.data
    found = bad_value(values, integers)
    if found:
        where, problem = found
        row = int(np.searchsorted(cells.matrix.indptr, where, side="right")) - 1
        gene = cells.genes[cells.matrix.indices[where]]
        raise DataError(f"gene '{gene}': the value {values[where]} {problem}", file=file, row=cells.names[row])
    return cells


def _check_sparse(matrix: Any, path: Path | str) -> None:
    """Raise DataError where the indices of a matrix of scipy lie outside of it: scipy would end the process."""
    from scipy import sparse

    if not sparse.issparse(matrix) or not hasattr(matrix, "check_format"):
        return
    try:
        matrix.check_format(full_check=True)
    except (ValueError, AttributeError) as error:
        raise DataError(f"the sparse matrix contradicts itself ({error}); get the file again", file=path) from error


def natural_order(names: Sequence[str]) -> list[str]:
    """Sort distinct names with the numbers in them as numbers.

    >>> natural_order(["type_10", "type_2", "type_2"])
    ['type_2', 'type_10']
    """

    def key(name: str) -> list[tuple[int, int, str]]:
        return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"([0-9]+)", name)]

    return sorted(set(names), key=key)


def encode(values: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Names in natural order, and the code of each value: its position among the names, -1 for "".

    >>> encode(["lung", "", "heart"])
    (('heart', 'lung'), [1, -1, 0])
    """
    names = tuple(natural_order([v for v in values if v]))
    codes = {name: code for code, name in enumerate(names)}
    return names, [codes.get(v, -1) for v in values]


def choose_cells(n: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Positions, in increasing order, of ``most`` of ``n`` cells drawn at random; all of them for 0.

    Args:
        n: number of cells in the file.
        most: how many to draw; 0 for all.
        seed: of the draw.
    """
    if not most or most >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def cell_table(
    prefix: str, names: Sequence[str], group: Sequence[str], stratum: Sequence[str], cells: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """Index of ``cells``, positions in the file; ``names``, ``group`` and ``stratum`` are of all cells in it.

    Args:
        prefix: of the names of rows, such as the name of the file.
        names: of all cells in the file.
        group: of all cells in the file.
        stratum: of all cells in the file.
        cells: positions of those that become rows.
    """
    chosen = cells.tolist()
    return pd.DataFrame(
        {
            "id": [f"{prefix}/{names[i]}" for i in chosen],
            "subject": "",
            "group": [group[i] for i in chosen],
            "stratum": [stratum[i] for i in chosen],
            "split": "",
            "cell": cells,
        }
    )
