"""Rows of an expression matrix in an HDF5 file (h5ad, 10x h5, loom), read without the rest of the matrix.

Uncompressed matrices are read through a map of the file, whose pages all workers share; compressed ones in
sorted blocks. Every block is checked as it is read, so that no pass over the whole matrix is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.formats.h5 import Positions, check_claims, merge_spans, reading, spread
from datamodules.io.formats.matrix_rows import MatrixRows, Rows, bad_value
from zoo.errors import DataError

BLOCK_VALUES = 1 << 22
"""Most values that one read of a compressed matrix asks for, unless a single row has more."""
CSC_ADVICE = (
    "is stored by columns (CSC), so single cells cannot be read from it. Read it into memory (backed: false), or "
    "rewrite it once by rows: data = anndata.read_h5ad(old); data.X = data.X.tocsr(); data.write_h5ad(new)"
)


class SparseRows(MatrixRows):
    """Rows of a matrix in compressed sparse rows: ``keys`` are its data, indices and indptr.

    The index of rows (8 bytes a row) is read at once and kept; see MatrixRows for the arguments.
    """

    _indptr: Positions | None = None

    def rows(self, indices: Sequence[int] | npt.NDArray[Any]) -> Any:
        """Rows ``indices`` as a scipy CSR matrix of float32; see MatrixRows.rows."""
        from scipy import sparse

        wanted = self._wanted(indices)
        indptr = self._pointers()
        if self.mapped:
            chosen, back = wanted, None
        else:
            chosen, back = np.unique(wanted, return_inverse=True)
        starts = indptr[chosen]
        lengths = indptr[chosen + 1] - starts
        with reading(self.path):
            if self._map is not None:
                positions = spread(starts, lengths)
                values, columns = (v[p.at(positions)] for v, p in zip(self._views, self._places, strict=True))
                self._let_go(len(wanted))
            else:
                values, columns = (self._read(s, starts, lengths) for s in self._sets)
        values, columns = np.asarray(values, dtype=np.float32), np.asarray(columns)
        own = np.concatenate([[0], np.cumsum(lengths)])
        self._check(values, columns, own, chosen)
        own = own.astype(np.int32) if own[-1] < 2**31 else own  # scipy copies all where the two types differ
        matrix = sparse.csr_matrix((values, columns.astype(own.dtype), own), shape=(len(chosen), self.shape[1]))
        return matrix if back is None else matrix[back.reshape(-1)]

    def _pointers(self) -> Positions:
        if self._indptr is None:
            import h5py

            with reading(self.path), h5py.File(self.path, "r") as file:
                data, columns, pointers = (file[k] for k in (*self.keys, self.keys[0].rsplit("/", 1)[0] + "/indptr"))
                for dataset in (data, columns, pointers):
                    check_claims(dataset, self.path)
                indptr = np.asarray(pointers[()], dtype=np.int64)
                if data.dtype.kind not in "iufb" or columns.dtype.kind not in "iu":
                    raise DataError(
                        f"'{self.keys[0]}' is of {data.dtype} and '{self.keys[1]}' of {columns.dtype}; expected "
                        "numbers and whole numbers",
                        file=self.path,
                    )
                sizes = (data.size, columns.size)
            whole = len(indptr) == self.shape[0] + 1 and indptr[0] == 0 and indptr[-1] == sizes[0] == sizes[1]
            if not whole or (np.diff(indptr) < 0).any():
                raise DataError(
                    f"the index of rows beside '{self.keys[0]}' does not fit {self.shape[0]} rows, {sizes[0]} values "
                    f"and {sizes[1]} columns of them; get the file again",
                    file=self.path,
                )
            self._indptr = indptr
        return self._indptr

    def _read(self, dataset: Any, starts: Positions, lengths: Positions) -> npt.NDArray[Any]:
        full = np.flatnonzero(lengths)
        begins, ends = starts[full], starts[full] + lengths[full]
        pieces = [np.zeros(0, dtype=dataset.dtype)]
        for first, last in merge_spans(begins, ends, dataset.chunks[0] if dataset.chunks else 4096, BLOCK_VALUES):
            block = dataset[begins[first] : ends[last - 1]]
            own = slice(first, last)
            pieces.append(block[spread(begins[own] - begins[first], ends[own] - begins[own])])
        return np.concatenate(pieces)

    def _check(self, values: Rows, columns: npt.NDArray[Any], own: Positions, rows: Positions) -> None:
        if not len(values):
            return
        if not (columns.min() >= 0 and columns.max() < self.shape[1]):
            bad = int(np.flatnonzero((columns < 0) | (columns >= self.shape[1]))[0])
            raise DataError(
                f"a value is of gene number {columns[bad]} of {self.shape[1]}; get the file again",
                file=self.path,
                row=self._name(int(rows[np.searchsorted(own, bad, side="right") - 1])),
            )
        found = bad_value(values, self.whole)
        if found:
            bad, problem = found
            raise DataError(
                f"{self._gene(int(columns[bad]))}: the value {values[bad]} {problem}",
                file=self.path,
                row=self._name(int(rows[np.searchsorted(own, bad, side="right") - 1])),
            )


class DenseRows(MatrixRows):
    """Rows of a dense matrix: ``keys`` is its one dataset; see MatrixRows for the other arguments.

    Attributes:
        by_gene: whether the dataset is (G, N), as in loom files, rather than (N, G).
    """

    by_gene: bool = False

    def rows(self, indices: Sequence[int] | npt.NDArray[Any]) -> Rows:
        """Rows ``indices`` as float32 (n, G); see MatrixRows.rows."""
        wanted = self._wanted(indices)
        self._open()
        with reading(self.path):
            if self._map is not None:
                whole = self._views[0][: self.shape[0] * self.shape[1]]
                grid = whole.reshape(self.shape[::-1]).T if self.by_gene else whole.reshape(self.shape)
                values = np.asarray(grid[wanted], dtype=np.float32)
                self._let_go(len(wanted))
            else:
                values = self._read(wanted)
        flat = bad_value(values.reshape(-1), self.whole)
        if flat:
            row, column = divmod(flat[0], self.shape[1])
            raise DataError(
                f"{self._gene(column)}: the value {values[row, column]} {flat[1]}",
                file=self.path,
                row=self._name(int(wanted[row])),
            )
        return values

    def _read(self, wanted: Positions) -> Rows:
        dataset = self._sets[0]
        if dataset.dtype.kind not in "iufb":
            raise DataError(f"'{self.keys[0]}' is of {dataset.dtype}; expected numbers", file=self.path)
        chosen, back = np.unique(wanted, return_inverse=True)
        gap = dataset.chunks[self.by_gene] if dataset.chunks else 1
        out = np.zeros((len(chosen), self.shape[1]), dtype=np.float32)
        most = max(1, BLOCK_VALUES // self.shape[1])
        for first, last in merge_spans(chosen, chosen + 1, gap, most):
            begin, end = int(chosen[first]), int(chosen[last - 1]) + 1
            block = dataset[:, begin:end].T if self.by_gene else dataset[begin:end]
            out[first:last] = block[chosen[first:last] - begin]
        return np.asarray(out[back.reshape(-1)])


class GeneMajorRows(DenseRows):
    """Columns of a dense matrix (G, N), as loom files have it, given as rows."""

    by_gene = True


def open_rows(
    path: Path, key: str = "X", *, names: Sequence[str] = (), genes: Sequence[str] = (), whole: bool = False
) -> MatrixRows:
    """Open the matrix at ``key`` of an h5ad file, sparse or dense, in the encodings of anndata old and new.

    Args:
        path: the file.
        key: "X", "raw/X" or "layers/name".
        names: of the cells; where given, the matrix must have as many rows.
        genes: of the columns; where given, the matrix must have as many.
        whole: whether values must be whole numbers.

    Raises:
        DataError: there is no such matrix, it is stored by columns (the message says what to do), or its header
            contradicts the file.
    """
    import h5py

    shape: Any
    kind: Any
    with reading(path, "h5ad file"), h5py.File(path, "r") as file:
        if key not in file:
            raise DataError(f"the file has no matrix '{key}'; it has {sorted(file)}", file=path)
        node = file[key]
        is_dense = isinstance(node, h5py.Dataset)
        attributes = dict(node.attrs)
        if is_dense:
            check_claims(node, path)
            shape, kind = node.shape, "dense"
        else:
            shape = attributes.get("shape", attributes.get("h5sparse_shape", ()))
            kind = attributes.get("encoding-type", attributes.get("h5sparse_format", ""))
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    shape = tuple(int(n) for n in shape)
    if kind in ("csc_matrix", "csc"):
        raise DataError(f"'{key}' {CSC_ADVICE}", file=path)
    if kind not in ("dense", "csr_matrix", "csr") or len(shape) != 2 or 0 in shape:
        raise DataError(
            f"'{key}' is no matrix (encoding '{kind}', shape {shape}); expected (cells, genes)", file=path
        )
    for what, n, known in (("cells", shape[0], names), ("genes", shape[1], genes)):
        if known and n != len(known):
            raise DataError(f"'{key}' has {n} {what} and the file names {len(known)}; get it again", file=path)
    if is_dense:
        return DenseRows(path, (shape[0], shape[1]), (key,), names=names, genes=genes, whole=whole)
    made = SparseRows(
        path, (shape[0], shape[1]), (f"{key}/data", f"{key}/indices"), names=names, genes=genes, whole=whole
    )
    made._pointers()
    return made
