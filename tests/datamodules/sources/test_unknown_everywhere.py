"""One rule for what is unknown, in every source whose columns a user names: words such as nan are no class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datamodules.io.unknown import Unknown
from datamodules.sources.omics.fasta_labels import FASTALabels
from datamodules.sources.omics.sequence_table import SequenceTable
from datamodules.sources.omics.single_cell import SingleCellH5AD
from datamodules.sources.proteins.protein_fasta import ProteinFASTA
from datamodules.sources.text.notes import ClinicalNotes
from tests.options import grouped_for

LETTERS = ["ACGTACGTAA", "CCGTACGTAC", "GCGTACGTAG", "TCGTACGTAT", "ACCTACGTAA", "AGGTACGTAA"]
LABELS = ["b", "nan", "a", "", "None", "b"]


def fasta(folder: Path, name: str = "sequences.fasta") -> None:
    folder.mkdir()
    (folder / name).write_text("".join(f">s{i}\n{s}\n" for i, s in enumerate(LETTERS)))


def table(folder: Path, name: str, labels: list[str], columns: str = "id,label,group") -> None:
    lines = [f"s{i},{label},{'nan' if i < 2 else 'g'}" for i, label in enumerate(labels)]
    (folder / name).write_text("\n".join([columns, *lines]) + "\n")


def test_labels_of_sequences(tmp_path: Path) -> None:
    fasta(tmp_path / "x")
    table(tmp_path / "x", "labels.csv", LABELS)
    source = FASTALabels(**grouped_for(FASTALabels, folder="x", unmatched="skip", group="group"))
    source.open(tmp_path)
    assert source.card.tasks[0].classes == ("a", "b")
    assert source.index["id"].tolist() == ["s0", "s2", "s5"]
    assert source.index["group"].nunique() == 2  # the first has no group, not one that is called nan
    assert "column 'label': 3 of 6 cells are unknown (1 empty, 1 'None', 1 'nan')" in source.remarks
    refusing = FASTALabels(**grouped_for(FASTALabels, folder="x", group="group"))
    from zoo.errors import DataError

    with pytest.raises(DataError, match="the label '' is unknown"):
        refusing.open(tmp_path)


def test_a_table_of_sequences(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    lines = [f"{s},{label}" for s, label in zip(LETTERS, LABELS, strict=True)]
    (tmp_path / "x" / "t.csv").write_text("\n".join(["sequence,label", *lines]) + "\n")
    source = SequenceTable(**grouped_for(SequenceTable, folder="x", file="t.csv", unlabelled="skip"))
    source.open(tmp_path)
    assert source.card.tasks[0].classes == ("a", "b")
    assert source.skipped == {"no label (unlabelled)": 3}
    assert source.remarks == ["t.csv: column 'label': 3 of 6 cells are unknown (1 empty, 1 'None', 1 'nan')"]
    declared = SequenceTable(
        **grouped_for(SequenceTable, folder="x", file="t.csv", unlabelled="skip", classes=("None", "a", "b"))
    )
    declared.open(tmp_path)
    assert declared.skipped == {"no label (unlabelled)": 2}


def test_proteins(tmp_path: Path) -> None:
    fasta(tmp_path / "x")
    table(tmp_path / "x", "labels.csv", LABELS)
    source = ProteinFASTA(**grouped_for(ProteinFASTA, folder="x", kind="classification"))
    source.open(tmp_path)
    assert source.card.tasks[0].classes == ("a", "b")
    assert [bool(source.read(i).targets) for i in range(6)] == [True, False, True, False, False, True]


@pytest.mark.parametrize("file", ["notes.csv", "notes.jsonl"])
def test_notes(tmp_path: Path, file: str) -> None:
    frame = pd.DataFrame(
        {"text": ["one", "nan", "three", "four"], "label": ["a", "b", "nan", "b"], "who": [None] * 4}
    )
    (tmp_path / "x").mkdir()
    path = tmp_path / "x" / file
    frame.to_json(path, orient="records", lines=True) if file.endswith("l") else frame.to_csv(path, index=False)
    source = ClinicalNotes(
        **grouped_for(
            ClinicalNotes, folder="x", file=file, text="text", label="label", group="who", id="", skip_empty=True
        )
    )
    source.open(tmp_path)
    assert source.card.tasks[0].classes == ("a", "b")
    assert len(source) == 3
    assert set(source.index["group"]) == {""}
    assert "column 'label': 1 of 4 cells are unknown (1 'nan')" in source.remarks


def test_a_note_of_two_megabytes(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    note = "word " * 450_000
    (tmp_path / "x" / "notes.csv").write_text(f'text,label\n"{note}",a\nshort,b\n')
    source = ClinicalNotes(
        **grouped_for(ClinicalNotes, folder="x", file="notes.csv", text="text", label="label", id="", group="")
    )
    source.open(tmp_path)
    assert {len(source.read(i).inputs["text"]) for i in range(2)} == {len(note.strip()), 5}


def test_columns_of_obs(tmp_path: Path) -> None:
    import anndata

    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(["T", "nan", "B", None, "T", "B"]),
            "donor": ["d1", "None", "d2", "d1", "nan", "d2"],
        },
        index=[f"c{i}" for i in range(6)],
    )
    data = anndata.AnnData(np.eye(6, 4, dtype=np.float32), obs=obs)
    (tmp_path / "x").mkdir()
    data.write_h5ad(tmp_path / "x" / "cells.h5ad")
    source = SingleCellH5AD(
        **grouped_for(
            SingleCellH5AD, folder="x", file="cells.h5ad", label="cell_type", groups=["donor"], unit="counts"
        )
    )
    source.open(tmp_path)
    assert {t.name: t.classes for t in source.card.tasks}["cell_type"] == ("B", "T")
    assert source.group_names()["donor"] == ("d1", "d2")
    assert "column 'cell_type': 2 of 6 cells are unknown (1 empty, 1 'nan')" in source.remarks


def test_the_rule_itself() -> None:
    rule = Unknown(words=("-9",), values=("NA",))
    assert [rule(v) for v in ("NA", "-9", -9.0, "-9.0", "N/A", [], b"", "none")] == [
        False, True, True, True, True, False, False, False,
    ]  # fmt: skip
