"""What a fit that is interrupted prints."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from zoo.callbacks.resume import ResumeCallback, how_to_go_on


def test_an_interrupted_fit_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["run.py", "fit", "--config", "mine.yaml"])
    kept = ModelCheckpoint(tmp_path)
    trainer = L.Trainer(accelerator="cpu", callbacks=[kept], logger=False)
    assert how_to_go_on(trainer) == "no checkpoint was written yet, so the same command begins anew"
    kept.last_model_path = "a b/last.ckpt"
    trainer.state.fn = "fit"
    ResumeCallback().on_exception(trainer, L.LightningModule(), KeyboardInterrupt())
    said = capsys.readouterr().err
    assert said.endswith("go on with: run.py fit --config mine.yaml --ckpt_path 'a b/last.ckpt'\n")
    ResumeCallback().on_exception(trainer, L.LightningModule(), ValueError())
    assert not capsys.readouterr().err
