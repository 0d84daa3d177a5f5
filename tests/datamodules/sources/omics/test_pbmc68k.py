"""PBMC68kReduced on the data that ship with scanpy."""

from __future__ import annotations

import numpy as np
import pytest
import scanpy

from datamodules.modalities.single_cell import ExpressionProcessor
from datamodules.sources.omics.pbmc68k import PBMC68kReduced
from zoo.errors import DataError, SpecError


@pytest.fixture(scope="module")
def data():
    return scanpy.datasets.pbmc68k_reduced()


@pytest.fixture(scope="module")
def source():
    source = PBMC68kReduced()
    source.open()
    return source


def test_rows(source, data):
    assert len(source) == 700
    assert source.card.access == "packaged"
    assert len(source.card.tasks[0].classes) == 10
    visible, masked = source.card.modalities[0].features, source.card.tasks[1].classes
    assert (len(visible), len(masked)) == (745, 20)
    assert not set(visible) & set(masked)
    raw = data.raw.to_adata()
    for row in (0, 350, 699):
        sample = source.read(row)
        cell = raw[sample.id.removeprefix("pbmc68k/")]
        np.testing.assert_array_equal(sample.inputs["scrna"], cell[:, list(visible)].X.toarray()[0])
        assert list(sample.targets["expression"]) == list(masked)
        np.testing.assert_allclose(list(sample.targets["expression"].values()), cell[:, list(masked)].X.toarray()[0])
        assert sample.targets["cell_type"] == cell.obs["bulk_labels"].iloc[0]
        assert source.card.tasks[0].classes[sample.groups["cell_type"]] == sample.targets["cell_type"]
        assert source.peek(row).targets == sample.targets


def test_targets_are_expressed_and_vary(source, data):
    dense = data.raw.X.toarray()
    names = list(data.raw.var_names)
    chosen = [names.index(g) for g in source.card.tasks[1].classes]
    often = (dense > 0).mean(0) >= 0.3
    assert often[chosen].all()
    rest = [i for i in np.flatnonzero(often) if i not in chosen]
    assert dense[:, chosen].var(0).min() >= dense[:, rest].var(0).max()


def test_the_processor_leaves_the_values(source):
    value = source.read(0).inputs["scrna"]
    processor = ExpressionProcessor()
    processor.fit(source.card.modalities[0], [value])
    np.testing.assert_array_equal(processor(value).numpy(), value)


def test_without_targets():
    source = PBMC68kReduced(num_targets=0, modality="rna")
    source.open()
    assert [t.name for t in source.card.tasks] == ["cell_type"]
    assert source.read(0).inputs["rna"].shape == (765,)
    assert list(source.read(0).targets) == ["cell_type"]


def test_bad_arguments():
    with pytest.raises(SpecError, match="num_targets"):
        PBMC68kReduced(num_targets=-1)
    with pytest.raises(SpecError, match="min_detected"):
        PBMC68kReduced(min_detected=1.5)
    with pytest.raises(DataError, match="lower one of them"):
        PBMC68kReduced(num_targets=500, min_detected=0.9).open()
