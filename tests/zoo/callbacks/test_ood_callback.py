"""OODCallback: figures of held-out rows beside those of the test split, on disk and in the log."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import lightning as L
import pytest
from lightning.pytorch.loggers import CSVLogger

from datamodules.core.multimodal import MultimodalDataModule
from datamodules.core.options import ProcessingOptions, SamplingOptions, SplitOptions
from datamodules.phantom import PhantomCohort
from zoo.callbacks.ood import OODCallback
from zoo.encoders.dnabert import DNABERTEncoder
from zoo.encoders.vit import ViTEncoder
from zoo.errors import SpecError, UnknownNameError
from zoo.models.multitask.module import MultitaskModule
from zoo.models.predict import predict


def data(holdout: dict[str, list[str]] | None) -> MultimodalDataModule:
    source = PhantomCohort(
        n=80, size=16, presence=0.8, modalities=["ct", "genomics"], tasks=["disease", "expression"]
    )
    return MultimodalDataModule(
        [source],
        sampling=SamplingOptions(batch_size=32),
        processing=ProcessingOptions(augment=False),
        split=SplitOptions(held_out=holdout),
    )


def model(given: MultimodalDataModule) -> MultitaskModule:
    encoders = {
        "image": partial(ViTEncoder, dim=16, depth=1, heads=2),
        "dna": partial(DNABERTEncoder, dim=16, depth=1, heads=2),
    }
    return MultitaskModule(given.modality_specs, given.task_specs, encoders=encoders)


def trainer(folder: Path, callback: OODCallback) -> L.Trainer:
    return L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=CSVLogger(folder, name="", version=""),
        callbacks=[callback],
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


def test_a_fit_and_test_with_a_holdout(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_ood")
    given = data({"organ": ["kidney"]})
    module, callback = model(given), OODCallback("organ", resamples=20)
    run = trainer(tmp_path, callback)
    run.fit(module, datamodule=given)
    run.test(module, datamodule=given, verbose=False)
    found = json.loads((tmp_path / "ood.json").read_text())
    assert found["detectors_ran"] is True
    expected = predict(module, given.split_dataloader("ood")).results
    for task, kind in module.kinds.items():
        told = found["tasks"][task]
        value = kind.primary_value(expected[task].prediction, expected[task].target)
        assert told["metrics"][kind.primary]["ood"]["value"] == pytest.approx(value)
        assert told["data"] == "simulated"
        assert told["n_ood"] == len(expected[task].ids)
        assert set(told["groups"]["ood"]) == {"kidney"}
        assert "kidney" not in told["groups"]["test"]
    assert set(found["tasks"]["disease"]["detection"]) == {"msp", "energy", "knn", "mahalanobis", "input_knn"}
    assert set(found["tasks"]["expression"]["detection"]) == {"knn", "mahalanobis", "input_knn"}
    with (tmp_path / "metrics.csv").open() as file:
        header = next(csv.reader(file))
    logged = {"ood/disease/accuracy", "ood/disease/sensitivity", "ood/disease/gap", "ood/disease/knn_auroc"}
    assert logged | {"ood/expression/pearson", "ood/expression/mahalanobis_auroc"} <= set(header)


def test_without_detectors_and_group(tmp_path: Path) -> None:
    given = data({"organ": ["kidney"]})
    run = trainer(tmp_path / "logs", OODCallback(detectors=False, folder=str(tmp_path / "here"), resamples=5))
    run.test(model(given), datamodule=given, verbose=False)
    found = json.loads((tmp_path / "here" / "ood.json").read_text())
    assert found["detectors_ran"] is False
    assert "detection" not in found["tasks"]["disease"]
    assert "groups" not in found["tasks"]["disease"]


def test_nothing_held_out_is_refused_before_training(tmp_path: Path) -> None:
    given = data(None)
    with pytest.raises(SpecError, match=r"data\.split\.held_out"):
        trainer(tmp_path, OODCallback("organ")).fit(model(given), datamodule=given)


def test_an_unknown_group_is_refused_before_training(tmp_path: Path) -> None:
    given = data({"organ": ["kidney"]})
    with pytest.raises(UnknownNameError, match="did you mean 'organ'"):
        trainer(tmp_path, OODCallback("organs")).fit(model(given), datamodule=given)


def test_resamples_are_checked() -> None:
    with pytest.raises(SpecError, match="at least 1"):
        OODCallback(resamples=0)
