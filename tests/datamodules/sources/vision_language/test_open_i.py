"""OpenI on a made-up folder."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.vision_language.open_i import OpenI, image_key
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "open_i.py"))["write"]


def opened(root: Path, **arguments: object) -> OpenI:
    source = OpenI(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def picture(root: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(root / "open_i" / "NLMCXR_png" / name))


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "open_i")
    source = opened(tmp_path)
    assert len(source) == 15
    assert source.views_known
    ids = source.index["id"].tolist()
    assert set(source.index["subject"]) == {f"openi-{i}" for i in range(1, 16)}
    first = source.read(ids.index("1"))
    assert np.array_equal(first.inputs["xray"], picture(tmp_path, "CXR1_1_IM-0001-1001.png"))
    assert np.array_equal(first.inputs["xray_lateral"], picture(tmp_path, "CXR1_1_IM-0001-2001.png"))
    assert first.inputs["text"] == "There is Opacity, Scoliosis. Chest number 1."
    assert first.targets == {"normal_report": "abnormal"}
    assert source.peek(ids.index("3")).targets == {"normal_report": "normal"}
    assert set(source.peek(ids.index("14")).inputs) == {"text"}
    assert source.peek(ids.index("14")).targets == {}
    assert source.unlabelled == 1
    assert set(source.peek(ids.index("15")).inputs) == {"xray", "xray_lateral"}


def test_findings_and_sections(tmp_path: Path) -> None:
    write(tmp_path / "open_i")
    source = opened(tmp_path, task="findings", num_findings=3, include_normal=True, sections=[])
    classes = source.card.tasks[0].classes
    assert classes[0] == "normal"
    assert len(classes) == 4
    assert [m.name for m in source.card.modalities] == ["xray", "xray_lateral"]
    assert len(source) == 14
    assert source.skipped["no image, and no text in the sections"] == 1
    third = source.peek(source.index["id"].tolist().index("3"))
    assert third.targets == {"radiographic_findings": {c: int(c == "normal") for c in classes}}
    with pytest.raises(DataError, match="num_findings is 90"):
        opened(tmp_path, task="findings", num_findings=90)


def test_without_table_of_views(tmp_path: Path) -> None:
    write(tmp_path / "open_i")
    (tmp_path / "open_i" / "indiana_projections.csv").unlink()
    source = opened(tmp_path)
    assert not source.views_known
    first = source.read(source.index["id"].tolist().index("1"))
    assert set(first.inputs) == {"xray", "text"}
    assert np.array_equal(first.inputs["xray"], picture(tmp_path, "CXR1_1_IM-0001-2001.png"))


def test_missing_image(tmp_path: Path) -> None:
    write(tmp_path / "open_i")
    (tmp_path / "open_i" / "NLMCXR_png" / "CXR4_IM-1004-1001.png").unlink()
    with pytest.raises(DataError, match=r"CXR4_IM-1004-1001\.png.*missing_images='skip'"):
        opened(tmp_path)
    source = opened(tmp_path, missing_images="skip")
    assert source.skipped["an image is missing"] == 1
    assert set(source.peek(source.index["id"].tolist().index("4")).inputs) == {"xray_lateral", "text"}


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize("content", [b"", b"<eCitation>", b"\x00\x01", BOMB, b"<a>" * 100_000, b"<a>&nope;</a>"])
def test_broken_report(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "open_i")
    (tmp_path / "open_i" / "ecgen-radiology" / "5.xml").write_bytes(content)
    with pytest.raises(DataError, match=r"5\.xml"):
        opened(tmp_path)


def test_bad_input(tmp_path: Path) -> None:
    for wrong in ({"sections": ["mesh"]}, {"task": "x"}, {"missing_images": "x"}, {"num_findings": 0}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            OpenI(**wrong)  # type: ignore[arg-type]
    write(tmp_path / "open_i")
    table = tmp_path / "open_i" / "indiana_projections.csv"
    good = table.read_text()
    table.write_text(good.replace("Frontal", "Oblique"))
    with pytest.raises(DataError, match="projection 'Oblique'"):
        opened(tmp_path)
    table.write_text(good)
    broken = tmp_path / "open_i" / "NLMCXR_png" / "CXR2_IM-1002-1001.png"
    broken.write_bytes(broken.read_bytes()[:60])
    source = opened(tmp_path)
    with pytest.raises(DataError, match=r"CXR2_IM-1002-1001\.png"):
        source.read(source.index["id"].tolist().index("2"))


def test_real_names_of_views(shared_data: Path) -> None:
    """The table of views that is published beside the csv form names images as expected."""
    lines = (shared_data / "openi_reports" / "indiana_projections.csv").read_text().splitlines()[1:]
    keys = {image_key(*line.split(",")[:2]) for line in lines}
    assert len(keys) == len(lines)
    assert {image_key("1", "CXR1_1_IM-0001-3001"), image_key("2", "CXR2_IM-0652-1001")} <= keys
