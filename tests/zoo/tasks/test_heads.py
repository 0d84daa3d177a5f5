"""Every head can be named under model.heads.by_task, with options of its own."""

from __future__ import annotations

import inspect

import pytest
import torch
from jsonargparse import ArgumentParser

from tests.zoo.tasks.test_common import DIM, TASKS, WIDTH, make_spec, make_target, make_tokens
from zoo.models.multitask.options import HeadOptions
from zoo.tasks.base import Head, task_kind

HEADS = [
    ("classification", "zoo.tasks.parts.VectorHead", "hidden: 3"),
    ("regression", "zoo.tasks.parts.VectorHead", "dropout: 0.5"),
    ("multilabel", "zoo.tasks.parts.VectorHead", "hidden: 3, dropout: 0.5"),
    ("ordinal", "zoo.tasks.ordinal.OrdinalHead", "hidden: 3"),
    ("vqa", "zoo.tasks.vqa.AnswerHead", "hidden: 3"),
    ("token_classification", "zoo.tasks.residue.ResidueHead", "hidden: 6"),
    ("structure", "zoo.tasks.structure.StructureHead", "hidden: 6, templates: 0"),
    ("survival", "zoo.tasks.survival.SurvivalHead", "proportional: false"),
]


def read(text: str) -> HeadOptions:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(HeadOptions, "heads")
    made = parser.instantiate_classes(parser.parse_string(text)).heads
    assert isinstance(made, HeadOptions)
    return made


@pytest.mark.parametrize(("kind", "path", "options"), HEADS)
def test_a_configuration_makes_each_head(kind: str, path: str, options: str) -> None:
    given = f"heads: {{by_task: {{{kind}: {{class_path: {path}, init_args: {{{options}}}}}}}}}"
    factories = read(given).by_task
    assert factories is not None
    task = task_kind(make_spec(kind))
    head, usual = factories[kind](task.spec, DIM, WIDTH), task.head(DIM, WIDTH)
    assert type(head) is type(usual)
    assert f"{type(head).__module__}.{type(head).__name__}" == path
    assert repr(head) != repr(usual)  # the options arrived
    logits = head(torch.randn(3, DIM), make_tokens(3))
    assert logits.shape == usual(torch.randn(3, DIM), make_tokens(3)).shape
    assert bool(torch.isfinite(task.loss(logits, make_target(kind, 3))).all())


def test_a_survival_head_is_free_where_the_configuration_says_so() -> None:
    factories = read(
        "heads: {by_task: {death: {class_path: zoo.tasks.survival.SurvivalHead, init_args: {proportional: false}}}}"
    ).by_task
    assert factories is not None
    spec = make_spec("survival")
    assert sum(p.numel() for p in factories["death"](spec, DIM, 0).parameters()) == spec.num_outputs * (DIM + 2)


@pytest.mark.parametrize("kind", TASKS)
def test_the_head_of_every_kind_takes_what_the_configuration_gives(kind: str) -> None:
    head = task_kind(make_spec(kind)).head(DIM, WIDTH)
    assert isinstance(head, Head)
    names = list(inspect.signature(type(head)).parameters.values())
    assert [p.name for p in names[:3]] == ["spec", "dim", "token_dim"]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in names[3:])
