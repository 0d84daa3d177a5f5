"""What the parser refuses is one sentence, however many types were tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = str(Path(__file__).parents[1] / "small.yaml")
Call = Callable[..., tuple[int, str]]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            '--model.init_args.encoders={"image": {"class_path": "zoo.ViTEncoder", "init_args": {"dimm": 3}}}',
            "model.encoders: ViTEncoder has no option 'dimm'; did you mean 'dim'?",
        ),
        ("--data.init_args.sampling.batch_size=abc", "data.sampling.batch_size: expected int, got 'abc'"),
        (
            '--data.init_args.sources=[{"class_path": "datamodules.sources.Table", "init_args": {"modalities": {"a": '
            '{"kind": "tabular", "columns": ["age"]}}, "tasks": {"dx": {"kind": "classification", '
            '"classes": [no]}}}}]',
            "sources.tasks.classes: expected str, got 'False'; YAML takes yes, no, on, off, true and false for truth",
        ),
        ("--trainer.max_epochs=abc", "trainer.max_epochs: expected int or null, got 'abc'"),
        ("--model.init_args.encoders.image=ViTEncodr", "did you mean 'ViTEncoder'?"),
    ],
)
def test_one_sentence(option: str, words: str, call: Call) -> None:
    code, said = call("fit", "--config", SMALL, option)
    assert code == 2
    assert words in said
    error = said[said.index("error: ") :]
    assert len(error) < 700
    assert "Subtypes" not in error


def test_an_encoder_of_another_kind_is_answered_with_those_that_fit(call: Call) -> None:
    code, said = call(
        "fit", "--config", SMALL, '--model.init_args.encoders={"image": "ViTEncoder", "dna": "MLPEncoder"}'
    )
    error = said[said.index("error: ") :]
    assert code
    assert len(error) < 700
    assert "MLPEncoder takes modalities of kind" in error
    assert "encoders that take it: " in error
    assert "DNABERTEncoder" in error
