"""Predictions of every subset of modalities on the same rows, from masks or from a training each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from datamodules.core.view import DataView
from experiments.commands.ablate.plan import MASKED, Plan
from experiments.core.job import Finished, TrainingJob, view_of
from experiments.core.study_command import StudyRun
from zoo.contract import Batch
from zoo.evaluation.subsets import Subset
from zoo.models.base import TaskModel
from zoo.models.predict import predict
from zoo.tasks.base import TaskKind, task_kind
from zoo.training.collector import Evaluated, Predicted

HELD = 20_000
"""Batches of a split are kept between masks where they hold at most this many samples."""
EMPTY: Subset = frozenset()
SPLITS = ("val", "test")
SeedPredictions = dict[Subset, Evaluated]


@dataclass
class Predictions:
    """What models of subsets predict for one task, on the same rows.

    Attributes:
        plan: the task and its modalities.
        mode: "masked" or "exact".
        seeds: split -> one dictionary a seed, subset -> predictions; the empty set is the best constant, or the model
            that knows only what is kept.
        constant: split -> one Evaluated a seed, the best constant.
        guesses: one list a seed of predictions of a guesser on the test rows.
        used: the seeds.
        rows: "all" or "any": which rows.
        words: "real", "simulated" or "mixed" of each seed.
        notes: what to know.
    """

    plan: Plan
    mode: str
    seeds: dict[str, list[SeedPredictions]]
    constant: dict[str, list[Evaluated]]
    guesses: list[list[Evaluated]]
    used: list[int]
    rows: str
    words: list[str]
    notes: list[str] = field(default_factory=list)


def constant_prediction(kind: TaskKind, train: tuple[Tensor, Tensor], source: Tensor, like: Tensor) -> Tensor:
    """The best constant of each source, for rows of ``source``; for classes their shares (top: the majority).

    Args:
        kind: of the task.
        train: (n, ...) training targets and (n,) their sources.
        source: (N,) source of each row.
        like: (N, ...) a prediction whose form the result takes.
    """
    target, origin = train
    made = torch.zeros_like(like)
    for s in sorted(set(source.tolist())):
        known = target[origin == s] if bool((origin == s).any()) else target
        where = source == s
        if kind.class_codes:
            counts = torch.bincount(known[known >= 0], minlength=like.shape[1]).to(like.dtype)
            made[where] = counts / counts.sum().clamp_min(1)
        else:
            made[where] = kind.constant(known, int(where.sum())).to(like.dtype)
    return made


def chosen_rows(part: Predicted, task: str, needed: Sequence[str], rows: str) -> list[str]:
    """Ids of the rows that carry a label of ``task`` and all, or any, of the modalities ``needed``.

    Args:
        part: predictions of a split.
        task: whose label the rows carry.
        needed: modalities.
        rows: "all" for rows with all of them, "any" for rows with at least one.
    """
    if task not in part.results:
        return []
    have = torch.stack([part.present[m] for m in needed])
    good = have.all(0) if rows == "all" else have.any(0)
    there = {name for name, g in zip(part.ids, good.tolist(), strict=True) if g}
    return [i for i in part.results[task].ids if i in there]


def _pick(result: Evaluated, ids: Sequence[str]) -> Evaluated:
    position = {name: k for k, name in enumerate(result.ids)}
    return result.take([position[i] for i in ids])


def aligned(result: Evaluated | None, like: Evaluated) -> Evaluated:
    """Predictions of ``result`` for the rows of ``like``; rows that it could not predict keep ``like``'s."""
    prediction = like.prediction.clone()
    if result is not None:
        position = {name: k for k, name in enumerate(result.ids)}
        there = [(k, position[i]) for k, i in enumerate(like.ids) if i in position]
        if there:
            to, where = (torch.tensor(v, dtype=torch.long) for v in zip(*there, strict=True))
            prediction[to] = result.prediction[where].to(prediction.dtype)
    return replace(like, prediction=prediction)


class Asker:
    """Asks for predictions of subsets of one plan, of as many seeds as there are, and keeps what was asked.

    Args:
        run: trains jobs.
        plan: the task.
        mode: "masked" or "exact".
        seeds: of the jobs.
        network: seed -> the job of the masked network; not used in exact mode.
        rows: "all" or "any".
    """

    def __init__(
        self,
        run: StudyRun,
        plan: Plan,
        mode: str,
        seeds: Sequence[int],
        network: Callable[[int], TrainingJob],
        rows: str,
    ) -> None:
        self.run, self.plan, self.mode, self.rows = run, plan, mode, rows
        self._seeds = list(seeds)
        self._network = network
        self._masked: dict[int, tuple[TaskModel, DataView, dict[str, list[Batch]]]] = {}
        self._found: dict[tuple[int, Subset], dict[str, Evaluated | None]] = {}

    def ask(self, subsets: Sequence[Subset]) -> None:
        """Make sure of the predictions of ``subsets``, as far as the budget allows."""
        if self.mode == MASKED:
            self.run.train([self._network(s) for s in self._seeds])
        else:
            self.run.train([self.plan.exact_job(x, s) for s in self._seeds for x in subsets])
        for seed in self._seeds:
            for subset in subsets:
                if (seed, subset) not in self._found:
                    found = self._predict(seed, subset)
                    if found is not None:
                        self._found[seed, subset] = found

    def _predict(self, seed: int, subset: Subset) -> dict[str, Evaluated | None] | None:
        task = self.plan.task.name
        if self.mode != MASKED:
            done = self.run.trained.finished.get(self.plan.exact_job(subset, seed))
            return None if done is None else {s: done.predicted[s].results.get(task) for s in SPLITS}
        done = self.run.trained.finished.get(self._network(seed))
        if done is None:
            return None
        if seed not in self._masked:
            module, view = done.restore(self.run.study)
            self._masked[seed] = (module, view, {})
        module, view, held = self._masked[seed]
        keep = self.plan.modalities(subset)
        results: dict[str, Evaluated | None] = {}
        for split in SPLITS:
            if split not in held and len(view.view.rows[split]) <= HELD:
                held[split] = list(view.split_dataloader(split))
            batches = held.get(split) or view.split_dataloader(split)
            results[split] = predict(module, batches, change=lambda b: b.select(keep)).results.get(task)
        return results

    def forget_data(self) -> None:
        """Let go of networks and batches."""
        self._masked.clear()

    def collect(self) -> Predictions | None:
        """What was asked for, on the same rows; None where no seed has the full set, or no row is left.

        Seeds that have fewer subsets than others are left out.
        """
        sizes = {
            s: sum(1 for seed, _ in self._found if seed == s)
            for s in self._seeds
            if (s, self.plan.full) in self._found
        }
        used = [s for s in sizes if sizes[s] == max(sizes.values())]
        if not used:
            return None
        rows = self.rows
        notes = []
        if rows == "all" and not any(self._rows(s, "test", "all") and self._rows(s, "val", "all") for s in used):
            rows = "any"
            notes.append(
                f"No test and validation rows of '{self.plan.task.name}' have all of its modalities: rows that have "
                "any are taken; where a model has none of its modalities it counts as the best constant."
            )
        used = [s for s in used if self._rows(s, "test", rows) and self._rows(s, "val", rows)]
        if not used:
            return None
        lost = [s for s in self._seeds if s not in used]
        if lost:
            notes.append(f"Task '{self.plan.task.name}', {self.mode}: seeds {lost} lack subsets and are left out.")
        made = Predictions(
            self.plan, self.mode, {s: [] for s in SPLITS}, {s: [] for s in SPLITS}, [], used, rows, [], notes
        )
        for seed in used:
            self._collect_seed(seed, rows, made)
        return made

    def _reference(self, seed: int) -> Finished:
        job = self._network(seed) if self.mode == MASKED else self.plan.exact_job(self.plan.full, seed)
        return self.run.trained.finished[job]

    def _rows(self, seed: int, split: str, rows: str) -> list[str]:
        part = self._reference(seed).predicted.get(split)
        needed = self.plan.modalities(self.plan.full) if rows == "all" else self.plan.players
        return chosen_rows(part, self.plan.task.name, needed, rows) if part is not None else []

    def _collect_seed(self, seed: int, rows: str, made: Predictions) -> None:
        import numpy as np

        reference, task = self._reference(seed), self.plan.task.name
        view = view_of(self.run.study, reference.job)
        kind = task_kind(next(t for t in view.task_specs if t.name == task))
        train = view.view.labels("train", task)
        made.words.append(reference.info["data"]["test"][task])
        for split in SPLITS:
            whole = _pick(reference.predicted[split].results[task], self._rows(seed, split, rows))
            fill = constant_prediction(kind, train, whole.source, whole.prediction)
            base = replace(whole, prediction=fill)
            each = {x: aligned(found[split], base) for (s, x), found in self._found.items() if s == seed}
            made.seeds[split].append({EMPTY: base, **each})
            made.constant[split].append(base)
            if split == "test":
                generator = np.random.default_rng(0)
                n = len(whole.ids)
                draws = [kind.chance(train[0], n, generator).to(fill.dtype) for _ in range(10)]
                made.guesses.append([replace(whole, prediction=g) for g in draws])
