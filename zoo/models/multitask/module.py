"""MultitaskModule: encoders, fusion, heads and the lambda table under one LightningModule."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from zoo.contract import FUSED, MODALITIES, TASKS, Batch, ModalitySpec, Output, TaskSpec, Tokens, by_name
from zoo.encoders.base import Encoder
from zoo.encoders.choice import make_encoders, sharing_groups
from zoo.errors import SpecError, unknown_name
from zoo.fusion.base import Fusion
from zoo.fusion.concat import ConcatFusion
from zoo.models.base import MODELS
from zoo.models.multitask.combine import combine_streams
from zoo.models.multitask.join_graph import JoinGraph
from zoo.models.multitask.modality_dropout import drop_modalities
from zoo.models.multitask.options import HeadFactory, HeadOptions, OptimisationOptions, TrainingOptions
from zoo.models.multitask.training_rows import give_examples, give_inputs
from zoo.tasks.base import Head, TaskKind, task_kind
from zoo.training.collector import Evaluation
from zoo.training.loss_table import LossTable, world_size
from zoo.training.losses import ClassLoss, bind_losses, fit_losses
from zoo.training.mixing import ImageMixing
from zoo.training.optim import is_prefix, make_optimizer, make_schedule
from zoo.training.refinement import still
from zoo.weighting.base import Weighting
from zoo.weighting.fixed import FixedWeighting


def _is_code(value: Any) -> bool:
    """Whether a hyperparameter holds classes, functions or objects, which weights_only does not unpickle."""
    return callable(value) or (isinstance(value, dict) and any(callable(v) for v in value.values()))


@MODELS.register
class MultitaskModule(L.LightningModule):
    """Learn many tasks from many modalities (MultiMed, Eqs. 2-7).

        L = sum_t sum_s lambda[t, s] * mean_i loss_t(head[t, s](stream_s(i)), y_t(i))

    over the rows i where task t is labelled and stream s is available.

    Args:
        modalities: specs of the inputs; linked from the data by the CLI.
        tasks: specs of the tasks; linked from the data by the CLI.
        encoders: modality name, or kind, -> encoder class or factory; a name goes before its kind. Kinds
            that are not listed take their default encoder.
        fusion: fusion class or factory.
        weighting: how lambda is made; None is FixedWeighting.
        heads: which heads turn stream vectors into logits.
        optimisation: optimizer, learning rates and their schedule.
        training: losses, mixing of images, modality dropout, a second stage, and encoders that are shared.

    Encoders, fusion, weighting, heads, losses, refinement and mixing that are given as Python objects are not stored
    in checkpoints: pass them to ``load_from_checkpoint`` again. Those from YAML are.

    Raises:
        SpecError, UnknownNameError: a modality without encoder, encoders that cannot be shared, ...

    Warns:
        UserWarning: an encoder for a modality that is not here (misspelt, or left out by data.modalities); a loss, a
            learning rate or a part to freeze of a modality or task that is not here; nothing to mix.
    """

    _epoch_sums: Tensor
    _epoch_counts: Tensor

    def __init__(
        self,
        modalities: list[ModalitySpec],
        tasks: list[TaskSpec],
        encoders: dict[str, Callable[[ModalitySpec], Encoder]] | None = None,
        fusion: Callable[[dict[str, int]], Fusion] = ConcatFusion,
        weighting: Weighting | None = None,
        heads: HeadOptions = HeadOptions(),
        optimisation: OptimisationOptions = OptimisationOptions(),
        training: TrainingOptions = TrainingOptions(),
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # config.yaml says it all; loggers cannot write specs
        self._keep_data_only()
        self.modalities = by_name(modalities)
        self.tasks = by_name(tasks)
        self.head_options, self.optimisation = heads, optimisation
        self.modality_dropout = training.modality_dropout
        self._check_tasks()
        self._group = sharing_groups(self.modalities, training.shared_encoders or [])
        made = make_encoders(self.modalities, encoders or {}, self._group)
        self.marks = nn.ParameterDict({m: nn.Parameter(torch.zeros(made[g].dim)) for m, g in self._group.items()})
        self.encoders = nn.ModuleDict(made)
        dims = {m: self._encoder(m).dim for m in self.modalities}
        self.fusion = fusion(dims)
        if not isinstance(self.fusion, Fusion):
            raise SpecError(f"fusion must make a Fusion, got {type(self.fusion).__name__}")
        self.fusion.bind(tuple(self.tasks))
        if self.fusion.reads_embeddings:
            self._freeze_trunks()
        self.evaluation = Evaluation(self.tasks)
        self.kinds: dict[str, TaskKind] = self.evaluation.kinds
        self.cells = {(t, s): self._is_cell(t, s) for t in self.tasks for s in self.fusion.stream_names}
        self.heads = nn.ModuleDict(self._make_heads(dims, heads))
        self.losses = LossTable(self.kinds, self.fusion.stream_names)
        # Sums of the running epoch: in checkpoints, for a resume in mid-epoch; each rank has its own.
        self.register_buffer("_epoch_sums", torch.zeros_like(self.losses.sums))
        self.register_buffer("_epoch_counts", torch.zeros_like(self.losses.counts))
        own = [n for n, _ in self.named_buffers() if n.startswith(("losses.", "_epoch_"))]
        cast(Any, DistributedDataParallel)._set_params_and_buffers_to_ignore_for_model(self, own)
        self.weighting = weighting or FixedWeighting()
        self.weighting.bind(tuple(self.tasks), self.fusion.stream_names, self.cells)
        self.automatic_optimization = not getattr(self.weighting, "manual_backward_needed", False)
        if not self.automatic_optimization:
            print(cast(Any, self.weighting).cost_note(len(self.tasks)))
        self.manual_clip = 1.0
        self.class_losses = bind_losses(training.losses or {}, self.tasks, "model.training.losses")
        self.refinement = training.refinement
        later = self.refinement.losses if self.refinement is not None else None
        self.refined_losses = bind_losses(later or {}, self.tasks, "model.training.refinement.losses")
        self._frozen = self.refinement.prefixes(self) if self.refinement is not None else ()
        self.learning_rates = self._check_rates(optimisation.learning_rates or {})
        self.mixing = self._check_mixing(training.mixing)

    # -- construction --------------------------------------------------------------------------------------

    def _keep_data_only(self) -> None:
        """Take Python objects out of the hyperparameters: a checkpoint holds data only, and loads safely."""
        for name in ("encoders", "fusion", "weighting"):
            if _is_code(self.hparams.get(name)):  # not from YAML
                del self.hparams[name]
        for name in ("heads", "training"):
            options = self.hparams.get(name)
            if isinstance(options, HeadOptions | TrainingOptions):  # not from YAML
                self.hparams[name] = options.storable()

    def _check_tasks(self) -> None:
        for task in self.tasks.values():
            for m in (*task.modalities, *([task.reads] if task.reads else [])):
                if m not in self.modalities:
                    raise unknown_name(f"modality of task '{task.name}'", m, self.modalities)

    def _encoder(self, modality: str) -> Encoder:
        return self.encoders[self._group.get(modality, modality)]  # type: ignore[return-value]

    def _freeze_trunks(self) -> None:
        """With early fusion only the embeddings of the encoders are used; leave the rest out of training."""
        for encoder in self.encoders.values():
            used = {id(p) for p in encoder.embed_parameters()}  # type: ignore[operator]
            for p in encoder.parameters():
                p.requires_grad_(id(p) in used)

    def _check_rates(self, given: Mapping[str, float]) -> dict[str, float]:
        """The learning rates of prefixes that the module has."""
        for prefix, rate in given.items():
            if not (math.isfinite(rate) and rate > 0):
                raise SpecError(
                    f"model.optimisation.learning_rates['{prefix}'] must be a positive number, got {rate}"
                )
        return {p: rate for p, rate in given.items() if is_prefix("model.optimisation.learning_rates", p, self)}

    def _check_mixing(self, mixing: ImageMixing | None) -> ImageMixing | None:
        """Refuse labels that cannot be mixed now, not in the first step."""
        if mixing is None:
            return None
        if not any(MODALITIES.get(spec.kind).pixels for spec in self.modalities.values()):
            warnings.warn("model.training.mixing: no modality is an image; it is not used", stacklevel=3)
            return None
        mixing.bind(self.tasks, self.modalities)
        return mixing

    def _is_cell(self, task: str, stream: str) -> bool:
        return stream == FUSED or self.tasks[task].uses(stream)

    def _make_heads(self, dims: Mapping[str, int], options: HeadOptions) -> dict[str, nn.ModuleDict]:
        """Task -> stream -> head."""
        given = options.by_task or {}
        kinds = {spec.kind for spec in self.tasks.values()}
        for key in given:
            if key not in self.tasks and key not in TASKS:
                error = unknown_name("task or kind under model.heads.by_task", key, {*self.tasks, *kinds})
                warnings.warn(f"{error}; its head is not used", stacklevel=3)
        return {
            t: nn.ModuleDict(
                {
                    s: self._make_head(t, dims, options, given.get(t) or given.get(spec.kind))
                    for s in self.fusion.stream_names
                    if self.cells[(t, s)]
                }
            )
            for t, spec in self.tasks.items()
        }

    def _make_head(
        self, task: str, dims: Mapping[str, int], options: HeadOptions, factory: HeadFactory | None
    ) -> Head:
        spec = self.tasks[task]
        width = dims[spec.reads] if spec.reads else 0
        if factory is None:
            return self.kinds[task].head(self.fusion.dim, width, hidden=options.hidden, dropout=options.dropout)
        head = factory(spec, self.fusion.dim, width)
        if not isinstance(head, Head):
            raise SpecError(f"model.heads.by_task must make a Head for task '{task}', got {type(head).__name__}")
        return head

    # -- forward -------------------------------------------------------------------------------------------

    def _encode(self, batch: Batch) -> dict[str, Tokens]:
        tokens: dict[str, Tokens] = {}
        waiting: dict[str, list[str]] = {}
        for name in self.modalities:
            if name in batch.inputs and len(batch.inputs[name]):
                waiting.setdefault(self._group.get(name, name), []).append(name)
        for key, names in waiting.items():
            encoder: Any = self.encoders[key]
            parts = [batch.inputs[n] for n in names]
            x = parts[0] if len(parts) == 1 else torch.cat(parts)
            if self.fusion.reads_embeddings:
                values, mask = encoder.embed(x)
                out = Tokens(values, mask, values.new_zeros((len(values), encoder.dim)))
            else:
                out = encoder(x)
            start = 0
            for n, part in zip(names, parts, strict=True):
                piece = slice(start, start + len(part))
                start += len(part)
                values, pooled = out.values[piece], out.pooled[piece]
                if n in self.marks:
                    values, pooled = values + self.marks[n], pooled + self.marks[n]
                tokens[n] = Tokens(values, out.mask[piece], pooled)
        return tokens

    def forward(self, batch: Batch, labelled_only: bool = False) -> Output:
        """Map a Batch to an Output.

        Args:
            batch: packed rows; modalities may be absent altogether.
            labelled_only: run each head on the rows that carry its label, and predict nothing (training).
        """
        tokens = self._encode(batch)
        streams = self.fusion(tokens, batch.present)
        output = Output({}, {}, streams.vectors, streams.available)
        for t, task in self.tasks.items():
            allowed = batch.observed[t] if labelled_only else torch.ones_like(batch.observed[t])
            absent = torch.zeros_like(allowed)
            if task.reads:
                allowed = allowed & batch.present.get(task.reads, absent)
            if task.modalities:
                allowed = allowed & torch.stack([batch.present.get(m, absent) for m in task.modalities]).any(0)
            for s in self.fusion.stream_names:
                if self.cells[(t, s)]:
                    self._apply_head(t, s, allowed, tokens, batch, output)
        if not labelled_only:
            self._combine(output, len(batch))
        return output

    def _apply_head(
        self, t: str, s: str, allowed: Tensor, tokens: dict[str, Tokens], batch: Batch, output: Output
    ) -> None:
        rows = (allowed & output.available[s]).nonzero().squeeze(1)
        if len(rows) == 0:
            return
        read: Tokens | None = None
        name = self.tasks[t].reads
        if name:
            where = (batch.present[name].cumsum(0) - 1)[rows]
            whole = tokens[name]
            read = Tokens(whole.values[where], whole.mask[where], whole.pooled[where], batch.inputs[name][where])
        head: Any = self.heads[t]
        output.logits[(t, s)] = head[s](output.streams[s][rows], read)
        output.rows[(t, s)] = rows

    def _combine(self, output: Output, size: int) -> None:
        """Fill ``output.predictions``: the fused stream, or the streams combined (MultiMed, Eq. 4)."""
        for t, kind in self.kinds.items():
            combined = combine_streams(t, kind, self.fusion, output, size)
            if combined is not None:
                output.predicted[t], output.predictions[t] = combined

    # -- steps ---------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Ask the data module for what losses and heads need to know, and check the length of the training."""
        if stage != "fit":
            return
        trainer: Any = self.trainer
        fit_losses(trainer.datamodule, self.class_losses, self.refined_losses)
        give_examples(trainer.datamodule, self.tasks, self.heads)
        give_inputs(trainer.datamodule, self.encoders, {m: self._group.get(m, m) for m in self.modalities})
        if self.refinement is not None:
            self.refinement.first_epoch(trainer)

    @property
    def refining(self) -> bool:
        """Whether training has come to the second stage."""
        if self.refinement is None:
            return False
        return self.trainer.current_epoch >= self.refinement.first_epoch(self.trainer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Test and predict with averaged weights where the checkpoint holds them.

        WeightAveraging of Lightning would put back those that were trained, for a test in the process of the fit.
        """
        fitting = self._trainer is not None and self.trainer.state.fn == "fit"
        if not fitting and "current_model_state" in checkpoint:
            checkpoint["current_model_state"] = checkpoint["state_dict"]

    def on_fit_start(self) -> None:
        """Refuse weight averaging over integer buffers: rounded column numbers would read other columns."""
        trainer: Any = self.trainer
        averages = [c for c in trainer.callbacks if getattr(c, "_use_buffers", False)]
        names = [n for n, b in self.named_buffers() if not b.is_floating_point() and b.dtype != torch.bool]
        if averages and names:
            raise SpecError(
                f"{type(averages[0]).__name__} would average the integer buffers {names} and so corrupt them; "
                "give it use_buffers: false"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step: the weighted loss of a batch."""
        if self.modality_dropout > 0:
            read = {task.reads for task in self.tasks.values()}
            batch = drop_modalities(batch, self.modality_dropout, keep=read)
        refining = self.refining
        if self.mixing is not None and (not refining or (self.refinement is not None and self.refinement.mixing)):
            batch = self.mixing(batch, self.tasks, self.modalities)
        with still(self, self._frozen if refining else ()):
            output = self(batch, labelled_only=True)
            table, active = self.losses.step(output, batch, self._losses_now(refining))
            if not self.automatic_optimization:
                return self._manual_step(table, active)
            loss: Tensor = self.weighting(table, active)
            if self.fusion.trains_combination:
                loss = loss + self._combination_loss(output, batch)
        self.losses.add_total(loss)
        if world_size() > 1 or not loss.requires_grad:  # no cell of this batch has rows
            loss = JoinGraph.apply(loss, *(p for p in self.parameters() if p.requires_grad))
        self._log_losses(len(batch))
        return loss

    def _losses_now(self, refining: bool) -> Mapping[str, ClassLoss]:
        """The losses of the stage, for tasks that do not take that of their kind."""
        losses: Any = {**self.class_losses, **(self.refined_losses if refining else {})}
        return cast(Mapping[str, ClassLoss], losses)

    def _combination_loss(self, output: Output, batch: Batch) -> Tensor:
        """Loss of the combined predictions, which trains the weights of LateFusion("learned")."""
        total = torch.zeros((), device=self.device)
        for t, kind in self.kinds.items():
            combined = combine_streams(t, kind, self.fusion, output, len(batch), detach=True)
            if combined is not None and combined[1].requires_grad:
                rows, prediction = combined
                target = batch.targets[t][(batch.observed[t].cumsum(0) - 1)[rows]]
                total = total + kind.combination_loss(prediction, target).mean()
        return total

    def _manual_step(self, table: Tensor, active: Tensor) -> Tensor:
        """Aggregate the gradients of the tasks (torchjd) instead of adding their losses."""
        if world_size() > 1:
            raise SpecError("gradient aggregators train in one process; use a scalar weighting with DDP")
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        weighting: Any = self.weighting
        heads = [p for p in self.heads.parameters() if p.requires_grad]
        shared = [p for m in (self.encoders, self.marks, self.fusion) for p in m.parameters() if p.requires_grad]
        weighting.aggregate_backward(weighting.objectives(table, active), shared, heads)
        if self.manual_clip > 0:
            self.clip_gradients(optimizer, self.manual_clip, "norm")
        optimizer.step()
        scheduler: Any = self.lr_schedulers()
        if scheduler is not None:
            scheduler.step()
        loss: Tensor = self.weighting(table.detach(), active).detach()
        self.losses.add_total(loss)
        self._log_losses(int(active.sum()))
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Give parameters that no row reached a zero gradient, as DDP does, so that both train alike."""
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)

    def _log_losses(self, size: int) -> None:
        trainer: Any = self.trainer
        if (trainer.fit_loop.epoch_loop.batch_idx + 1) % max(trainer.log_every_n_steps, 1) != 0:
            return
        means, counts, total = self.losses.drain()
        self._epoch_sums += means * counts
        self._epoch_counts += counts
        values = {"train/loss": total}
        for i, t in enumerate(self.tasks):
            values[f"train/{t}/loss"] = float((means[i] * counts[i]).sum() / counts[i].sum().clamp_min(1.0))
        self.log("train/loss", total, prog_bar=True, batch_size=max(size, 1))
        self.log_dict({k: v for k, v in values.items() if k != "train/loss"}, batch_size=max(size, 1))

    def on_train_epoch_start(self) -> None:
        """Begin to gather the losses of an epoch."""
        self._epoch_sums.zero_()
        self._epoch_counts.zero_()

    def on_train_epoch_end(self) -> None:
        """Tell the weighting the mean losses of the epoch, and log lambda."""
        means, counts, _ = self.losses.drain()
        self._epoch_sums += means * counts
        self._epoch_counts += counts
        self.weighting.on_train_epoch_end(
            self._epoch_sums / self._epoch_counts.clamp_min(1.0), self._epoch_counts > 0
        )
        table = self.weighting.table()
        self.log_dict(
            {
                f"lambda/{t}/{s}": float(table[i, j])
                for i, t in enumerate(self.tasks)
                for j, s in enumerate(self.fusion.stream_names)
                if self.cells[(t, s)]
            }
        )

    def predict(self, batch: Batch) -> Output:
        """Predict every task for every row that it can be predicted for, in the mode that the module is in."""
        output: Output = self(batch)
        return output

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect predictions."""
        self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect predictions."""
        self._evaluate(batch)

    def _evaluate(self, batch: Batch) -> None:
        if len(batch):
            self.evaluation.add(self(batch), batch)

    def on_validation_epoch_end(self) -> None:
        """Log every metric as val/task/metric, and feed the skills back to the weighting."""
        skills = self.evaluation.end(self, "val")
        if not self.trainer.sanity_checking:
            self.weighting.on_validation_end(skills)

    def on_test_epoch_end(self) -> None:
        """Log every metric as test/task/metric."""
        self.evaluation.end(self, "test")

    def new_head(self, task: TaskSpec) -> Head:
        """A head for ``task`` with the hidden width of the module's own, and the weights of one of the same task.

        Weights are taken over where their names and shapes are the same.
        """
        head = task_kind(task).head(self.fusion.dim, 0, hidden=self.head_options.hidden)
        if task.name in self.heads:
            trained = next(iter(cast(nn.ModuleDict, self.heads[task.name]).values())).state_dict()
            mine = head.state_dict()
            fits = {n: v for n, v in trained.items() if n in mine and mine[n].shape == v.shape}
            head.load_state_dict(fits, strict=False)
        return head

    # -- optimiser -----------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """Of parameters without a rate of their own; Lightning's LearningRateFinder reads and sets it."""
        return self.optimisation.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.optimisation = replace(self.optimisation, learning_rate=value)
        self.hparams["optimisation"] = self.optimisation

    def configure_optimizers(self) -> Any:
        """The optimizer (AdamW, fused where every parameter allows it), and a schedule a step."""
        options = self.optimisation
        optimizer = make_optimizer(
            self,
            options.learning_rate,
            options.weight_decay,
            plain=self.weighting.parameters(),
            learning_rates=self.learning_rates,
            frozen=self._frozen,
            optimizer=options.optimizer,
            fused=self._trainer is None or "mixed" not in str(self.trainer.precision),
        )
        factor: Any
        if self.refinement is not None:
            factor = self.refinement.schedules(optimizer, self.trainer, options.schedule, options.warmup)
        elif options.schedule == "constant" and options.warmup <= 0:
            return optimizer
        else:
            factor = make_schedule(options.schedule, self.trainer.estimated_stepping_batches, options.warmup)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
