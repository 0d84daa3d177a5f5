"""Loom on a tiny file of the published layout, against loompy and the written values."""

from __future__ import annotations

import runpy
from pathlib import Path

import h5py
import numpy as np
import pytest

from datamodules.sources.omics.loom import Loom, LoomMatrix
from tests.options import grouped_for
from zoo.errors import DataError, SpecError, UnknownNameError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "loom.py"))["write"]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "loom", n=40)
    return tmp_path


def opened(root: Path, **arguments: object) -> Loom:
    source = Loom(**grouped_for(Loom, **arguments))  # type: ignore[arg-type]
    source.open(root)
    return source


@pytest.mark.parametrize("backed", [True, False, "auto"])
@pytest.mark.parametrize("layer", ["", "spliced"])
def test_rows(folder, backed, layer):
    source = opened(folder, backed=backed, layer=layer)
    with h5py.File(folder / "loom" / "cells.loom") as file:
        counts = file[f"layers/{layer}" if layer else "matrix"][()]
    assert len(source) == 40
    assert source.card.tasks[0].classes == ("B cell", "NK cell", "T cell")
    assert source.card.modalities[0].features == tuple(f"gene{i}" for i in range(30))
    assert source.group_names()["donor"] == ("d0", "d1", "d2", "d3")
    assert set(source.index["group"]) == {"d0", "d1", "d2", "d3"}
    order = np.random.default_rng(0).permutation(40).tolist()
    for row, sample in zip(order, source.read_many(order), strict=True):
        i = int(sample.id.removeprefix("cells/cell"))
        np.testing.assert_array_equal(sample.inputs["scrna"], counts[:, i])
        assert sample.targets == {"cell_type": ("T cell", "B cell", "NK cell")[i % 3]}
        assert source.peek(row).targets == sample.targets
        assert source.peek(row).inputs == {"scrna": None}


def test_against_scanpy(folder):
    loompy = pytest.importorskip("loompy")
    source = opened(folder, label="Clusters", group_by="cell_type", groups=["donor"], backed=True)
    assert source.card.tasks[0].classes == ("0", "1", "2")
    with loompy.connect(str(folder / "loom" / "cells.loom"), "r+", validate=False) as file:
        names = [f"cells/{c}" for c in file.ca.CellID]
        np.testing.assert_array_equal(source.expression(range(40)), file[:, :].T[np.argsort(names)])
        file.ca["numbered"] = np.array(["In1", "In2", "Ex1", "Ex2"] * 10)
    assert opened(folder, label="numbered").card.tasks[0].classes == ("Ex1", "Ex2", "In1", "In2")
    unlabelled = opened(folder, label=None)
    assert (unlabelled.card.tasks, unlabelled.read(0).targets) == ((), {})
    assert set(source.index["group"]) == {"T cell", "B cell", "NK cell"}
    assert set(source.group_names()) == {"cell_type", "donor"}


def test_bad_input(folder):
    path = folder / "loom" / "cells.loom"
    with pytest.raises(SpecError, match="backed"):
        Loom(matrix=LoomMatrix(backed="no"))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="does not exist"):
        opened(folder, file="other.loom")
    for arguments, nearest in (
        ({"cell_names": "CellId"}, "CellID"),
        ({"gene_names": "Genes"}, "Gene"),
        ({"layer": "splice"}, "spliced"),
        ({"label": "cell_types"}, "cell_type"),
    ):
        with pytest.raises(UnknownNameError, match=f"did you mean '{nearest}'"):
            opened(folder, **arguments)
    write(path.parent, n=40)
    with h5py.File(path, "r+") as file:
        file["matrix"][3, 5] = -1
    with pytest.raises(DataError, match=r"gene 'gene3': the value -1\.0 is negative") as caught:
        opened(folder, backed=False)
    assert caught.value.row == "cell5"
    source = opened(folder, backed=True)
    with pytest.raises(DataError, match="is negative"):
        source.read(source.index["id"].tolist().index("cells/cell5"))
    other = path.with_name("other.loom")
    other.write_bytes(path.read_bytes())
    with h5py.File(other, "r+") as file:
        del file["row_attrs"]
    with pytest.raises(DataError, match="has no 'row_attrs'"):
        opened(folder, file="other.loom")
    path.with_name("cut.loom").write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match="not a readable loom file"):
        opened(folder, file="cut.loom")


def test_claims(folder):
    path = folder / "loom" / "cells.loom"
    with h5py.File(path, "r+") as file:
        del file["matrix"]
        file.create_dataset("matrix", shape=(30, 1 << 40), dtype="f4", chunks=(8, 8))
    with pytest.raises(DataError, match="claims"):
        opened(folder)
