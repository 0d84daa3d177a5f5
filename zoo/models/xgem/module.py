"""XGeM: any modality of a row from any others."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from zoo.carried import Box
from zoo.contract import Batch, ModalitySpec, Output, TaskSpec, by_name
from zoo.data import DataModule
from zoo.encoders.base import Encoder
from zoo.errors import SpecError, unknown_name
from zoo.generation.diffusion.process import DiffusionOptions
from zoo.generation.request import GenerationRequest
from zoo.models.base import MODELS
from zoo.models.staged import StagePlan, digest_of
from zoo.models.xgem.latents import LatentBatch
from zoo.models.xgem.options import PromptOptions, StageOptions, XGeMTraining
from zoo.models.xgem.parts import AutoencoderFactory, DenoiserFactory, Parts
from zoo.models.xgem.sampling import make
from zoo.models.xgem.stage_data import StageData
from zoo.models.xgem.stages.alignment import AlignmentStage
from zoo.models.xgem.stages.autoencoders import AutoencoderStage
from zoo.models.xgem.stages.base import Stage
from zoo.models.xgem.stages.denoisers import DenoiserStage
from zoo.models.xgem.stages.prompts import PromptStage
from zoo.training.collector import Evaluation
from zoo.training.loss_table import world_size
from zoo.training.optim import make_optimizer, make_schedule


@MODELS.register
class XGeM(L.LightningModule):
    """Make any modalities of a row from any others, one or several at once (XGeM: Molino et al. 2025).

    Prompt encoders bring every modality into one space; an autoencoder gives each modality latents; a denoiser for
    each modality makes latents, told the sum of the vectors of any others; and denoisers that run beside each other
    attend to each other's latents. Each is a stage of the training, see XGeMTraining. Rows take part in a stage with
    what they have: a study without a report trains the views.

    Args:
        modalities: specs of the inputs; linked from the data by the CLI.
        tasks: specs of the tasks of the data, which the model does not predict.
        encoders: modality name, or kind, -> prompt encoder class or factory.
        autoencoders: modality name, or kind, -> autoencoder class or factory.
        denoisers: modality name, or kind, -> denoiser class or factory.
        prompts: width, pairs and subsets of the prompts.
        diffusion: the noise schedule, and what denoisers predict.
        training: the stages.

    Raises:
        SpecError, UnknownNameError: fewer than two modalities, or a part that does not fit.
    """

    def __init__(
        self,
        modalities: list[ModalitySpec],
        tasks: list[TaskSpec],
        encoders: dict[str, Callable[[ModalitySpec], Encoder]] | None = None,
        autoencoders: dict[str, AutoencoderFactory] | None = None,
        denoisers: dict[str, DenoiserFactory] | None = None,
        prompts: PromptOptions = PromptOptions(),
        diffusion: DiffusionOptions = DiffusionOptions(),
        training: XGeMTraining = XGeMTraining(),
    ) -> None:
        super().__init__()
        self.modalities = by_name(modalities)
        self.tasks: dict[str, TaskSpec] = {}
        self.evaluation = Evaluation(self.tasks)
        self.training_options = training
        self.parts = Parts(
            self.modalities, encoders or {}, autoencoders or {}, denoisers or {}, prompts, diffusion, training
        )
        self._stages = self._make_stages()
        unknown = [n for n in [*(training.by_part or {}), *(training.only or [])] if n not in self._stages]
        if unknown:
            raise unknown_name("stage under model.training", unknown[0], self._stages)
        self._current: Stage | None = None
        self._identities: dict[str, dict[str, Any]] = {}
        self._digest = ""
        self._average: Any = None
        self._kept_average: Any = None
        self.strict_loading = False  # the checkpoint of a stage holds its own weights alone
        self.requires_grad_(False).eval()

    # -- stages ----------------------------------------------------------------------------------------------

    def _make_stages(self) -> dict[str, Stage]:
        parts, told = self.parts, self.training_options
        found: list[Stage] = [PromptStage(parts, "prompts", told.prompts)]
        for key, net in parts.autoencoders.items():
            name = f"autoencoder.{key}"
            if net.learns:
                found.append(AutoencoderStage(parts, name, self._options(name, told.autoencoders), key=key))
        first = tuple(s.name for s in found)
        for m in self.modalities:
            name = f"denoiser.{m}"
            found.append(DenoiserStage(parts, name, self._options(name, told.denoisers), modality=m))
            found[-1].needs = first
        if told.alignment.steps:
            found.append(AlignmentStage(parts, "alignment", told.alignment))
            found[-1].needs = tuple(s.name for s in found[:-1])
        return {s.name: s for s in found}

    def _options(self, name: str, default: StageOptions) -> StageOptions:
        return (self.training_options.by_part or {}).get(name, default)

    @property
    def stages_folder(self) -> str:
        """Where finished stages are kept; "" leaves it to the command line."""
        return self.training_options.folder

    def plan(self) -> list[StagePlan]:
        """The stages in order."""
        only = self.training_options.only
        return [
            StagePlan(s.name, s.options.steps, s.options.checkpoint_every, s.needs, only is None or s.name in only)
            for s in self._stages.values()
        ]

    def identity(self, stage: str, config: Mapping[str, Any], data: DataModule) -> dict[str, Any]:
        """All that the result of a stage depends on: its options, its parts, the data, and the stages before it."""
        if stage in self._identities:
            return self._identities[stage]
        one = self._stages[stage]
        options = {k: v for k, v in asdict(one.options).items() if k != "checkpoint_every"}
        self._digest = self._digest or data_digest(data)
        needed = {n: digest_of(self.identity(n, config, data)) for n in one.needs}
        self._identities[stage] = {
            "stage": stage,
            "options": options,
            "parts": one.describe(config),
            "seed": self.parts.seed,
            "data": self._digest,
            "needs": needed,
        }
        return self._identities[stage]

    def begin(self, stage: str, data: DataModule, folder: Path) -> StageData:
        """Make ready to be fitted to a stage, and return its data."""
        one = self._stages[stage]
        self._current = one
        self._average = self._kept_average = None
        self.requires_grad_(False)
        for part in one.trained().values():
            part.requires_grad_(True)
        if one.looks_at():
            given: Any = data
            one.learn({m: given.training_inputs(m).to(self.device) for m in one.looks_at()})
        before = [v for k, v in self._identities.items() if k.startswith(("prompts", "autoencoder."))]
        return StageData(data, one, self.encode, self.parts.seed, folder / f"latents-{digest_of(before)}")

    def end(self, stage: str) -> None:
        """Take the averaged weights, where there are some, and freeze everything."""
        if self._average is not None:
            self._average.copy_to(self._trained_parameters())
        self._average = self._current = None
        self.requires_grad_(False).eval()

    def stage_weights(self, stage: str) -> dict[str, Tensor]:
        """The weights that a stage trains, by name."""
        found: dict[str, Tensor] = {}
        for prefix, part in self._stages[stage].trained().items():
            found |= {f"{prefix}.{k}": v.detach().cpu().clone() for k, v in part.state_dict().items()}
        return found

    def take_stage(self, stage: str, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a finished stage.

        Raises:
            SpecError: they are not those of the stage.
        """
        mine = set(self.stage_weights(stage))
        if mine != set(weights):
            odd = sorted(mine ^ set(weights))[:3]
            raise SpecError(f"the weights of the stage '{stage}' do not fit the model: {odd}; delete its folder")
        self.parts.load_state_dict(dict(weights), strict=False)

    # -- training --------------------------------------------------------------------------------------------

    def _stage(self) -> Stage:
        if self._current is None:
            raise SpecError("XGeM is trained in stages; fit it by the command line, or by experiments.core.staged")
        return self._current

    def _trained_parameters(self) -> list[torch.nn.Parameter]:
        return [p for part in self._stage().trained().values() for p in part.parameters()]

    def configure_optimizers(self) -> Any:
        """AdamW over what the stage trains, with warm-up and a cosine."""
        told = self._stage().options
        optimizer = make_optimizer(self, told.learning_rate, told.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, make_schedule("cosine", told.steps, told.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """Let the stage look at the latents of the training rows, and begin to average weights."""
        stage = self._stage()
        if stage.on_latents:
            loader: Any = self.trainer.train_dataloader
            stage.look(loader.rows)
        for part in stage.trained().values():
            part.train()
        if stage.options.ema:
            from diffusers.training_utils import EMAModel

            self._average = EMAModel(self._trained_parameters(), decay=stage.options.ema)
            if self._kept_average is not None:
                self._average.load_state_dict(self._kept_average)
                self._kept_average = None
            self._average.to(self.device)

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        """Update the weights, and their average."""
        super().optimizer_step(*args, **options)
        if self._average is not None:
            self._average.step(self._trained_parameters())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """One step of the stage."""
        stage = self._stage()
        found = stage.losses(batch, f"step {self.global_step}", self.global_step / max(stage.options.steps, 1))
        loss = found["loss"]
        if world_size() > 1:  # parts that no row of this process needed still join the graph
            loss = loss + 0.0 * sum(p.float().sum() for p in self._trained_parameters())
        self._log(stage, "train", found, len(batch))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """The same loss on validation rows, with the same random numbers each time."""
        if len(batch):
            stage = self._stage()
            self._log(stage, "val", stage.losses(batch, "validation", 1.0), len(batch))

    def _log(self, stage: Stage, split: str, found: Mapping[str, Tensor], rows: int) -> None:
        for name, value in found.items():
            self.log(
                f"{split}/{stage.name}/{name}",
                value.detach(),
                batch_size=rows,
                prog_bar=name == "loss",
                sync_dist=split == "val",
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the stage trains, and its average: what stands before is kept elsewhere, the rest may change."""
        stage = self._stage()
        own = [f"parts.{name}." for name in stage.trained()]
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k.startswith(tuple(own))}
        if self._average is not None:
            checkpoint["average"] = self._average.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the averaged weights until the fit begins."""
        self._kept_average = checkpoint.get("average")

    # -- use -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, batch: Batch) -> LatentBatch:
        """Latents and prompt vectors of what the rows of a batch have."""
        latents, prompts, present = {}, {}, {}
        for m, spec in self.modalities.items():
            x = batch.inputs.get(m)
            if x is None:
                kind = torch.long if spec.is_integer else torch.float32
                x = torch.zeros((0, *spec.shape), dtype=kind, device=self.device)
            present[m] = batch.present.get(m, torch.zeros(len(batch), dtype=torch.bool, device=self.device))
            latents[m] = self.parts.autoencoder(m).encode(x)
            prompts[m] = self.parts.prompts.vectors(m, x)
        return LatentBatch(latents, prompts, present, batch.ids)

    def predict(self, batch: Batch) -> Output:
        """Nothing: the model has no tasks. Its vectors are the mean prompt vectors of what each row has."""
        told = self.encode(batch)
        total = torch.zeros((len(batch), self.parts.prompts.dim), device=self.device)
        for m, mask in told.present.items():
            total[mask] += told.prompts[m]
        count = torch.stack(list(told.present.values())).sum(0)
        return Output(streams={"prompts": total / count.clamp_min(1).unsqueeze(1)}, available={"prompts": count > 0})

    def generate(self, batch: Batch, request: GenerationRequest, *, draw: int = 0) -> dict[str, Tensor]:
        """Make modalities of every row from others that it has: see zoo.models.base.Generates.

        Args:
            batch: rows with any modalities; those that are made are not looked at.
            request: what is to be made.
            draw: number of the draw.

        Raises:
            SpecError, UnknownNameError: the model does not make this.
        """
        return make(self.parts, self.encode(batch), request, draw, self.device)


def data_digest(data: DataModule) -> str:
    """Twelve letters that stand for the training rows and the preprocessing of a data module."""
    given: Any = data
    pipeline = given.pipeline
    with tempfile.TemporaryDirectory() as folder:
        state, arrays = given.preprocessing().state(Box(Path(folder)))
    found = hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode())
    for name in sorted(arrays):
        found.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    for row in pipeline.rows["train"]:
        found.update(pipeline.join.id(int(row)).encode())
    return found.hexdigest()[:12]
