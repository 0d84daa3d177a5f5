"""MedMNIST on made-up archives and on the real one."""

from __future__ import annotations

import contextlib
import hashlib
import runpy
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from datamodules.io import download
from datamodules.sources.images.med_mnist import SETS, MedMNIST
from zoo.contract import MODALITIES, TASKS
from zoo.errors import DataError, MissingExtraError, SpecError, UnknownNameError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "med_mnist.py"))["write"]


def opened(root: Path, **arguments: object) -> MedMNIST:
    source = MedMNIST(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def lay_out(root: Path, flag: str, size: int = 28, compressed: bool = True) -> dict[str, np.ndarray]:
    known = SETS[flag]
    write(
        root / flag, n=14, flag=flag, size=size, labels=len(known.classes), colour=known.colour,
        multilabel=known.kind == "multilabel", compressed=compressed,
    )  # fmt: skip
    return dict(np.load(root / flag / (f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz")))


def test_rows_and_splits(tmp_path: Path) -> None:
    write(tmp_path / "pneumoniamnist")
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"train": 12, "test": 6, "val": 6}
    assert source.index["stratum"].value_counts().to_dict() == {"normal": 12, "pneumonia": 12}
    row = source.index["id"].tolist().index("pneumoniamnist/train/00003")
    sample = source.read(row)
    archive = np.load(tmp_path / "pneumoniamnist" / "pneumoniamnist.npz")
    assert np.array_equal(sample.inputs["xray"], archive["train_images"][3])
    assert sample.targets == {"disease": "pneumonia"}
    assert source.peek(row).inputs == {"xray": None}
    assert source.peek(row).targets == sample.targets
    free = opened(tmp_path, published_split=False)
    assert set(free.index["split"]) == {""}
    assert np.array_equal(free.read(row).inputs["xray"], sample.inputs["xray"])


@pytest.mark.parametrize("flag", SETS)
def test_every_set(flag: str, tmp_path: Path) -> None:
    arrays = lay_out(tmp_path, flag)
    source = opened(tmp_path, flag=flag)
    task, modality = source.card.tasks[0], source.card.modalities[0]
    assert modality.kind in MODALITIES
    assert task.kind in TASKS
    for row in range(len(source)):
        sample = source.read(row)
        _, split, position = sample.id.split("/")
        assert np.array_equal(sample.inputs[modality.name], arrays[f"{split}_images"][int(position)])
        label = arrays[f"{split}_labels"][int(position)]
        expected = (
            dict(zip(task.classes, label.tolist(), strict=True))
            if task.kind == "multilabel"
            else task.classes[int(label[0])]
        )
        assert sample.targets == {task.name: expected}


@pytest.mark.parametrize("flag", SETS)
def test_the_sets_are_those_of_the_package(flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # the package makes a folder there when it is imported
    info = pytest.importorskip("medmnist.info").INFO
    assert set(SETS) == {name for name in info if not name.endswith("3d")}
    known, said = SETS[flag], info[flag]
    assert known.classes == tuple(said["label"].values())
    assert dict(zip(("train", "val", "test"), known.images, strict=True)) == said["n_samples"]
    assert known.colour == (said["n_channels"] == 3)
    assert known.licence == said["license"]
    kinds = {"ordinal-regression": "ordinal", "multi-label, binary-class": "multilabel"}
    assert known.kind == kinds.get(said["task"], "classification")


@pytest.mark.parametrize("compressed", [True, False])
def test_sizes_and_mapping(tmp_path: Path, compressed: bool) -> None:
    arrays = lay_out(tmp_path, "retinamnist", size=64, compressed=compressed)
    source = opened(tmp_path, flag="retinamnist", size=64, task_name="grade", modality="eye", classes="abcde")
    row = source.index["id"].tolist().index("retinamnist/train/00004")
    sample = source.read(row)
    assert np.array_equal(sample.inputs["eye"], arrays["train_images"][4])
    assert sample.targets == {"grade": "e"}
    assert isinstance(source._images["train"], np.memmap) is not compressed
    assert not isinstance(sample.inputs["eye"], np.memmap)


def test_bad_arguments() -> None:
    with pytest.raises(UnknownNameError, match=r"'pneumonia_mnist'; did you mean 'pneumoniamnist'"):
        MedMNIST(flag="pneumonia_mnist")
    with pytest.raises(SpecError, match="size must be 28, 64, 128 or 224, got 32"):
        MedMNIST(size=32)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="2 classes"):
        MedMNIST(classes=("one",))


def test_bad_archives(tmp_path: Path) -> None:
    path = tmp_path / "pneumoniamnist" / "pneumoniamnist.npz"
    with pytest.raises(DataError, match="MedMNIST"):
        opened(tmp_path)
    write(path.parent)
    good = dict(np.load(path))
    for key, value, says in (
        ("train_images", np.zeros((12, 28, 28, 3), dtype=np.uint8), r"train_images.*\(N, 28, 28\).*flag and size"),
        ("train_images", np.zeros((12, 64, 64), dtype=np.uint8), "train_images"),
        ("train_images", np.zeros((12, 28, 28)), "got float64"),
        ("val_labels", np.zeros((6, 14)), "one class an image"),
        ("test_labels", np.zeros((5, 1)), r"\(6, 1\)"),
        ("test_labels", np.full((6, 1), 2), r"label \[2\] is outside the 2 classes.*row: test/00000"),
        ("test_labels", np.full((6, 1), np.nan), "outside the 2 classes"),
        ("test_labels", np.array([["x"]] * 6), "outside the 2 classes"),
        ("test_labels", np.array([[None]] * 6, dtype=object), "Python objects"),
    ):
        np.savez(path, **(good | {key: value}))
        with pytest.raises(DataError, match=says):
            opened(tmp_path)
    del good["val_images"]
    np.savez(path, **good)
    with pytest.raises(DataError, match=r"val_images.*no such array"):
        opened(tmp_path)


@pytest.mark.parametrize("compressed", [True, False])
def test_broken_archives(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "pneumoniamnist" / "pneumoniamnist.npz"
    write(path.parent, compressed=compressed)
    good = path.read_bytes()
    for size in (0, 10, len(good) // 2, len(good) - 5):
        path.write_bytes(good[:size])
        with pytest.raises(DataError, match=r"pneumoniamnist\.npz"):
            opened(tmp_path)
    generator = np.random.default_rng(0)
    for _ in range(30):  # whatever a flipped byte does, it is no other error
        broken = bytearray(good)
        broken[int(generator.integers(len(good)))] ^= int(generator.integers(1, 256))
        path.write_bytes(bytes(broken))
        with contextlib.suppress(DataError):
            source = opened(tmp_path)
            for row in range(len(source)):
                source.read(row)


def test_header_that_claims_much(tmp_path: Path) -> None:
    path = tmp_path / "pneumoniamnist" / "pneumoniamnist.npz"
    write(path.parent)
    arrays = dict(np.load(path))
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w") as handle:
                if name != "train_images":
                    np.lib.format.write_array(handle, value)
                    continue
                header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({1 << 40}, 28, 28), }}".ljust(117)
                handle.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + b"\n")
    with pytest.raises(DataError, match=r"'train_images.npy' claims the shape"):
        opened(tmp_path)


def test_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    info = pytest.importorskip("medmnist.info").INFO
    asked = []

    def give(url: str, path: Path, *, md5: str) -> None:
        asked.append((url, md5))
        write(path.parent, size=64)

    monkeypatch.setattr(download, "fetch", give)
    source = MedMNIST(size=64)
    source.open(tmp_path, download=True)
    assert asked == [(info["pneumoniamnist"]["url_64"], info["pneumoniamnist"]["MD5_64"])]
    MedMNIST(size=64).open(tmp_path, download=True)  # what is there is not asked for
    assert len(asked) == 1


def test_download_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "medmnist", None)
    monkeypatch.setitem(sys.modules, "medmnist.info", None)
    with pytest.raises(MissingExtraError, match=r"\[medmnist\]"):
        MedMNIST().open(tmp_path, download=True)


def test_real(shared_data: Path) -> None:
    source = opened(shared_data)
    assert source.index["split"].value_counts().to_dict() == {"train": 4707, "val": 524, "test": 624}
    assert source.index["stratum"].value_counts().to_dict() == {"pneumonia": 4273, "normal": 1582}
    sample = source.read(0)
    assert sample.inputs["xray"].shape == (28, 28)
    assert sample.inputs["xray"].dtype == np.uint8
    first = np.load(shared_data / "pneumoniamnist" / "pneumoniamnist.npz")["test_images"][0]
    assert hashlib.md5(sample.inputs["xray"].tobytes()).digest() == hashlib.md5(first.tobytes()).digest()
