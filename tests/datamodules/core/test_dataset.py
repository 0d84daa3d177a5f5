"""Samples are a function of (seed, epoch, row): no cache, worker or order of access changes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

import pytest
import torch

from datamodules.core.base import BaseDataModule
from datamodules.core.options import LoadingOptions, ProcessingOptions, SamplingOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from tests.datamodules.fakes import AGE, NOTE, SICK, TABLE, Fake, Noisy, Row, cohort
from tests.options import grouped
from zoo.contract import Batch, Sample
from zoo.errors import DataError


def pipeline(rows: list[Row] | None = None, **options: Any) -> Pipeline:
    return prepare([Fake(cohort() if rows is None else rows)], **grouped(processors={"table": Noisy()}, **options))


def value(sample: Sample) -> float:
    return float(sample.inputs["table"])


def test_augmentation_is_a_function_of_seed_epoch_and_row() -> None:
    one, two = pipeline().dataset, pipeline().dataset
    order = [(3, 0), (5, 0), (3, 1), (3, 0), (5, 2)]
    forward = [value(one[k]) for k in order]
    backward = [value(two[k]) for k in reversed(order)]
    assert forward == backward[::-1]
    assert forward[0] == forward[3]
    plain = value(one[(3, -1)])
    assert len({plain, forward[0], forward[2]}) == 3
    noise = {forward[0] - plain, forward[1] - value(one[(5, -1)])}
    assert len(noise) == 2  # rows do not share their noise
    other = pipeline(seed=1).dataset
    assert value(other[(3, 0)]) - value(other[(3, -1)]) != pytest.approx(forward[0] - plain)


def test_without_augmentation_epochs_are_alike() -> None:
    data = pipeline(augment=False).dataset
    assert value(data[(3, 0)]) == value(data[(3, 7)]) == value(data[(3, -1)])


def test_a_cache_changes_nothing_but_the_number_of_reads() -> None:
    cached, plain = pipeline(cache_mib=64), pipeline(cache_mib=0)
    keys = [(r, e) for e in (0, 1, -1) for r in range(6)]
    for key in [*keys, *keys]:
        a, b = cached.dataset[key], plain.dataset[key]
        assert a.id == b.id
        assert a.groups == b.groups
        assert all(torch.equal(a.inputs[m], b.inputs[m]) for m in ("table", "note"))
        assert all(torch.equal(a.targets[t], b.targets[t]) for t in a.targets)
    counts = [getattr(p.sources[0], "read_count") for p in (cached, plain)]  # noqa: B009
    assert counts[0]["p000"] == 1
    assert counts[1]["p000"] == 6


class Columns(Fake):
    """A source that knows which of its columns are asked for; ``asked`` keeps them."""

    asked: ClassVar[list[Collection[str]]] = []

    def peek_at(self, row: int, names: Collection[str]) -> Sample:
        """What is asked for of a row."""
        self.asked.append(tuple(names))
        sample = self.peek(row)
        inputs, targets = ({n: v for n, v in held.items() if n in names} for held in (sample.inputs, sample.targets))
        return Sample(sample.id, inputs, targets, sample.groups)


def test_labels_are_read_without_the_inputs_of_their_rows() -> None:
    """Of a table of hundreds of columns every label was read with its whole row."""
    Columns.asked.clear()
    narrow, whole = prepare([Columns(cohort())], **grouped()), prepare([Fake(cohort())], **grouped())
    assert {n for names in Columns.asked for n in names} <= {"table", "note", "sick", "age"}
    assert all(len(names) <= 1 for names in Columns.asked)
    rows = whole.labelled("train", "age")
    assert narrow.raw_labels(rows, "age") == whole.raw_labels(rows, "age")
    assert Columns.asked[-len(rows) :] == [("age",)] * len(rows)
    assert [narrow.dataset.processed(int(r)).inputs["table"].tolist() for r in rows] == [
        whole.dataset.processed(int(r)).inputs["table"].tolist() for r in rows
    ]


def test_augmenting_does_not_alter_the_cache() -> None:
    data = pipeline().dataset
    before = value(data[(2, -1)])
    for epoch in range(5):
        _ = data[(2, epoch)]
    assert value(data[(2, -1)]) == before


def batches(workers: int, epoch: int) -> list[Batch]:
    data = BaseDataModule(
        [Fake(cohort())],
        processing=ProcessingOptions(processors={"table": Noisy()}),
        sampling=SamplingOptions(batch_size=8, source_temperature=2.0),
        loading=LoadingOptions(num_workers=workers),
    )
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[union-attr]
    return list(loader)


@pytest.mark.parametrize("epoch", [0, 3])
def test_the_number_of_workers_changes_no_batch(epoch: int) -> None:
    alone, many = batches(0, epoch), batches(2, epoch)
    assert len(alone) == len(many) == 4
    for a, b in zip(alone, many, strict=True):
        assert a.ids == b.ids
        for name in ("inputs", "present", "targets", "observed", "groups"):
            left, right = getattr(a, name), getattr(b, name)
            assert left.keys() == right.keys()
            assert all(torch.equal(left[k], right[k]) for k in left)


def test_joined_rows_are_one_sample_with_its_first_source() -> None:
    left = [
        Row(f"l{i}", {"table": {"x": float(i)}}, {"sick": ("no", "yes")[i % 2]}, subject=f"s{i}") for i in range(12)
    ]
    right = [
        Row(f"r{i}", {"note": "rest today"}, {"age": {"years": float(i)}}, subject=f"s{i + 1}") for i in range(12)
    ]
    sources = [
        Fake(left, name="Left", modalities=(TABLE,), tasks=(SICK,)),
        Fake(right, name="Right", modalities=(NOTE,), tasks=(AGE,)),
    ]
    pipe = prepare(sources, tasks=["sick", "age"], processing=ProcessingOptions(processors={"table": Noisy()}))
    assert len(pipe.join) == 13
    by_id = {}
    for row in range(12):
        sample = pipe.dataset.processed(row)
        by_id[sample.id] = sample
        assert sample.groups["source"] == 0
    assert set(by_id["Left/l0"].inputs) == {"table"}
    assert set(by_id["Left/l3"].inputs) == {"table", "note"}
    assert set(by_id["Left/l3"].targets) == {"sick", "age"}
    ages = [float(by_id[f"Left/l{i}"].targets["age"][0, 0]) for i in (1, 2, 3)]
    assert ages == sorted(ages)


def test_group_codes_of_a_source_reach_the_sample() -> None:
    rows = cohort()
    for i, row in enumerate(rows):
        row.codes = {"site": i % 3}
    sample = pipeline(rows).dataset.processed(4)
    assert sample.groups == {"site": 1, "source": 0}


def test_an_unusable_value_names_modality_and_row() -> None:
    rows = cohort()
    pipe = prepare([Fake(rows)], loading=LoadingOptions(cache_mib=0))
    row = int(pipe.rows["test"][0])
    name = pipe.join.table["id"].iloc[row]
    next(r for r in rows if f"Fake/{r.id}" == name).inputs["table"] = {"x": float("nan")}
    with pytest.raises(DataError, match=rf"modality 'table'.*nan.*row: {name}"):
        _ = pipe.dataset[(row, -1)]
