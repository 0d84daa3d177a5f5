"""COVIDx on made-up folders of several releases."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.core.splits import assign_splits
from datamodules.sources.images.covidx import COVIDx
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "covidx.py"))["write"]


def opened(root: Path, source: COVIDx | None = None) -> COVIDx:
    source = COVIDx() if source is None else source
    source.open(root)
    return source


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "covidx")
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"": 18, "test": 9}
    assert {k: n for k, n in source.skipped.items() if n} == {"its patient is in a more held-out part too": 2}
    row = source.index["id"].tolist().index("train/rsna-1-2.png")
    sample = source.read(row)
    assert sample.targets == {"disease": "COVID-19"}
    assert sample.groups == {"origin": source.group_names()["origin"].index("rsna")}
    assert source.index["group"][row] == "rsna:1"
    assert np.array_equal(sample.inputs["xray"], np.asarray(Image.open(source.path / sample.id)))
    assert source.group_names() == {"origin": ("cohen", "rsna", "stonybrook")}
    assert set(assign_splits(source.index)) == {"train", "val", "test"}


def test_val_list_and_pooling(tmp_path: Path) -> None:
    write(tmp_path / "covidx", val=True)
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"train": 18, "test": 9, "val": 6}
    assert opened(tmp_path, COVIDx(lists={"val": ""})).index["split"].value_counts().to_dict() == {"": 18, "test": 9}
    pooled = opened(tmp_path, COVIDx(published_split=False))
    assert len(pooled) == 35
    assert set(pooled.index["split"]) == {""}
    kept = opened(tmp_path, COVIDx(drop_leaks=False))
    assert len(kept) == 35


def test_a_name_with_a_blank(tmp_path: Path) -> None:
    write(tmp_path / "covidx")
    source = opened(tmp_path, COVIDx(drop_leaks=False))
    row = source.index["id"].tolist().index("train/cohen-0 1.png")
    assert source.read(row).targets == {"disease": "no COVID-19"}


def test_three_classes_and_lists_without_collection(tmp_path: Path) -> None:
    write(tmp_path / "covidx", three=True)
    source = opened(tmp_path, COVIDx(variant="three"))
    assert source.card.tasks[0].classes == ("normal", "pneumonia", "COVID-19")
    assert set(source.index["label"]) == {"normal", "pneumonia", "COVID-19"}
    assert source.peek(source.index["id"].tolist().index("test/again.png")).groups == {"origin": -1}
    with pytest.raises(DataError, match=r"class of \['negative', 'positive'\].*set variant.*train\.txt.*row: 1"):
        opened(tmp_path)


def test_other_list_names(tmp_path: Path) -> None:
    write(tmp_path / "covidx")
    (tmp_path / "covidx" / "train.txt").rename(tmp_path / "covidx" / "train_COVIDx9B.txt")
    with pytest.raises(DataError, match=r"missing.*train\.txt"):
        opened(tmp_path)
    assert len(opened(tmp_path, COVIDx(lists={"train": "train_COVIDx9B.txt"}))) == 27


def test_missing_images(tmp_path: Path) -> None:
    write(tmp_path / "covidx")
    (tmp_path / "covidx" / "train" / "rsna-1-3.png").unlink()
    with pytest.raises(DataError, match=r"1 of the 20 images.*rsna-1-3\.png.*row: 4"):
        opened(tmp_path)
    source = opened(tmp_path, COVIDx(missing_images="skip"))
    assert len(source) == 26
    assert sum(source.skipped.values()) == 3


@pytest.mark.parametrize("line", ["1 rsna-1-2.png", "1 rsna-1-2.png flu rsna", "positive"])
def test_bad_lines(tmp_path: Path, line: str) -> None:
    write(tmp_path / "covidx")
    path = tmp_path / "covidx" / "train.txt"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"expected 'patient file class collection'.*train\.txt.*row: 21"):
        opened(tmp_path)


def test_bad_bytes_and_repeated_lines(tmp_path: Path) -> None:
    write(tmp_path / "covidx")
    path = tmp_path / "covidx" / "train.txt"
    good = path.read_text()
    path.write_text(good + good.splitlines()[5] + "\n")
    with pytest.raises(DataError, match="occurs twice"):
        opened(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"cannot be read.*train\.txt"):
        opened(tmp_path)


def test_bad_arguments() -> None:
    with pytest.raises(SpecError, match="variant"):
        COVIDx(variant="four")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="missing_images"):
        COVIDx(missing_images="maybe")  # type: ignore[arg-type]
