"""The E. coli promoter source, on a made-up layout and on the real files."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest

from datamodules.core.source import SOURCES
from datamodules.sources.omics.ecoli_mpra import FILES, EcoliMPRA
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "ecoli_mpra.py"))["write"]


def opened(root: Path, **settings: int) -> EcoliMPRA:
    source = EcoliMPRA(**settings)
    source.open(root)
    return source


def test_rows_splits_and_groups(tmp_path: Path) -> None:
    write(tmp_path / "ecoli_mpra", n=12)
    source = opened(tmp_path)
    assert source.index["split"].value_counts().to_dict() == {"": 12, "test": 6}
    assert sum(source.skipped.values()) == 1
    assert source.index["group"].nunique() == 17
    assert SOURCES.get("EcoliMPRA") is EcoliMPRA
    lines = dict(
        line.split("\t")
        for name in FILES.values()
        for line in (tmp_path / "ecoli_mpra" / name).read_text().splitlines()
    )
    for row in range(len(source)):
        sample = source.read(row)
        wanted = math.log(max(float(lines[sample.inputs["genomics"]]), 0.1))
        assert sample.targets["expression"]["promoter_activity"] == pytest.approx(wanted, abs=1e-12)


def test_subset_is_seeded(tmp_path: Path) -> None:
    write(tmp_path / "ecoli_mpra", n=12)
    ids = [opened(tmp_path, max_rows=5, seed=s).index["id"].tolist() for s in (0, 0, 1)]
    assert [len(i) for i in ids] == [5, 5, 5]
    assert ids[0] == ids[1] != ids[2]
    assert len(opened(tmp_path, max_rows=100)) == 18
    with pytest.raises(SpecError, match="-1"):
        EcoliMPRA(max_rows=-1)


def test_ids_do_not_depend_on_the_order_of_lines(tmp_path: Path) -> None:
    write(tmp_path / "ecoli_mpra", n=12)
    before = opened(tmp_path).index[["id", "activity"]]
    path = tmp_path / "ecoli_mpra" / FILES[""]
    path.write_text("\n".join(reversed(path.read_text().splitlines())) + "\n")
    assert opened(tmp_path).index[["id", "activity"]].equals(before)


@pytest.mark.parametrize(
    ("line", "message"),
    [("ACGT", "tab"), ("ACGT\tlow", "'low' is not a finite"), ("ACGT\tnan", "'nan' is not"), ("\t1.0", "tab")],
)
def test_broken_lines(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path / "ecoli_mpra", n=4)
    path = tmp_path / "ecoli_mpra" / FILES["test"]
    path.write_text(line + "\n" + path.read_text())
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path)
    assert caught.value.file == path
    assert caught.value.row == 1


def test_bad_letter_and_missing_file(tmp_path: Path) -> None:
    write(tmp_path / "ecoli_mpra", n=4)
    path = tmp_path / "ecoli_mpra" / FILES[""]
    path.write_text("AC!T\t1.0\n")
    source = opened(tmp_path)
    row = int((source.index["sequence"] == "AC!T").to_numpy().argmax())
    with pytest.raises(DataError, match=r"\['!'\].*train_genome_split.*row: 1"):
        source.read(row)
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        opened(tmp_path)


def test_real_files(shared_data: Path) -> None:
    source = opened(shared_data)
    assert source.index["split"].value_counts().to_dict() == {"": 13118, "test": 4549 - 34}
    assert sum(source.skipped.values()) == 34
    train, test = (set(source.index.loc[source.index["split"] == s, "group"]) for s in ("", "test"))
    assert not train & test
    assert source.index["sequence"].str.len().eq(150).all()
    assert source.index.loc[source.index["split"] == "", "activity"].max() == pytest.approx(123.24, abs=0.01)
    assert source.read(0).targets["expression"]["promoter_activity"] >= math.log(0.1)
