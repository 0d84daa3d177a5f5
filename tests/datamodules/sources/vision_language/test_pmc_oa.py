"""PMCOA on a made-up folder."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.vision_language.pmc_oa import PMCOA, caption_class
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "pmc_oa.py"))["write"]


def opened(root: Path, **arguments: object) -> PMCOA:
    source = PMCOA(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


@pytest.mark.parametrize(
    ("caption", "label"),
    [
        ("Computed  tomography", "ct"), ("(CT)", "ct"), ("octa", ""), ("Function of ACT1", ""), ("MRI", "mri"),
        ("X-ray diffraction", ""), ("Chest X-ray", "radiograph"), ("MRI and sonography", ""), ("a graph", ""),
        ("H & E, x40", "microscopy"), ("COMPUTED TOMOGRAPHY", "ct"),
        ("Hematoxylin and eosin", "microscopy"),
    ],
)  # fmt: skip
def test_caption_class(caption: str, label: str) -> None:
    assert caption_class(caption) == label


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "pmc_oa")
    source = opened(tmp_path)
    assert len(source) == 24
    assert source.index["group"].nunique() == 12
    assert set(source.index["split"]) == {""}
    assert source.unlabelled == 4
    sample = source.read(source.index["id"].tolist().index("PMC212301_Fig1_2.jpg"))
    assert sample.inputs["caption"] == "Chest radiograph on admission."
    picture = np.asarray(Image.open(tmp_path / "pmc_oa" / "images" / "PMC212301_Fig1_2.jpg"))
    assert np.array_equal(sample.inputs["figure"], picture)
    assert sample.targets == {"caption_modality": "radiograph"}
    diagram = source.peek(source.index["id"].tolist().index("PMC212302_Fig1_5.jpg"))
    assert diagram.targets == {}


def test_versions(tmp_path: Path) -> None:
    write(tmp_path / "pmc_oa")
    parts = opened(tmp_path, version="splits", task_name="")
    assert parts.index["split"].value_counts().to_dict() == {"train": 12, "val": 6, "test": 6}
    assert parts.card.tasks == ()
    assert parts.peek(0).targets == {}
    assert set(opened(tmp_path, version="splits", published_split=False).index["split"]) == {""}
    (tmp_path / "pmc_oa" / "images").rename(tmp_path / "pmc_oa" / "caption_T060_filtered_top4_sep_v0_subfigures")
    assert opened(tmp_path, version="pmc_oa_beta").read(0).inputs["figure"].shape == (20, 24, 3)
    with pytest.raises(DataError, match=r"no folder of images \(images\)"):
        opened(tmp_path, images="images")


def test_repeated_and_empty(tmp_path: Path) -> None:
    write(tmp_path / "pmc_oa")
    lines = [{"image": "PMC212300_Fig1_0.jpg", "caption": c} for c in ("CT", None, "MRI")]
    (tmp_path / "pmc_oa" / "pmc_oa.jsonl").write_text("\n".join(json.dumps(r) for r in lines))
    source = opened(tmp_path)
    assert source.index["id"].tolist() == [f"PMC212300_Fig1_0.jpg{t}" for t in ("", "#2", "#3")]
    assert source.peek(1).inputs == {"figure": None}
    assert source.peek(2).targets == {"caption_modality": "mri"}


def test_bad_input(tmp_path: Path) -> None:
    for wrong in ({"version": "x"}, {"missing_images": "x"}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            PMCOA(**wrong)  # type: ignore[arg-type]
    write(tmp_path / "pmc_oa")
    broken = tmp_path / "pmc_oa" / "images" / "PMC212300_Fig1_0.jpg"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(DataError, match=r"PMC212300_Fig1_0\.jpg"):
        opened(tmp_path).read(0)
    broken.unlink()
    with pytest.raises(DataError, match=r"PMC212300_Fig1_0\.jpg.*missing_images='skip'.*row: 1"):
        opened(tmp_path)
    assert opened(tmp_path, missing_images="skip").skipped == {"image is missing": 1}
    table = tmp_path / "pmc_oa" / "pmc_oa.jsonl"
    for content, says in (
        ("{", "not a JSON object"),
        ('{"image": "a"}\n', r"lacks the keys \['caption'\]"),
        ("", "no rows"),
    ):
        table.write_text(content)
        with pytest.raises(DataError, match=says):
            opened(tmp_path)
