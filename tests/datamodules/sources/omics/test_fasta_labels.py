"""FASTALabels and the FASTA reader behind it."""

from __future__ import annotations

import gzip
import pickle
import runpy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datamodules.core.settings import TableColumns
from datamodules.io.formats import sequences
from datamodules.io.formats.sequences import FastaFile, read_delimited
from datamodules.sources.omics.fasta_labels import FASTAClasses, FASTALabels
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "fasta_labels.py"))["write"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "fasta_labels")
    return tmp_path / "fasta_labels"


def opened(folder: Path, source: FASTALabels | None = None) -> FASTALabels:
    source = FASTALabels() if source is None else source
    source.open(folder.parent)
    return source


def written(folder: Path) -> dict[str, str]:
    records = (folder / "sequences.fasta").read_text().split(">")[1:]
    return {r.split()[0]: "".join(r.split("\n")[1:]).upper() for r in records}


def test_rows(folder: Path) -> None:
    source = opened(folder)
    assert len(source) == 18
    assert source.card.tasks[0].classes == ("enhancer", "silencer")
    assert source.index["group"].nunique() == 17
    group = dict(zip(source.index["id"], source.index["group"], strict=True))
    assert group["seq0"] == group["seq17"]
    for row in range(18):
        sample = source.read(row)
        assert sample.inputs == {"genomics": written(folder)[sample.id]}
        number = int(sample.id[3:])
        assert sample.targets == {"sequence_class": "enhancer" if number % 2 == 0 or number == 17 else "silencer"}
        assert source.peek(row) == sample
    assert set(source.index["split"]) == {""}
    assert pickle.loads(pickle.dumps(source)).read(3) == source.read(3)


def test_splits_and_groups(folder: Path) -> None:
    source = opened(folder, FASTALabels(columns=TableColumns(split="split", group="family")))
    assert source.index["split"].value_counts().to_dict() == {"train": 10, "val": 4, "test": 4}
    assert source.index["group"].nunique() == 8  # nine families, of which two share a sequence


def test_gzip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sequences.fasta", "labels.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    packed = opened(folder, FASTALabels(fasta="sequences.fasta.gz", table="labels.csv.gz"))
    plain = opened(folder)
    assert [packed.read(i) for i in range(18)] == [plain.read(i) for i in range(18)]
    (folder / "cut.gz").write_bytes((folder / "sequences.fasta.gz").read_bytes()[:-20])
    with pytest.raises(DataError, match=r"cannot be unpacked.*cut.gz"):
        FastaFile(folder / "cut.gz")
    monkeypatch.setattr(sequences, "MEMORY_LIMIT", 100)
    with pytest.raises(DataError, match="unpacks to more than 100 bytes; unpack it with gunzip"):
        FastaFile(folder / "sequences.fasta.gz")


def test_unmatched(folder: Path) -> None:
    table = folder / "labels.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:-1], "seq99,enhancer,train,x"]) + "\n")
    with pytest.raises(DataError, match=r"'seq99' is not in 'sequences.fasta'.*labels.csv.*row: 19"):
        opened(folder)
    source = opened(folder, FASTALabels(labels=FASTAClasses(unmatched="skip")))
    assert len(source) == 17
    assert set(source.skipped.values()) == {1}
    table.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match=r"1 records have no label in 'labels.csv', the first is 'seq17'"):
        opened(folder)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("id,label", "name,label", "lacks a column.*labels.csv"),
        ("seq3,silencer", "seq3,", "the label '' is unknown"),
        ("seq3,silencer", "seq2,silencer", "'seq2' occurs twice.*row: 5"),
        ("seq3,silencer,test", "seq3,silencer,later", "the split 'later' is unknown.*row: 5"),
        ("seq3,silencer", "seq3,silencer,x", "the line has 5 cells.*row: 5"),
        ("seq3,silencer", 'seq3,"silencer', "cannot be read"),
    ],
)
def test_bad_table(folder: Path, old: str, new: str, says: str) -> None:
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=says):
        opened(folder, FASTALabels(columns=TableColumns(split="split")))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no record"),
        ("ACGT\n", "begins with.*row: 1"),
        (">\nACGT\n", "has no id.*row: 1"),
        ("> a\nACGT\n", "has no id"),
        (">a\nAC\n>a\nGT\n", "'a' occurs twice.*row: 3"),
        (">a\nAC\n>b\n>c\nA\n", "record 'b' has no letters.*row: 3"),
        (">a\n", "record 'a' has no letters"),
    ],
)
def test_bad_fasta(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.fa").write_text(text)
    with pytest.raises(DataError, match=says):
        FastaFile(tmp_path / "a.fa")


def test_bad_letters(folder: Path) -> None:
    path = folder / "sequences.fasta"
    path.write_text(path.read_text().replace(">seq1 made up\n", ">seq1 made up\nAC-U"))
    with pytest.raises(DataError, match=r"record 'seq1' holds b'-'.*sequences.fasta.*row: \d"):
        opened(folder)
    with pytest.raises(DataError, match=r"missing.*nothing.fa"):
        opened(folder, FASTALabels(fasta="nothing.fa"))
    with pytest.raises(SpecError, match="unmatched is 'no'"):
        FASTALabels(labels=FASTAClasses(unmatched="no"))  # type: ignore[arg-type]


def test_protein(tmp_path: Path) -> None:
    (tmp_path / "fasta_labels").mkdir()
    (tmp_path / "fasta_labels" / "sequences.fasta").write_text(">p\nMKV\n>q\nMLL\n")
    (tmp_path / "fasta_labels" / "labels.csv").write_text("id,label\np,1\nq,2\n")
    source = opened(tmp_path / "fasta_labels", FASTALabels(modality="protein", kind="protein"))
    assert [source.read(i).inputs["protein"] for i in range(2)] == ["MKV", "MLL"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text("ACGTN", min_size=1, max_size=40), min_size=1, max_size=4),
    st.integers(1, 12),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_windows(tmp_path: Path, letters: list[str], width: int, end: str, last: bool) -> None:
    blocks = [[s[k : k + width] for k in range(0, len(s), width)] for s in letters]
    text = end.join(f">r{i} x{end}" + end.join(block) for i, block in enumerate(blocks)) + (end if last else "")
    path = tmp_path / "w.fa"
    path.write_bytes(text.encode())
    fasta = FastaFile(path)
    for i, s in enumerate(letters):
        assert fasta.read(f"r{i}") == s
        assert fasta.length(f"r{i}") == len(s)
        for start in range(-3, len(s) + 2):
            expected = ("NNN" + s + "N" * 12)[start + 3 : start + 10]
            assert fasta.window(f"r{i}", start, start + 7) == expected


def test_uneven_lines_and_long_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "u.fa"
    path.write_text(">a\nACG\nAC\nACG\n>b\nAC\n\n>c\n\nACGT\n>d\nAC\nACG\n")
    fasta = FastaFile(path)
    assert [fasta.read(n) for n in "abcd"] == ["ACGACACG", "AC", "ACGT", "ACACG"]
    assert fasta.window("b", 1, 3) == "CN"
    for name in "acd":
        with pytest.raises(DataError, match="differ in length"):
            fasta.window(name, 0, 2)
    with pytest.raises(DataError, match="no record 'z'"):
        fasta.read("z")
    monkeypatch.setattr(sequences, "_PIECE", 8)
    path.write_text(">a\n" + "ACGT" * 10 + "\n>b\nAC\n")
    fasta = FastaFile(path)
    assert fasta.read("a") == "ACGT" * 10
    assert fasta.window("a", 38, 42) == "GTNN"
    path.write_text(">a\nAC\n")
    with pytest.raises(DataError, match="shorter"):
        fasta.read("b")


def test_fai(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">chr1 x\nACGTA\nCC\n>chr2\nGGGGG\n")
    index = tmp_path / "g.fa.fai"
    index.write_text("chr1\t7\t8\t5\t6\nchr2\t5\t23\t5\t6\n")
    fasta = FastaFile(path)
    assert fasta.window("chr1", 4, 8) == "ACCN"
    assert fasta.window("chr2", 0, 5) == "GGGGG"
    for bad in (
        "chr1\t7\t8\t5\n",
        "chr1\t7\t-8\t5\t6\n",
        "chr1\t700\t8\t5\t6\n",
        "chr2\t7\t8\t5\t6\n",
        "chr1\t7\t9\t5\t6\n",
    ):
        index.write_text(bad)
        with pytest.raises(DataError, match=r"samtools faidx.*g.fa.fai.*row: 1"):
            FastaFile(path)


def test_broken_bytes(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    for content in (b"\xff\xfe\x00", b"\x1f\x8b\x00\x00", b"", b"a\tb\n", gzip.compress(b"a\tb\n1\t2\n" * 99)[:-9]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"t\.tsv"):
            read_delimited(path, ["a"])
