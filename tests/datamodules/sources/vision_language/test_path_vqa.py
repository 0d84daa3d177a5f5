"""PathVQA on made-up parquet files."""

from __future__ import annotations

import io
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.vision_language.path_vqa import PathVQA
from zoo.errors import DataError, SpecError

pytest.importorskip("pyarrow")
import pyarrow as pa
import pyarrow.parquet as pq

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "path_vqa.py"))["write"]


def opened(root: Path, **arguments: object) -> PathVQA:
    source = PathVQA(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def shard(root: Path, name: str = "train-00001-of-00002") -> Path:
    return root / "path_vqa" / "data" / f"{name}.parquet"


def test_rows(tmp_path: Path) -> None:
    write(tmp_path / "path_vqa")
    source = opened(tmp_path, cached_groups=1)
    assert len(source) == 32
    assert source.index["split"].value_counts().to_dict() == {"train": 16, "val": 8, "test": 8}
    assert set(source.index["group"]) == {""}
    wanted = pq.read_table(shard(tmp_path)).to_pylist()
    ids = source.index["id"].tolist()
    rows = [ids.index(f"train-00001-of-00002/{n}") for n in (7, 0, 3, 1)]
    for n, sample in zip((7, 0, 3, 1), source.read_many(rows), strict=True):
        assert sample.id == f"train-00001-of-00002/{n}"
        assert sample.inputs["question"] == wanted[n]["question"]
        assert sample.targets == {"vqa": wanted[n]["answer"].lower()}
        picture = np.asarray(Image.open(io.BytesIO(wanted[n]["image"]["bytes"])))
        assert np.array_equal(sample.inputs["pathology"], picture)
    again = pickle.loads(pickle.dumps(source))
    assert not again._cache
    assert np.array_equal(again.read(rows[0]).inputs["pathology"], source.read(rows[0]).inputs["pathology"])


def test_groups(tmp_path: Path) -> None:
    write(tmp_path / "path_vqa")
    source = opened(tmp_path, published_split=False)
    assert set(source.index["split"]) == {""}
    assert source.index["group"].value_counts().tolist() == [2] * 16
    write(tmp_path / "named" / "path_vqa", paths=True)
    named = opened(tmp_path / "named", published_split=False)
    assert named.index["group"].nunique() == 16
    assert "train_0_0.jpg" in set(named.index["group"])


def test_opening_reads_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "path_vqa")
    read: list[list[str]] = []
    whole = pq.ParquetFile.read

    def spy(self: pq.ParquetFile, columns: list[str]) -> pa.Table:
        read.append(columns)
        return whole(self, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read", spy)
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", None)
    source = opened(tmp_path)
    assert [source.peek(i).inputs["pathology"] for i in range(3)] == [None] * 3
    assert read == [["question", "answer", "image.path"]] * 4


def test_closed_only_and_empty(tmp_path: Path) -> None:
    write(tmp_path / "path_vqa")
    closed = opened(tmp_path, closed_only=True)
    assert set(closed.index["answer"]) == {"yes", "no"}
    assert closed.skipped == {"open question (closed_only)": 16}
    rows = pq.read_table(shard(tmp_path))
    rows = rows.set_column(2, "answer", pa.array(["", *rows["answer"].to_pylist()[1:]]))
    pq.write_table(rows, shard(tmp_path))
    with pytest.raises(DataError, match=r"is empty.*train-00001.*row: 0"):
        opened(tmp_path)
    assert len(opened(tmp_path, skip_empty=True)) == 31


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cached_groups"):
        PathVQA(cached_groups=0)
    write(tmp_path / "path_vqa")
    kept = shard(tmp_path).read_bytes()
    pq.write_table(pq.read_table(shard(tmp_path)).drop(["answer"]), shard(tmp_path))
    with pytest.raises(DataError, match=r"lacks the columns \['answer'\].*train-00001"):
        opened(tmp_path)
    for content in (b"", b"PAR1", kept[:200], kept[:-30], kept[:-8] + b"\xff\xff\xff\x7fPAR1"):
        shard(tmp_path).write_bytes(content)
        with pytest.raises(DataError, match="train-00001"):
            opened(tmp_path)
    for file in (tmp_path / "path_vqa" / "data").glob("test-*"):
        file.unlink()
    with pytest.raises(DataError, match="no file data/test"):
        opened(tmp_path)


def test_flipped_bytes(tmp_path: Path) -> None:
    """Whatever is broken in a file, the error is a DataError, or the values are those that the file now holds."""
    write(tmp_path / "path_vqa")
    kept = shard(tmp_path).read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(40):
        broken = bytearray(kept)
        for place in generator.integers(4, len(kept), 3):
            broken[place] ^= int(generator.integers(1, 256))
        shard(tmp_path).write_bytes(bytes(broken))
        try:
            source = opened(tmp_path)
            source.read_many(range(len(source)))
        except DataError as error:
            assert "train-00001" in str(error)  # noqa: PT017
    null = pa.Table.from_pylist([{"image": {"bytes": None, "path": None}, "question": "why?", "answer": "no"}],
                                schema=pq.read_schema(shard(tmp_path, "test-00000-of-00001")))  # fmt: skip
    pq.write_table(null, shard(tmp_path))
    source = opened(tmp_path)
    with pytest.raises(DataError, match="has no image"):
        source.read(source.index["id"].tolist().index("train-00001-of-00002/0"))


def test_bytes_of_an_image() -> None:
    source = PathVQA()
    with pytest.raises(DataError, match="cannot be decoded"):
        source.image("pathology", b"\x89PNG\r\n")
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 7).save(buffer, "JPEG")
    assert source.image("pathology", buffer.getvalue()).shape == (64, 64)
    source.image_size = 16
    assert source.image("pathology", buffer.getvalue()).shape == (16, 16)
    assert source.image("pathology", buffer.getvalue(), whole=True).shape == (64, 64)
