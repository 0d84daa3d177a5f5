"""VQARAD on a made-up folder and on the real one."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from datamodules.sources.vision_language.vqa_rad import VQARAD, normalise_answer
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "vqa_rad.py"))["write"]


def opened(root: Path, **arguments: object) -> VQARAD:
    source = VQARAD(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("No ", "no"), ("X-ray", "x ray"), ("Right, upper lobe.", "right upper lobe"), ("3.5 cm", "3.5 cm"),
        ("Three", "3"), ("patient's skin", "patients skin"), ("5%", "5"), (4, "4"), ("?", ""), ("someone", "someone"),
    ],
)  # fmt: skip
def test_normalise_answer(answer: object, expected: str) -> None:
    assert normalise_answer(answer) == expected


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "vqa_rad")
    source = opened(tmp_path)
    assert len(source) == 18
    assert (source.index["split"] == "").all()
    assert source.index["group"].nunique() == 6
    ids = source.index["id"].tolist()
    sample = source.read(ids.index("qid/3"))
    assert sample.inputs["question"] == "How many lesions?"
    assert sample.inputs["mri"].shape == (20, 24)
    assert sample.targets == {"vqa": "2"}
    assert source.group_names()["organ"][sample.groups["organ"]] == "head"
    assert set(source.peek(ids.index("qid/1")).inputs) == {"question", "xray"}
    assert set(source.peek(ids.index("qid/2")).inputs) == {"question", "ct"}
    assert source.peek(ids.index("qid/1")).targets == {"vqa": "no"}


def test_options(tmp_path: Path) -> None:
    write(tmp_path / "vqa_rad")
    closed = opened(tmp_path, closed_only=True, published_split=True)
    assert set(closed.index["answer"]) == {"yes", "no"}
    assert closed.skipped == {"open question (closed_only)": 8, "image is missing": 0}
    assert closed.index["split"].value_counts().to_dict() == {"train": 6, "test": 4}
    (tmp_path / "vqa_rad" / "images" / "synpic1.jpg").unlink()
    with pytest.raises(DataError, match=r"synpic1\.jpg.*missing_images='skip'.*trainset\.json, qid 1"):
        opened(tmp_path)
    fewer = opened(tmp_path, missing_images="skip")
    assert len(fewer) == 15
    assert fewer.skipped == {"open question (closed_only)": 0, "image is missing": 3}
    with pytest.raises(SpecError, match="'ignore'"):
        VQARAD(missing_images="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("image_organ", "FOOT", "image_organ 'FOOT'.*trainset.json.*row: 0"),
        ("answer", "?", "no words.*row: 0"),
        ("question", " ", "no words.*row: 0"),
        ("qid", 1, "'qid/1' occurs twice"),
    ],
)
def test_bad_rows(tmp_path: Path, key: str, value: object, says: str) -> None:
    write(tmp_path / "vqa_rad")
    path = tmp_path / "vqa_rad" / "trainset.json"
    rows = json.loads(path.read_text())
    rows[0][key] = value
    path.write_text(json.dumps(rows))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_real(shared_data: Path) -> None:
    with pytest.raises(DataError, match="missing_images='skip'"):
        opened(shared_data)
    source = opened(shared_data, missing_images="skip", published_split=True)
    assert source.index["split"].value_counts().to_dict() == {"train": 2424, "test": 369}
    assert source.index["image"].nunique() == 250  # one image of the folder has no question
    assert source.skipped["image is missing"] == 3064 + 451 - 2424 - 369
    assert source.read(0).inputs["question"]
    yes_no = source.index[source.index["answer"].isin(["yes", "no"])]
    assert yes_no["split"].value_counts().to_dict() == {"train": 1339, "test": 200}
