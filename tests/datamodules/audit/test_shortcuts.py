"""Files that give the label away: found in class folders, a table and DICOM, and never where labels are shuffled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.audit import Entry, check
from datamodules.audit.findings import Finding
from datamodules.audit.shortcuts import accuracy_of_a_trait
from datamodules.core.source import Source
from datamodules.io.traits import file_traits
from datamodules.sources.images.image_folder import ImageFolder
from datamodules.sources.table import Table, TableModality, TableTask


def picture(k: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(k).integers(0, 255, (8, 8), dtype=np.uint8))


def shortcuts(source: type[Source], settings: dict[str, Any], root: Path) -> list[Finding]:
    return [f for f in check(Entry(source, settings), root).report.findings if f.kind == "shortcut"]


def names(k: int, label: str, shortcut: bool) -> str:
    """The name of a file: with the shortcut JPEG occurs in one class alone, without it in both alike."""
    jpeg = (label == "covid" and k % 3) if shortcut else k % 3
    return f"{label}{k}.{'jpg' if jpeg else 'png'}"


@pytest.mark.parametrize("shortcut", [True, False])
def test_class_folders(tmp_path: Path, shortcut: bool) -> None:
    for label in ("covid", "normal"):
        (tmp_path / "ct" / label).mkdir(parents=True)
        for k in range(30):
            picture(k + 100 * (label == "covid")).save(tmp_path / "ct" / label / names(k, label, shortcut))
    found = shortcuts(ImageFolder, {"folder": "ct"}, tmp_path)
    assert bool(found) == shortcut
    if found:
        assert "file format" in found[0].message
        assert "balanced accuracy 0.833" in found[0].message  # 20 of 30 and 30 of 30
        assert "20 covid" in found[0].message


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_column_of_a_table(tmp_path: Path, shortcut: bool) -> None:
    """Pictures of two sizes, either by class or not."""
    (tmp_path / "mydata").mkdir()
    lines = ["scan,label"]
    for k in range(40):
        wide = k % 2 if shortcut else k % 4 < 2
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (8, 10 if wide else 8), dtype=np.uint8)).save(
            tmp_path / "mydata" / f"{k}.png"
        )
        lines.append(f"{k}.png,{'ab'[k % 2]}")
    (tmp_path / "mydata" / "table.csv").write_text("\n".join(lines))
    settings = {
        "modalities": {"scan": TableModality("image", column="scan", path="{}")},
        "tasks": {"label": TableTask("classification")},
    }
    found = shortcuts(Table, settings, tmp_path)
    assert bool(found) == shortcut
    assert all("width and height" in f.message for f in found)


def test_traits_of_files(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    for quality in (50, 95):
        picture(0).save(tmp_path / f"{quality}.jpg", quality=quality)
    low, high = file_traits(tmp_path / "50.jpg"), file_traits((tmp_path / "95.jpg").read_bytes())
    assert low["compression"] != high["compression"]
    assert low["width and height"] == high["width and height"] == "8 x 8"
    scan = pydicom.Dataset()
    scan.Manufacturer, scan.ManufacturerModelName, scan.Rows, scan.Columns = "Maker", "One", 4, 6
    scan.file_meta = FileMetaDataset()
    scan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    scan.save_as(tmp_path / "scan", enforce_file_format=False, little_endian=True, implicit_vr=False)
    raw = b"\0" * 128 + b"DICM" + (tmp_path / "scan").read_bytes()
    assert file_traits(raw).get("file format") == "a DICOM file"
    picture(0).save(tmp_path / "a.tif", tiffinfo={270: "sent by ward 3", 305: "Archive"})
    assert file_traits(tmp_path / "a.tif")["header: description"] == "sent by ward 3"
    assert file_traits(tmp_path / "a.tif")["header: software"] == "Archive"
    assert file_traits(b"no picture") == {"file format": "a text file"}
    assert file_traits(tmp_path / "missing") == {}


def test_shuffled_labels_raise_no_alarm() -> None:
    """Of 200 tables with shuffled labels, at a level of one in a thousand."""
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        values = generator.choice(["png", "jpg", "tif"], 60, p=[0.6, 0.3, 0.1]).tolist()
        labels = generator.permutation(["a"] * 40 + ["b"] * 20).tolist()
        alarms += accuracy_of_a_trait(values, labels) is not None
    assert alarms <= 1
