"""The splice-junction source, on a made-up layout and on the real file."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from datamodules.modalities.genomics import DNAProcessor
from datamodules.sources.omics.uci_splice import UCISplice
from zoo.errors import DataError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "uci_splice.py"))["write"]


def opened(root: Path) -> UCISplice:
    source = UCISplice()
    source.open(root)
    return source


def test_rows_groups_and_labels(tmp_path: Path) -> None:
    write(tmp_path / "uci_splice", n=12)
    source = opened(tmp_path)
    assert len(source) == 12
    assert source.index["group"].nunique() == 11
    assert {"SYNTH-0-EI", "SYNTH-0-EI-2"} <= set(source.index["id"])
    processor = DNAProcessor()
    samples = [source.read(row) for row in range(12)]
    processor.fit(source.card.modalities[0], [s.inputs["genomics"] for s in samples])
    for sample in samples:
        assert sample.targets["splice_junction"] == sample.id.split("-")[2]
        assert processor(sample.inputs["genomics"]).shape == (60,)


@pytest.mark.parametrize(
    ("line", "message"),
    [("XX, a, ACGT", r"'XX' is none of \('EI', 'IE', 'N'\)"), ("EI, a, ", "empty"), ("EI, a", "the row has 2 cells")],
)
def test_broken_lines(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path / "uci_splice", n=3)
    path = tmp_path / "uci_splice" / "splice.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path)
    assert caught.value.row == 3


def test_bad_letter_header_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder does not exist"):
        opened(tmp_path)
    path = tmp_path / "uci_splice" / "splice.csv"
    path.parent.mkdir()
    path.write_text("label,instance_name,sequence\nN,a,ACGU\n")
    with pytest.raises(DataError, match=r"\['U'\].*row: 0"):
        opened(tmp_path).read(0)
    path.write_text("EI,a,ACGT\n" * 2)
    with pytest.raises(DataError, match="unknown column 'label'"):
        opened(tmp_path)


def test_real_file(shared_data: Path) -> None:
    source = opened(shared_data)
    assert len(source) == 3190
    assert source.index["group"].nunique() == 3190 - 185
    assert source.index["stratum"].value_counts().to_dict() == {"N": 1655, "IE": 768, "EI": 767}
    ambiguous = source.index["sequence"].str.contains("[^ACGT]")
    assert int(ambiguous.sum()) == 15
    processor = DNAProcessor(max_length=60)
    for row in [0, *ambiguous.to_numpy().nonzero()[0]]:
        assert int((processor(source.read(int(row)).inputs["genomics"]) == 5).sum()) >= int(row > 0)
