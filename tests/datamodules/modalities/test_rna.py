"""U of RNA is read as T where a processor is told so, whatever source the sequence comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.core.options import ProcessingOptions
from datamodules.core.prepare import prepare
from datamodules.core.source import Source
from datamodules.modalities.genomics import DNA, DNAProcessor
from datamodules.sources.omics.fasta_labels import FASTALabels
from datamodules.sources.omics.sequence_table import SequenceTable
from datamodules.sources.table import Table, TableModality
from zoo.errors import DataError
from zoo.table_task import TableTask

RNA = ["".join("ACGU"[(i >> k) % 4] for k in range(8)) for i in range(40)]


def source(name: str, folder: Path) -> Source:
    folder.mkdir()
    labels = ["ab"[i % 2] for i in range(len(RNA))]
    if name == "FASTALabels":
        (folder / "sequences.fasta").write_text("".join(f">s{i}\n{s}\n" for i, s in enumerate(RNA)))
        (folder / "labels.csv").write_text("id,label\n" + "".join(f"s{i},{v}\n" for i, v in enumerate(labels)))
        return FASTALabels(folder=folder.name)
    lines = "".join(f"{s},{v}\n" for s, v in zip(RNA, labels, strict=True))
    (folder / "sequences.csv").write_text("sequence,label\n" + lines)
    if name == "SequenceTable":
        return SequenceTable(folder=folder.name)
    return Table(
        folder=folder.name, file="sequences.csv", modalities={"genomics": TableModality("dna", column="sequence")},
        tasks={"label": TableTask("classification")},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["Table", "SequenceTable", "FASTALabels"])
def test_u_is_t_on_request(name: str, tmp_path: Path) -> None:
    made = source(name, tmp_path / "x")
    with pytest.raises(DataError, match=r"holds \['U'\].*'rna: true' of DNAProcessor"):
        prepare([made], root=tmp_path)
    data = prepare([made], root=tmp_path, processing=ProcessingOptions(processors={"dna": DNAProcessor(rna=True)}))
    for row in data.rows["train"].tolist():
        raw = data.dataset.raw(row).inputs["genomics"]
        assert DNA.decode(data.dataset.processed(row).inputs["genomics"]) == raw.replace("U", "T")
