"""The contract: what collate packs, what validate catches, and which specs are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.contract import (
    TASKS,
    Batch,
    ModalitySpec,
    Sample,
    TaskSpec,
    Tokens,
    by_name,
    collate,
    empty_target,
    masked_mean,
)
from zoo.errors import SpecError, UnknownNameError

TABLE = ModalitySpec("table", "tabular", (2,), cardinalities=(0, 0))
NOTE = ModalitySpec("note", "text", (3,), vocab_size=9)
SCAN = ModalitySpec("scan", "image", (1, 2, 2))
SPECS = [TABLE, NOTE, SCAN]
SICK = TaskSpec("sick", "classification", 2, ("no", "yes"))
SIGNS = TaskSpec("signs", "multilabel", 3)
FOLD = TaskSpec("fold", "structure", 4, reads="chain")
TASK_SPECS = [SICK, SIGNS]

PRESENCE = st.lists(st.tuples(*[st.booleans()] * 5), max_size=7)


def sample(i: int, has: tuple[bool, ...]) -> Sample:
    """Row i, whose every value says i."""
    made = Sample(f"row{i}")
    shapes = {"table": (2,), "note": (3,), "scan": (1, 2, 2)}
    for there, (name, shape) in zip(has, shapes.items(), strict=False):
        if there:
            made.inputs[name] = torch.full(shape, i)
    if has[3]:
        made.targets["sick"] = i % 2
    if has[4]:
        made.targets["signs"] = torch.full((2, 3), float(i))
        made.groups["subject"] = i
    return made


@settings(max_examples=60, deadline=None)
@given(PRESENCE)
def test_collate_packs_rows_in_batch_order(presence: list[tuple[bool, ...]]) -> None:
    batch = collate([sample(i, has) for i, has in enumerate(presence)], SPECS, TASK_SPECS)
    batch.validate(SPECS, TASK_SPECS)
    assert len(batch) == len(presence)
    assert batch.ids == tuple(f"row{i}" for i in range(len(presence)))
    for k, spec in enumerate(SPECS):
        rows = [i for i, has in enumerate(presence) if has[k]]
        assert batch.present[spec.name].tolist() == [has[k] for has in presence]
        assert batch.inputs[spec.name].shape == (len(rows), *spec.shape)
        assert batch.inputs[spec.name].flatten(1)[:, 0].tolist() == rows
        assert batch.inputs[spec.name].dtype == (torch.long if spec.kind == "text" else torch.float32)
    assert batch.targets["sick"].tolist() == [i % 2 for i, has in enumerate(presence) if has[3]]
    assert batch.targets["sick"].dtype == torch.long
    assert batch.targets["signs"].shape == (sum(has[4] for has in presence), 2, 3)
    assert batch.observed["signs"].tolist() == [has[4] for has in presence]
    if any(has[4] for has in presence):
        assert batch.groups["subject"].tolist() == [i if has[4] else -1 for i, has in enumerate(presence)]
    else:
        assert batch.groups == {}


def test_a_batch_of_no_rows_is_valid_and_still_has_every_entry() -> None:
    batch = collate([], SPECS, [*TASK_SPECS, FOLD])
    batch.validate(SPECS, [*TASK_SPECS, FOLD])
    assert len(batch) == 0
    assert {m: tuple(x.shape) for m, x in batch.inputs.items()} == {
        "table": (0, 2),
        "note": (0, 3),
        "scan": (0, 1, 2, 2),
    }
    assert {t: tuple(x.shape) for t, x in batch.targets.items()} == {
        "sick": (0,),
        "signs": (0, 2, 3),
        "fold": (0, 4, 4),
    }
    assert all(len(m) == 0 and m.dtype == torch.bool for m in (*batch.present.values(), *batch.observed.values()))


def test_collate_names_the_sample_and_both_shapes() -> None:
    wrong = Sample("row9", {"table": torch.zeros(3)})
    with pytest.raises(SpecError, match=r"'row9'.*'table'.*\(3,\).*\(2,\)"):
        collate([wrong], SPECS, TASK_SPECS)


def whole() -> Batch:
    return collate([sample(i, (True, i > 0, False, True, i > 1)) for i in range(4)], SPECS, TASK_SPECS)


def test_validate_catches_each_disagreement() -> None:
    good = whole()
    good.validate(SPECS, TASK_SPECS)
    bad = [
        replace(good, inputs={**good.inputs, "note": good.inputs["note"][1:]}),
        replace(good, inputs={**good.inputs, "table": torch.zeros(4, 3)}),
        replace(good, present={**good.present, "note": torch.ones(4, dtype=torch.bool)}),
        replace(good, present={**good.present, "table": torch.ones(5, dtype=torch.bool)}),
        replace(good, targets={**good.targets, "sick": good.targets["sick"][:2]}),
        replace(good, observed={**good.observed, "signs": torch.zeros(4, dtype=torch.bool)}),
        replace(good, observed={**good.observed, "sick": torch.ones(3, dtype=torch.bool)}),
        replace(good, ids=good.ids[:3]),
    ]
    for batch in bad:
        with pytest.raises(SpecError, match=r"modality '|task '"):
            batch.validate(SPECS, TASK_SPECS)


def test_to_changes_every_tensor_and_nothing_else() -> None:
    batch = whole()
    moved = batch.to("meta")
    for name in ("inputs", "present", "targets", "observed", "groups"):
        before, after = getattr(batch, name), getattr(moved, name)
        assert list(before) == list(after)
        assert all(t.device.type == "meta" for t in after.values())
        assert all(t.device.type == "cpu" for t in before.values())
        assert [t.shape for t in before.values()] == [t.shape for t in after.values()]
    assert moved.ids == batch.ids


def test_pin_memory_keeps_every_value(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[int] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor.numel())
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    batch = whole()
    copy = batch.pin_memory()
    assert len(pinned) == 3 + 3 + 2 + 2 + 1
    assert torch.equal(copy.inputs["table"], batch.inputs["table"])
    copy.validate(SPECS, TASK_SPECS)


def test_select_keeps_rows_and_drops_modalities() -> None:
    batch = whole().select(["note", "scan", "unheard_of"])
    assert list(batch.inputs) == ["note", "scan"]
    assert list(batch.present) == ["note", "scan"]
    assert len(batch) == 4
    assert batch.targets.keys() == {"sick", "signs"}
    batch.validate(SPECS, TASK_SPECS)


@pytest.mark.parametrize("name", ["type", "fused", "forward", "class", "a.b", "a b", "", "1a", "items", "training"])
def test_names_that_modules_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="cannot be used"):
        ModalitySpec(name, "image", (1, 2, 2))
    with pytest.raises(SpecError, match="cannot be used"):
        TaskSpec(name, "classification", 2)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abcdefgipstuy_1", min_size=1, max_size=6))
def test_every_accepted_name_fits_a_module_dict(name: str) -> None:
    try:
        ModalitySpec(name, "image", (1, 2, 2))
    except SpecError:
        return
    torch.nn.ModuleDict({name: torch.nn.Identity()})
    torch.nn.ParameterDict({name: torch.nn.Parameter(torch.zeros(1))})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "video", "shape": (1,)}, "unknown modality kind 'video'"),
        ({"kind": "image", "shape": (2, 2)}, "3 positive"),
        ({"kind": "signal", "shape": (0, 5)}, "2 positive"),
        ({"kind": "expression", "shape": (4, 4)}, "1 positive"),
        ({"kind": "text", "shape": (4,)}, "vocab_size >= 2, got 0"),
        ({"kind": "tabular", "shape": (2,), "cardinalities": (0,)}, "1 cardinalities for 2"),
    ],
)
def test_modality_specs_that_contradict_themselves(arguments: dict[str, object], says: str) -> None:
    with pytest.raises((SpecError, UnknownNameError), match=says):
        ModalitySpec("x", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "ranking", "num_outputs": 2}, "unknown task kind 'ranking'"),
        ({"kind": "regression", "num_outputs": 0}, "at least 1, got 0"),
        ({"kind": "classification", "num_outputs": 3, "classes": ("a", "b")}, "2 classes for 3"),
        ({"kind": "classification", "num_outputs": 2, "classes": ("a", "a")}, "repeat"),
        ({"kind": "ordinal", "num_outputs": 1}, "at least 2 classes"),
        ({"kind": "vqa", "num_outputs": 2}, "must name the modality it reads"),
        ({"kind": "structure", "num_outputs": 2}, "must name the modality it reads"),
        ({"kind": "token_classification", "num_outputs": 2, "length": 4}, "must name the modality it reads"),
        ({"kind": "token_classification", "num_outputs": 1, "length": 4, "reads": "x"}, "at least 2 classes"),
        ({"kind": "token_classification", "num_outputs": 2, "reads": "x"}, "got 0 for kind 'token_classification'"),
        ({"kind": "classification", "num_outputs": 2, "length": 3}, "got 3 for kind 'classification'"),
    ],
)
def test_task_specs_that_contradict_themselves(arguments: dict[str, object], says: str) -> None:
    with pytest.raises((SpecError, UnknownNameError), match=says):
        TaskSpec("x", **arguments)  # type: ignore[arg-type]


def test_specs_from_lists_become_tuples_and_hash() -> None:
    spec = ModalitySpec("x", "image", [3, 8, 8])  # type: ignore[arg-type]
    task = TaskSpec("t", "classification", 2, ["a", "b"], ["x"])  # type: ignore[arg-type]
    assert spec.shape == (3, 8, 8)
    assert task.uses("x")
    assert not task.uses("y")
    assert len({spec, task}) == 2
    assert TaskSpec("t", "classification", 2).uses("anything")


def test_target_shapes_of_every_kind() -> None:
    reads = {"structure": "chain", "token_classification": "chain", "vqa": "question"}
    length = {"token_classification": 5}
    reads_of = ("classification", "multilabel", "ordinal", "regression", *reads)
    specs = {k: TaskSpec("t", k, 3, reads=reads.get(k, ""), length=length.get(k, 0)) for k in reads_of}
    shapes = {k: TASKS.get(k).target_shape(spec) for k, spec in specs.items()}
    assert shapes == {
        "classification": (),
        "multilabel": (2, 3),
        "ordinal": (),
        "regression": (2, 3),
        "structure": (3, 4),
        "token_classification": (5,),
        "vqa": (),
    }
    assert empty_target(specs["token_classification"]).shape == (0, 5)
    assert empty_target(specs["token_classification"]).dtype == torch.long
    assert empty_target(SICK).dtype == torch.long
    assert empty_target(SIGNS).dtype == torch.float32


def test_integer_kinds() -> None:
    integer = {"dna", "protein", "text"}
    for kind in ("image", "signal", "expression", "tabular", *integer):
        shape = {"image": (1, 2, 2), "signal": (1, 2)}.get(kind, (2,))
        spec = ModalitySpec("x", kind, shape, vocab_size=5, cardinalities=(0, 0))
        assert spec.is_integer == (kind in integer)


def test_masked_mean_of_no_token_is_zero() -> None:
    values = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[5.0, 5.0], [5.0, 5.0]]])
    mask = torch.tensor([[True, True], [False, False]])
    assert masked_mean(values, mask).tolist() == [[2.0, 4.0], [0.0, 0.0]]
    assert Tokens(values, mask, masked_mean(values, mask)).pooled.shape == (2, 2)


def test_by_name_refuses_a_repeated_name() -> None:
    assert list(by_name([TABLE, NOTE])) == ["table", "note"]
    with pytest.raises(SpecError, match="'table' is used by two specs"):
        by_name([TABLE, TABLE])
