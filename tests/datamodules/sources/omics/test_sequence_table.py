"""SequenceTable on made-up tables, and on two real ones by arguments alone."""

from __future__ import annotations

import gzip
import math
import pickle
import runpy
from pathlib import Path

import pytest

from datamodules.sources.omics.ecoli_mpra import FILES, EcoliMPRA
from datamodules.sources.omics.sequence_table import SequenceColumns, SequenceLabels, SequenceTable
from datamodules.sources.omics.uci_splice import UCISplice
from zoo.contract import Sample
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "sequence_table.py"))["write"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "sequence_table")
    return tmp_path


def opened(root: Path, source: SequenceTable) -> SequenceTable:
    source.open(root)
    return source


def samples(source: SequenceTable) -> dict[str, Sample]:
    return {s.id: s for s in (source.read(i) for i in range(len(source)))}


def test_classes(root: Path) -> None:
    source = opened(root, SequenceTable(columns=SequenceColumns(id="name", split="part")))
    assert len(source) == 18
    assert source.card.tasks[0].classes == ("AT", "GC")
    assert source.index["group"].nunique() == 17
    assert source.index["split"].value_counts().to_dict() == {"train": 10, "val": 4, "test": 4}
    got = samples(source)
    for line in (root / "sequence_table" / "sequences.csv").read_text().splitlines()[1:]:
        name, label, sequence, *_ = [cell.strip() for cell in line.split(",")]
        assert got[name] == Sample(name, {"genomics": sequence.upper()}, {"sequence_class": label})
    assert got["row0"].inputs == got["row17"].inputs
    assert pickle.loads(pickle.dumps(source)).peek(2) == source.read(2)


def test_names_and_groups(root: Path) -> None:
    source = opened(root, SequenceTable(columns=SequenceColumns(group="gene")))
    assert source.index["group"].nunique() == 8
    assert sum(name.endswith("-2") for name in source.index["id"]) == 1


def test_values(root: Path) -> None:
    arguments = {"file": "expression.tsv", "columns": SequenceColumns(label=("liver", "brain"))}
    source = opened(
        root,
        SequenceTable(
            **arguments, labels=SequenceLabels(task_kind="regression", floor=0.5, log="log2", unit="log2 TPM")
        ),
    )  # type: ignore[arg-type]
    assert source.card.tasks[0].unit == "log2 TPM"
    assert source.card.tasks[0].classes == ("liver", "brain")
    got = sorted((s.targets["expression"] for s in samples(source).values()), key=lambda t: t["liver"])
    assert got[2] == {"liver": math.log2(2.5)}
    assert got[0] == {"liver": -1.0, "brain": -1.0}
    assert got[17] == {"liver": math.log2(17.5), "brain": math.log2(3.25)}
    with pytest.raises(DataError, match=r"'brain' is '-1.0'.*'floor'.*expression.tsv.*row: 2"):
        opened(root, SequenceTable(**arguments, labels=SequenceLabels(task_kind="regression", log="log")))  # type: ignore[arg-type]


def test_files_and_gzip(root: Path) -> None:
    folder = root / "sequence_table"
    (folder / "train.csv.gz").write_bytes(gzip.compress((folder / "sequences.csv").read_bytes()))
    lines = (folder / "sequences.csv").read_text().splitlines()
    (folder / "test.csv").write_text("\n".join(lines[:3]) + "\n")
    source = opened(root, SequenceTable(file="train.csv.gz", parts={"test": "test.csv"}))
    assert source.index["split"].value_counts().to_dict() == {"": 18, "test": 2}
    assert source.index["group"].nunique() == 17
    source = opened(root, SequenceTable(file="sequences.csv", parts={"val": "test.csv"}))
    assert source.index["split"].value_counts().to_dict() == {"train": 18, "val": 2}
    with pytest.raises(DataError, match=r"missing.*gone.csv"):
        opened(root, SequenceTable(parts={"test": "gone.csv"}))


def test_unlabelled(root: Path) -> None:
    path = root / "sequence_table" / "sequences.csv"
    path.write_text(path.read_text().replace("row3,  GC", "row3,  "))
    with pytest.raises(DataError, match=r"no label in \['label'\].*row: 5"):
        opened(root, SequenceTable())
    source = opened(root, SequenceTable(labels=SequenceLabels(unlabelled="skip")))
    assert len(source) == 17
    assert source.skipped == {"no label (unlabelled)": 1}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (" label,", " class,", "unknown column 'label'"),
        ("row3,  GC", "row3,  XX", "'XX' is unknown.*row: 5"),
        ("row3,  GC, ", "row3,  GC, !", r"\['!'\].*row: 5"),
        ("row3,  GC, ", "row3,  GC, , ", "6 cells.*row: 5"),
        ("row3,", "row2,", "'row2' occurs twice"),
        ("row3,", ",", "the id in column 'name' is empty.*row: 5"),
    ],
)
def test_bad_tables(root: Path, old: str, new: str, says: str) -> None:
    path = root / "sequence_table" / "sequences.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(root, SequenceTable(columns=SequenceColumns(id="name"), labels=SequenceLabels(classes=("AT", "GC"))))


def test_bad_arguments(root: Path) -> None:
    with pytest.raises(SpecError, match="one column"):
        SequenceTable(columns=SequenceColumns(label=("a", "b")))
    with pytest.raises(SpecError, match="log is 'ln'"):
        SequenceTable(labels=SequenceLabels(log="ln"))  # type: ignore[arg-type]
    path = root / "sequence_table" / "sequences.csv"
    path.write_bytes(path.read_bytes()[:60] + b"\xff\xfe")
    with pytest.raises(DataError, match=r"cannot be read.*sequences.csv"):
        opened(root, SequenceTable())


def test_real_splice(shared_data: Path) -> None:
    source = opened(shared_data, SequenceTable(folder="uci_splice", file="splice.csv", task_name="splice_junction"))
    other = UCISplice()
    other.open(shared_data)
    assert len(source) == len(other) == 3190
    assert source.card.tasks[0].classes == ("EI", "IE", "N")
    assert source.index["group"].nunique() == other.index["group"].nunique()
    pairs = [
        sorted((s.inputs["genomics"], s.targets["splice_junction"]) for s in map(x.read, range(3190)))
        for x in (source, other)
    ]
    assert pairs[0] == pairs[1]


def test_real_mpra(shared_data: Path) -> None:
    source = SequenceTable(
        folder="ecoli_mpra",
        file=FILES[""],
        parts={"test": FILES["test"]},
        columns=SequenceColumns(header=("sequence", "promoter_activity"), label=("promoter_activity",)),
        labels=SequenceLabels(task_kind="regression", log="log", floor=0.1, unit="log RNA/DNA"),
    )
    opened(shared_data, source)
    other = EcoliMPRA()
    other.open(shared_data)
    assert source.card.tasks == (
        other.card.tasks[0].__class__(**{**other.card.tasks[0].__dict__, "modalities": ("genomics",)}),
    )
    assert source.index["split"].value_counts().to_dict() == {"": 13118, "test": 4549}
    train = {
        (s.inputs["genomics"], s.targets["expression"]["promoter_activity"])
        for s in (source.read(i) for i in range(len(source)) if source.index["split"].iat[i] == "")
    }
    theirs = {
        (s.inputs["genomics"], s.targets["expression"]["promoter_activity"])
        for s in (other.read(i) for i in range(0, len(other), 50) if other.index["split"].iat[i] == "")
    }
    assert theirs <= train
    assert source.index["group"].nunique() == other.index["group"].nunique()
