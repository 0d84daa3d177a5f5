"""One rule for what is unknown, in every source whose columns a user names: words such as nan are no class."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datamodules.core.source import SOURCES, Source
from datamodules.io.unknown import RULE, Unknown
from datamodules.sources.omics.fasta_labels import FASTALabels
from datamodules.sources.omics.sequence_table import SequenceTable
from datamodules.sources.omics.single_cell import SingleCellH5AD
from datamodules.sources.proteins.protein_fasta import ProteinFASTA
from datamodules.sources.text.notes import ClinicalNotes
from tests.experiments.test_every_source import NAMES, _built, generate
from tests.options import grouped_for
from zoo.errors import ZooError

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


SOURCES_WITH_TABLES = [n for n in NAMES if n not in ("SequenceTable", "UCISplice", "PMCVQA", "EEGBIDS")]
"""Sources of which one cell is spoiled. A sequence may be NA, PMC-VQA has any text for a question, and EEGBIDS, whose
recordings take long to open, has a test of its own."""


def tables(folder: Path) -> Iterator[tuple[Path, str, list[list[str]]]]:
    """The tables below a folder, one of each header, with their separators and cells."""
    seen = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".csv", ".tsv"):
            continue
        separator = "\t" if path.suffix == ".tsv" else ","
        with path.open(newline="") as handle:
            cells = list(csv.reader(handle, delimiter=separator))
        if len(cells) > 2 and tuple(cells[0]) not in seen:
            seen.add(tuple(cells[0]))
            yield path, separator, cells


def named_unknown(source: Source) -> set[str]:
    """Where a class, a category, a group or a text of a source is a word for unknown."""
    found = {c for c in ("group", "subject", "stratum") for v in source.index[c] if v and RULE(str(v))}
    found |= {f"class of {t.name}" for t in source.card.tasks for c in t.classes if RULE(c)}
    found |= {f"group {g}" for g, names in source.group_names().items() for n in names if RULE(n)}
    for row in range(min(len(source), 8)):
        sample = source.peek(row)
        for name, value in (*sample.inputs.items(), *sample.targets.items()):
            held = value if isinstance(value, dict) else {"": value}
            found |= {f"{name} {k}" for k, v in held.items() if isinstance(v, str | float) and RULE(v)}
    return found


@pytest.mark.parametrize("name", SOURCES_WITH_TABLES)
def test_no_cell_of_a_published_table_makes_an_unknown_class(name: str, tmp_path: Path) -> None:
    """Each column of each table in turn says nothing, NA or nan in its second row: refused, or unknown."""

    def opened() -> Source:
        source: Source = SOURCES.get(name)(**_built(name))
        source.open(tmp_path)
        return source

    folder = SOURCES.get(name)(**_built(name)).folder
    if not folder:
        pytest.skip("it ships with a dependency")
    (tmp_path / folder).mkdir()
    generate(name, tmp_path / folder)
    for path, separator, cells in tables(tmp_path / folder):
        whole = path.read_bytes()
        for column, word in itertools.product(range(len(cells[0])), ("", "NA", "nan")):
            spoiled = [list(line) for line in cells]
            spoiled[2][column] = word
            with path.open("w", newline="") as handle:
                csv.writer(handle, delimiter=separator, lineterminator="\n").writerows(spoiled)
            try:
                source = opened()
            except ZooError:
                continue
            assert named_unknown(source) == set(), f"{path.name}, column {cells[0][column]!r}: {word!r}"
        path.write_bytes(whole)


def test_labels_of_xena(tmp_path: Path) -> None:
    generate("XenaExpression", tmp_path / "x")
    plain = SOURCES.get("XenaExpression")(
        **grouped_for(
            SOURCES.get("XenaExpression"), folder="x", file="BRCA_clinicalMatrix", label_column="PAM50Call_RNAseq"
        )
    )
    table = tmp_path / "x" / plain.phenotype
    lines = table.read_text().splitlines()
    place = lines[0].split("\t").index(plain.label_column)
    for number, word in ((1, "NA"), (2, "nan"), (3, "")):
        cells = lines[number].split("\t")
        cells[place] = word
        lines[number] = "\t".join(cells)
    table.write_text("\n".join(lines) + "\n")
    plain.open(tmp_path)
    assert not {"NA", "nan", ""} & set(plain.card.tasks[1].classes)
    assert any(plain.label_column in r and "1 'NA', 1 'nan'" in r for r in plain.remarks), plain.remarks
