"""The mixture sampler: deterministic, resumable, disjoint over ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.core.mixture import (
    MixtureSampler,
    ResumableLoader,
    SequentialSampler,
    balance_classes,
    source_passes,
)
from zoo.contract import ModalitySpec, Sample, collate
from zoo.errors import SpecError

SPEC = ModalitySpec("x", "tabular", (1,), cardinalities=(0,))


class Rows(torch.utils.data.Dataset[Sample]):
    def __getitem__(self, key: tuple[int, int]) -> Sample:
        row, epoch = key
        value = np.random.default_rng([row, max(epoch, 0)]).normal()
        return Sample(str(row), {"x": torch.tensor([float(value)])})


def pack(samples):  # type: ignore[no-untyped-def]
    return collate(samples, [SPEC], [])


def sources(*sizes: int) -> list[np.ndarray]:
    start, out = 0, []
    for n in sizes:
        out.append(np.arange(start, start + n))
        start += n
    return out


def test_temperature_one_visits_every_row_once() -> None:
    plan = MixtureSampler(sources(40, 24), batch_size=16).plan()
    assert sorted(plan.flatten().tolist()) == list(range(64))


def test_high_temperature_evens_sources_out() -> None:
    plan = MixtureSampler(sources(1000, 10), batch_size=10, temperature=1e6).plan()
    small = (plan >= 1000).mean()
    assert small == pytest.approx(0.5, abs=0.01)


def test_homogeneous_batches_hold_one_source() -> None:
    plan = MixtureSampler(sources(50, 30), batch_size=10, homogeneous=True).plan()
    assert all(len({r >= 50 for r in batch}) == 1 for batch in plan.tolist())
    assert {bool(b[0] >= 50) for b in plan.tolist()} == {True, False}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.integers(1, 8),
    st.integers(1, 4),
    st.sampled_from([1.0, 2.0, 5.0]),
    st.booleans(),
    st.integers(0, 3),
)
def test_ranks_are_disjoint_and_together_are_one_process(
    sizes: list[int], batch: int, world: int, temperature: float, homogeneous: bool, epoch: int
) -> None:
    def make(b: int, w: int, r: int) -> MixtureSampler:
        s = MixtureSampler(
            sources(*sizes), batch_size=b, temperature=temperature, homogeneous=homogeneous, num_replicas=w, rank=r
        )
        s.set_epoch(epoch)
        return s

    alone = [[k for k, _ in b] for b in make(batch * world, 1, 0).batches()]
    ranks = [[[k for k, _ in b] for b in make(batch, world, r).batches()] for r in range(world)]
    assert len({len(r) for r in ranks}) == 1
    for step, whole in enumerate(alone):
        parts = [ranks[r][step] for r in range(world)]
        assert all(len(p) == batch for p in parts)
        assert sorted(r for p in parts for r in p) == sorted(whole)
        if (
            len(whole) <= min(sizes)
            and not homogeneous
            and temperature == 1.0
            and sum(sizes) >= len(whole) * len(alone)
        ):
            assert len(set(whole)) == len(whole)


def test_epochs_differ_and_repeat() -> None:
    s = MixtureSampler(sources(64), batch_size=8, seed=3)
    first = s.plan()
    s.set_epoch(1)
    assert (s.plan() != first).any()
    s.set_epoch(0)
    assert (s.plan() == first).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_resumes_in_mid_epoch(workers: int) -> None:
    def loader() -> ResumableLoader:
        return ResumableLoader(Rows(), MixtureSampler(sources(40), batch_size=8, seed=1), pack, num_workers=workers)

    whole = [b.inputs["x"] for b in loader()]
    broken = loader()
    iterator = iter(broken)
    for _ in range(2):
        next(iterator)
    resumed = loader()
    resumed.load_state_dict(broken.state_dict())
    rest = [b.inputs["x"] for b in resumed]
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a, b) for a, b in zip(rest, whole[2:], strict=True))
    assert [b.ids for b in resumed] == [b.ids for b in loader()]


def test_iterating_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(ResumableLoader(Rows(), MixtureSampler(sources(8), batch_size=4), pack))
    assert torch.equal(before, torch.get_rng_state())


def test_sequential_covers_each_row_once_over_ranks() -> None:
    ranks = [
        [k for b in SequentialSampler(np.arange(11), batch_size=2, num_replicas=3, rank=r).batches() for k, _ in b]
        for r in range(3)
    ]
    assert sorted(r for part in ranks for r in part) == list(range(11))
    assert len({len(SequentialSampler(np.arange(11), batch_size=2, num_replicas=3, rank=r)) for r in range(3)}) == 1


def test_errors_name_the_value() -> None:
    with pytest.raises(SpecError, match="no row"):
        MixtureSampler([np.array([], dtype=int)], batch_size=2)
    with pytest.raises(SpecError, match="temperature must be > 0, got 0"):
        MixtureSampler(sources(3), batch_size=2, temperature=0)


def shares(plan: np.ndarray, names: dict[int, str]) -> dict[str, float]:
    drawn = [names[r] for r in plan.flatten().tolist()]
    return {n: drawn.count(n) / len(drawn) for n in sorted(set(drawn))}


def test_classes_are_drawn_alike_and_rows_without_a_label_keep_their_share() -> None:
    rows = sources(700, 300)
    named = [["a"] * 500 + ["b"] * 90 + ["c"] * 10 + [""] * 100, ["a"] * 200 + ["c"] * 100]
    names = dict(enumerate(named[0] + named[1]))
    parts, passes = balance_classes(rows, named, source_passes(rows, 1.0))
    found = shares(MixtureSampler(parts, batch_size=100, passes=passes).plan(), names)
    assert found == pytest.approx({"": 0.1, "a": 0.3, "b": 0.3, "c": 0.3}, abs=0.001)
    parts, passes = balance_classes(rows, named, [1.0, 1.0], power=0.5)
    root = np.sqrt([700, 90, 110]) / np.sqrt([700, 90, 110]).sum() * 0.9
    found = shares(MixtureSampler(parts, batch_size=100, passes=passes).plan(), names)
    assert found == pytest.approx(dict(zip(["", "a", "b", "c"], [0.1, *root.tolist()], strict=True)), abs=0.001)
    _, passes = balance_classes(rows, named, [1.0, 1.0], power=0.0)
    assert passes == pytest.approx([1.0] * len(passes))


def test_balance_keeps_what_the_temperature_gives_each_source_in_a_class() -> None:
    rows = sources(90, 10)
    parts, passes = balance_classes(rows, [["a"] * 60 + ["b"] * 30, ["a"] * 10], [1.0, 3.0])
    draws = [p * len(r) for p, r in zip(passes, parts, strict=True)]
    assert sum(draws) == pytest.approx(120)
    assert draws == pytest.approx([60 * 60 / 90, 60, 60 * 30 / 90])  # a of source 0, b of it, a of source 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=30), min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_balanced_ranks_are_disjoint_and_every_row_is_in_one_part(
    named: list[list[str]], batch: int, world: int, power: float
) -> None:
    rows = sources(*[len(n) for n in named])
    if not sum(len(r) for r in rows):
        return
    parts, passes = balance_classes(rows, named, source_passes(rows, 2.0), power=power)
    assert sorted(r for p in parts for r in p.tolist()) == sorted(r for p in rows for r in p.tolist())
    before = sum(p * len(r) for p, r in zip(source_passes(rows, 2.0), rows, strict=True))
    assert sum(p * len(r) for p, r in zip(passes, parts, strict=True)) == pytest.approx(before)
    alone = MixtureSampler(parts, batch_size=batch * world, passes=passes, seed=2).plan()
    ranks = [
        list(MixtureSampler(parts, batch_size=batch, passes=passes, seed=2, num_replicas=world, rank=r).batches())
        for r in range(world)
    ]
    for step, whole in enumerate(alone.tolist()):
        assert sorted(k for r in ranks for k, _ in r[step]) == sorted(whole)


def test_no_labels_and_no_rows_to_balance() -> None:
    parts, passes = balance_classes(sources(4, 0), [["", "", "", ""], []], [1.5, 0.0])
    assert [p.tolist() for p in parts] == [[0, 1, 2, 3]]
    assert passes == [1.5]
