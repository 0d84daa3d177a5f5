"""ExpressionProcessor against scanpy and hand-computed numbers."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
import scanpy
import torch

from datamodules.modalities.single_cell import ExpressionProcessor
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality

GENES = tuple(f"g{i}" for i in range(60))
RAW = RawModality("scrna", "expression", "counts", 0.0, GENES)
LOGGED = RawModality("scrna", "expression", "log1p CP10k", 0.0, GENES)


def cells(n: int = 40, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rate = generator.gamma(1.0, 3.0, 60) * generator.gamma(0.7, 1.4, (n, 60))
    return generator.poisson(rate + 0.1).astype(np.float32)


def fitted(rows: np.ndarray, raw: RawModality = RAW, **arguments: object) -> ExpressionProcessor:
    processor = ExpressionProcessor(**arguments)  # type: ignore[arg-type]
    processor.fit(raw, list(rows))
    return processor


def test_normalisation_is_scanpys():
    rows = cells()
    data = anndata.AnnData(rows.copy())
    scanpy.pp.normalize_total(data, target_sum=1e4)
    scanpy.pp.log1p(data)
    processor = fitted(rows[:1])
    got = torch.stack([processor(row) for row in rows]).numpy()
    np.testing.assert_allclose(got, data.X, rtol=1e-5)
    assert processor.spec(RAW).unit == "log1p CP10k"
    assert processor.spec(RAW).features == GENES


def test_normalisation_by_hand():
    small = RawModality("scrna", "expression", "counts")
    got = fitted(np.array([[1.0, 0.0, 3.0]]), small)(np.array([1.0, 0.0, 3.0], dtype=np.float32))
    assert got.tolist() == pytest.approx([np.log(2501), 0.0, np.log(7501)])


@pytest.mark.parametrize("num_genes", [5, 20, 60])
def test_variable_genes_are_scanpys(num_genes):
    rows = cells()
    data = anndata.AnnData(rows.copy())
    scanpy.pp.normalize_total(data, target_sum=1e4)
    scanpy.pp.log1p(data)
    scanpy.pp.highly_variable_genes(data, flavor="seurat", n_top_genes=num_genes)
    processor = fitted(rows, num_genes=num_genes)
    spec = processor.spec(RAW)
    assert processor.fits
    assert len(spec.features) == num_genes
    assert set(np.array(GENES)[data.var["highly_variable"].to_numpy()]) <= set(spec.features)
    everything = fitted(rows)
    keep = [GENES.index(g) for g in spec.features]
    assert torch.equal(processor(rows[3]), everything(rows[3])[keep])


def test_genes_are_chosen_on_training_rows_alone():
    train, other = cells(30), cells(30, seed=5)
    processor = fitted(train, num_genes=10)
    before = processor.spec(RAW).features
    for row in other * 50:
        processor(row)
    assert processor.spec(RAW).features == before
    assert fitted(np.concatenate([train, other * (np.arange(60) > 50)]), num_genes=10).spec(RAW).features != before


def test_logged_values_are_left_as_they_are():
    rows = np.log1p(cells())
    processor = fitted(rows, LOGGED, num_genes=10)
    keep = [GENES.index(g) for g in processor.spec(LOGGED).features]
    assert torch.equal(processor(rows[0]), torch.from_numpy(rows[0][keep]))
    assert processor.spec(LOGGED).unit == "log1p CP10k"


def test_counts_and_none():
    rows = cells()
    assert torch.equal(fitted(rows, normalise="counts")(rows[0]), torch.from_numpy(rows[0]))
    assert fitted(rows, normalise="none").spec(RAW).unit == "counts"
    with pytest.raises(SpecError, match="needs counts"):
        fitted(rows, LOGGED, normalise="counts")


def test_mean_counts_are_normalised_too():
    raw = RawModality("scrna", "expression", "mean counts", 0.0, GENES)
    row = cells()[0] / 3
    assert np.expm1(fitted(row[None], raw)(row).numpy()).sum() == pytest.approx(1e4, rel=1e-4)


def test_augmentation_drops_genes():
    rows = cells() + 1
    processor = fitted(rows, augment=True, dropout=0.25)
    value = processor(rows[0])
    got = torch.stack([processor.augment(value, np.random.default_rng(s)) for s in range(100)])
    assert 0.22 < float((got == 0).float().mean()) < 0.28
    assert torch.equal(torch.where(got == 0, value, got), value.expand_as(got))
    assert torch.equal(got[7], processor.augment(value, np.random.default_rng(7)))
    assert fitted(rows).augment(value, np.random.default_rng(0)) is value


def test_bad_cells():
    rows = cells()
    processor = fitted(rows)
    for bad, message in ((np.nan, "'g4' is not finite"), (-1.0, "'g4' has a negative count, -1")):
        row = rows[0].copy()
        row[4] = bad
        with pytest.raises(DataError, match=message):
            processor(row)
    with pytest.raises(DataError, match=r"got shape \(59,\), expected \(60,\)"):
        processor(rows[0][:59])
    with pytest.raises(DataError, match="no count in any gene"):
        processor(np.zeros(60, dtype=np.float32))


@pytest.mark.parametrize(
    "arguments", [{"normalise": "zscore"}, {"num_genes": -1}, {"num_genes": 61}, {"dropout": 1.0}]
)
def test_bad_arguments(arguments):
    with pytest.raises(SpecError):
        fitted(cells(), **arguments)


def test_bad_fits():
    with pytest.raises(DataError, match="at least 2 training rows"):
        fitted(cells(1), num_genes=5)
    with pytest.raises(DataError, match="no training row"):
        fitted(cells(0))
    with pytest.raises(SpecError, match="num_genes=0"):
        fitted(cells(), RawModality("scrna", "expression", "z score", 0.0, GENES), num_genes=5)
    with pytest.raises(SpecError, match="only after fit"):
        ExpressionProcessor().spec(RAW)


def test_gene_panel():
    names = ("ENSG00000000001.3", "ENSG00000000002.1", "Tp53", "Actb", "ACTB", "x.1")
    raw = RawModality("scrna", "expression", "counts", 0.0, names)
    rows = cells()[:, :6] + 1
    with pytest.warns(UserWarning, match=r"2 of 5 genes of the panel are missing: NOPE, ENSG9") as seen:
        panel = fitted(rows, raw, genes=["TP53", "ENSG00000000002", "NOPE", "Actb", "ENSG9"])
    assert len(seen) == 1
    assert panel.missing_genes == ("NOPE", "ENSG9")
    assert panel.spec(raw).features == ("Tp53", "ENSG00000000002.1", "Actb")
    assert torch.equal(panel(rows[0]), fitted(rows, raw)(rows[0])[[2, 1, 3]]), "normalised over all genes"
    for genes, message in (
        (["actb"], "fits Actb, ACTB"),
        (["Tp53", "TP53"], "twice"),
        (["a", "b", "Tp53"], "1 of the 3 genes"),
        (["a"], "0 of the 1 genes"),
    ):
        with pytest.raises(SpecError, match=message):
            fitted(rows, raw, genes=genes)
    with pytest.raises(SpecError, match="have no names"):
        fitted(rows, RawModality("scrna", "expression", "counts"), genes=["Tp53"])
    with pytest.raises(SpecError, match="is empty"):
        ExpressionProcessor(genes=[])


def test_gene_panel_in_a_file(tmp_path):
    path = tmp_path / "panel.txt"
    path.write_text("# markers\ng7\n\n g3  # the third\n")
    assert fitted(cells(), genes=str(path)).spec(RAW).features == ("g7", "g3")
    chosen = fitted(cells(), genes=[f"g{i}" for i in range(20)], num_genes=5).spec(RAW).features
    assert len(chosen) == 5
    assert set(chosen) <= {f"g{i}" for i in range(20)}
    with pytest.raises(SpecError, match="num_genes is 5 of 2 genes"):
        fitted(cells(), genes=str(path), num_genes=5)
    path.write_text("# nothing\n")
    with pytest.raises(DataError, match="names no gene"):
        fitted(cells(), genes=str(path))
    with pytest.raises(DataError, match="cannot be read"):
        fitted(cells(), genes=str(tmp_path / "none.txt"))


def test_fit_looks_at_a_bounded_number_of_rows():
    class Lazy:
        """Rows that are made when they are asked for, as a source on disk gives them."""

        def __init__(self, rows: np.ndarray) -> None:
            self.rows, self.asked = rows, []

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, i: int) -> np.ndarray:
            self.asked.append(i)
            return self.rows[i]

    rows = Lazy(cells(200))
    processor = ExpressionProcessor(num_genes=10, fit_cells=21)
    processor.fit(RAW, rows)  # type: ignore[arg-type]
    assert len(rows.asked) == 21
    assert rows.asked[0] == 0
    assert rows.asked[-1] == 199
    assert set(np.diff(rows.asked)) <= {9, 10}
    assert processor.spec(RAW).features == fitted(rows.rows[rows.asked], num_genes=10).spec(RAW).features
    for arguments in ({"fit_cells": 1}, {"min_matched": 1.5}):
        with pytest.raises(SpecError, match=next(iter(arguments))):
            ExpressionProcessor(**arguments)  # type: ignore[arg-type]
