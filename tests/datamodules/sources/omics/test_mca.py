"""MouseCellAtlas on a tiny file of the same layout, and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import anndata
import numpy as np
import pytest

from datamodules.sources.omics.mca import RECURRENT, MouseCellAtlas
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "mca.py"))["write"]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "scrna")
    return tmp_path


def opened(root: Path, **arguments: str) -> MouseCellAtlas:
    source = MouseCellAtlas(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_recurrent_types(folder):
    source = opened(folder)
    data = anndata.read_h5ad(folder / "scrna" / "mca_tissues.h5ad")
    assert len(source) == 9
    assert source.card.tasks[0].classes == RECURRENT
    assert source.card.modalities[0].unit == "mean counts"
    names = source.group_names()
    assert names == {"organ": ("Brain", "Kidney", "Lung"), "cell_type": ("B cell", "Macrophage", "T cell")}
    for row in range(9):
        sample = source.read(row)
        i = data.obs["profile"].tolist().index(sample.id.removeprefix("mca/"))
        np.testing.assert_array_equal(sample.inputs["scrna"], data.X[i].toarray()[0])
        assert sample.targets["cell_type"] == data.obs["cell_type"].iloc[i]
        assert names["cell_type"][sample.groups["cell_type"]] == data.obs["cell_type"].iloc[i]
        assert names["organ"][sample.groups["organ"]] == data.obs["organ"].iloc[i] == source.index["group"][row]
        assert source.peek(row).inputs == {"scrna": None}


def test_all_types(folder):
    source = opened(folder, cell_types="all")
    assert len(source) == 12
    assert source.card.tasks[0].classes == ("B cell", "Macrophage", "Secretory alveoli cell", "T cell")


def test_profiles_can_be_split_at_random(folder):
    source = opened(folder, group_by="none")
    assert set(source.index["group"]) == {""}
    assert source.group_names() == opened(folder).group_names()
    with pytest.raises(SpecError, match="group_by must be 'organ' or 'none', got 'tissue'"):
        MouseCellAtlas(group_by="tissue")  # type: ignore[arg-type]


def test_bad_input(folder):
    path = folder / "scrna" / "mca_tissues.h5ad"
    with pytest.raises(SpecError, match="cell_types"):
        MouseCellAtlas(cell_types="most")  # type: ignore[arg-type]
    data = anndata.read_h5ad(path)
    data.obs["organ"] = [None, *["Lung"] * 11]
    data.write_h5ad(path)
    with pytest.raises(DataError, match="none may be empty"):
        opened(folder)
    del data.obs["organ"]
    data.write_h5ad(path)
    with pytest.raises(DataError, match=r"obs lacks the columns \['organ'\]"):
        opened(folder)


def test_real(shared_data):
    source = opened(shared_data)
    assert len(source) == 315
    assert source.index["stratum"].value_counts()["Stromal cell"] == 63
    assert len(source.card.modalities[0].features) == 3028
    assert "Mbp" in source.card.modalities[0].features
    everything = opened(shared_data, cell_types="all")
    assert len(everything) == 894
    assert len(everything.group_names()["organ"]) == 47
    assert len(everything.card.tasks[0].classes) == 300
