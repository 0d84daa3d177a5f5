"""Words for no value: null and none, of every option that may have none, before fit and before the studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from experiments.core.command import COMMANDS
from experiments.core.job import TrainingJob
from experiments.core.parser import ZooParser
from experiments.core.study_command import StudyRun

SMALL = str(Path(__file__).parents[1] / "small.yaml")
OPTIONS = (
    "data.root",
    "data.split.held_out",
    "model.weighting",
    "model.training.mixing",
    "trainer.gradient_clip_val",
)


def value_of(config: Any, option: str) -> Any:
    for key in option.split("."):
        config = config.get("init_args", config)[key]
    return config


class Options:
    """One option of each sort."""

    def __init__(
        self,
        number: int | None = 3,
        name: str | None = "a",
        words: Sequence[str] | None = ("a",),
        title: str = "a",
        reference: Literal["none", "average"] = "average",
        scale: Literal["none", "training"] | None = "training",
    ) -> None: ...


@pytest.mark.parametrize("word", ["null", "none", "None"])
def test_null_of_each_type(word: str) -> None:
    parser = ZooParser()
    parser.add_class_arguments(Options, "x")
    options = ("number", "name", "words")
    for given in ([f"--x.{o}={word}" for o in options], [w for o in options for w in (f"--x.{o}", word)]):
        assert parser.parse_args(given).x.as_dict() == {
            "number": None,
            "name": None,
            "words": None,
            "title": "a",
            "reference": "average",
            "scale": "training",
        }


def test_a_word_that_an_option_takes_is_left_to_it() -> None:
    parser = ZooParser()
    parser.add_class_arguments(Options, "x")
    found = parser.parse_args(["--x.title=none", "--x.reference", "none", "--x.scale=none"]).x
    assert (found.title, found.reference, found.scale) == ("none", "none", "none")
    assert parser.parse_args(["--x.scale=null"]).x.scale is None


@pytest.mark.parametrize("word", ["null", "none"])
@pytest.mark.parametrize("command", ["table1", "robustness"])
def test_null_before_studies(command: str, word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    seen = []

    def train(run: StudyRun, jobs: Sequence[TrainingJob]) -> None:
        seen.append(run.study)
        raise Stopped

    monkeypatch.setattr(StudyRun, "train", train)
    given = [f"--{o}={word}" for o in OPTIONS]
    with pytest.raises(Stopped):
        COMMANDS.get(command)().main(["--config", SMALL, "--out", str(tmp_path), *given])
    (study,) = seen
    assert {o: value_of(study.config, o) for o in OPTIONS} == dict.fromkeys(OPTIONS)
    module: Any = study.module(study.data(), ["model.training.refinement=null", f"model.training.losses={word}"])
    assert module.mixing is None


@pytest.mark.parametrize("word", ["null", "none"])
def test_null_before_fit(word: str, call: Any) -> None:
    given = [f"--{o}={word}" for o in OPTIONS]
    code, said = call("fit", "--config", SMALL, *given, "--print_config")
    assert code == 0, said
    for option in OPTIONS[:-1]:
        assert f"{option.rpartition('.')[-1]}: null" in said
