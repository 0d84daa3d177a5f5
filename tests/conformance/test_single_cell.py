"""Files of single cells as anndata reads them: every encoding of the matrix, of obs, obsm, layers and raw.

Each variant is read into memory and row by row from the disk; both must give the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from datamodules.io.formats.cells import Cells, load_cells
from tests.conformance.table import Case, Format, Variant, assert_same, cases

Make = Callable[[Path], Path]
COUNTS = np.random.default_rng(0).poisson(1.5, (6, 5)).astype(np.float32)
NAMES, GENES = [f"cell{i}" for i in range(6)], [f"gene{i}" for i in range(5)]


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns or {"cell_type": list("abcabc")}, index=pd.Index(NAMES))


def h5ad(edit: Callable[[anndata.AnnData], Any] = lambda data: None, x: Any = COUNTS, **options: Any) -> Make:
    """A file that anndata writes, edited before."""

    def make(folder: Path) -> Path:
        data = anndata.AnnData(x, obs=table(), var=pd.DataFrame(index=pd.Index(GENES)))
        data = edit(data) if isinstance(edit(data.copy()), anndata.AnnData) else _edited(data, edit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data.write_h5ad(folder / "a.h5ad", **options)
        return folder / "a.h5ad"

    return make


def _edited(data: anndata.AnnData, edit: Callable[[anndata.AnnData], Any]) -> anndata.AnnData:
    edit(data)
    return data


def column(values: Any) -> Make:
    """A file whose obs holds these values."""
    return h5ad(lambda data: data.obs.__setitem__("value", values))


def stored(edit: Callable[[h5py.File], Any], make: Make | None = None) -> Make:
    """A file that is edited by h5py after anndata has written it."""

    def write(folder: Path) -> Path:
        path = (make or h5ad())(folder)
        with h5py.File(path, "r+") as file:
            edit(file)
        return path

    return write


def _held(cells: Cells) -> dict[str, Any]:
    tables = {}
    for name, held in cells.obsm.items():
        dense = held.toarray() if hasattr(held, "toarray") else held
        tables[name] = np.asarray(dense, dtype=np.float64)
    return {
        "names": list(cells.names),
        "genes": list(cells.genes),
        "matrix": cells.rows(range(len(cells.names))).astype(np.float64),
        "obs": {str(c): cells.column(c) for c in cells.obs.columns},
        "obsm": tables,
    }


def ours(layer: str = "", obsm: tuple[str, ...] = (), whole: bool = False) -> Callable[[Path], dict[str, Any]]:
    def read(path: Path) -> dict[str, Any]:
        memory = _held(load_cells(path, integers=whole, layer=layer, obsm=obsm))
        disk = _held(load_cells(path, integers=whole, layer=layer, obsm=obsm, backed=True))
        assert_same(disk, memory, where="on disk")
        return memory

    return read


def with_anndata(layer: str = "") -> Callable[[Path], dict[str, Any]]:
    def read(path: Path) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = anndata.read_h5ad(path)
        matrix, var = data.X, data.var_names
        if layer == "raw":
            matrix, var = data.raw.X, data.raw.var_names
        elif layer:
            matrix = data.layers[layer]
        dense = matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)
        obs = {str(c): ["" if pd.isna(v) else str(v) for v in data.obs[c]] for c in data.obs.columns}
        tables = {k: np.asarray(v.toarray() if sparse.issparse(v) else v, np.float64) for k, v in data.obsm.items()}
        return {
            "names": list(map(str, data.obs_names)),
            "genes": list(map(str, var)),
            "matrix": dense.astype(np.float64),
            "obs": obs,
            "obsm": tables,
        }

    return read


def whole(name: str, make: Make, layer: str = "", obsm: tuple[str, ...] = ()) -> Variant:
    return Variant(name, make, ours=ours(layer, obsm), reference=with_anndata(layer))


def unsorted(data: anndata.AnnData) -> None:
    """Columns of a row in no order, and a zero that is stored."""
    matrix = sparse.csr_matrix(COUNTS)
    for i in range(6):
        span = slice(matrix.indptr[i], matrix.indptr[i + 1])
        matrix.indices[span], matrix.data[span] = matrix.indices[span][::-1], matrix.data[span][::-1]
    matrix.data[0] = 0
    data.X = matrix


def layer(values: Any) -> Callable[[anndata.AnnData], Any]:
    return lambda data: data.layers.__setitem__("counts", values)


def numbered(data: anndata.AnnData) -> None:
    data.obs_names = [str(i) for i in range(6)]


def in_memory(layer: str = "") -> Callable[[Path], dict[str, Any]]:
    return lambda path: _held(load_cells(path, integers=False, layer=layer))


def other_genes(data: anndata.AnnData) -> anndata.AnnData:
    """Five genes in X, seven in raw."""
    more = anndata.AnnData(np.arange(42, dtype=np.float32).reshape(6, 7), obs=data.obs)
    more.var_names = [f"raw{i}" for i in range(7)]
    data.raw = more
    return data


def before_0_7(path: Path) -> Path:
    """Tables in one dataset, with categories apart, as anndata wrote them before 0.7."""
    with h5py.File(path, "r+") as file:
        del file["obs"], file["var"]
        kind = np.array(
            [(n.encode(), k % 2) for k, n in enumerate(NAMES)], dtype=[("index", "S8"), ("cell_type", "i1")]
        )
        file.create_dataset("obs", data=kind)
        file.create_dataset("uns/cell_type_categories", data=np.array([b"T", b"B"]))
        file.create_dataset("var", data=np.array([(g.encode(),) for g in GENES], dtype=[("index", "S8")]))
    return path


LEVELS = np.arange(12.0).reshape(6, 2)
H5AD = Format(
    "h5ad",
    library="anndata.read_h5ad",
    reference=with_anndata(),
    ours=ours(),
    variants=(
        Variant("dense matrix", h5ad()),
        Variant("CSR matrix", h5ad(x=sparse.csr_matrix(COUNTS))),
        Variant("CSC matrix", h5ad(x=sparse.csc_matrix(COUNTS)), in_memory()),
        Variant("CSC matrix left on the disk", h5ad(x=sparse.csc_matrix(COUNTS)), error="stored by columns (CSC)"),
        Variant("CSR with unsorted columns and stored zeros", h5ad(unsorted)),
        Variant("double precision", h5ad(x=COUNTS.astype(np.float64))),
        Variant("whole numbers of 64 bits", h5ad(x=COUNTS.astype(np.int64))),
        Variant("whole numbers of 16 bits, sparse", h5ad(x=sparse.csr_matrix(COUNTS.astype(np.uint16)))),
        Variant("half precision", h5ad(x=COUNTS.astype(np.float16))),
        Variant("compressed by gzip", h5ad(x=sparse.csr_matrix(COUNTS), compression="gzip")),
        Variant("compressed by lzf", h5ad(compression="lzf")),
        Variant("an empty cell", h5ad(x=sparse.csr_matrix(np.diag([1, 2, 3, 4, 5, 0])[:, :5].astype(np.float32)))),
        Variant("values between 0 and 1", h5ad(x=sparse.csr_matrix(np.log1p(COUNTS)))),
        whole("a layer", h5ad(layer(COUNTS * 2)), "counts"),
        Variant("a layer, CSC", h5ad(layer(sparse.csc_matrix(COUNTS * 2))), in_memory("counts"),
                with_anndata("counts")),
        whole("raw with other genes", h5ad(other_genes), "raw"),
        whole("X beside raw", h5ad(other_genes)),
        whole("a layer where there is no X", h5ad(layer(COUNTS), x=None), "counts"),
        Variant("categories, some unknown (code -1)", column(pd.Categorical(["a", None, "b", "a", None, "b"]))),
        Variant("categories that do not occur", column(pd.Categorical(list("aabbaa"), categories=list("cba")))),
        Variant("ordered categories", column(pd.Categorical(list("aabbaa"), categories=list("ba"), ordered=True))),
        Variant("categories that are numbers", column(pd.Categorical([3, 1, 2, 3, 1, 2]))),
        Variant("the category 'nan' and unknown ones", column(pd.Categorical(["nan", None, "b", "a", "nan", "b"])),
                ours=lambda p: ours()(p)["obs"]["value"], expected=["", "", "b", "a", "", "b"],
                differs="the word nan is unknown in every source; anndata has a category of this name"),
        Variant("whole numbers, some unknown", column(pd.array([1, None, 3, 4, None, 6], dtype="Int64"))),
        Variant("truth values, some unknown", column(pd.array([True, None, False] * 2, dtype="boolean"))),
        Variant("truth values", column([True, False] * 3)),
        Variant("numbers", column(np.linspace(0, 1, 6))),
        Variant("numbers, some unknown", column([1.0, np.nan, 2.5, np.inf, 0.0, 1e20])),
        Variant("words with leading zeros", column(["01", "1", "001", "1.0", "1e3", " x "])),
        Variant("letters beyond ASCII", column(["Leber", "Ærø", "肝", "β", "T/NK", "a,b"])),
        Variant("a column of one word", column(["x"] * 6)),
        Variant("an empty word", column(["", "a", "b", "", "a", "b"])),
        Variant("names of cells that are numbers", h5ad(numbered)),
        Variant("an index with a name", h5ad(lambda d: setattr(d.obs.index, "name", "barcode"))),
        Variant("genes of one name", h5ad(lambda d: setattr(d, "var_names", ["A", "A", "B", "C", "A"]))),
        whole("obsm, an array", h5ad(lambda d: d.obsm.__setitem__("protein", LEVELS)), obsm=("protein",)),
        whole("obsm, a table", h5ad(lambda d: d.obsm.__setitem__(
            "protein", pd.DataFrame(LEVELS, index=NAMES, columns=["CD3", "7"]))), obsm=("protein",)),
        whole("obsm, sparse", h5ad(lambda d: d.obsm.__setitem__("protein", sparse.csr_matrix(LEVELS))),
              obsm=("protein",)),
        Variant("as anndata wrote before 0.7", lambda folder: before_0_7(h5ad()(folder))),
        Variant("no X", h5ad(x=None), error="no expression matrix"),
        Variant("two cells of one name", h5ad(lambda d: setattr(d, "obs_names", [*NAMES[:5], "cell0"])),
                ours=lambda p: opened(p), error="occurs twice"),
        Variant("NaN in the matrix", h5ad(x=np.where(COUNTS.max() == COUNTS, np.nan, COUNTS)), error="is not finite"),
        Variant("a fraction among counts", h5ad(x=COUNTS + 0.5), ours=ours(whole=True), error="whole"),
        Variant("columns beyond the genes", stored(lambda f: f["X/indices"].__setitem__(0, 77),
                h5ad(x=sparse.csr_matrix(COUNTS))), ours=in_memory(), error="contradicts itself"),
        Variant("no obs", stored(lambda f: f.__delitem__("obs")), error="obs"),
    ),
)  # fmt: skip


def opened(path: Path) -> Any:
    from datamodules.sources.omics.single_cell import SingleCellH5AD

    source = SingleCellH5AD(folder=".", file=path.name)
    source.open(path.parent)
    return source


@pytest.mark.parametrize("case", cases(H5AD), ids=str)
def test_as_the_reference(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
