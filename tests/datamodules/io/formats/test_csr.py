"""Rows of matrices on disk, in every encoding, against anndata.read_h5ad."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from datamodules.io.formats.cells import load_cells
from datamodules.io.formats.csr import open_rows
from datamodules.io.formats.h5 import merge_spans
from datamodules.io.formats.matrix_rows import MatrixRows
from zoo.errors import DataError, SpecError, UnknownNameError

N, G = 60, 25


def counts(seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    dense = generator.poisson(generator.gamma(0.4, 2.0, (N, G))).astype(np.float32)
    dense[7] = dense[41] = 0  # cells without any value
    return dense


def by_hand(path: Path, kind: str, dense: np.ndarray) -> None:
    """What anndata does not write any more: contiguous sparse arrays, old attributes, other types and orders."""
    with h5py.File(path, "w", userblock_size=512 if kind == "userblock" else 0) as file:
        if kind == "dense big endian":
            file.create_dataset("X", data=dense.astype(">f8"))
            return
        group = file.create_group("X")
        matrix = sparse.csr_matrix(dense)
        if kind == "unsorted":
            for i in range(N):
                own = slice(matrix.indptr[i], matrix.indptr[i + 1])
                matrix.data[own], matrix.indices[own] = matrix.data[own][::-1], matrix.indices[own][::-1]
        if kind == "old":
            group.attrs.update({"h5sparse_format": np.bytes_("csr"), "h5sparse_shape": (N, G)})
        else:
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (N, G)})
        if kind == "odd chunks":
            file.create_dataset("pad", data=np.zeros(3, dtype=np.int8), chunks=(3,))
            group.create_dataset("data", data=matrix.data.astype(np.uint16), chunks=(7,))
            group.create_dataset("indices", data=matrix.indices.astype(np.int64), chunks=(1000,), maxshape=(None,))
        else:
            group.create_dataset("data", data=matrix.data)
            group.create_dataset("indices", data=matrix.indices)
        group.create_dataset("indptr", data=matrix.indptr)


KINDS = ["anndata", "anndata gzip", "anndata lzf", "anndata dense", "anndata dense gzip"]
KINDS += ["contiguous", "old", "userblock", "unsorted", "odd chunks", "dense big endian"]
MAPPED = {"anndata", "anndata dense", "contiguous", "old", "userblock", "unsorted", "odd chunks", "dense big endian"}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, tuple[MatrixRows, np.ndarray]]:
    folder, dense = tmp_path_factory.mktemp("csr"), counts()
    found = {}
    for kind in KINDS:
        path = folder / f"{kind.replace(' ', '_')}.h5ad"
        if kind.startswith("anndata"):
            matrix = dense if "dense" in kind else sparse.csr_matrix(dense)
            pack = next((c for c in ("gzip", "lzf") if c in kind), None)
            anndata.AnnData(matrix).write_h5ad(path, compression=pack)
            read = anndata.read_h5ad(path).X
            np.testing.assert_array_equal(read if "dense" in kind else read.toarray(), dense)
        else:
            by_hand(path, kind, dense)
        found[kind] = (open_rows(path, whole=True), dense)
    return found


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, N - 1), max_size=2 * N))
def test_any_order(files, kind, order):
    reader, dense = files[kind]
    assert reader.shape == (N, G)
    got = reader.dense(order)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, dense[order])
    rows = reader.rows(order)
    if "dense" not in kind:
        assert sparse.isspmatrix_csr(rows)
        assert rows.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_mapped(files, kind):
    reader, dense = files[kind]
    assert reader.mapped == (kind in MAPPED)
    for i in range(0, 20 * N, 50):  # more rows than are read before pages are handed back
        np.testing.assert_array_equal(reader.dense(np.arange(i, i + 50) % N), dense[np.arange(i, i + 50) % N])


@pytest.mark.parametrize("kind", ["anndata", "anndata gzip", "anndata dense"])
def test_forks_and_pickles(files, kind):
    reader, dense = files[kind]
    reader.dense([0])
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy.dense([5, 3]), dense[[5, 3]])
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if np.array_equal(reader.dense([9, 2]), dense[[9, 2]]) else 2
        finally:
            os._exit(status)
    np.testing.assert_array_equal(reader.dense([9, 2]), dense[[9, 2]])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_out_of_range(files):
    for row in (-1, N):
        with pytest.raises(SpecError, match=f"row {row} is out of range"):
            files["anndata"][0].rows([0, row])


def test_merge_spans():
    starts, stops = np.array([0, 10, 20, 500]), np.array([10, 15, 30, 600])
    assert merge_spans(starts, stops, 5, 1000) == [(0, 3), (3, 4)]
    assert merge_spans(starts, stops, 0, 1000) == [(0, 2), (2, 3), (3, 4)]
    assert merge_spans(starts, stops, 1000, 25) == [(0, 2), (2, 3), (3, 4)]
    assert merge_spans(starts[:0], stops[:0], 5, 5) == []


def h5ad(path: Path, matrix: object, **parts: object) -> Path:
    names = [f"cell{i}" for i in range(N)]
    obs = pd.DataFrame({"kind": [("a", "b")[i % 2] for i in range(N)]}, index=names)
    var = pd.DataFrame(index=[f"gene{i}" for i in range(G)])
    anndata.AnnData(matrix, obs=obs, var=var, **parts).write_h5ad(path)
    return path


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(
    ("value", "message"), [(-3.0, "-3.0 is negative"), (np.nan, "nan is not finite"), (0.5, "0.5 is not a whole")]
)
def test_bad_values_are_found_when_read(tmp_path, compact, value, message):
    dense = counts()
    dense[30, 4] = value
    path = h5ad(tmp_path / "x.h5ad", sparse.csr_matrix(dense) if compact else dense)
    cells = load_cells(path, integers=True, backed=True)
    np.testing.assert_array_equal(cells.rows([29, 31]), dense[[29, 31]])
    with pytest.raises(DataError, match=f"gene 'gene4': the value {message}") as caught:
        cells.rows([31, 30, 2])
    assert caught.value.row == "cell30"
    assert "x.h5ad" in str(caught.value)
    if value == 0.5:
        np.testing.assert_array_equal(load_cells(path, integers=False, backed=True).rows([30]), dense[[30]])


def test_layers_and_raw(tmp_path):
    dense = counts()
    path = tmp_path / "x.h5ad"
    data = anndata.AnnData(np.log1p(dense), layers={"spliced": sparse.csr_matrix(dense // 2)})
    data.raw = anndata.AnnData(sparse.csr_matrix(np.concatenate([dense, dense], axis=1)))
    data.write_h5ad(path)
    for backed in (True, False):
        for layer, wanted in (
            ("", np.log1p(dense)),
            ("spliced", dense // 2),
            ("raw", np.concatenate([dense] * 2, 1)),
        ):
            cells = load_cells(path, integers=layer != "", backed=backed, layer=layer)
            assert len(cells.genes) == wanted.shape[1]
            np.testing.assert_array_equal(cells.rows([5, 0, 59]), wanted[[5, 0, 59]])
        with pytest.raises(UnknownNameError, match="did you mean 'spliced'"):
            load_cells(path, integers=True, backed=backed, layer="splice")


def test_stored_by_columns(tmp_path):
    path = h5ad(tmp_path / "x.h5ad", sparse.csc_matrix(counts()))
    with pytest.raises(DataError, match=r"tocsr\(\); data\.write_h5ad\(new\)"):
        load_cells(path, integers=True, backed=True)
    np.testing.assert_array_equal(load_cells(path, integers=True).rows(range(N)), counts())


def test_tables_of_anndata_before_07(tmp_path):
    path = tmp_path / "old.h5ad"
    by_hand(path, "old", counts())
    with h5py.File(path, "r+") as file:
        obs = np.zeros(N, dtype=[("index", "S8"), ("kind", "i1"), ("depth", "f4")])
        obs["index"] = [f"cell{i}" for i in range(N)]
        obs["kind"] = np.arange(N) % 3 - 1  # -1: unknown
        file["obs"] = obs
        file["var"] = np.array([(f"gene{i}",) for i in range(G)], dtype=[("index", "S8")])
        file["uns/kind_categories"] = np.array([b"lung", b"heart"])
    cells = load_cells(path, integers=True, backed=True)
    assert cells.names[59] == "cell59"
    assert cells.genes[24] == "gene24"
    assert cells.column("kind")[:4] == ["", "lung", "heart", ""]
    np.testing.assert_array_equal(cells.rows([3]), counts()[[3]])


def edit_pointers(file: h5py.File) -> None:
    file["X/indptr"][3] = 10**9


def edit_columns(file: h5py.File) -> None:
    file["X/indices"][0] = G + 3


def edit_shape(file: h5py.File) -> None:
    file["X"].attrs["shape"] = (10**12, G)


def claim_much(file: h5py.File) -> None:
    del file["X/data"]
    file.create_dataset("X/data", shape=(10**13,), dtype="f4", chunks=(1000,))


def claim_cells(file: h5py.File) -> None:
    del file["obs/_index"]
    file.create_dataset("obs/_index", shape=(10**12,), dtype="i8", chunks=(1000,))


def drop_data(file: h5py.File) -> None:
    del file["X/data"]


def drop_obs(file: h5py.File) -> None:
    del file["obs"]


def text_values(file: h5py.File) -> None:
    n = file["X/data"].size
    del file["X/data"]
    file["X/data"] = np.array([b"x"] * n)


def other_encoding(file: h5py.File) -> None:
    file["X"].attrs["encoding-type"] = "coo_matrix"


EDITS = [edit_pointers, edit_columns, edit_shape, claim_much, claim_cells, drop_data, drop_obs, text_values]


@pytest.mark.parametrize("edit", [*EDITS, other_encoding])
def test_broken_headers(tmp_path, edit):
    path = h5ad(tmp_path / "x.h5ad", sparse.csr_matrix(counts()))
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(DataError) as caught:
        load_cells(path, integers=True, backed=True).rows(range(N))
    assert "x.h5ad" in str(caught.value)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_cut_or_flipped_bytes(tmp_path, compression):
    dense, generator = counts(), np.random.default_rng(0)
    path = tmp_path / "x.h5ad"
    anndata.AnnData(sparse.csr_matrix(dense)).write_h5ad(path, compression=compression)
    good = path.read_bytes()
    for k in range(40):
        broken = bytearray(good)
        if k % 4 == 0:
            del broken[int(generator.integers(len(good))) :]
        for at in generator.integers(0, len(broken), 20) if broken else []:
            broken[at] ^= 1 << int(generator.integers(8))
        other = tmp_path / f"broken{k}.h5ad"
        other.write_bytes(broken)
        message = ""
        try:
            got = load_cells(other, integers=True, backed=True).rows(range(N))
        except DataError as error:
            message = str(error)
        if message:
            assert other.name in message
        else:
            assert got.shape == dense.shape
            assert (got >= 0).all()
