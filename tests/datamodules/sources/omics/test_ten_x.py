"""TenX on tiny runs of Cell Ranger 2 and 3, against scanpy."""

from __future__ import annotations

import gzip
import runpy
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import scanpy

from datamodules.sources.omics.ten_x import TenX
from tests.options import grouped_for
from zoo.errors import DataError, SpecError, UnknownNameError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "ten_x.py"))["write"]
H5, H5_OLD = "filtered_feature_bc_matrix.h5", "filtered_gene_bc_matrices_h5.h5"
MTX, MTX_OLD = "filtered_feature_bc_matrix", "filtered_gene_bc_matrices/GRCh38"
CLUSTERS = "analysis/clustering/graphclust/clusters.csv"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "ten_x", n=30)
    return tmp_path


def opened(root: Path, **arguments: object) -> TenX:
    source = TenX(**grouped_for(TenX, **arguments))  # type: ignore[arg-type]
    source.open(root)
    return source


def by_scanpy(path: Path):
    data = scanpy.read_10x_h5(path) if path.is_file() else scanpy.read_10x_mtx(path)
    data.var_names_make_unique()
    return data


@pytest.mark.parametrize(
    ("matrix", "backed"), [(H5, True), (H5, False), (H5_OLD, True), (H5_OLD, "auto"), (MTX, False), (MTX_OLD, "auto")]
)
def test_rows_are_scanpys(folder, matrix, backed):
    source = opened(folder, matrix=matrix, backed=backed)
    data = by_scanpy(folder / "ten_x" / matrix)
    assert len(source) == 30
    assert source.card.modalities[0].features == tuple(data.var_names)
    assert "GENE6-1" in data.var_names
    assert source.card.tasks[0].classes == ("1", "2", "3")
    order = np.random.default_rng(0).permutation(30).tolist()
    for sample in source.read_many(order):
        barcode = sample.id.removeprefix("ten_x/")
        np.testing.assert_array_equal(sample.inputs["scrna"], data[barcode].X.toarray()[0])
        cluster = data.obs_names.get_loc(barcode) % 3 + 1
        assert sample.targets == {"cell_type": str(cluster)}
        assert sample.groups == {"cell_type": cluster - 1}
    assert source.peek(3).inputs == {"scrna": None}


def test_features_by_choice(folder):
    assert opened(folder, names="ids").card.modalities[0].features[7] == "ENSG00000000007"
    for matrix in (H5, MTX):
        source = opened(folder, matrix=matrix, feature_type="Antibody Capture", backed=matrix == H5)
        assert source.card.modalities[0].features == ("CD3", "CD19")
        data = scanpy.read_10x_h5(folder / "ten_x" / H5, gex_only=False)
        data.var_names_make_unique()
        sample = source.read(4)
        wanted = data[sample.id.removeprefix("ten_x/"), ["CD3", "CD19"]].X.toarray()[0]
        np.testing.assert_array_equal(sample.inputs["scrna"], wanted)
        with pytest.raises(UnknownNameError, match="did you mean 'Gene Expression'"):
            opened(folder, matrix=matrix, feature_type="Gene expresion")


def test_labels_of_ones_own(folder):
    path = folder / "ten_x" / "cells.csv"
    source = opened(folder, file="")
    assert source.card.tasks == ()
    assert source.read(0).targets == {}
    barcodes = [i.removeprefix("ten_x/") for i in source.index["id"]]
    lines = [f"{b},{('T cell', 'B cell', '')[i % 3]},p{i % 4}" for i, b in enumerate(barcodes[:20])]
    path.write_text("\n".join(["barcode,kind,patient", *lines, "TTTTTTTTTTTTTTTT-9,T cell,p1"]))
    source = opened(folder, file="cells.csv", barcode="barcode", label="kind", group_by="patient")
    assert source.card.tasks[0].classes == ("B cell", "T cell")
    assert source.skipped == {"barcode of 'cells.csv' is not in the matrix": 1}
    assert set(source.index["group"]) == {"p0", "p1", "p2", "p3", ""}
    names = ("ILC1", "ILC2", "NK1")
    numbered = ["barcode,kind", *(f"{b},{names[i % 3]}" for i, b in enumerate(barcodes))]
    (path.parent / "numbered.csv").write_text("\n".join(numbered))
    assert opened(folder, file="numbered.csv", barcode="barcode", label="kind").card.tasks[0].classes == names, (
        "names are never rewritten"
    )
    samples = {s.id.removeprefix("ten_x/"): s for s in source.read_many(range(30))}
    assert samples[barcodes[0]].targets == {"cell_type": "T cell"}
    assert samples[barcodes[0]].groups == {"cell_type": 1, "patient": 0}
    assert samples[barcodes[2]].targets == samples[barcodes[25]].targets == {}
    assert samples[barcodes[25]].groups == {"cell_type": -1, "patient": -1}
    path.write_text("\n".join(["barcode,kind", "AAAA,T cell", "CCCC,B cell"]))
    with pytest.raises(DataError, match="none of its 2 barcodes"):
        opened(folder, file="cells.csv", barcode="barcode", label="kind")
    path.write_text("\n".join(["barcode,kind", *[f"{barcodes[0]},T cell"] * 2]))
    with pytest.raises(DataError, match="occurs twice"):
        opened(folder, file="cells.csv", barcode="barcode", label="kind")
    with pytest.raises(DataError, match="lacks a column"):
        opened(folder, label="Type")


def test_bad_arguments(folder):
    for arguments in ({"names": "symbol"}, {"backed": "no"}):
        with pytest.raises(SpecError, match="allowed"):
            TenX(**grouped_for(TenX, **arguments))  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="cannot stay on disk"):
        opened(folder, matrix=MTX, backed=True)
    with pytest.raises(DataError, match="'matrix' argument"):
        opened(folder, matrix="raw.h5")
    with pytest.raises(UnknownNameError, match="did you mean 'GRCh38'"):
        opened(folder, matrix=H5_OLD, genome="GRCh37")


def test_bad_h5(folder):
    good = (folder / "ten_x" / H5).read_bytes()
    paths = iter(folder / "ten_x" / f"broken{k}.h5" for k in range(20))

    def edited(edit) -> DataError:
        path = next(paths)
        path.write_bytes(good)
        with h5py.File(path, "r+") as file:
            edit(file["matrix"])
        with pytest.raises(DataError) as caught:
            opened(folder, matrix=path.name, backed=False)
        assert path.name in str(caught.value)
        return caught.value

    assert "is negative" in str(edited(lambda m: m["data"].__setitem__(5, -3)))
    assert "of gene number 99 of 32" in str(edited(lambda m: m["indices"].__setitem__(5, 99)))
    assert "does not fit" in str(edited(lambda m: m["indptr"].__setitem__(5, 10_000)))
    assert "32 features and 30 barcodes" in str(edited(lambda m: m["shape"].__setitem__(1, 1 << 30)))
    assert "KeyError" in str(edited(lambda m: m.__delitem__("data")))
    for cut in (0, 100, len(good) // 2):
        path = next(paths)
        path.write_bytes(good[:cut])
        with pytest.raises(DataError, match="not a readable 10x h5 file"):
            opened(folder, matrix=path.name)


def test_bad_mtx(folder):
    place = folder / "ten_x" / MTX
    path = place / "matrix.mtx.gz"
    text = gzip.decompress(path.read_bytes()).decode()

    def broken(content: bytes) -> str:
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            opened(folder, matrix=MTX)
        assert "matrix.mtx.gz" in str(caught.value)
        return str(caught.value)

    lines = text.splitlines(keepends=True)
    assert "there are 32 features and 30 barcodes" in broken(gzip.compress("".join([*lines[:2], "9 9 9\n"]).encode()))
    real = [lines[0].replace("integer", "real"), *lines[1:3], f"{lines[3].strip()}.5\n"]
    huge = [*lines[:2], "32 30 99999999999\n", *lines[3:]]
    assert "room for" in broken(gzip.compress("".join(huge).encode()))
    assert "first line" in broken(gzip.compress(b"gene,cell\n1,2\n"))
    assert "not a readable" in broken(gzip.compress(text.encode())[:200])
    assert "not a readable" in broken(gzip.compress("".join(lines[:-20]).encode()))
    assert "first line" in broken(b"")
    assert "is not a whole number" in broken(gzip.compress("".join([*real, *lines[4:]]).encode()))
    path.unlink()
    with pytest.raises(DataError, match=r"neither 'matrix.mtx.gz' nor 'matrix.mtx'"):
        opened(folder, matrix=MTX)
    (place / "features.tsv.gz").write_bytes(gzip.compress(b"only\n"))
    with pytest.raises(DataError, match="has 1 columns"):
        opened(folder, matrix=MTX)
    shutil.rmtree(place)
    with pytest.raises(DataError, match="there is no such file or folder"):
        opened(folder, matrix=MTX)
