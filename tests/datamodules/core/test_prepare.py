"""The pipeline and the data module on sources in memory: selection, errors, leaks, skipping."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.core.base import BaseDataModule
from datamodules.core.by_kind import TabularDataModule
from datamodules.core.options import LoadingOptions, SamplingOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from datamodules.core.state import get_state
from datamodules.modalities.tabular import TabularProcessor
from datamodules.modalities.text import TextProcessor
from tests.datamodules.fakes import AGE, NOTE, SCAN, SICK, TABLE, Fake, Noisy, Row, cohort
from tests.options import grouped
from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.raw import RawModality, RawTask

ASK = RawTask("ask", "vqa", (), ("table",), reads="note")


def pipeline(rows: list[Row] | None = None, **options: Any) -> Pipeline:
    return prepare([Fake(cohort() if rows is None else rows)], **grouped(**options))


def ids(pipe: Pipeline, split: str) -> list[str]:
    return pipe.join.table["id"].iloc[pipe.rows[split]].tolist()


# -- selection -----------------------------------------------------------------------------------------------


def test_everything_is_kept_by_default() -> None:
    pipe = pipeline()
    assert [s.name for s in pipe.modality_specs] == ["table", "note"]
    assert [t.name for t in pipe.task_specs] == ["sick", "age"]
    assert sum(len(pipe.rows[s]) for s in ("train", "val", "test")) == 40
    assert [len(pipe.rows[s]) for s in ("train", "val", "test")] == [28, 6, 6]


def test_modalities_and_tasks_are_selected() -> None:
    pipe = pipeline(modalities=["note"])
    assert [s.name for s in pipe.modality_specs] == ["note"]
    assert [t.name for t in pipe.task_specs] == ["sick"]  # the age needs the table
    assert pipe.task_specs[0].modalities == ("note",)
    only = pipeline(tasks=["age"])
    assert [t.name for t in only.task_specs] == ["age"]
    assert sum(map(len, only.rows.values())) == 20  # rows without an age are dropped
    assert set(only.dataset[(int(only.rows["train"][0]), -1)].targets) == {"age"}


def test_kind_keeps_one_kind() -> None:
    assert [s.name for s in pipeline(kind="text").modality_specs] == ["note"]
    with pytest.raises(SpecError, match="no source has a modality of kind 'signal'"):
        pipeline(kind="signal")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"modalities": ["tabel"]}, "'tabel'; did you mean 'table'"),
        ({"tasks": ["sik"]}, "'sik'; did you mean 'sick'"),
        ({"processors": {"note_": TextProcessor()}}, "'note_'; did you mean 'note'"),
    ],
)
def test_unknown_names_suggest_the_nearest(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UnknownNameError, match=says):
        pipeline(**options)


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(SpecError, match=r"task 'age' needs one of.*'table'.*only \('note',\)"):
        pipeline(modalities=["note"], tasks=["age"])
    with pytest.raises(SpecError, match="no source is given"):
        prepare([])
    with pytest.raises(SpecError, match=r"takes 'text', but modality 'table' is of kind 'tabular'"):
        pipeline(processors={"table": TextProcessor()})
    other = Fake([Row("r")], name="Other", modalities=(RawModality("note", "image"),), tasks=())
    with pytest.raises(SpecError, match="'note' is 'image' in Other"):
        prepare([Fake(cohort()), other])
    with pytest.raises(DataError, match="no row has both"):
        pipeline([Row("r", {"table": {"x": 1.0}}, {})])
    with pytest.raises(SpecError, match="no task can be learned"):
        prepare([Fake(cohort(), tasks=(AGE,))], modalities=["note"])


def test_rows_without_a_wanted_input_or_label_are_dropped() -> None:
    extra = [
        Row("no_label", {"table": {"x": 0.0}}),
        Row("no_input", {}, {"sick": "yes"}),
        Row("label_it_cannot_inform", {"note": "rest"}, {"age": {"years": 1.0}}),
        Row("unread", {"table": {"x": 0.0}}, {"ask": "yes"}),
    ]
    pipe = prepare([Fake([*cohort(), *extra], tasks=(SICK, AGE, ASK))], tasks=["sick", "age"])
    kept = {i for s in ("train", "val", "test") for i in ids(pipe, s)}
    assert kept == {f"Fake/p{i:03d}" for i in range(40)}


def test_a_modality_without_training_rows_is_refused() -> None:
    rows = [Row(r.id, {"table": r.inputs["table"]}, r.targets, stratum=r.stratum) for r in cohort()]
    with pytest.raises(DataError, match="no training row has the modality 'note'"):
        pipeline(rows)


# -- labels --------------------------------------------------------------------------------------------------


def test_labels_come_with_sources_and_are_those_of_the_split() -> None:
    a = Fake(cohort(20, prefix="a"), name="A")
    b = Fake(cohort(12, seed=5, prefix="b"), name="B", simulated=True)
    pipe = prepare([a, b])
    target, source = pipe.labels("train", "sick")
    known = {r.id: r.targets["sick"] for r in [*a.rows, *b.rows]}
    want = [("no", "yes").index(known[i.split("/")[1]]) for i in ids(pipe, "train")]
    assert target.tolist() == want
    assert source.tolist() == [0 if i.startswith("A/") else 1 for i in ids(pipe, "train")]
    ages, _ = pipe.labels("train", "age")
    assert float(ages[:, 0].mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(ages[:, 0].std(unbiased=False)) == pytest.approx(1.0, abs=1e-5)
    assert [len(r) for r in pipe.rows_by_source("train")] == [14, 8]
    assert pipe.source_names == ("A", "B")
    assert pipe.source_simulated == (False, True)
    assert not pipe.task_specs[0].simulated  # some of it is real
    assert [line["train"] for line in pipe.summary()] == [14, 8]
    assert pipe.summary()[1]["simulated"]


def test_labels_of_an_empty_split() -> None:
    pipe = pipeline(fractions=(0.8, 0.0, 0.2))
    target, source = pipe.labels("val", "age")
    assert target.shape == (0, 2, 1)
    assert source.shape == (0,)


# -- nothing leaks -------------------------------------------------------------------------------------------


def fitted_state(pipe: Pipeline) -> str:
    """Everything that processors and codecs learned."""
    table: Any = pipe.processors["table"]
    note: Any = pipe.processors["note"]
    codecs = {n: get_state(c) for n, c in pipe.dataset.codecs.items()}
    specs = (pipe.modality_specs, pipe.task_specs)
    return repr((table._scales, table._codes, table._flagged, note.vocabulary, codecs, specs))


def poison(row: Row) -> None:
    row.inputs["table"]["x"] = 1e6
    row.inputs["note"] = "zzzz qqqq zzzz qqqq wwww wwww"
    row.targets["sick"] = "no"
    row.targets["ask"] = "an answer that nobody gave"
    if "age" in row.targets:
        row.targets["age"] = {"years": -1e6}


def asked(rows: list[Row]) -> list[Row]:
    for i, row in enumerate(rows):
        row.targets["ask"] = ("left", "right", "both")[i % 3]
    return rows


def test_poison_in_validation_and_test_changes_nothing_fitted() -> None:
    clean = asked(cohort())
    make: Callable[[list[Row]], Pipeline] = lambda rows: prepare([Fake(rows, tasks=(SICK, AGE, ASK))])  # noqa: E731
    pipe = make(clean)
    training = {i.split("/")[1] for i in ids(pipe, "train")}
    bad = copy.deepcopy(clean)
    for row in bad:
        if row.id not in training:
            poison(row)
    poisoned = make(bad)
    assert ids(poisoned, "train") == ids(pipe, "train")
    assert fitted_state(poisoned) == fitted_state(pipe)
    for row in pipe.rows["train"].tolist():
        a, b = pipe.dataset.processed(row), poisoned.dataset.processed(row)
        assert all(torch.equal(a.inputs[m], b.inputs[m]) for m in a.inputs)
        assert all(torch.equal(a.targets[t], b.targets[t]) for t in a.targets)
    for row in bad:
        if row.id in training:
            poison(row)
    assert fitted_state(make(bad)) != fitted_state(pipe)  # the test can see a leak
    assert int(poisoned.dataset.processed(int(pipe.rows["test"][0])).targets["ask"]) == -1


def test_processors_see_training_values_and_are_not_shared() -> None:
    mine = Noisy()
    pipe = pipeline(processors={"tabular": mine})
    rows = {f"Fake/{r.id}": r.inputs["table"]["x"] for r in cohort()}
    used: Any = pipe.processors["table"]
    assert used is not mine
    assert mine.seen == []
    assert used.seen == [rows[i] for i in ids(pipe, "train")]
    assert sorted(used.admitted) == sorted(rows[i] for s in ("val", "test") for i in ids(pipe, s))
    named = pipeline(processors={"tabular": TabularProcessor(), "table": mine})
    assert isinstance(named.processors["table"], Noisy)  # a name goes before its kind


def test_publishers_splits_are_kept() -> None:
    rows = [*cohort(20, split="train"), *cohort(10, seed=1, prefix="t", split="test")]
    pipe = pipeline(rows)
    assert all("/p" in i for i in [*ids(pipe, "train"), *ids(pipe, "val")])
    assert ids(pipe, "test") == [f"Fake/t{i:03d}" for i in range(10)]


def test_the_order_of_a_listing_changes_no_split() -> None:
    rows = cohort()
    assert [ids(pipeline(rows), s) for s in ("train", "val", "test")] == [
        ids(pipeline(rows[::-1]), s) for s in ("train", "val", "test")
    ]
    assert ids(pipeline(rows, seed=1), "test") != ids(pipeline(rows), "test")


# -- rows that cannot be used --------------------------------------------------------------------------------


def images(n: int = 30) -> list[Row]:
    generator = np.random.default_rng(0)
    return [
        Row(
            f"p{i:02d}", {"scan": generator.integers(0, 255, (8, 8)).astype(np.uint8)}, {"sick": ("no", "yes")[i % 2]}
        )
        for i in range(n)
    ]


def test_images_are_not_decoded_when_looking_over() -> None:
    source = Fake(images(), modalities=(SCAN,), tasks=(RawTask("sick", "classification", ("no", "yes")),))
    prepare([source])
    assert len(source.read_count) <= 1  # one, to fit the shape


def test_on_error_raise_names_the_row_and_skip_counts() -> None:
    rows = images()
    rows[3].broken = "peek"
    rows[7].broken = "read"
    rows[8].broken = "crash"
    rows[9].targets["sick"] = "perhaps"
    sick = RawTask("sick", "classification", ("no", "yes"))

    def make(**options: Any) -> Pipeline:
        return prepare([Fake(rows, modalities=(SCAN,), tasks=(sick,))], **grouped(**options))

    with pytest.raises(DataError, match=r"cut short.*fake.bin.*p03"):
        make()
    pipe = make(on_error="skip")
    kept = {i for s in ("train", "val", "test") for i in ids(pipe, s)}
    assert kept == {f"Fake/p{i:02d}" for i in range(30) if i not in (3, 7, 8, 9)}
    assert sum(pipe.skipped.values()) == 4
    text = "\n".join(pipe.skipped)
    assert "KeyError" in text
    assert "perhaps" in text
    assert text.count("cut short") == 2


def test_without_skip_an_unreadable_row_raises_when_it_is_read() -> None:
    rows = images()
    pipe = prepare([Fake(rows, modalities=(SCAN,), tasks=(RawTask("sick", "classification", ("no", "yes")),))])
    row = int(pipe.rows["test"][0])
    rows[[r.id for r in rows].index(ids(pipe, "test")[0].split("/")[1])].broken = "crash"
    with pytest.raises(DataError, match=r"Fake cannot read its row 'p\d\d': KeyError") as caught:
        _ = pipe.dataset[(row, -1)]
    assert caught.value.row is not None


# -- the data module -----------------------------------------------------------------------------------------


def test_the_data_module_builds_once_and_serves_every_row() -> None:
    source = Fake(cohort())
    data = BaseDataModule([source], sampling=SamplingOptions(batch_size=8, eval_batch_size=4))
    assert source._table is None  # nothing is opened before it is needed
    data.setup("fit")
    assert data.pipeline is data.pipeline
    seen = [i for b in data.train_dataloader() for i in b.ids]
    assert len(seen) == 32  # the last batch is filled up
    assert set(seen) == set(ids(data.pipeline, "train"))
    for split, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        batches = list(loader)
        assert [i for b in batches for i in b.ids] == ids(data.pipeline, split)
        for b in batches:
            b.validate(data.modality_specs, data.task_specs)
            assert b.groups["source"].tolist() == [0] * len(b)


def test_a_data_module_of_one_kind() -> None:
    data = TabularDataModule([Fake(cohort())])
    assert [s.name for s in data.modality_specs] == ["table"]


def test_bad_options_of_the_data_module() -> None:
    with pytest.raises(SpecError, match="'nowhere/at/all' is not a folder"):
        BaseDataModule([Fake(cohort())], root="nowhere/at/all")


def test_the_summary_prints_names_counts_and_what_was_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    rows = cohort()
    rows[0].broken = "peek"
    data = BaseDataModule([Fake(rows, simulated=True)], loading=LoadingOptions(on_error="skip"))
    data.setup("fit")
    text = capsys.readouterr().out
    assert "Fake" in text
    assert "simulated" in text
    assert "skipped 1 rows" in text
    assert "cut short" in text
    data.setup("test")
    assert capsys.readouterr().out == ""  # once


def test_kinds_named_in_the_fakes_are_real() -> None:
    assert {m.kind for m in (TABLE, NOTE, SCAN)} == {"tabular", "text", "image"}


# -- holding out ---------------------------------------------------------------------------------------------


def test_the_classes_of_a_task_are_a_group_column() -> None:
    pipe = pipeline()
    rows = np.sort(np.concatenate(list(pipe.rows.values())))
    known = {f"Fake/{r.id}": str(r.targets.get("sick", "")) for r in cohort()}
    assert pipe.groups("task:sick", rows) == [known[pipe.join.id(r)] for r in rows.tolist()]
    with pytest.raises(UnknownNameError, match=r"unknown task behind 'task:' 'sik'; did you mean 'sick'"):
        pipe.groups("task:sik", rows)
    with pytest.raises(SpecError, match="'task:age': a row of kind 'regression' has no single class"):
        pipe.groups("task:age", rows)


def test_rows_of_a_class_are_held_out_before_anything_is_fitted() -> None:
    rows = asked(cohort())

    def make(rows: list[Row], **options: Any) -> Pipeline:
        return prepare([Fake(rows, tasks=(SICK, AGE, ASK))], **grouped(**options))

    pipe = make(rows, held_out={"task:ask": ["left"]})
    assert sorted(pipe.rows) == ["ood", "test", "train", "val"]
    assert set(pipe.groups("task:ask", pipe.rows["ood"])) == {"left"}
    others = np.concatenate([pipe.rows[s] for s in ("train", "val", "test")])
    assert set(pipe.groups("task:ask", others)) == {"right", "both"}
    assert len(others) + len(pipe.rows["ood"]) == 40
    assert pipe.dataset.codecs["sick"].classes == ["no", "yes"]  # classes of the card stay
    held = {pipe.join.id(r).split("/")[1] for r in pipe.rows["ood"].tolist()}
    bad = copy.deepcopy(rows)
    for row in bad:
        if row.id in held:
            row.inputs["table"]["x"], row.inputs["note"] = 1e6, "zzzz qqqq zzzz"
    assert fitted_state(make(bad, held_out={"task:ask": ["left"]})) == fitted_state(pipe)
    with pytest.raises(UnknownNameError, match=r"'lft'; did you mean 'left'"):
        make(rows, held_out={"task:ask": ["lft"]})
