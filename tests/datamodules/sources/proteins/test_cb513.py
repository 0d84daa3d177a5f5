"""The secondary-structure source, on a made-up layout and on the real file."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Literal

import pytest

from datamodules.sources.proteins.cb513 import CB513, fractions
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "cb513.py"))["write"]


def opened(root: Path, use_mask: bool = True) -> CB513:
    source = CB513(use_mask=use_mask)
    source.open(root)
    return source


def test_fractions_by_hand() -> None:
    assert fractions("HHHE") == {"helix": 0.75, "strand": 0.25, "coil": 0.0}
    assert fractions("HHHE", "0.0 0.0 1.0 1.0") == {"helix": 0.5, "strand": 0.5, "coil": 0.0}
    assert fractions("HHHE", "1.0 0.0") == fractions("HHHE")
    assert fractions("HHHE", "0.0 0.0 0.0 0.0") == {}


def test_rows_groups_and_targets(tmp_path: Path) -> None:
    write(tmp_path / "cb513", n=12)
    source = opened(tmp_path)
    assert len(source) == 12
    assert source.index["group"].nunique() == 11
    assert source.unlabelled == 1
    lines = [s.split(",") for s in (tmp_path / "cb513" / "CB513.csv").read_text().splitlines()[1:]]
    found = 0
    for row in range(12):
        sample = source.read(row)
        line = lines[int(source.index["row"].iloc[row])]
        assert sample.inputs["protein"] == line[0]
        counted = [s for s, m in zip(line[1], line[4].split(), strict=True) if m == "1.0"]
        if not counted:
            assert sample.targets == {}
            continue
        found += 1
        target = sample.targets["secondary_structure"]
        assert target["helix"] == pytest.approx(counted.count("H") / len(counted))
        assert sum(target.values()) == pytest.approx(1.0)
    assert found == 11
    assert opened(tmp_path, use_mask=False).unlabelled == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("MKV,HH,CC,1.0,1.0", "each of the 3 residues of a chain; got 2 letters"),
        ("MKV,HHQ,CCC,1.0,1.0", r"\['Q'\]"),
        (",,,,1.0", "each of the 0"),
        ("MKV,HHH,CCC,1.0,1.0 x 1.0", "not a number"),
    ],
)
def test_broken_lines(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path / "cb513", n=2)
    path = tmp_path / "cb513" / "CB513.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path)
    assert caught.value.row == 2


def test_bad_residue(tmp_path: Path) -> None:
    path = tmp_path / "cb513" / "CB513.csv"
    path.parent.mkdir()
    path.write_text("input,dssp3,dssp8,disorder,cb513_mask\nM-V,HHH,HHH,1 1 1,1.0 1.0 1.0\n")
    with pytest.raises(DataError, match=r"\['-'\].*row: 0"):
        opened(tmp_path).read(0)


def test_real_file(shared_data: Path) -> None:
    source = opened(shared_data)
    assert len(source) == 511
    assert source.index["group"].nunique() == 511 - 79
    assert source.unlabelled == 2
    lengths = source.index["sequence"].str.len()
    assert (lengths.min(), lengths.max()) == (20, 874)
    whole = opened(shared_data, use_mask=False)
    share = (whole.index["helix"] * whole.index["sequence"].str.len()).sum()
    assert share == pytest.approx(49006)


@pytest.mark.parametrize("states", [3, 8])
def test_a_state_for_every_residue(tmp_path: Path, states: Literal[3, 8]) -> None:
    write(tmp_path / "cb513", n=12)
    source = CB513(per_residue=True, states=states, task_name="fold")
    task = source.card.tasks[0]
    assert (task.name, task.kind, task.reads) == ("fold", "token_classification", "protein")
    assert task.classes == (("H", "E", "C") if states == 3 else ("H", "G", "I", "E", "B", "T", "S", "C"))
    source.open(tmp_path)
    assert source.unlabelled == 1
    lines = [s.split(",") for s in (tmp_path / "cb513" / "CB513.csv").read_text().splitlines()[1:]]
    labelled = 0
    for row in range(12):
        sample, line = source.read(row), lines[int(source.index["row"].iloc[row])]
        wanted = [
            s if m == "1.0" else "-" for s, m in zip(line[1 if states == 3 else 2], line[4].split(), strict=True)
        ]
        assert sample.targets == ({"fold": "".join(wanted)} if set(wanted) != {"-"} else {})
        labelled += "fold" in sample.targets
    assert labelled == 11


def test_states_without_masks_and_with_disorder(tmp_path: Path) -> None:
    path = tmp_path / "cb513" / "CB513.csv"
    path.parent.mkdir()
    path.write_text("input,dssp3,dssp8,disorder,cb513_mask\nMKVA,HHEC,HGEC,1.0 0.0 1.0 1.0,1.0 1.0 1.0 0.0\n")
    for use_mask, wanted in ((True, "H-E-"), (False, "HHEC")):
        source = CB513(per_residue=True, use_mask=use_mask)
        source.open(tmp_path)
        assert source.read(0).targets == {"secondary_structure": wanted}
    with pytest.raises(SpecError, match="8 with per_residue"):
        CB513(states=8)


def test_real_states(shared_data: Path) -> None:
    source = CB513(per_residue=True)
    source.open(shared_data)
    assert source.unlabelled == 2
    states = "".join(source.read(row).targets.get("secondary_structure", "") for row in range(len(source)))
    assert len(states.replace("-", "")) == 83427
    eight = CB513(per_residue=True, states=8, use_mask=False)
    eight.open(shared_data)
    assert sum(eight.read(row).targets["secondary_structure"].count("G") for row in range(len(eight))) == 5173
