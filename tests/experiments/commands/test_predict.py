"""The files of predict: they go on after a kill, and belong to one model and table."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.commands.predict import Evaluate, Predict
from experiments.core.written import Written
from zoo.errors import DataError, SpecError

HEAD = {"t": "row,predicted\n"}
FILES = {"t": "predictions_t.csv"}


def test_a_killed_prediction_goes_on_with_the_same_files(tmp_path: Path) -> None:
    whole = Written(tmp_path / "whole", {"model": "m"}, FILES, "predict.json")
    assert whole.begin(HEAD) == 0
    for k in range(3):
        whole.add({"t": f"{2 * k},a\n{2 * k + 1},b\n"}, 2 * k + 2, ["", "age: 'x' is no number"])
    cut = Written(tmp_path / "cut", {"model": "m"}, FILES, "predict.json")
    cut.begin(HEAD)
    cut.add({"t": "0,a\n1,b\n"}, 2, ["", "age: 'x' is no number"])
    with cut.paths["t"].open("a") as file:
        file.write("2,a\n3,")  # killed in the middle of a batch
    again = Written(tmp_path / "cut", {"model": "m"}, FILES, "predict.json")
    assert again.begin(HEAD) == 2
    for k in (1, 2):
        again.add({"t": f"{2 * k},a\n{2 * k + 1},b\n"}, 2 * k + 2, ["", "age: 'y' is no number"])
    assert again.paths["t"].read_bytes() == whole.paths["t"].read_bytes()
    assert again.problems == {"age: ... is no number": 3}
    assert Written(tmp_path / "cut", {"model": "m"}, FILES, "predict.json").begin(HEAD) == 6


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    Written(tmp_path, {"model": "m", "table": "a"}, FILES, "predict.json").begin(HEAD)
    with pytest.raises(DataError, match="what was made with another table; give another --out"):
        Written(tmp_path, {"model": "m", "table": "b"}, FILES, "predict.json").begin(HEAD)


def test_a_checkpoint_and_a_configuration_are_refused_with_the_way_on() -> None:
    with pytest.raises(SpecError, match=r"predict takes no --ckpt_path: scales .* --model RUN/bundle"):
        Predict().main(["--ckpt_path", "a.ckpt", "--config", "b.yaml"])
    with pytest.raises(SpecError, match="evaluate needs --table"):
        Evaluate().main(["--model", "x"])
