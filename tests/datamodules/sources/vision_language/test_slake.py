"""SLAKE on a made-up folder."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.vision_language.slake import SLAKE, question_answer
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "slake.py"))["write"]


def opened(root: Path, **arguments: object) -> SLAKE:
    source = SLAKE(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "slake")
    source = opened(tmp_path)
    assert len(source) == 36
    assert source.index["split"].value_counts().to_dict() == {"train": 24, "val": 6, "test": 6}
    assert source.index.groupby("group")["split"].nunique().max() == 1
    assert source.index["group"].nunique() == 18
    assert source.skipped == {"the question is not in 'en' (language)": 18}
    sample = source.read(source.index["id"].tolist().index("train/4"))
    picture = np.asarray(Image.open(tmp_path / "slake" / "imgs" / "xmlab1" / "source.jpg"))
    assert np.array_equal(sample.inputs["xray"], picture)
    assert sample.inputs["question"] == "What is the largest organ in the picture?"
    assert sample.targets == {"vqa": "liver kidney"}
    assert source.group_names()["location"][sample.groups["location"]] == "Lung"


def test_options(tmp_path: Path) -> None:
    write(tmp_path / "slake")
    closed = opened(tmp_path, closed_only=True, published_split=False, task_name="ask")
    assert {closed.peek(i).targets["ask"] for i in range(len(closed))} == {"yes", "no"}
    assert set(closed.index["split"]) == {""}
    chinese = opened(tmp_path, language="zh")
    assert {chinese.peek(i).targets["vqa"] for i in range(len(chinese))} == {"\u662f"}
    assert len(opened(tmp_path, language="both")) == 54
    (tmp_path / "slake" / "imgs" / "xmlab2" / "source.jpg").unlink()
    with pytest.raises(DataError, match=r"2 questions are missing.*xmlab2.*missing_images='skip'"):
        opened(tmp_path)
    assert opened(tmp_path, missing_images="skip").skipped["image is missing"] == 2


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("q_lang", "fr", "q_lang 'fr'.*train.json.*row: 0"),
        ("modality", "PET", "modality 'PET'.*row: 0"),
        ("answer", " ", "is empty.*skip_empty=True.*qid 0"),
        ("qid", 1, "'train/1' occurs twice"),
    ],
)
def test_bad_rows(tmp_path: Path, key: str, value: object, says: str) -> None:
    write(tmp_path / "slake")
    path = tmp_path / "slake" / "train.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    rows[0][key] = value
    path.write_text(json.dumps(rows))
    with pytest.raises(DataError, match=says):
        opened(tmp_path)
    if key == "answer":
        assert opened(tmp_path, skip_empty=True).skipped["no question or no answer (skip_empty)"] == 1


def test_bad_input(tmp_path: Path) -> None:
    for wrong in ({"language": "fr"}, {"missing_images": "x"}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            SLAKE(**wrong)  # type: ignore[arg-type]
    write(tmp_path / "slake")
    (tmp_path / "slake" / "imgs" / "xmlab0" / "source.jpg").write_bytes(b"\xff\xd8\xff")
    source = opened(tmp_path)
    with pytest.raises(DataError, match=r"source\.jpg"):
        source.read(source.index["id"].tolist().index("train/0"))
    (tmp_path / "slake" / "test.json").write_text("[")
    with pytest.raises(DataError, match=r"not valid JSON.*test\.json"):
        opened(tmp_path)


def test_question_answer() -> None:
    def pair(answer: object) -> object:
        return question_answer(" Why? ", answer, skip_empty=True, file=Path("f"), row=0)

    assert pair("Two, 2.5cm") == ("Why?", "2 2.5cm")
    assert pair("+") == ("Why?", "+")
    assert pair(None) is None
    assert pair(0) == ("Why?", "0")
