"""Proteins in a FASTA file: every kind of label, labels of headers, clusters, splits and bad input."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from datamodules.sources.proteins.protein_fasta import ProteinFASTA
from tests.options import grouped_for
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "protein_fasta.py"))["write"]


def opened(root: Path, **settings: Any) -> ProteinFASTA:
    source = ProteinFASTA(**grouped_for(ProteinFASTA, **settings))
    source.open(root)
    return source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "protein_fasta")
    return tmp_path / "protein_fasta"


def rows(folder: Path) -> list[list[str]]:
    return [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()[1:]]


def sequences(folder: Path) -> dict[str, str]:
    records = (folder / "sequences.fasta").read_text().split(">")[1:]
    return {r.split()[0]: "".join(r.split("\n")[1:]) for r in records}


@pytest.mark.parametrize("fasta", ["sequences.fasta", "sequences.fasta.gz"])
def test_classes_of_the_table(folder: Path, fasta: str) -> None:
    source = opened(folder.parent, fasta=fasta)
    assert source.card.tasks[0].classes == ("membrane", "soluble")
    assert len(source) == 18
    assert source.index["group"].nunique() == 17
    for row, line in enumerate(rows(folder)):
        sample = source.read(row)
        assert (sample.id, sample.targets) == (line[0], {"protein_label": line[1]})
        assert sample.inputs == {"protein": sequences(folder)[line[0]]}
    assert source.overview().labelled["protein_label"].all()


def test_numbers_and_unknown_ones(folder: Path) -> None:
    source = opened(folder.parent, kind="regression", label=["value", "weight"], unit="kDa", task_name="size")
    task = source.card.tasks[0]
    assert (task.classes, task.unit) == (("value", "weight"), "kDa")
    for row, line in enumerate(rows(folder)):
        wanted = {"value": float(line[3])} | ({"weight": float(line[4])} if line[4] else {})
        assert source.read(row).targets == {"size": wanted}
    alone = opened(folder.parent, kind="regression", label=["weight"])
    assert int(alone.overview().labelled["protein_label"].sum()) == 18 - 3
    assert alone.read(4).targets == {}


def test_a_letter_a_residue(folder: Path) -> None:
    source = opened(folder.parent, kind="token_classification", label=["states"])
    task = source.card.tasks[0]
    assert (task.classes, task.reads) == (("C", "H"), "protein")
    for row, line in enumerate(rows(folder)):
        sample = source.read(row)
        assert sample.targets == {"protein_label": line[2]}
        assert len(line[2]) == len(sample.inputs["protein"])
    table = folder / "labels.csv"
    text = table.read_text()
    table.write_text(text.replace(rows(folder)[2][2], "HHC"))
    with pytest.raises(DataError, match=r"3 letters and the sequence.*row: 4"):
        opened(folder.parent, kind="token_classification", label=["states"])
    table.write_text(text)
    with pytest.raises(DataError, match=r"no class: \['C'\]"):
        opened(folder.parent, kind="token_classification", label=["states"], classes=["H", "E"])


def test_labels_and_splits_of_headers(folder: Path) -> None:
    (folder / "labels.csv").unlink()
    plain = opened(folder.parent, pattern=r"TARGET=(\w+)")
    assert set(plain.index["split"]) == {""}
    source = opened(folder.parent, pattern=r"TARGET=(?P<label>\w+) SET=(?P<split>\w+)")
    assert source.card.tasks[0].classes == ("membrane", "soluble")
    assert source.index["split"].value_counts().to_dict() == {"train": 12, "test": 6}
    assert source.read(1).targets == {"protein_label": "soluble"}
    fasta = folder / "sequences.fasta"
    fasta.write_text(fasta.read_text().replace("TARGET=soluble SET=train", "GOAL", 1))
    with pytest.raises(DataError, match=r"'>p01 GOAL' does not match.*row: "):
        opened(folder.parent, pattern=r"TARGET=(\w+)")
    some = opened(folder.parent, pattern=r"TARGET=(\w+)", unmatched="skip")
    assert len(some) == 17
    assert some.skipped["record without a label (unmatched)"] == 1
    with pytest.raises(DataError, match="no header matches"):
        opened(folder.parent, pattern=r"NOTHING=(\w+)", unmatched="skip")


def test_clusters_and_groups(folder: Path) -> None:
    source = opened(folder.parent, clusters="clusters.tsv")
    groups = source.index.set_index("id")["group"]
    assert groups["p00"] == groups["p02"] == groups["p17"] == groups["p15"]  # the last repeats the first
    assert groups.nunique() == 5
    assert opened(folder.parent, group="organism").index["group"].nunique() == 8
    clusters = folder / "clusters.tsv"
    text = clusters.read_text()
    clusters.write_text("\n".join(text.splitlines()[1:]) + "\n")
    with pytest.raises(DataError, match="1 records are in no cluster; unknown member 'p00'"):
        opened(folder.parent, clusters="clusters.tsv")
    for line in ("p00\tp05", "p00", "a b c"):
        clusters.write_text(f"{text}{line}\n")
        with pytest.raises(DataError, match=r"each member in one cluster.*row: 19"):
            opened(folder.parent, clusters="clusters.tsv")
    with pytest.raises(DataError, match="missing"):
        opened(folder.parent, clusters="none.tsv")


def test_split_column(folder: Path) -> None:
    source = opened(folder.parent, split="split")
    assert source.index["split"].tolist() == [line[5] for line in rows(folder)]
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace(",test,", ",often,", 1))
    with pytest.raises(DataError, match=r"'often' is unknown.*row: 8"):
        opened(folder.parent, split="split")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kind": "vqa"}, "kind is 'vqa'"),
        ({"unmatched": "drop"}, "unmatched"),
        ({"label": ["a", "b"]}, "takes one label column"),
        ({"label": []}, "takes one label column"),
        ({"kind": "regression", "classes": ["a", "b"]}, "no classes"),
        ({"table": ""}, "give the table of labels"),
        ({"pattern": "("}, "no regular expression"),
        ({"pattern": "TARGET"}, "must have one group"),
        ({"pattern": "(?P<other>x)"}, "must have one group"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        ProteinFASTA(**grouped_for(ProteinFASTA, **settings))


def test_bad_files(folder: Path) -> None:
    table, fasta = folder / "labels.csv", folder / "sequences.fasta"
    text, letters = table.read_text(), fasta.read_text()
    for bad, settings, says in (
        (text.replace("p03,", "q03,"), {}, "'q03' is not in"),
        (text.replace("p03,", "p02,"), {}, "'p02' occurs twice"),
        (text.replace("p03,soluble", "p03,liquid"), {"classes": ["membrane", "soluble"]}, "'liquid'"),
        (text.replace("soluble", "membrane"), {}, "2 are needed"),
        (text.replace("id,label", "id,labl"), {}, "did you mean 'labl'"),
        ("\n".join(text.splitlines()[:-1]), {}, "1 records have no label"),
        (text.replace(",0.", ",x."), {"kind": "regression", "label": ["value"]}, "expected a finite number"),
    ):
        table.write_text(bad)
        with pytest.raises(DataError, match=says):
            opened(folder.parent, **settings)
    table.write_text(text.replace("p03,", "q03,"))
    assert len(opened(folder.parent, unmatched="skip")) == 17
    table.write_text(text)
    fasta.write_text(letters.replace("\n", "\n*", 1))
    with pytest.raises(DataError, match="not among the letters ACDEF"):
        opened(folder.parent)
    for content in ("", "no fasta\n"):
        fasta.write_text(content)
        with pytest.raises(DataError):
            opened(folder.parent)
    fasta.unlink()
    with pytest.raises(DataError, match="missing"):
        opened(folder.parent)
