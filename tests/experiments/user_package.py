"""Write a package such as a user of the zoo has: one of each kind of thing, outside the repository."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

DATA = '''
"""Mass spectra: a kind of modality, its processor, and a made-up data set of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from datamodules.core.processor import PROCESSORS, Processor
from datamodules.core.source import SOURCES, Source, SourceCard
from zoo.contract import MODALITIES, ModalityKind, ModalitySpec, Sample
from zoo.raw import RawModality, RawTask


@MODALITIES.register_as("spectrum")
class Spectrum(ModalityKind):
    """Intensities (L,) over mass."""

    encoder = "SpectrumEncoder"
    processor = "SpectrumProcessor"


@PROCESSORS.register
class SpectrumProcessor(Processor):
    """Take the square root of intensities."""

    kind = "spectrum"

    def __init__(self) -> None:
        self.length = 0

    def fit(self, raw, values):
        self.length = len(values[0])

    def spec(self, raw):
        return ModalitySpec(raw.name, "spectrum", (self.length,), unit=raw.unit)

    def __call__(self, value):
        return torch.from_numpy(np.sqrt(value)).float()

    def decode(self, value):
        return value.numpy() ** 2


@SOURCES.register
class MadeUpSpectra(Source):
    """Spectra whose third peak grows with the number of lesions, and patients of two sites."""

    def __init__(self, *, n: int = 120) -> None:
        super().__init__()
        self.n = n
        self.card = SourceCard(
            title="Made-up spectra",
            modalities=(RawModality("serum", "spectrum", "counts"), RawModality("patient", "tabular")),
            tasks=(RawTask("lesions", "count"), RawTask("ill", "classification", ("no", "yes"))),
            licence="Apache-2.0",
            access="simulated",
            citation="none",
            where="it is made here",
            layout="no file",
            size=f"{n} rows",
        )

    def _index(self):
        names = [f"s{k:04d}" for k in range(self.n)]
        return pd.DataFrame({"id": names, "subject": "", "group": names, "stratum": "", "split": ""})

    def read(self, row):
        draw = np.random.default_rng(row)
        age = float(draw.uniform(20, 80))
        lesions = int(draw.poisson(np.exp(age / 40 - 0.5)))
        peaks = np.array([5.0, 9.0, 1.0 + 8.0 * lesions, 7.0, 3.0, 4.0])
        inputs = {"serum": draw.poisson(peaks).astype(np.float32), "patient": {"age": age, "site": "AB"[row % 2]}}
        targets = {"lesions": lesions, "ill": "yes" if lesions > 1 else "no"}
        return Sample(self.id(row), inputs, targets)
'''
TASK = '''
"""Counts: a kind of task for numbers of events, by Poisson regression."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from zoo.contract import TASKS
from zoo.errors import DataError
from zoo.task import TargetCodec
from zoo.tasks.base import TaskKind
from zoo.tasks.parts import VectorHead, average


class CountCodec(TargetCodec):
    """Encode a number of events as it is."""

    def spec(self):
        return self.make_spec(1)

    def __call__(self, label, row):
        if not label >= 0:
            raise DataError(f"task '{self.task.name}': {label} is no number of events", row=row)
        return torch.tensor(float(label))


def deviance(rate, target):
    """(N,) deviances of rates from counts."""
    target = target.double()
    ratio = torch.where(target > 0, target * (target / rate).log(), 0.0)
    return 2 * (ratio - target + rate)


@TASKS.register_as("count")
class Count(TaskKind):
    """Numbers of events (N,); logits are logarithms of rates (N, 1), predictions rates (N,)."""

    kind = "count"
    primary = "explained"
    codec = CountCodec
    float_targets = True

    def head(self, dim, token_dim, hidden=0, dropout=0.0):
        return VectorHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

    def loss(self, logits, target):
        return F.poisson_nll_loss(logits.float().squeeze(-1), target, reduction="none")

    def predict(self, logits):
        return logits.float().squeeze(-1).clamp(-8, 8).exp()

    def combine(self, predictions, weights, voting=False):
        return average(predictions, weights)

    def combination_loss(self, prediction, target):
        return F.poisson_nll_loss(prediction, target, log_input=False, reduction="none")

    def metrics(self, prediction, target):
        """The share of the deviance from the mean that is explained, and the mean absolute error."""
        rate, truth = prediction.double().clamp_min(1e-6), target.double()
        whole = float(deviance(truth.mean().clamp_min(1e-6).expand_as(truth), truth).sum())
        explained = 1 - float(deviance(rate, truth).sum()) / whole if whole > 0 else math.nan
        return {"explained": explained, "mae": float((rate - truth).abs().mean())}

    def constant(self, train_target, n):
        return train_target.mean().expand(n).clone()

    def chance(self, train_target, n, generator):
        return train_target[torch.from_numpy(generator.integers(0, len(train_target), n))] + 0.5
'''
NETWORK = '''
"""An encoder of spectra, a fusion and a weighting."""

from __future__ import annotations

import torch
from torch import nn

from zoo.contract import FUSED, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.fusion.base import FUSIONS, Fusion, Streams, scatter
from zoo.weighting.base import WEIGHTINGS, Weighting


@ENCODERS.register
class SpectrumEncoder(Encoder):
    """One token a spectrum."""

    kinds = ("spectrum",)

    def __init__(self, spec, dim: int = 16) -> None:
        super().__init__(spec, dim)
        self.net = nn.Sequential(nn.Linear(spec.shape[0], dim), nn.ReLU(), nn.Linear(dim, dim))

    def embed(self, x):
        values = self.net(x).unsqueeze(1)
        return values, torch.ones(values.shape[:2], dtype=torch.bool, device=x.device)

    def forward(self, x):
        values, mask = self.embed(x)
        return Tokens(values, mask, values[:, 0])


@FUSIONS.register
class SumFusion(Fusion):
    """Add the projected vectors of the modalities that a row has."""

    def __init__(self, dims, *, dim: int = 0) -> None:
        super().__init__(dims, dim)
        self.project = nn.ModuleDict({m: nn.Linear(dims[m], self.dim) for m in dims})

    def forward(self, tokens, present):
        there = torch.stack([present[m] for m in self.modalities if m in tokens]).any(0)
        vectors = [scatter(self.project[m](t.pooled), present[m]) for m, t in tokens.items()]
        return Streams({FUSED: torch.stack(vectors).sum(0)}, {FUSED: there})


@WEIGHTINGS.register
class HalvingWeighting(Weighting):
    """Each task weighs half as much as the one before."""

    def multipliers(self):
        power = torch.arange(len(self.tasks), device=self.lambdas.device)
        return self.lambdas * (0.5**power).unsqueeze(1)
'''
GENERATOR = '''
"""A generator: what a nurse would write of a patient's table."""

from __future__ import annotations

from zoo.generator import GENERATORS, Generation, Generator


@GENERATORS.register
class NurseNotes(Generator):
    """Say whether a patient is old."""

    makes = "tabular"
    simulated = True

    def __init__(self, *, old: float = 60.0) -> None:
        self.old = old

    def options(self):
        return {"old": self.old}

    def generate(self, rows, seed):
        return [Generation({"old": "yes" if r.metadata["age"] > self.old else "no"}) for r in rows]
'''
MODEL = '''
"""A model of another kind: one linear layer a task on plain numbers of the inputs, without encoders and fusion."""

from __future__ import annotations

import lightning as L
import torch
from torch import nn

from zoo.contract import MODALITIES, Batch, ModalitySpec, Output, TaskSpec, by_name
from zoo.models.base import MODELS
from zoo.training.collector import Evaluation


@MODELS.register
class LinearModel(L.LightningModule):
    """Learn each task from plain numbers of the inputs.

    Args:
        modalities: specs of the inputs.
        tasks: specs of the tasks.
        learning_rate: of Adam.
    """

    def __init__(
        self, modalities: list[ModalitySpec], tasks: list[TaskSpec], learning_rate: float = 0.05
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.modalities, self.tasks = by_name(modalities), by_name(tasks)
        self.evaluation = Evaluation(self.tasks)
        self.learning_rate = learning_rate
        kinds = self.evaluation.kinds
        width = sum(self.numbers(s, torch.zeros(2, *s.shape)).shape[1] for s in modalities)
        self.heads = nn.ModuleDict({t: kinds[t].head(width, 0) for t in self.tasks})

    def numbers(self, spec, rows):
        return MODALITIES.get(spec.kind).features(spec, rows.long() if spec.is_integer else rows)

    def inputs(self, batch: Batch) -> torch.Tensor:
        columns = []
        for name, spec in self.modalities.items():
            values = self.numbers(spec, batch.inputs[name])
            full = values.new_zeros((len(batch), values.shape[1]))
            full[batch.present[name]] = values
            columns.append(full)
        return torch.cat(columns, 1)

    def predict(self, batch: Batch) -> Output:
        x, everyone = self.inputs(batch), torch.arange(len(batch))
        kinds = self.evaluation.kinds
        return Output(
            predictions={t: kinds[t].predict(self.heads[t](x)) for t in self.tasks},
            predicted=dict.fromkeys(self.tasks, everyone),
        )

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        x = self.inputs(batch)
        losses = [
            self.evaluation.kinds[t].loss(self.heads[t](x[batch.observed[t]]), y).mean()
            for t, y in batch.targets.items()
            if len(y)
        ]
        return torch.stack(losses).sum()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluation.add(self.predict(batch), batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluation.add(self.predict(batch), batch)

    def on_validation_epoch_end(self) -> None:
        self.evaluation.end(self, "val")

    def on_test_epoch_end(self) -> None:
        self.evaluation.end(self, "test")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.learning_rate)
'''
COMMAND = '''
"""A study command: the skill of each task over seeds."""

from __future__ import annotations

from experiments.core.command import COMMANDS
from experiments.core.job import TrainingJob, primary
from experiments.core.study_command import StudyCommand
from zoo.results import Column, Table


@COMMANDS.register
class Peaks(StudyCommand):
    """Train the configured model for each seed, and list what each task reaches."""

    name = "peaks"
    seeds = (0,)

    def jobs(self, run):
        return [TrainingJob("network", seed) for seed in run.seeds]

    def evaluate(self, run):
        result = run.result(self.name, "Peaks", [])
        columns = [Column("seed", "seed", "integer"), Column("task", "task"), Column("value", "value", "number")]
        rows = [
            {"seed": job.seed, "task": task, "value": primary(done, "test", task)}
            for job, done in run.trained.finished.items()
            for task in done.info["tasks"]
        ]
        result.tables.append(Table("peaks", "What each task reaches", columns, rows))
        return result
'''
CONFIG = """
seed_everything: 0
{plugins}
trainer:
  accelerator: cpu
  devices: 1
  max_epochs: {epochs}
  log_every_n_steps: 1
  num_sanity_val_steps: 0
  enable_model_summary: false
  enable_progress_bar: false
  callbacks:
    - class_path: ModelCheckpoint
      init_args: {{dirpath: kept, filename: best, monitor: val/skill, mode: max}}
  logger: {{class_path: lightning.pytorch.loggers.CSVLogger, init_args: {{save_dir: runs, name: {name}}}}}
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    sampling: {{batch_size: 16}}
    sources: [{{class_path: MadeUpSpectra, init_args: {{n: 120}}}}]
    processing:
      generated:
        notes:
          class_path: datamodules.synthesis.GeneratedModality
          init_args: {{generator: {{class_path: NurseNotes, init_args: {{old: 55}}}}, inputs: {{metadata: patient}}}}
      processors:
        notes:
          class_path: RecordProcessor
          init_args: {{numbers: [], raw_numbers: [], categories: [old], lists: {{}}}}
model:
{model}
"""
NETWORK_MODEL = """
  class_path: zoo.MultitaskModule
  init_args:
    encoders:
      spectrum: {class_path: SpectrumEncoder, init_args: {dim: 8}}
      tabular: {class_path: MLPEncoder, init_args: {dim: 8, hidden: [8]}}
    fusion: SumFusion
    weighting: HalvingWeighting
"""
LINEAR_MODEL = """
  class_path: LinearModel
  init_args: {learning_rate: 0.05}
"""
MODULES = {"data": DATA, "task": TASK, "network": NETWORK, "generator": GENERATOR, "model": MODEL, "command": COMMAND}
REGISTERED = {
    "source": "MadeUpSpectra",
    "modality kind": "spectrum",
    "processor": "SpectrumProcessor",
    "task kind": "count",
    "encoder": "SpectrumEncoder",
    "fusion": "SumFusion",
    "weighting": "HalvingWeighting",
    "generator": "NurseNotes",
    "model": "LinearModel",
    "command": "peaks",
}
"""What the package registers, by the family that it belongs to."""


def write_package(folder: Path) -> None:
    """Write the package my_spectra into a folder."""
    package = folder / "my_spectra"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Mass spectra for the zoo."""\n')
    for name, text in MODULES.items():
        (package / f"{name}.py").write_text(dedent(text).lstrip())


def install_package(folder: Path) -> None:
    """Write what an installer would leave beside the package: its entry point."""
    told = folder / "my_spectra-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: my-spectra\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[multimodal_zoo]\nspectra = my_spectra\n")


def write_config(path: Path, *, linear: bool, plugins: str = "") -> None:
    """Write a configuration.

    Args:
        path: of the file.
        linear: whether the model is LinearModel, else a network of the package's parts.
        plugins: a line of YAML, such as "plugins: [my_spectra]"; "" names none.
    """
    model = (LINEAR_MODEL if linear else NETWORK_MODEL).strip("\n")
    path.write_text(CONFIG.format(plugins=plugins, name=path.stem, model=model, epochs=30 if linear else 2))
