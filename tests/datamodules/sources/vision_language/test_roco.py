"""ROCO on a made-up folder of both versions."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.vision_language.roco import ROCO
from zoo.errors import DataError, SpecError

GENERATOR = runpy.run_path(str(Path(__file__).parents[3] / "data" / "roco.py"))
write, CUIS = GENERATOR["write"], GENERATOR["CUIS"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("roco")
    write(folder / "roco", n=15)
    return folder


def opened(root: Path, **arguments: object) -> ROCO:
    source = ROCO(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_version_1(root: Path) -> None:
    source = opened(root, num_concepts=5)
    assert len(source) == 2 * (15 + 7 + 7)
    assert source.index["split"].value_counts().to_dict() == {"train": 30, "val": 14, "test": 14}
    assert source.index["group"].nunique() == 29
    assert source.card.tasks[0].classes == ("radiology", "non-radiology")
    classes = source.card.tasks[1].classes
    assert len(classes) == 5
    assert set(classes) <= set(CUIS)
    ids = source.index["id"].tolist()
    for key, image in (("ROCO_00002", "ROCO_00002.jpg"), ("ROCO_00003", "PMC4001_fig-g001.jpg")):
        sample = source.read(ids.index(key))
        picture = np.asarray(Image.open(root / "roco" / "data" / "train" / "radiology" / "images" / image))
        assert np.array_equal(sample.inputs["figure"], picture)
        i = int(key[-1]) - 2
        known = {CUIS[2 * i + k] for k in range(8)}
        assert sample.targets == {"figure_type": "radiology", "concepts": {c: int(c in known) for c in classes}}
    assert source.peek(ids.index("ROCO_00002")).inputs["caption"] == "radiology figure of number 2."
    assert set(source.peek(ids.index("ROCO_00006")).targets["concepts"].values()) == {0}
    assert source.peek(ids.index("ROCO_00020")).targets["figure_type"] == "non-radiology"


def test_classes_come_from_training(root: Path) -> None:
    """The concepts are counted in the publisher's training part, whether or not its split is taken."""
    part = root / "roco" / "data" / "train"
    counts: dict[str, int] = {}
    for kind in ("radiology", "non-radiology"):
        for cui in (part / kind / "cuis.txt").read_text().split():
            if cui.startswith("C"):
                counts[cui] = counts.get(cui, 0) + 1
    wanted = tuple(sorted(counts, key=lambda c: (-counts[c], c))[:7])
    for published_split in (True, False):
        assert opened(root, num_concepts=7, published_split=published_split).card.tasks[1].classes == wanted


def test_options(root: Path) -> None:
    radiology = opened(root, radiology_only=True, published_split=False)
    assert len(radiology) == 29
    assert [t.name for t in radiology.card.tasks] == ["concepts"]
    assert set(radiology.index["split"]) == {""}
    types = opened(root, concept_task="", figure_task="kind")
    assert types.peek(0).targets == {"kind": "radiology"}
    with pytest.raises(DataError, match="num_concepts is 99, but the training part has"):
        opened(root, num_concepts=99)


def test_version_2(root: Path) -> None:
    source = opened(root, version="v2", num_concepts=3)
    assert source.index["split"].value_counts().to_dict() == {"train": 15, "val": 7, "test": 7}
    sample = source.read(source.index["id"].tolist().index("ROCOv2_2023_valid_000002"))
    path = root / "roco" / "valid_images" / "valid" / "ROCOv2_2023_valid_000002.jpg"
    assert np.array_equal(sample.inputs["figure"], np.asarray(Image.open(path)))
    assert sample.inputs["caption"] == "CT, figure 1"
    known = set(CUIS[1:11])
    assert sample.targets == {"concepts": {c: int(c in known) for c in source.card.tasks[0].classes}}


def test_bad_input(tmp_path: Path) -> None:
    for wrong in ({"version": "v3"}, {"missing_images": "x"}, {"num_concepts": 0}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            ROCO(**wrong)  # type: ignore[arg-type]
    write(tmp_path / "roco")
    place = tmp_path / "roco" / "data" / "test" / "radiology"
    image = next((place / "images").glob("PMC*"))
    image.unlink()
    with pytest.raises(DataError, match=rf"{image.name}.*missing_images='skip'"):
        opened(tmp_path)
    assert opened(tmp_path, missing_images="skip").skipped == {"image is missing": 1}
    (place / "licences.txt").unlink()
    lost = opened(tmp_path, missing_images="skip")
    assert lost.skipped == {"image is missing": 3}
    for content, says in ((b"nothing\n", "expected an id.*row: 1"), (b"\xff\xfe", "no text in UTF-8")):
        (place / "captions.txt").write_bytes(content)
        with pytest.raises(DataError, match=says):
            opened(tmp_path, missing_images="skip")
    write(tmp_path / "roco")
    (place / "cuis.txt").unlink()
    with pytest.raises(DataError, match=r"file is missing"):
        opened(tmp_path, missing_images="skip")
    table = tmp_path / "roco" / "train_concepts.csv"
    table.write_text(table.read_text().replace("CUIs", "Concepts"))
    with pytest.raises(DataError, match=r"lacks a column.*train_concepts\.csv"):
        opened(tmp_path, version="v2")
