"""Rows that are alike stay in one split on request, and the audit names sequences that overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.audit import Entry, check_all
from datamodules.core.options import SplitOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from datamodules.sources import Table
from datamodules.sources.table import TableModality
from zoo.errors import DataError, SpecError
from zoo.table_task import TableTask

LETTERS = {"dna": "ACGT", "protein": "ACDEFGHIKLMNPQRSTVWY"}


def sequences(root: Path, kind: str, *, overlap: bool) -> None:
    """80 sequences of 60 letters in pairs, of which the second begins in the middle of the first, or is another."""
    rng = np.random.default_rng(0)
    lines = ["seq,y"]
    for k in range(40):
        long = "".join(rng.choice(list(LETTERS[kind]), 90))
        other = long[30:] if overlap else "".join(rng.choice(list(LETTERS[kind]), 60))
        lines += [f"{long[:60]},{'ab'[k % 2]}", f"{other},{'ab'[k % 2]}"]
    (root / "mydata").mkdir()
    (root / "mydata/table.csv").write_text("\n".join(lines) + "\n")


def source(kind: str, **more: str) -> Table:
    return Table(modalities={"seq": TableModality(kind, **more)}, tasks={"y": TableTask("classification")})


def split_of(data: Pipeline) -> dict[str, str]:
    return {data.join.id(r): split for split, rows in data.rows.items() for r in rows.tolist()}


@pytest.mark.parametrize("kind", ["dna", "protein"])
def test_overlapping_sequences_are_found_and_kept_together(kind: str, tmp_path: Path) -> None:
    sequences(tmp_path, kind, overlap=True)
    settings = {"modalities": {"seq": {"kind": kind}}, "tasks": {"y": {"kind": "classification"}}}
    entry = Entry(Table, settings, "datamodules.sources.Table")
    (finding,) = [f for f in check_all([entry], tmp_path, joint=True).sources[0].findings if f.kind == "overlap"]
    assert (finding.level, finding.numbers["rows"], finding.numbers["sets"]) == ("leak", 80, 40)
    assert "group_by: similarity" in finding.remedy
    report = check_all([entry], tmp_path, joint=True, grouping="similarity")
    assert report.sources[0].leaks == []

    data = prepare([source(kind)], root=tmp_path, split=SplitOptions(group_by="similarity"))
    place = split_of(data)
    assert all(place[f"Table/{k:02d}"] == place[f"Table/{k + 1:02d}"] for k in range(0, 80, 2))
    assert "80 rows are in 40 groups of rows that are alike, at most 2 in one" in data.grouped
    assert "Table/00 and Table/01" in data.grouped
    assert data.join.unit(0) == data.join.unit(1) != data.join.unit(2)


@pytest.mark.parametrize("kind", ["dna", "protein"])
def test_sequences_of_their_own_raise_no_alarm(kind: str, tmp_path: Path) -> None:
    sequences(tmp_path, kind, overlap=False)
    settings = {"modalities": {"seq": {"kind": kind}}, "tasks": {"y": {"kind": "classification"}}}
    report = check_all([Entry(Table, settings, "datamodules.sources.Table")], tmp_path)
    assert [f for f in report.sources[0].findings if f.kind == "overlap"] == []
    data = prepare([source(kind)], root=tmp_path, split=SplitOptions(group_by="similarity"))
    assert data.grouped == "no rows are alike"


def test_copies_of_pictures_are_kept_together_and_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "mydata"
    folder.mkdir()
    lines = ["file,y"]
    for k in range(30):
        blocks = Image.fromarray(np.kron(rng.integers(0, 255, (16, 16)), np.ones((6, 6))).astype(np.uint8))
        blocks.save(folder / f"{k}.png")
        blocks.save(folder / f"{k} again.jpg", quality=90)
        lines += [f"{k}.png,{'ab'[k % 2]}", f"{k} again.jpg,{'ab'[k % 2]}"]
    (folder / "table.csv").write_text("\n".join(lines) + "\n")

    def pictures() -> Table:
        return Table(
            modalities={"scan": TableModality("image", column="file", path="{}")},
            tasks={"y": TableTask("classification")},
            id="file",
        )

    place = split_of(prepare([pictures()], root=tmp_path))
    assert any(place[f"Table/{k}.png"] != place[f"Table/{k} again.jpg"] for k in range(30))
    data = prepare([pictures()], root=tmp_path, split=SplitOptions(group_duplicates=True))
    place = split_of(data)
    assert all(place[f"Table/{k}.png"] == place[f"Table/{k} again.jpg"] for k in range(30))
    assert ".png" in data.grouped


def test_a_part_that_all_constructs_share_binds_nothing(tmp_path: Path) -> None:
    sequences(tmp_path, "dna", overlap=False)
    path = tmp_path / "mydata/table.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *("ACGTTGCATGCCGATCGATTACGGATC" + r for r in rows)]) + "\n")
    data = prepare([source("dna")], root=tmp_path, split=SplitOptions(group_by="similarity"))
    assert data.grouped == "no rows are alike"


def named(root: Path, names: list[str]) -> Table:
    """Pictures of such names, each of its own."""
    rng = np.random.default_rng(0)
    (root / "mydata").mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(root / "mydata" / name)
    lines = ["file,y", *(f"{name},{'ab'[k % 2]}" for k, name in enumerate(names))]
    (root / "mydata/table.csv").write_text("\n".join(lines) + "\n")
    scan = TableModality("image", column="file", path="{}")
    return Table(modalities={"scan": scan}, tasks={"y": TableTask("classification")}, id="file")


def test_rows_of_one_name_are_kept_together(tmp_path: Path) -> None:
    names = [f"p{k:02d}_{j}.png" for k in range(20) for j in range(3)] + ["other.png"]
    data = prepare([named(tmp_path, names)], root=tmp_path, split=SplitOptions(group_by="(p[0-9]+)_"))
    place = split_of(data)
    assert all(len({place[f"Table/p{k:02d}_{j}.png"] for j in range(3)}) == 1 for k in range(20))
    assert "60 rows are in 20 groups" in data.grouped
    assert "1 rows do not match and stand for themselves, such as Table/other.png" in data.grouped
    copies = [n for k in range(30) for n in (f"s{k}.png", f"s{k} (1).png")]
    place = split_of(prepare([named(tmp_path, copies)], root=tmp_path, split=SplitOptions(group_by="name")))
    assert all(place[f"Table/s{k}.png"] == place[f"Table/s{k} (1).png"] for k in range(30))


def test_an_expression_that_cannot_group_is_refused(tmp_path: Path) -> None:
    for wrong, words in (("p[0-9", "no regular expression"), ("p[0-9]+", "no brackets")):
        with pytest.raises(SpecError, match=words):
            SplitOptions(group_by=wrong)
    with pytest.raises(DataError, match=r"is found in no name, such as 'a.png'"):
        prepare([named(tmp_path, ["a.png", "b.png"])], root=tmp_path, split=SplitOptions(group_by="(p[0-9]+)_"))
