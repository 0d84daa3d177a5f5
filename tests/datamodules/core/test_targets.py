"""Codecs: every kind of label by hand, fitted on training labels alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from datamodules.core.targets import choose_codecs, merge_tasks
from tests.datamodules.fakes import Fake
from zoo.contract import TASKS
from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.raw import RawTask
from zoo.task import TargetCodec
from zoo.tasks.codecs import ClassCodec
from zoo.tasks.regression import ScaleCodec
from zoo.tasks.vqa import AnswerCodec


def codec(task: RawTask, labels: list[Any], length: int = 0, *, simulated: bool = False) -> TargetCodec:
    made = TASKS.get(task.kind).codec()
    made.bind(task, simulated=simulated)
    made.fit(labels, length)
    return made


SICK = RawTask("sick", "classification", ("no", "yes", "maybe"), ("scan",))


@pytest.mark.parametrize("kind", ["classification", "ordinal"])
def test_classes_are_coded_in_the_order_of_the_task(kind: str) -> None:
    made = codec(RawTask("sick", kind, ("no", "yes", "maybe"), ("scan",)), ["yes"])
    codes = [made(c, "r") for c in ("no", "yes", "maybe")]
    assert [int(c) for c in codes] == [0, 1, 2]
    assert all(c.shape == () and c.dtype == torch.long for c in codes)
    spec = made.spec()
    assert (spec.kind, spec.num_outputs, spec.classes, spec.modalities) == (
        kind,
        3,
        ("no", "yes", "maybe"),
        ("scan",),
    )


def test_multilabel_marks_only_what_is_known() -> None:
    made = codec(RawTask("signs", "multilabel", ("a", "b", "c")), [{"a": 1}])
    assert made({"c": 1, "a": 0}, "r").tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    assert made({}, "r").tolist() == [[0.0] * 3, [0.0] * 3]


def test_regression_is_standardised_by_known_training_labels_only() -> None:
    task = RawTask("age", "regression", ("years", "mass", "flat", "never"), unit="y")
    made = codec(task, [{"years": 10.0, "flat": 7.0}, {"years": 30.0, "mass": 5.0}, {"years": 20.0, "flat": 7.0}])
    assert isinstance(made, ScaleCodec)
    sd = np.sqrt(200 / 3)
    value, known = made({"years": 20.0 + sd, "mass": 6.0, "flat": 9.0}, "r")
    np.testing.assert_allclose(value, [1.0, 1.0, 2.0, 0.0], atol=1e-6)  # a spread of 0 counts as 1
    assert known.tolist() == [1.0, 1.0, 1.0, 0.0]
    before = (made.mean.copy(), made.scale.copy())
    made({"years": 1e9}, "r")
    assert np.array_equal(made.mean, before[0])
    assert np.array_equal(made.scale, before[1])
    assert made.spec().unit == "y"


def test_structure_is_cut_or_filled_to_the_length_and_unresolved_residues_are_zero() -> None:
    task = RawTask("fold", "structure", reads="chain", unit="angstrom")
    xyz = np.array([[1, 2, 3, 1], [np.nan, np.nan, np.nan, 0], [4, 5, 6, 1]], dtype=np.float32)
    made = codec(task, [xyz], length=4)
    assert made(xyz, "r").tolist() == [[1, 2, 3, 1], [0, 0, 0, 0], [4, 5, 6, 1], [0, 0, 0, 0]]
    assert codec(task, [xyz], length=2)(xyz, "r").tolist() == [[1, 2, 3, 1], [0, 0, 0, 0]]
    assert made.spec().num_outputs == 4
    assert made.spec().classes == ()
    with pytest.raises(DataError, match=r"\(L, 4\).*\(3, 3\).*row: r7"):
        made(xyz[:, :3], "r7")
    with pytest.raises(DataError, match=r"not finite.*row: r7"):
        made(np.array([[np.inf, 0, 0, 1]]), "r7")


def test_residues_get_a_class_each_and_minus_one_where_unknown_or_filled() -> None:
    task = RawTask("helices", "token_classification", ("H", "C"), reads="chain")
    made = codec(task, ["HC"], length=5)
    assert made("CH-C", "r").tolist() == [1, 0, -1, 1, -1]
    assert made(["C", "", "H", "-"], "r").tolist() == [1, -1, 0, -1, -1]
    assert made("HHHHHHC", "r").tolist() == [0] * 5
    spec = made.spec()
    assert (spec.num_outputs, spec.classes, spec.length, spec.reads) == (2, ("H", "C"), 5, "chain")
    for bad in ("HX", ["H", "coil"]):
        with pytest.raises(DataError, match=r"'helices'.*('X'|'coil').*\('H', 'C'\).*row: r7"):
            made(bad, "r7")
    with pytest.raises(DataError, match="none of its classes"):
        made(3, "r7")
    with pytest.raises(SpecError, match="can be no class"):
        codec(RawTask("t", "token_classification", ("H", "-"), reads="chain"), [])


def test_answers_come_from_training_by_frequency_then_name() -> None:
    task = RawTask("ask", "vqa", reads="question")
    labels = ["no", "yes", "yes", "left", "no", "b", "a"]

    def four(answers: list[str]) -> TargetCodec:
        made = choose_codecs([], {"ask": task}, {"vqa": AnswerCodec(max_answers=4)})["ask"]
        made.fit(answers)
        return made

    made = four(labels)
    assert made.spec().classes == ("no", "yes", "a", "b")
    assert [int(made(a, "r")) for a in ("no", "b", "left", "unheard of")] == [0, 3, -1, -1]
    assert four(list(reversed(labels))).spec().classes == made.spec().classes
    with pytest.raises(SpecError, match="max_answers must be at least 1, got 0"):
        AnswerCodec(max_answers=0)


def test_shapes_and_types_are_those_of_the_contract() -> None:
    xyz = np.ones((2, 4), dtype=np.float32)
    cases: list[tuple[RawTask, Any, int]] = [
        (SICK, "no", 0),
        (RawTask("t", "ordinal", ("a", "b")), "b", 0),
        (RawTask("t", "multilabel", ("a", "b")), {"a": 1}, 0),
        (RawTask("t", "regression", ("a",)), {"a": 1.5}, 0),
        (RawTask("t", "structure", reads="p"), xyz, 3),
        (RawTask("t", "vqa", reads="q"), "no", 0),
        (RawTask("t", "token_classification", ("a", "b"), reads="p"), "ab-", 4),
    ]
    for task, label, length in cases:
        made = codec(task, [label], length)
        target = made(label, "r")
        assert tuple(target.shape) == TASKS.get(made.spec().kind).target_shape(made.spec())
        whole = target.ndim == 0 or task.kind == "token_classification"
        assert target.dtype == (torch.long if whole else torch.float32)


def test_labels_outside_the_classes_name_value_classes_and_row() -> None:
    made = codec(SICK, ["no"])
    with pytest.raises(DataError, match=r"'sick'.*'perhaps'.*'maybe'.*row: S/r1") as caught:
        made("perhaps", "S/r1")
    assert caught.value.row == "S/r1"
    signs = codec(RawTask("signs", "multilabel", ("a",)), [{"a": 1}])
    with pytest.raises(DataError, match="'z'"):
        signs({"z": 1}, "r")
    age = codec(RawTask("age", "regression", ("y",)), [{"y": 1.0}])
    for bad in (float("nan"), float("inf")):
        with pytest.raises(DataError, match=r"leave unknown ones out.*row: r"):
            age({"y": bad}, "r")


@pytest.mark.parametrize("value", [2, -1, 0.5])
def test_a_multilabel_value_is_0_or_1(value: float) -> None:
    signs = codec(RawTask("signs", "multilabel", ("a",)), [{"a": 1}])
    with pytest.raises(DataError, match=r"'signs'.*'a'.*0 or 1.*row: r"):
        signs({"a": value}, "r")


@pytest.mark.parametrize(
    "labels", [[{"y": 1.0}, {"y": float("nan")}], [{"y": 1.0}, {"y": float("inf")}], [{"z": 1.0}]]
)
def test_bad_regression_labels_are_refused_when_encoded(labels: list[Any]) -> None:
    made = codec(RawTask("age", "regression", ("y",)), [{"y": 1.0}])
    with pytest.raises(DataError, match=r"row: r"):
        made(labels[-1], "r")


def test_a_task_without_training_labels_has_no_spec() -> None:
    with pytest.raises(SpecError, match="'ask': no training row"):
        codec(RawTask("ask", "vqa", reads="q"), []).spec()


def test_simulated_is_passed_on() -> None:
    assert codec(SICK, ["no"], simulated=True).spec().simulated
    assert not codec(SICK, ["no"]).spec().simulated


def test_codecs_are_chosen_by_task_then_kind_and_each_task_has_its_own() -> None:
    ask, again = RawTask("ask", "vqa", reads="q"), RawTask("again", "vqa", reads="q")
    given = {"vqa": AnswerCodec(max_answers=2), "ask": AnswerCodec(max_answers=1)}
    made = choose_codecs([Fake([], tasks=(ask, again, SICK))], {"ask": ask, "again": again, "sick": SICK}, given)
    for one in (made["ask"], made["again"]):
        one.fit(["a", "b", "c"])
    assert (made["ask"].classes, made["again"].classes) == (["a"], ["a", "b"])
    assert made["again"] is not given["vqa"]
    assert type(made["sick"]) is ClassCodec
    with pytest.raises(UnknownNameError, match=r"under data.processing.codecs 'asc'; did you mean 'ask'"):
        choose_codecs([Fake([], tasks=(ask,))], {"ask": ask}, {"asc": AnswerCodec()})
    with pytest.raises(SpecError, match=r"AnswerCodec does not fit task 'sick' of kind.*take ClassCodec"):
        choose_codecs([Fake([], tasks=(SICK,))], {"sick": SICK}, {"sick": AnswerCodec()})


def test_merging_joins_classes_and_modalities_in_order() -> None:
    other = RawTask("sick", "classification", ("yes", "never"))
    merged = merge_tasks([(SICK, ("scan", "note")), (other, ("eeg", "scan"))])
    assert merged.classes == ("no", "yes", "maybe", "never")
    assert merged.modalities == ("scan", "eeg")  # the second says nothing, so all of its source's count


def test_merging_refuses_other_kinds_readers_and_grades() -> None:
    with pytest.raises(SpecError, match="'ordinal' in one source and 'classification'"):
        merge_tasks([(SICK, ()), (RawTask("sick", "ordinal", ("a", "b")), ())])
    with pytest.raises(SpecError, match="'vqa'"):
        merge_tasks([(RawTask("q", "vqa", reads="a"), ()), (RawTask("q", "vqa", reads="b"), ())])
    with pytest.raises(SpecError, match="ordinal task 'g' has the grades"):
        merge_tasks([(RawTask("g", "ordinal", ("a", "b")), ()), (RawTask("g", "ordinal", ("b", "a")), ())])
    with pytest.raises(SpecError, match=r"'age'.*'months'.*'years'"):
        merge_tasks([
            (RawTask("age", "regression", ("x",), unit="years"), ()),
            (RawTask("age", "regression", ("x",), unit="months"), ()),
        ])  # fmt: skip
    apart = merge_tasks([
        (RawTask("level", "regression", ("gene",), unit="counts"), ()),
        (RawTask("level", "regression", ("promoter",), unit="log RNA/DNA"), ()),
    ])  # fmt: skip
    assert apart.classes == ("gene", "promoter")  # other targets, each with a scale of its own
