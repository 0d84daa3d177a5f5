"""The kind of modality that the documentation adds: a table of it trains, and is audited, corrupted and shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch

from datamodules import MultimodalDataModule
from datamodules.audit import Entry, check
from datamodules.core.options import SamplingOptions
from datamodules.core.processor import PROCESSORS
from datamodules.sources.table import Table, TableModality
from zoo.contract import MODALITIES
from zoo.encoders.mlp import MLPEncoder
from zoo.evaluation.corruptions.base import CORRUPTIONS, Corruption, corruptions_for
from zoo.evaluation.detection import plain_inputs
from zoo.models.multitask.module import MultitaskModule
from zoo.models.multitask.options import OptimisationOptions
from zoo.table_task import TableTask

PAGE = Path(__file__).parents[3] / "docs" / "add" / "modality.md"


class Drift(Corruption):
    """A baseline that rises over the spectrum."""

    kinds = ("spectrum",)
    unit = "sd"
    levels = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
    standard = True

    def apply(self, values: torch.Tensor, noise: torch.Tensor, level: float, spec: object) -> torch.Tensor:
        """Add a ramp."""
        return values + level * torch.linspace(0, 1, values.shape[1])


@pytest.fixture
def kind() -> Iterator[str]:
    """Register what the page shows, and forget it afterwards, since other tests enumerate all kinds."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert code is not None
    exec(compile(code.group(1), str(PAGE), "exec"), {})
    CORRUPTIONS.register(Drift)
    yield "spectrum"
    del MODALITIES._classes["spectrum"], PROCESSORS._classes["SpectrumProcessor"], CORRUPTIONS._classes["Drift"]


def write(folder: Path, n: int = 60) -> None:
    """Spectra with a peak on one side or the other, a .npy file each, and the table that names them."""
    generator = np.random.default_rng(0)
    (folder / "mydata").mkdir()
    lines = ["name,side"]
    for k in range(n):
        spectrum = generator.normal(0, 0.3, 20)
        spectrum[5 if k % 2 else 15] += 4
        np.save(folder / "mydata" / f"s{k}.npy", spectrum.astype(np.float32))
        lines.append(f"s{k},{'left' if k % 2 else 'right'}")
    (folder / "mydata" / "table.csv").write_text("\n".join(lines) + "\n")


def test_a_kind_of_one_file_trains_and_is_audited_corrupted_and_shown(kind: str, tmp_path: Path) -> None:
    write(tmp_path)
    options = {
        "modalities": {"spectrum": TableModality(kind, column="name", path="{}.npy")},
        "tasks": {"side": TableTask("classification")},
        "id": "name",
    }
    torch.manual_seed(0)
    data = MultimodalDataModule([Table(**options)], root=str(tmp_path), sampling=SamplingOptions(batch_size=8))  # type: ignore[arg-type]
    module = MultitaskModule(
        data.modality_specs, data.task_specs, optimisation=OptimisationOptions(schedule="constant", warmup=0.0)
    )
    assert isinstance(module.encoders["spectrum"], MLPEncoder)
    trainer = L.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    assert trainer.test(module, datamodule=data, verbose=False)[0]["test/side/accuracy"] == 1.0
    spec = data.modality_specs[0]
    batch = next(iter(data.test_dataloader()))
    assert [c.name for c in corruptions_for(spec)] == ["Drift"]
    assert plain_inputs(batch, [spec]).shape == (len(batch), 20 + 1)
    processor = data.pipeline.processors["spectrum"]
    raw = data.pipeline.dataset.raw(0).inputs["spectrum"]
    np.testing.assert_allclose(processor.decode(processor(raw)), raw, atol=1e-5)
    report = check(Entry(Table, options), tmp_path).report
    assert not report.error
    assert report.read == 60
    assert report.examples[0].words["spectrum"]
