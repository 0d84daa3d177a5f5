"""PBMC3k on a made-up file."""

from __future__ import annotations

import runpy
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest

from datamodules.io import download
from datamodules.sources.omics.pbmc3k import CELL_TYPES, PBMC3k
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "pbmc3k.py"))["write"]


def opened(root: Path, label: str = "louvain") -> PBMC3k:
    source = PBMC3k(label=label)
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "pbmc3k")
    source = opened(tmp_path)
    raw = anndata.read_h5ad(tmp_path / "pbmc3k" / "pbmc3k_processed.h5ad").raw.to_adata()
    assert len(source) == 24
    assert source.card.modalities[0].features == tuple(raw.var_names)
    for row in range(len(source)):
        sample = source.read(row)
        cell = raw[sample.id.removeprefix("pbmc3k/")]
        assert np.array_equal(sample.inputs["scrna"], cell.X.toarray()[0])
        label = str(cell.obs["louvain"].iloc[0])
        assert sample.targets == {"cell_type": label}
        assert source.group_names()["cell_type"][sample.groups["cell_type"]] == label
        assert source.peek(row).targets == sample.targets
        assert source.peek(row).inputs == {"scrna": None}
    assert set(source.index["stratum"]) <= set(CELL_TYPES)


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "pbmc3k" / "pbmc3k_processed.h5ad"
    write(path.parent)
    with pytest.raises(DataError, match=r"'louvian'; did you mean 'louvain'.*pbmc3k_processed\.h5ad"):
        opened(tmp_path, label="louvian")
    data = anndata.read_h5ad(path)
    data.obs["louvain"] = data.obs["louvain"].astype(str).replace("B cells", "Plasma cells")
    data.write_h5ad(path)
    with pytest.raises(DataError, match=r"'Plasma cells' is unknown.*row: AAAC"):
        opened(tmp_path)
    data.raw = None
    data.write_h5ad(path)
    with pytest.raises(DataError, match="no 'raw'"):
        opened(tmp_path)
    write(path.parent)
    with h5py.File(path, "r+") as file:
        file["raw/X/data"][0] = np.nan
    with pytest.raises(DataError, match="is not finite"):
        opened(tmp_path)
    write(path.parent)
    with h5py.File(path, "r+") as file:
        file["raw/X/indices"][3] = 10**6
    with pytest.raises(DataError, match=r"not a readable h5ad file.*pbmc3k_processed\.h5ad"):
        opened(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"missing; scanpy\.datasets"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", None], ids=["empty", "text", "cut short"])
def test_broken_files(tmp_path: Path, content: bytes | None) -> None:
    write(tmp_path / "pbmc3k")
    path = tmp_path / "pbmc3k" / "pbmc3k_processed.h5ad"
    path.write_bytes(path.read_bytes()[:-300] if content is None else content)
    with pytest.raises(DataError, match=r"not a readable h5ad file.*pbmc3k_processed\.h5ad"):
        opened(tmp_path)


def test_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def give(url: str, path: Path) -> None:
        asked.append(url)
        write(path.parent)

    monkeypatch.setattr(download, "fetch", give)
    PBMC3k().open(tmp_path, download=True)
    PBMC3k().open(tmp_path, download=True)
    assert len(asked) == 1
    assert asked[0].startswith("https://")
