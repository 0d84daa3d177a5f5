"""What Lightning costs, and what packed rows save: milliseconds a step, in one process with one thread."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console
from rich.table import Table
from torch import Tensor

from zoo.contract import Batch, ModalitySpec, Sample, TaskSpec, Tokens, collate
from zoo.encoders.vit import ViTEncoder
from zoo.models.multitask.module import MultitaskModule
from zoo.models.multitask.options import OptimisationOptions, TrainingOptions

TASKS = 11
MODALITIES = 10


def make_batches(
    size: int, batch_size: int, count: int, presence: float, seed: int = 0
) -> tuple[list[Batch], list[ModalitySpec], list[TaskSpec]]:
    """Random (simulated) batches of ten image modalities and eleven four-class tasks.

    Args:
        size: side of the images, in pixels.
        batch_size: rows a batch.
        count: number of batches.
        presence: share of rows that have a modality.
        seed: of the draws.
    """
    specs = [ModalitySpec(f"m{k}", "image", (1, size, size)) for k in range(MODALITIES)]
    tasks = [TaskSpec(f"t{k}", "classification", 4) for k in range(TASKS)]
    g = torch.Generator().manual_seed(seed)
    batches = []
    for b in range(count):
        samples = []
        for i in range(batch_size):
            has = torch.rand(MODALITIES, generator=g) < presence
            has[int(torch.randint(MODALITIES, (1,), generator=g))] |= not bool(has.any())
            inputs = {
                s.name: torch.randn(s.shape, generator=g) for s, h in zip(specs, has.tolist(), strict=True) if h
            }
            labels = torch.randint(4, (TASKS,), generator=g)
            seen = torch.rand(TASKS, generator=g) < 0.5
            targets = {t.name: labels[k] for k, t in enumerate(tasks) if bool(seen[k])}
            samples.append(Sample(f"{b}/{i}", inputs, targets))
        batches.append(collate(samples, specs, tasks))
    return batches, specs, tasks


def make_module(
    specs: list[ModalitySpec], tasks: list[TaskSpec], dim: int, depth: int, patch: int, shared: bool
) -> Any:
    """A module with one ViT a modality, or one for all.

    Args:
        specs: of the modalities.
        tasks: specs of the tasks.
        dim: width of the tokens.
        depth: layers of each ViT.
        patch: side of a patch, in pixels.
        shared: whether one ViT serves all modalities.
    """
    torch.manual_seed(0)
    return MultitaskModule(
        modalities=specs,
        tasks=tasks,
        encoders={"image": partial(ViTEncoder, dim=dim, depth=depth, heads=4, patch_size=patch)},
        training=TrainingOptions(shared_encoders=[[s.name for s in specs]] if shared else None),
        optimisation=OptimisationOptions(schedule="constant", warmup=0.0),
    )


class ZeroFilled(MultitaskModule):
    """The same model over zero-filled rows: every encoder runs on all B rows, absent ones are zeros."""

    def _encode(self, batch: Batch) -> dict[str, Tokens]:
        full = {}
        for m, x in batch.inputs.items():
            dense = x.new_zeros((len(batch), *x.shape[1:]))
            dense[batch.present[m]] = x
            full[m] = dense
        everyone = {m: torch.ones_like(p) for m, p in batch.present.items()}
        tokens = super()._encode(replace(batch, inputs=full, present=everyone))
        return {
            m: Tokens(t.values[batch.present[m]], t.mask[batch.present[m]], t.pooled[batch.present[m]])
            for m, t in tokens.items()
            if bool(batch.present[m].any())
        }


def bare_loss(module: MultitaskModule, batch: Batch, running: Tensor) -> Tensor:
    """What one would write by hand: the sum of the mean losses of the tasks, remembered per task.

    Args:
        module: whose heads and losses are used.
        batch: to compute it of.
        running: (T,) sums of the losses of the tasks, added to in place.
    """
    output = module(batch, labelled_only=True)
    losses = []
    for t, kind in module.kinds.items():
        rows = output.rows.get((t, "fused"))
        if rows is None:
            losses.append(torch.zeros(()))
            continue
        position = (batch.observed[t].cumsum(0) - 1)[rows]
        losses.append(kind.loss(output.logits[(t, "fused")], batch.targets[t][position]).mean())
    stacked = torch.stack(losses)
    running += stacked.detach()
    return stacked.sum()


def bare_loop(module: MultitaskModule, batches: Sequence[Batch], warm: int) -> tuple[float, float]:
    """Seconds a step and the first loss of a plain PyTorch loop with fused AdamW.

    Args:
        module: to train.
        batches: one a step.
        warm: first steps that are not timed.
    """
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-3, fused=True)
    running = torch.zeros(TASKS)
    module.train()
    first, start = float("nan"), 0.0
    for k, batch in enumerate(batches):
        if k == warm:
            start = time.perf_counter()
        optimizer.zero_grad()
        loss = bare_loss(module, batch, running)
        loss.backward()
        optimizer.step()
        if k == 0:
            first = float(loss.detach())
    return (time.perf_counter() - start) / (len(batches) - warm), first


class _Clock(L.Callback):
    def __init__(self, warm: int) -> None:
        self.warm = warm
        self.start = self.end = 0.0
        self.first = float("nan")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == self.warm:
            self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.first = float(outputs["loss"])
        self.end = time.perf_counter()


def lightning_loop(module: MultitaskModule, batches: Sequence[Batch], warm: int) -> tuple[float, float]:
    """Seconds a step and the first loss of Trainer.fit with a CSV log of every task.

    Args:
        module: to train.
        batches: one a step.
        warm: first steps that are not timed.
    """
    clock = _Clock(warm)
    with tempfile.TemporaryDirectory() as folder:
        trainer = L.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=CSVLogger(folder),
            callbacks=[clock],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=10,
        )
        trainer.fit(module, _Batches(batches))
    return (clock.end - clock.start) / (len(batches) - warm), clock.first


class _Batches:
    """A loader over batches that are there already."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __iter__(self) -> Any:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


Arm = Callable[[], tuple[float, float]]


def compare(arms: dict[str, Arm], rounds: int) -> dict[str, list[float]]:
    """Run the arms in turn; refuse to time arms whose first losses differ."""
    first = {name: arm()[1] for name, arm in arms.items()}
    spread = max(first.values()) - min(first.values())
    if not spread < 1e-4:
        raise RuntimeError(f"the arms do not compute the same loss on the first step: {first}")
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            times[name].append(arm()[0])
    return times


def overhead(rounds: int, steps: int, warm: int) -> list[tuple[str, dict[str, list[float]], float]]:
    """Lightning and this module against a bare loop over the same modules.

    Args:
        rounds: timed rounds of each arm.
        steps: of a round.
        warm: first steps of a round that are not timed.
    """
    out = []
    for name, size, dim, depth, patch, batch, aim in (
        ("tiny ViT encoders, 16 px", 16, 16, 1, 8, 32, 1.15),
        ("ViT encoders, 64 px", 64, 64, 2, 8, 32, 1.03),
    ):
        batches, specs, tasks = make_batches(size, batch, steps, presence=0.3)
        build = partial(make_module, specs, tasks, dim, depth, patch, False)
        arms: dict[str, Arm] = {
            "bare": lambda b=batches, m=build: bare_loop(m(), b, warm),  # type: ignore[misc]
            "lightning": lambda b=batches, m=build: lightning_loop(m(), b, warm),  # type: ignore[misc]
        }
        out.append((name, compare(arms, rounds), aim))
    return out


def packing(rounds: int, steps: int, warm: int) -> list[tuple[str, dict[str, list[float]], float]]:
    """Packed rows against zero-filled rows of the same model at 20 % presence.

    Args:
        rounds: timed rounds of each arm.
        steps: of a round.
        warm: first steps of a round that are not timed.
    """
    out = []
    batches, specs, tasks = make_batches(32, 64, steps, presence=0.2)
    for name, shared in (("ten ViT encoders, 32 px", False), ("one shared ViT encoder, 32 px", True)):
        build = partial(make_module, specs, tasks, 64, 2, 8, shared)

        def zero_filled(b: list[Batch] = batches, m: Callable[[], Any] = build) -> tuple[float, float]:
            module = m()
            module.__class__ = ZeroFilled
            return bare_loop(module, b, warm)

        arms: dict[str, Arm] = {
            "packed": lambda b=batches, m=build: bare_loop(m(), b, warm),  # type: ignore[misc]
            "zero-filled": zero_filled,
        }
        out.append((name, compare(arms, rounds), 3.0))
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Print both comparisons."""
    import logging

    parser = argparse.ArgumentParser(
        prog="zoo bench steps", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of each arm (default 5)")
    parser.add_argument("--steps", type=int, default=40, help="steps a round (default 40)")
    parser.add_argument("--warm", type=int, default=5, help="first steps of a round that are not timed (default 5)")
    options = parser.parse_args(argv)
    if options.steps <= options.warm:
        parser.error("--steps must be larger than --warm")
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    table = Table(title=f"milliseconds a step, one thread, {options.rounds} rounds in turn (random data)")
    for column in ("comparison", "arm", "minimum", "median", "ratio of medians", "ratio of minima", "aim"):
        table.add_column(column)
    for title, pairs, lower in (
        ("Lightning / bare loop", overhead(options.rounds, options.steps, options.warm), True),
        ("zero-filled / packed", packing(options.rounds, options.steps, options.warm), False),
    ):
        for name, times, aim in pairs:
            (a, ta), (b, tb) = times.items()
            ratio = statistics.median(tb) / statistics.median(ta)
            least = min(tb) / min(ta)
            table.add_row(
                f"{title}: {name}", a, f"{1e3 * min(ta):.2f}", f"{1e3 * statistics.median(ta):.2f}", "", "", ""
            )
            sign = "<=" if lower else ">="
            table.add_row(
                "",
                b,
                f"{1e3 * min(tb):.2f}",
                f"{1e3 * statistics.median(tb):.2f}",
                f"{ratio:.3f}",
                f"{least:.3f}",
                f"{sign} {aim}",
            )
    console.print(table)
