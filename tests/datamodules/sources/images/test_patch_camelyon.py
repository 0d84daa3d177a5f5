"""PatchCamelyon on made-up files."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import runpy
from pathlib import Path

import h5py
import numpy as np
import pytest

from datamodules.io import download
from datamodules.sources.images import patch_camelyon
from datamodules.sources.images.patch_camelyon import PatchCamelyon
from zoo.errors import DataError

GENERATOR = runpy.run_path(str(Path(__file__).parents[3] / "data" / "patch_camelyon.py"))
write, PREFIX = GENERATOR["write"], GENERATOR["PREFIX"]


def opened(root: Path, published_split: bool = True) -> PatchCamelyon:
    source = PatchCamelyon(published_split=published_split)
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "patch_camelyon")
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"train": 12, "val": 6, "test": 6}
    assert source.index["group"].nunique() == 12
    assert source.index.groupby("group")["split"].nunique().max() == 1
    for row in range(len(source)):
        sample = source.read(row)
        _, split, position = sample.id.split("/")
        with h5py.File(tmp_path / "patch_camelyon" / f"{PREFIX}{split}_x.h5") as file:
            assert np.array_equal(sample.inputs["pathology"], file["x"][int(position)])
        assert sample.targets == {"breast_cancer": ("normal", "tumor")[int(position) % 2]}
        assert source.peek(row).targets == sample.targets
        assert source.peek(row).inputs == {"pathology": None}
    assert source.read(0).inputs["pathology"].dtype == np.uint8


def test_files_are_opened_once_and_not_pickled(tmp_path: Path) -> None:
    write(tmp_path / "patch_camelyon")
    source = opened(tmp_path)
    assert source._images("train") is source._images("train")
    copy = pickle.loads(pickle.dumps(source))
    assert copy._opened == {}
    assert np.array_equal(copy.read(5).inputs["pathology"], source.read(5).inputs["pathology"])


def test_without_slides(tmp_path: Path) -> None:
    write(tmp_path / "patch_camelyon", meta=False)
    assert set(opened(tmp_path).index["group"]) == {""}
    with pytest.raises(DataError, match=r"needs the slides.*train_meta\.csv"):
        opened(tmp_path, published_split=False)
    write(tmp_path / "patch_camelyon")
    assert set(opened(tmp_path, published_split=False).index["split"]) == {""}


def test_missing_and_packed(tmp_path: Path) -> None:
    folder = tmp_path / "patch_camelyon"
    write(folder)
    path = folder / f"{PREFIX}valid_x.h5"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    with pytest.raises(DataError, match=r"still packed; unpack it with gunzip.*valid_x\.h5\.gz"):
        opened(tmp_path)
    path.with_name(path.name + ".gz").unlink()
    with pytest.raises(DataError, match=r"missing; Zenodo.*valid_x\.h5"):
        opened(tmp_path)


def put(path: Path, key: str, value: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=value)


def test_bad_files(tmp_path: Path) -> None:
    cases = (
        ("train_x.h5", "x", np.zeros((12, 96, 96), dtype=np.uint8), r"'x' must be uint8 \(N, 96, 96, 3\)"),
        ("train_x.h5", "x", np.zeros((12, 96, 96, 3)), "got float64"),
        ("train_x.h5", "y", np.zeros((12, 96, 96, 3), dtype=np.uint8), r"no dataset 'x'.*it has \['y'\]"),
        ("test_y.h5", "y", np.zeros((5, 1, 1, 1), dtype=np.uint8), "5 labels for 6 images"),
        ("test_y.h5", "y", np.full((6, 1, 1, 1), 2, dtype=np.uint8), r"label 2 is neither 0 nor 1.*row: 0"),
        ("test_y.h5", "y", np.zeros(6, dtype=np.uint8), "'y' must be"),
        ("train_x.h5", "x", np.array(b"x"), "'x' must be"),
    )
    for i, (name, key, value, says) in enumerate(cases):
        folder = tmp_path / str(i) / "patch_camelyon"
        write(folder)
        put(folder / f"{PREFIX}{name}", key, value)
        with pytest.raises(DataError, match=says) as caught:
            opened(folder.parent)
        assert name in str(caught.value)
    folder = tmp_path / "patch_camelyon"
    write(folder)
    table = folder / f"{PREFIX}train_meta.csv"
    text = table.read_text()
    table.write_text(text.replace("wsi", "slide"))
    with pytest.raises(DataError, match=r"lacks a column.*train_meta\.csv"):
        opened(tmp_path)
    table.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(DataError, match="13 rows for 12 patches"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not HDF5", None], ids=["empty", "text", "cut short"])
@pytest.mark.parametrize("name", ["train_x.h5", "valid_y.h5"])
def test_broken_files(tmp_path: Path, name: str, content: bytes | None) -> None:
    write(tmp_path / "patch_camelyon")
    path = tmp_path / "patch_camelyon" / f"{PREFIX}{name}"
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(DataError, match=name):
        opened(tmp_path)


def test_broken_image(tmp_path: Path) -> None:
    write(tmp_path / "patch_camelyon")
    path = tmp_path / "patch_camelyon" / f"{PREFIX}train_x.h5"
    with h5py.File(path) as file:
        chunk = file["x"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)
    source = opened(tmp_path)
    row = source.index["id"].tolist().index("pcam/train/000000")
    with pytest.raises(DataError, match=r"not a readable HDF5 file.*train_x\.h5"):
        source.read(row)


def test_no_other_files_are_read(tmp_path: Path) -> None:
    write(tmp_path / "patch_camelyon")
    path = tmp_path / "patch_camelyon" / f"{PREFIX}train_x.h5"
    path.rename(tmp_path / "elsewhere.h5")
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink(str(tmp_path / "elsewhere.h5"), "x")
    with pytest.raises(DataError, match="no dataset 'x' of its own"):
        opened(tmp_path)


def test_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, asked = tmp_path / "there", []
    write(there)

    def give(url: str, path: Path, *, md5: str) -> None:
        name = url.removeprefix("https://zenodo.org/records/2546921/files/").removesuffix("?download=1")
        asked.append((name, md5))
        path.parent.mkdir(parents=True, exist_ok=True)
        content = (there / name.removesuffix(".gz")).read_bytes()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    monkeypatch.setattr(download, "fetch", give)
    source = PatchCamelyon()
    source.open(tmp_path, download=True)
    assert len(source) == 24
    assert len(asked) == 9
    assert all(len(md5) == len(hashlib.md5().hexdigest()) for _, md5 in asked)
    assert sorted(p.name for p in source.path.iterdir()) == sorted(p.name for p in there.iterdir())
    PatchCamelyon().open(tmp_path, download=True)
    assert len(asked) == 9


def test_checksums_are_those_of_torchvision() -> None:
    pcam = pytest.importorskip("torchvision.datasets.pcam").PCAM
    for files in pcam._FILES.values():
        for name, _, md5 in files.values():
            key = name.removeprefix(PREFIX) + ".gz"
            # torchvision names the archives without .gz; those of the images and labels are compared
            assert patch_camelyon.MD5[key] == md5
