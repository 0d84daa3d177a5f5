"""The data module of each modality trains a model alone, on a tiny layout of a source that has it."""

from __future__ import annotations

import runpy
from pathlib import Path

import lightning as L
import pytest
import torch

import datamodules
from datamodules.core.base import DATAMODULES, BaseDataModule
from datamodules.core.options import SamplingOptions
from datamodules.core.source import Source
from datamodules.sources import (
    BCIIV2b,
    EarthMicrobiome,
    MedicalAbstracts,
    MedMNIST,
    ProteinStructures,
    SingleCellH5AD,
    UCISplice,
)
from zoo.encoders.base import Encoder
from zoo.encoders.bert import BERTEncoder
from zoo.encoders.dnabert import DNABERTEncoder
from zoo.encoders.esm import ESMEncoder
from zoo.encoders.lstm import LSTMEncoder
from zoo.encoders.scbert import SCBERTEncoder
from zoo.encoders.tabular import TabularEncoder
from zoo.encoders.vit import ViTEncoder
from zoo.errors import SpecError
from zoo.models.multitask.module import MultitaskModule
from zoo.models.multitask.options import OptimisationOptions

DATA = Path(__file__).parents[2] / "data"
CASES: dict[str, tuple[str, str, type[Source], type[Encoder], str, str]] = {
    # data module: generator, folder, source, encoder, kind, task
    "ImagingDataModule": ("med_mnist", "pneumoniamnist", MedMNIST, ViTEncoder, "image", "disease"),
    "EEGDataModule": ("bci_iv_2b", "bci_iv_2b", BCIIV2b, LSTMEncoder, "signal", "motor_imagery"),
    "SingleCellDataModule": ("single_cell", "scrna", SingleCellH5AD, SCBERTEncoder, "expression", "cell_type"),
    "GenomicsDataModule": ("uci_splice", "uci_splice", UCISplice, DNABERTEncoder, "dna", "splice_junction"),
    "ProteinDataModule": (
        "protein_structures",
        "protein_structures",
        ProteinStructures,
        ESMEncoder,
        "protein",
        "structure",
    ),
    "TextDataModule": ("medical_abstracts", "medical_abstracts", MedicalAbstracts, BERTEncoder, "text", ""),
    "TabularDataModule": ("emp", "emp_metadata", EarthMicrobiome, TabularEncoder, "tabular", ""),
}


def test_every_data_module_is_here() -> None:
    assert {*CASES, "MultimodalDataModule"} == set(DATAMODULES.names())


def make(name: str, root: Path) -> BaseDataModule:
    generator, folder, source, _, _, _ = CASES[name]
    runpy.run_path(str(DATA / f"{generator}.py"))["write"](root / folder, seed=0, n=40)
    data: BaseDataModule = getattr(datamodules, name)(
        [source(folder=folder)], root=str(root), sampling=SamplingOptions(batch_size=8)
    )
    return data


@pytest.mark.parametrize("name", CASES)
def test_trains_alone(name: str, tmp_path: Path) -> None:
    _, _, _, encoder, kind, task = CASES[name]
    torch.manual_seed(0)
    data = make(name, tmp_path)
    assert {m.kind for m in data.modality_specs} == {kind}
    if task:
        assert [t.name for t in data.task_specs] == [task]
    module = MultitaskModule(
        data.modality_specs,
        data.task_specs,
        encoders={kind: lambda spec: encoder(spec, dim=16)},
        optimisation=OptimisationOptions(schedule="constant", warmup=0.0),
    )
    before = {k: v.clone() for k, v in module.state_dict().items()}
    trainer = L.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == 2
    after = module.state_dict()
    changed = [k for k in before if not torch.equal(before[k], after[k])]
    assert any(k.startswith("encoders.") for k in changed)
    assert any(k.startswith("heads.") for k in changed)
    assert all(torch.isfinite(v).all() for v in after.values() if v.is_floating_point())
    (measured,) = trainer.test(module, datamodule=data, verbose=False)
    assert {k.split("/")[1] for k in measured if k.count("/") == 2} == {t.name for t in data.task_specs}
    rows = data.pipeline.rows
    assert len(rows["train"])
    assert len(rows["test"])


def test_a_source_of_another_kind_is_refused(tmp_path: Path) -> None:
    runpy.run_path(str(DATA / "uci_splice.py"))["write"](tmp_path / "uci_splice", seed=0, n=12)
    data = datamodules.ImagingDataModule([UCISplice(folder="uci_splice")], root=str(tmp_path))
    with pytest.raises(SpecError, match="no source has a modality of kind 'image'"):
        _ = data.pipeline
