"""What the data lack is said before training, with counts, options and names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from datamodules import MultimodalDataModule
from datamodules.core.notices import empty_splits, repeated_features
from datamodules.core.options import LoadingOptions, ProcessingOptions, SplitOptions
from datamodules.core.prepare import prepare
from datamodules.sources import MedicalAbstracts, Table
from datamodules.sources.table import TableModality
from tests.datamodules.fakes import AGE, SICK, TABLE, Fake, Noisy, Row, cohort
from zoo.raw import RawTask
from zoo.table_task import TableTask

NOISY = ProcessingOptions(processors={"table": Noisy()})


def told(rows: list[Row], *tasks: RawTask, fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)) -> list[str]:
    source = Fake(rows, modalities=(TABLE,), tasks=tasks or (SICK, AGE))
    loading = LoadingOptions(audit=False)  # what rows lack alone
    return prepare([source], split=SplitOptions(fractions), processing=NOISY, loading=loading).notices


def test_nothing_is_said_of_data_that_lack_nothing() -> None:
    assert told(cohort(500)) == []


def test_rows_that_are_all_fixed_as_training_rows_are_named_with_the_way_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = MultimodalDataModule([Fake(cohort(60, split="train"), modalities=(TABLE,))], processing=NOISY)
    data.print_summary()
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: the split 'val' has no row" in said
    assert "the split 'test' has no row, so that the run ends without a table of results" in said
    assert "all 60 rows of Fake are fixed as 'train'" in said
    assert "data.split.fractions" in said


def test_a_split_that_was_asked_to_be_empty_is_put_down_to_the_shares() -> None:
    (said,) = told(cohort(60), fractions=(0.8, 0.2, 0.0))
    assert said.endswith("data.split.fractions is [0.8, 0.2, 0.0]")


def test_classes_that_training_never_has_are_named_with_their_rows() -> None:
    rows = cohort(100, split="train") + cohort(40, prefix="v", split="val") + cohort(40, prefix="t", split="test")
    for row in rows:
        row.targets = {"sick": "yes" if row.split != "train" and row.id[-1] in "01234" else "no"}
    one_class, missing = told(rows, SICK)
    assert one_class == "task 'sick': all 100 labelled rows of train are of the class 'no'"
    assert "training has no row of 'yes' (val 20, test 20)" in missing


def test_labels_of_several_classes_are_counted_too() -> None:
    findings = RawTask("findings", "multilabel", ("a", "b"), ("table",))
    rows = cohort(100, split="train") + cohort(40, prefix="t", split="test")
    for k, row in enumerate(rows):
        row.targets = {"findings": {"a": k % 2, "b": int(row.split == "test")}}
    said = told(rows, findings)
    assert any("training has no row of 'b' (test 40)" in s for s in said)


def test_few_or_no_test_labels_and_classes_without_a_row() -> None:
    rows = cohort(100, split="train") + cohort(40, prefix="t", split="test") + cohort(40, prefix="v", split="val")
    for row in rows:
        if row.split != "train":
            row.targets.pop("age", None)
    rows[100].targets["age"] = {"years": 1.0}
    said = told(rows, RawTask("sick", "classification", ("no", "yes", "maybe")), AGE)
    assert "task 'sick': no row at all is of 'maybe'" in said
    assert "task 'age': no row of val carries a label" in said
    assert "task 'age': only 1 row of test carries a label, so that its result says little" in said


def test_a_table_and_its_index_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "mydata").mkdir()
    lines = [f"{k},{'c' if k > 35 else 'ab'[k % 2]},{'test' if k > 29 else 'train'}" for k in range(40)]
    (tmp_path / "mydata/table.csv").write_text("\n".join(["x,y,part", *lines]) + "\n")

    def source() -> Table:
        modality = TableModality("tabular", columns=("x",))
        return Table(modalities={"lab": modality}, tasks={"y": TableTask("classification")}, split="part")

    first = prepare([source()], root=tmp_path, loading=LoadingOptions(index=str(tmp_path / "index")))
    again = prepare([source()], root=tmp_path, loading=LoadingOptions(index=str(tmp_path / "index")))
    assert first.notices == again.notices
    assert any("training has no row of 'c' (test 4)" in s for s in first.notices)
    assert any("only 10 rows of test carry a label" in s for s in first.notices)
    assert any("published" not in s and "split column" not in s and "'val' has no row" in s for s in first.notices)


def test_genes_of_one_name_are_counted() -> None:
    (said,) = repeated_features("rna", ["A", "B", "A", "C", "C", "A"])
    assert "2 names occur more than once" in said
    assert "'A' 3 times, 'C' 2 times" in said
    assert repeated_features("rna", ["A", "B"]) == []


def test_a_published_data_set_names_its_own_option() -> None:
    source = MedicalAbstracts()
    source._table = pd.DataFrame({"split": ["train"] * 3})
    (said,) = empty_splits([source], {"train": 3, "val": 0, "test": 0}, (0.7, 0.15, 0.15))
    assert "all 3 rows of MedicalAbstracts are fixed as 'train'" in said


def test_samples_that_nothing_can_be_learned_from_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = cohort(60)
    for row in rows[:3]:
        row.inputs = {}
    for row in rows[3:5]:
        row.targets = {}
    data = MultimodalDataModule([Fake(rows, modalities=(TABLE,))], processing=NOISY)
    data.print_summary()
    said = " ".join(capsys.readouterr().out.split())
    assert "left out: 3 of 60 samples have no modality that is read" in said
    assert "left out: 2 of 60 samples have no label that a modality they have may inform" in said
