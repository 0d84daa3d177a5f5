"""CITESeq on a tiny file of the same layout, and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from datamodules.sources.omics.citeseq import CITESeq
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "citeseq.py"))["write"]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "scrna")
    return tmp_path


def opened(root: Path, **arguments: object) -> CITESeq:
    source = CITESeq(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def change(root: Path, edit) -> None:
    path = root / "scrna" / "cbmc_citeseq.h5ad"
    data = anndata.read_h5ad(path)
    edit(data)
    data.write_h5ad(path)


def test_proteins_as_modality(folder):
    source = opened(folder)
    data = anndata.read_h5ad(folder / "scrna" / "cbmc_citeseq.h5ad")
    assert [m.name for m in source.card.modalities] == ["scrna", "surface_protein"]
    assert [t.name for t in source.card.tasks] == ["cell_type"]
    assert source.card.tasks[0].classes == ("type_1", "type_2", "type_3")
    for row in range(12):
        sample = source.read(row)
        i = data.obs_names.get_loc(sample.id.removeprefix("cbmc_citeseq/"))
        np.testing.assert_array_equal(sample.inputs["scrna"], data.X[i].toarray()[0])
        assert list(sample.inputs["surface_protein"]) == [f"protein_{k}" for k in range(10)]
        np.testing.assert_allclose(
            list(sample.inputs["surface_protein"].values()), data.obsm["protein"][i], rtol=1e-6
        )
        assert source.card.tasks[0].classes[sample.groups["cell_type"]] == sample.targets["cell_type"]
        assert source.peek(row).inputs == {**sample.inputs, "scrna": None}


def test_proteins_as_target(folder):
    source = opened(folder, protein_as="target")
    assert [m.name for m in source.card.modalities] == ["scrna"]
    task = source.card.tasks[1]
    assert (task.name, task.kind, task.modalities) == ("surface_protein", "regression", ("scrna",))
    assert task.classes == tuple(f"protein_{k}" for k in range(10))
    assert tuple(source.read(0).targets["surface_protein"]) == task.classes
    assert "surface_protein" not in source.read(0).inputs


def test_max_cells_is_a_seeded_choice(folder):
    chosen = [opened(folder, max_cells=5, seed=s).index["id"].tolist() for s in (0, 0, 1, 2)]
    assert [len(c) for c in chosen] == [5] * 4
    assert chosen[0] == chosen[1]
    assert len({tuple(c) for c in chosen}) > 1
    everything = {s.id: s for s in map(opened(folder).read, range(12))}
    source = opened(folder, max_cells=5)
    for sample in map(source.read, range(5)):
        np.testing.assert_array_equal(sample.inputs["scrna"], everything[sample.id].inputs["scrna"])
        assert sample.inputs["surface_protein"] == everything[sample.id].inputs["surface_protein"]
        assert sample.targets == everything[sample.id].targets
    assert len(opened(folder, max_cells=100)) == 12


def test_named_proteins(folder):
    def edit(data):
        names = [f"CD{k}" for k in range(10)]
        data.obsm["protein"] = pd.DataFrame(data.obsm["protein"], index=data.obs_names, columns=names)

    change(folder, edit)
    assert opened(folder).card.modalities[1].features[:2] == ("CD0", "CD1")

    def number(data):
        names = [str(k + 1) for k in range(10)]
        data.obsm["protein"] = pd.DataFrame(data.X[:, :10].toarray(), index=data.obs_names, columns=names)
        data.obs["cell_type"] = ["NK1", "NK2", "ILC1"] * 4

    change(folder, number)
    assert opened(folder).card.modalities[1].features[:2] == ("1", "2"), "names are never rewritten"
    assert opened(folder).card.tasks[0].classes == ("ILC1", "NK1", "NK2")


def test_proteins_as_the_only_target(folder):
    change(folder, lambda data: data.obs.drop(columns="cell_type", inplace=True))
    source = opened(folder, protein_as="target")
    assert [t.name for t in source.card.tasks] == ["surface_protein"]
    assert list(source.read(0).targets) == ["surface_protein"]
    with pytest.raises(DataError, match=r"expected obs\['cell_type'\]"):
        opened(folder)


def test_bad_input(folder):
    def poison(data):
        data.obsm["protein"][3, 2] = np.nan

    with pytest.raises(SpecError, match="protein_as"):
        CITESeq(protein_as="both")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="max_cells"):
        CITESeq(max_cells=-1)
    change(folder, poison)
    with pytest.raises(DataError, match="'protein_2' is nan") as caught:
        opened(folder)
    assert caught.value.row == "cell3"
    change(folder, lambda data: data.obsm.pop("protein"))
    with pytest.raises(DataError, match=r"obsm\['protein'\]"):
        opened(folder)


def test_real(shared_data):
    source = opened(shared_data)
    assert len(source) == 8617
    assert len(source.card.tasks[0].classes) == 15
    counts = source.index["stratum"].value_counts()
    assert counts["type_2"] == 2293
    assert counts["type_15"] == 49
    sample = source.read(100)
    assert sample.inputs["scrna"].shape == (2000,)
    assert len(sample.inputs["surface_protein"]) == 10
    assert len(opened(shared_data, max_cells=500)) == 500
