"""RobustnessCallback: what it logs and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import lightning as L
import pytest

from datamodules.core.multimodal import MultimodalDataModule
from datamodules.core.options import SamplingOptions, SplitOptions
from datamodules.phantom import PhantomCohort
from zoo.callbacks.robustness import RobustnessCallback
from zoo.errors import SpecError, UnknownNameError
from zoo.evaluation.corruptions.base import CORRUPTIONS, corrupt
from zoo.models.multitask.module import MultitaskModule
from zoo.models.predict import predict


@pytest.fixture(scope="module")
def data() -> MultimodalDataModule:
    cohort = PhantomCohort(
        n=80, seed=0, size=16, modalities=["ct", "genomics"], tasks=["radiographic_findings", "response"]
    )
    made = MultimodalDataModule([cohort], sampling=SamplingOptions(batch_size=16), split=SplitOptions(seed=0))
    made.print_summary = lambda: None  # type: ignore[method-assign]
    return made


def run(
    data: MultimodalDataModule, callback: RobustnessCallback, folder: Path
) -> tuple[MultitaskModule, dict[str, float]]:
    L.seed_everything(0, verbose=False)
    module = MultitaskModule(data.modality_specs, data.task_specs)
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=folder, callbacks=[callback],
    )  # fmt: skip
    trainer.test(module, datamodule=data, verbose=False)
    return module, {k: float(v) for k, v in trainer.callback_metrics.items()}


def test_values_are_those_of_corrupted_batches(data: MultimodalDataModule, tmp_path: Path) -> None:
    callback = RobustnessCallback(levels=[0, 2, 5], corruptions=["GaussianNoise", "BaseMasking"], seed=7)
    module, logged = run(data, callback, tmp_path)
    report = json.loads((tmp_path / "robustness.json").read_text())
    assert set(report) == {"radiographic_findings", "response"}
    noise = CORRUPTIONS.get("GaussianNoise")()
    predicted = predict(
        module,
        data.test_dataloader(),
        lambda b: corrupt(b, data.modality_specs, {"ct": (noise, 5)}, 7),
    ).results["response"]
    expected = module.kinds["response"].primary_value(predicted.prediction, predicted.target)
    assert logged["robustness/response/GaussianNoise/5"] == pytest.approx(expected)
    entry = report["response"]["corruptions"]["GaussianNoise"]
    assert entry["modalities"] == ["ct"]
    assert entry["values"][2] == pytest.approx(expected)
    assert entry["physical"] == [0.0, 0.08, 0.26]
    assert entry["values"][0] == report["response"]["clean"] == pytest.approx(logged["test/response/accuracy"])
    assert "BaseMasking" in report["response"]["corruptions"]
    assert "BaseMasking" not in report["radiographic_findings"]["corruptions"], "DNA does not inform it"


def test_standard_corruptions_by_default(data: MultimodalDataModule, tmp_path: Path) -> None:
    _, logged = run(data, RobustnessCallback(levels=[3], folder=str(tmp_path / "there")), tmp_path)
    names = {k.split("/")[2] for k in logged if k.startswith("robustness/")}
    assert names == {"GaussianNoise", "BaseSubstitution"}
    assert (tmp_path / "there" / "robustness.json").exists()


def test_errors(data: MultimodalDataModule, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="level 6 of corruptions is unknown"):
        RobustnessCallback(levels=[6])
    with pytest.raises(SpecError, match="at least one level"):
        RobustnessCallback(levels=[])
    with pytest.raises(UnknownNameError, match="did you mean 'GaussianBlur'"):
        RobustnessCallback(corruptions=["GausianBlur"])
    with pytest.raises(SpecError, match=r"'ElectrodeDrop' fits none of the modalities \('ct', 'genomics'\)"):
        run(data, RobustnessCallback(corruptions=["ElectrodeDrop"]), tmp_path)
