"""FewShotCallback: accuracy by prototypes after a test, logged and written."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import lightning as L
import pytest
from lightning.pytorch.loggers import CSVLogger

from datamodules.core.multimodal import MultimodalDataModule
from datamodules.core.options import ProcessingOptions, SamplingOptions, SplitOptions
from datamodules.phantom import PhantomCohort
from zoo.callbacks.few_shot import FewShotCallback
from zoo.encoders.scbert import SCBERTEncoder
from zoo.errors import SpecError, UnknownNameError
from zoo.evaluation.episodes import draw_episodes
from zoo.evaluation.few_shot import prototype_accuracy
from zoo.models.multitask.module import MultitaskModule
from zoo.models.predict import predict


@pytest.fixture(scope="module")
def given() -> MultimodalDataModule:
    source = PhantomCohort(n=260, modalities=["scrna"], tasks=["cell_type"], presence=1.0)
    return MultimodalDataModule(
        [source],
        sampling=SamplingOptions(batch_size=16),
        processing=ProcessingOptions(augment=False),
        split=SplitOptions(fractions=(0.3, 0.1, 0.6)),
    )


def model(given: MultimodalDataModule) -> MultitaskModule:
    encoders = {"expression": partial(SCBERTEncoder, dim=16, depth=1, heads=2)}
    return MultitaskModule(given.modality_specs, given.task_specs, encoders=encoders)


def trainer(folder: Path, *callbacks: L.Callback) -> L.Trainer:
    return L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=CSVLogger(folder, name="", version=""),
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def test_accuracy_is_logged_and_written(given: MultimodalDataModule, tmp_path: Path) -> None:
    module = model(given)
    run = trainer(tmp_path, FewShotCallback("cell_type", shots=[5, 1], episodes=20))
    run.test(module, datamodule=given, verbose=False)
    lines = json.loads((tmp_path / "few_shot.json").read_text())["cell_type"]
    assert lines["classes"] == list(given.task_specs[0].classes)
    assert lines["chance"] == 0.2
    assert lines["left_out"] == {}
    assert lines["rows"] == len(given.pipeline.labels("test", "cell_type")[0])
    found = predict(module, given.test_dataloader())
    labels = found.results["cell_type"].target.numpy()
    drawn = draw_episodes(labels, shots=5, episodes=20)
    for shots in (1, 5):
        wanted = prototype_accuracy(found.vectors, drawn, shots, "euclidean").mean()
        assert lines["shots"][str(shots)]["accuracy"] == pytest.approx(wanted)
        assert run.callback_metrics[f"fewshot/cell_type/{shots}"] == pytest.approx(wanted)
        assert lines["shots"][str(shots)]["low"] <= wanted <= lines["shots"][str(shots)]["high"]
    assert not module._forward_hooks


def test_rows_of_a_group_stay_on_one_side(given: MultimodalDataModule, tmp_path: Path) -> None:
    run = trainer(tmp_path, FewShotCallback("cell_type", shots=[1], group="source"))  # all rows are of one source
    run.test(model(given), datamodule=given, verbose=False)
    lines = json.loads((tmp_path / "few_shot.json").read_text())["cell_type"]
    assert "too few groups" in lines["reason"]
    assert lines["shots"]["1"]["accuracy"] is None


def test_too_few_rows_end_in_nan_and_a_reason(given: MultimodalDataModule, tmp_path: Path) -> None:
    run = trainer(tmp_path, FewShotCallback("cell_type", shots=[100]))
    run.test(model(given), datamodule=given, verbose=False)
    lines = json.loads((tmp_path / "few_shot.json").read_text())["cell_type"]
    assert lines["classes"] == []
    assert len(lines["left_out"]) == 5
    assert "0 classes have test rows for 100 shots" in lines["reason"]
    assert math.isnan(run.callback_metrics["fewshot/cell_type/100"])


def test_wrong_options(given: MultimodalDataModule, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="all are at least 1"):
        FewShotCallback("cell_type", shots=[0])
    with pytest.raises(SpecError, match="all are at least 1"):
        FewShotCallback("cell_type", shots=[])
    with pytest.raises(UnknownNameError, match="'cel_type'; did you mean 'cell_type'"):
        trainer(tmp_path, FewShotCallback("cel_type")).test(model(given), datamodule=given, verbose=False)
    callback = FewShotCallback("cell_type", group="patient")
    with pytest.raises(UnknownNameError, match="unknown group column of FewShotCallback 'patient'"):
        trainer(tmp_path, callback).test(model(given), datamodule=given, verbose=False)
