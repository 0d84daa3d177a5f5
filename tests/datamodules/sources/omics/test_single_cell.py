"""SingleCellH5AD on a tiny file of the same layout, and on the real ones."""

from __future__ import annotations

import runpy
from pathlib import Path

import anndata
import numpy as np
import pytest

from datamodules.sources.omics.single_cell import SingleCellH5AD
from tests.options import grouped_for
from zoo.errors import DataError, SpecError, UnknownNameError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "single_cell.py"))["write"]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "scrna")
    return tmp_path


def opened(root: Path, **arguments: object) -> SingleCellH5AD:
    source = SingleCellH5AD(**grouped_for(SingleCellH5AD, **arguments))  # type: ignore[arg-type]
    source.open(root)
    return source


def change(root: Path, edit) -> None:
    path = root / "scrna" / "kidney.h5ad"
    data = anndata.read_h5ad(path)
    edit(data)
    data.write_h5ad(path)


def test_rows(folder):
    source = opened(folder)
    data = anndata.read_h5ad(folder / "scrna" / "kidney.h5ad")
    assert len(source) == 12
    assert source.card.tasks[0].classes == ("type_0", "type_1", "type_2")
    assert source.card.modalities[0].features == tuple(data.var_names)
    for row in range(12):
        sample = source.read(row)
        cell = sample.id.removeprefix("kidney/")
        np.testing.assert_array_equal(sample.inputs["scrna"], data[cell].X.toarray()[0])
        number = data.obs.loc[cell, "cell_type"].removeprefix("type_")
        assert sample.targets == {"cell_type": f"type_{number}"}
        assert sample.groups == {"cell_type": int(number)}
        assert source.peek(row).inputs == {"scrna": None}
        assert source.peek(row).targets == sample.targets


def test_names_groups_and_unknown_labels(folder):
    def edit(data):
        data.obs["cell_type"] = ["T cell", None, "B cell"] * 4
        data.obs["donor"] = ["d10", "d2", "d10", "d2"] * 3

    change(folder, edit)
    source = opened(folder, organ="kidney", modality="kidney_rna")
    assert source.card.tasks[0].classes == ("B cell", "T cell")
    assert source.group_names() == {"cell_type": ("B cell", "T cell"), "donor": ("d2", "d10"), "organ": ("kidney",)}
    assert set(source.index["group"]) == {"d2", "d10"}
    samples = {s.id: s for s in map(source.read, range(12))}
    assert samples["kidney/cell1"].targets == {}
    assert samples["kidney/cell1"].groups == {"cell_type": -1, "donor": 0, "organ": 0}
    assert list(samples["kidney/cell2"].inputs) == ["kidney_rna"]


def test_label_and_group_by_choice(folder):
    change(folder, lambda data: data.obs.insert(0, "state", ["on", "off"] * 6))
    source = opened(folder, label="state", group_by="cell_type")
    assert source.card.tasks[0].classes == ("off", "on")
    assert source.index["group"].nunique() == 3
    with pytest.raises(UnknownNameError, match="did you mean 'state'"):
        opened(folder, label="stat")
    change(folder, lambda data: data.obs.rename(columns={"cell_type": "kind"}, inplace=True))
    with pytest.raises(DataError, match=r"give 'label' as one of \['state', 'kind'\]"):
        opened(folder)


@pytest.mark.parametrize(
    ("value", "message"),
    [(-3.0, "-3.0 is negative"), (np.nan, "nan is not finite"), (0.5, "0.5 is not a whole number")],
)
def test_bad_values(folder, value, message):
    def edit(data):
        dense = data.X.toarray()
        dense[7, 4] = value
        data.X = dense

    change(folder, edit)
    with pytest.raises(DataError, match=f"gene 'gene4': the value {message}") as caught:
        opened(folder)
    assert caught.value.row == "cell7"
    assert "kidney.h5ad" in str(caught.value)
    if value == 0.5:
        assert opened(folder, unit="log1p CP10k").card.modalities[0].unit == "log1p CP10k"


def test_bad_files(folder):
    path = folder / "scrna" / "kidney.h5ad"
    with pytest.raises(DataError, match="check the source's 'file'"):
        opened(folder, file="liver.h5ad")
    change(folder, lambda data: data.obs.__setitem__("cell_type", "one"))
    with pytest.raises(DataError, match="at least 2 are needed"):
        opened(folder)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="not a readable h5ad"):
        opened(folder)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_backed_is_in_memory(folder, compression):
    write(folder / "scrna", n=60)
    path = folder / "scrna" / "kidney.h5ad"
    anndata.read_h5ad(path).write_h5ad(path, compression=compression)
    disk, memory = opened(folder, backed=True), opened(folder)
    assert disk.card == memory.card
    assert disk.index.equals(memory.index)
    assert disk.group_names() == memory.group_names()
    order = np.random.default_rng(0).permutation(60).tolist()
    for a, b in zip(disk.read_many([*order, 3, 3]), memory.read_many([*order, 3, 3]), strict=True):
        np.testing.assert_array_equal(a.inputs.pop("scrna"), b.inputs.pop("scrna"))
        assert a == b
    assert disk.read(7).inputs["scrna"].shape == (30,)
    assert opened(folder, backed="auto")._cells.matrix.shape == (60, 30)


def test_several_tasks_and_groups(folder):
    def edit(data):
        data.obs["state"] = ["on", None, "off"] * 4
        data.obs["stage"] = [1.0, 2.0, np.nan] * 4
        data.obs["depth"] = np.linspace(0, 1, 12)
        data.obs["patient"] = ["p1", "p2"] * 6

    change(folder, edit)
    tasks = {"cell_type": "cell_type", "state": "state", "stage": "stage"}
    for backed in (False, True):
        source = opened(folder, label=tasks, groups=["stage"], backed=backed)
        assert [t.name for t in source.card.tasks] == list(tasks)
        assert source.card.tasks[2].classes == ("1", "2")
        samples = {s.id: s for s in map(source.read, range(12))}
        assert samples["kidney/cell1"].targets == {"cell_type": "type_1", "stage": "2"}
        assert samples["kidney/cell2"].targets == {"cell_type": "type_2", "state": "off"}
        assert set(source.group_names()) == {"cell_type", "state", "stage"}
        assert set(source.index["group"]) == {"p1", "p2"}, "donors stay in one split, whatever the group columns"
    with pytest.raises(DataError, match="measurements, not classes"):
        opened(folder, label={"depth": "depth"})
    with pytest.raises(UnknownNameError, match="did you mean 'stage'"):
        opened(folder, groups=["stages"])
    for arguments in ({"backed": "yes"}, {"obsm_as": "both"}):
        with pytest.raises(SpecError):
            SingleCellH5AD(**grouped_for(SingleCellH5AD, **arguments))


@pytest.mark.parametrize("backed", [False, True])
def test_obsm(folder, backed):
    values = np.random.default_rng(0).normal(size=(12, 4))
    change(folder, lambda data: data.obsm.__setitem__("protein", values))
    source = opened(folder, obsm="protein", obsm_unit="CLR", backed=backed)
    assert source.card.modalities[1].kind == "tabular"
    assert source.card.modalities[1].features == tuple(f"protein_{k}" for k in range(4))
    target = opened(folder, obsm="protein", obsm_as="target", backed=backed)
    assert (target.card.tasks[1].kind, target.card.tasks[1].classes) == (
        "regression",
        source.card.modalities[1].features,
    )
    for row in range(12):
        i = int(source.index["id"][row].removeprefix("kidney/cell"))
        assert list(source.read(row).inputs["protein"].values()) == pytest.approx(values[i], rel=1e-6)
        assert source.peek(row).inputs["protein"] == target.peek(row).targets["protein"]
        assert list(target.read(row).inputs) == ["scrna"]
    with pytest.raises(UnknownNameError, match="did you mean 'protein'"):
        opened(folder, obsm="proteins", backed=backed)
    change(folder, lambda data: data.obsm["protein"].__setitem__((3, 2), np.nan))
    with pytest.raises(DataError, match="'protein_2' is nan"):
        opened(folder, obsm="protein", backed=backed)


@pytest.mark.parametrize(("file", "cells", "types"), [("kidney.h5ad", 5685, 11), ("pbmc4k.h5ad", 4271, 8)])
def test_real(shared_data, file, cells, types):
    source = opened(shared_data, file=file)
    assert len(source) == cells
    assert len(source.card.tasks[0].classes) == types
    sample = source.read(17)
    assert sample.inputs["scrna"].shape == (2000,)
    assert sample.inputs["scrna"].sum() > 0
    assert sample.targets["cell_type"].startswith("type_")
    rows = list(range(0, cells, 97))[::-1]
    np.testing.assert_array_equal(
        opened(shared_data, file=file, backed=True).expression(rows), source.expression(rows)
    )


NAMES = ["ILC1", "ILC2", "NK1", "NK2", "cDC1", "cDC2"]


def test_names_of_cell_types_are_those_of_the_file(folder):
    def edit(data):
        data.obs["cell_type"] = NAMES * 2
        data.obs["numbers"] = ["01", "1", "1.0", "2", "03", "3"] * 2

    change(folder, edit)
    for backed in (False, True):
        source = opened(folder, label={"cell_type": "cell_type", "numbers": "numbers"}, backed=backed)
        assert source.card.tasks[0].classes == tuple(NAMES)
        assert set(source.card.tasks[1].classes) == {"01", "1", "1.0", "2", "03", "3"}
        assert source.group_names()["cell_type"] == tuple(NAMES)
        assert source.read(0).targets == {"cell_type": "ILC1", "numbers": "01"}


def test_targets_without_cell_types(folder):
    def edit(data):
        del data.obs["cell_type"]
        data.obsm["levels"] = np.arange(24.0).reshape(12, 2)

    change(folder, edit)
    for backed in (False, True):
        source = opened(folder, obsm="levels", obsm_as="target", backed=backed)
        assert [t.name for t in source.card.tasks] == ["levels"]
        sample = source.read(source.index["id"].tolist().index("kidney/cell3"))
        assert sample.targets == {"levels": {"levels_0": 6.0, "levels_1": 7.0}}
        unlabelled = opened(folder, label={}, backed=backed)
        assert (unlabelled.card.tasks, unlabelled.read(0).targets) == ((), {})
    with pytest.raises(DataError, match="give 'label' as one of"):
        opened(folder, obsm="levels")
