"""Scores of ``run.py fewshot``: every method in every space, episode by episode, for one training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn

from experiments.commands.fewshot.spaces import (
    MODEL,
    Rows,
    Space,
    name_streams,
    rows_of_classes,
    rows_of_task,
    spaces_of,
)
from experiments.core.job import Finished
from experiments.core.study import Study
from zoo.contract import TaskSpec
from zoo.errors import MissingExtraError, SpecError
from zoo.evaluation.episodes import Episode, draw_episodes, draw_labelled, enough_rows
from zoo.evaluation.few_shot import (
    Floats,
    choose_metric,
    head_accuracy,
    mean_recall,
    probe_accuracy,
    prototype_accuracy,
    ridge_predictions,
)
from zoo.evaluation.zero_shot import (
    choose_eszsl,
    eszsl_scores,
    fit_eszsl,
    name_vectors,
    readable,
    shared_space_scores,
)
from zoo.models.base import HasHeads, TaskModel
from zoo.tasks.base import task_kind

PROTOTYPES, PROBE, HEAD, RIDGE = "prototypes", "linear probe", "fine-tuned head", "ridge"
NAMES_MINILM, NAMES_TFIDF = "ESZSL on names (MiniLM)", "ESZSL on names (character TF-IDF)"
NAMES_MODEL = "names through the model's text stream"
STEPS = 200
"""Steps that a head is fine-tuned for."""
NAME_TEXTS = ("auto", "minilm", "tfidf")


@dataclass(frozen=True)
class Plan:
    """What is asked of every training.

    Attributes:
        task: that is learned from few examples.
        whole_task: whether the task itself was held out, not classes of it.
        shots: numbers of examples a class, ascending; 0 for zero-shot.
        episodes, ways, queries: of the draws; ways 0 for all held-out classes.
        names: how class names become vectors: one of NAME_TEXTS.
    """

    task: str
    whole_task: bool
    shots: tuple[int, ...]
    episodes: int
    ways: int
    queries: int
    names: str

    @property
    def most(self) -> int:
        """The largest number of shots; one where only zero-shot is asked."""
        return max(*self.shots, 1)


@dataclass
class Scores:
    """What one training scored.

    Attributes:
        seed: of the training.
        values: (space, method, shots) -> one score an episode.
        metric: "accuracy" or "pearson".
        chance: of a guesser.
        classes: that were held out, or are those of the held-out task.
        left_out: class -> rows, of classes with too few; "" for rows that cannot be used.
        rows: that episodes draw from.
        queries: queries of all episodes together.
        data: "real", "simulated" or "mixed".
        chosen: what was chosen on seen classes, in words, by space.
        notes: what should be known.
    """

    seed: int
    metric: str
    chance: float
    classes: list[str]
    rows: int
    queries: int
    data: str
    values: dict[tuple[str, str, int], Floats] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def score_job(study: Study, finished: Finished, plan: Plan, folder: Path, bar: Progress) -> Scores:
    """Score one training, or read its scores where they were made before.

    Args:
        study: the configuration.
        finished: the training.
        plan: what was held out.
        folder: where scores are kept.
        bar: the progress bar.
    """
    text = json.dumps([finished.folder.name, asdict(plan)])
    path = folder / f"scores-seed{finished.job.seed}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}.json"
    if path.exists():
        return load_scores(path)
    module, _ = finished.restore(study)
    holdout = {finished.job.holdout[0]: finished.job.holdout[1:]} if finished.job.holdout else None
    data = study.data(seed=finished.job.seed, holdout=holdout)
    rows = rows_of_task(data, plan.task, module) if plan.whole_task else rows_of_classes(data, plan.task)
    spaces = spaces_of(study, finished, data, rows, module)
    seed = finished.job.seed
    if task_kind(rows.task).fixed_classes():
        scores = _classes(plan, rows, spaces, seed, module, data, bar)
    else:
        scores = _values(plan, rows, spaces, seed, bar)
    folder.mkdir(parents=True, exist_ok=True)
    save_scores(scores, path)
    return scores


def _classes(
    plan: Plan, rows: Rows, spaces: Sequence[Space], seed: int, module: TaskModel, data: Any, bar: Progress
) -> Scores:
    good, left = enough_rows(rows.labels, plan.most, rows.roles)
    names = rows.task.classes
    if len(good) < 2:
        raise SpecError(
            f"task '{plan.task}', seed {seed}: {len(good)} classes have rows for {plan.most} shots; 2 are "
            f"needed. Too few rows: { {names[c]: n for c, n in left.items()} }; take fewer shots"
        )
    labels = np.where(np.isin(rows.labels, good), rows.labels, -1)
    episodes = draw_episodes(
        labels,
        shots=plan.most,
        episodes=plan.episodes,
        queries=plan.queries,
        ways=plan.ways,
        seed=seed,
        groups=rows.groups,
        roles=rows.roles,
    )
    scores = Scores(
        seed=seed,
        metric="accuracy",
        chance=1.0 / (plan.ways or len(good)),
        classes=[names[c] for c in good],
        rows=int((labels >= 0).sum()),
        queries=sum(len(e.query) for e in episodes),
        data=rows.data,
        left_out={names[c]: n for c, n in left.items()} | ({"": rows.left_out} if rows.left_out else {}),
    )
    shots = [k for k in plan.shots if k > 0]
    line = bar.add_task(f"few-shot, seed {seed}", total=len(spaces) * (3 * len(shots) + 1))
    for space in spaces:
        metric, seen = choose_metric(
            space.centred(space.choice) if len(space.choice) else space.choice,
            rows.choice_labels,
            min(shots, default=1),
            seed=seed,
        )
        scores.chosen[space.name] = f"{metric} (best of {seen} seen classes)" if seen else f"{metric} (by default)"
        head = _head(rows.task, len(episodes[0].classes), space, module)
        pool, standard = space.centred(space.pool), space.standard(space.pool)
        for k in shots:
            scores.values[space.name, PROTOTYPES, k] = prototype_accuracy(pool, episodes, k, metric)
            bar.advance(line)
            scores.values[space.name, PROBE, k] = probe_accuracy(standard, episodes, k)
            bar.advance(line)
            scores.values[space.name, HEAD, k] = head_accuracy(head, pool, episodes, k, STEPS)
            bar.advance(line)
        if 0 in plan.shots:
            _zero_shot(plan, rows, space, episodes, module, data, scores)
        bar.advance(line)
    return scores


def _head(task: TaskSpec, ways: int, space: Space, module: TaskModel) -> nn.Module:
    """The module's own head for ``ways`` classes, hidden layer included, or a linear one for other features."""
    spec = replace(task, kind="classification", num_outputs=ways, classes=(), reads="")
    torch.manual_seed(0)
    if space.name == MODEL and isinstance(module, HasHeads):
        return module.new_head(spec)
    return task_kind(spec).head(space.pool.shape[1], 0)


# -- zero-shot -----------------------------------------------------------------------------------------------


def _name_table(names: Sequence[str], how: str) -> tuple[str, Tensor]:
    """How names became vectors, and the vectors (L, A)."""
    words = [readable(n) for n in names]
    if how != "tfidf":
        from zoo.baselines.text import embed_texts

        try:
            return NAMES_MINILM, torch.from_numpy(embed_texts(words))
        except MissingExtraError:
            if how == "minilm":
                raise
    return NAMES_TFIDF, name_vectors(words)


def _zero_shot(
    plan: Plan,
    rows: Rows,
    space: Space,
    episodes: Sequence[Episode],
    module: TaskModel,
    data: Any,
    scores: Scores,
) -> None:
    classes = list(rows.task.classes)
    seen = sorted(set(rows.seen_names))
    if len(seen) < 2:
        scores.notes.append("zero-shot by names needs two seen classes, and there are fewer")
    else:
        method, table = _name_table([*seen, *classes], plan.names)
        table = table - table[: len(seen)].mean(0)
        labels = torch.tensor([seen.index(n) for n in rows.seen_names])
        vectors = space.standard(space.seen)
        gamma, strength = choose_eszsl(vectors, labels, table[: len(seen)], scores.seed)
        weights = fit_eszsl(vectors, labels, table[: len(seen)], gamma, strength)
        each = eszsl_scores(space.standard(space.pool), weights, table[len(seen) :])
        scores.values[space.name, method, 0] = _asked(each, episodes)
    if space.name == MODEL:
        streams = name_streams(module, data, rows.task, [readable(c) for c in classes])
        if streams is not None:
            each = shared_space_scores(space.pool, streams, space.centre)
            scores.values[space.name, NAMES_MODEL, 0] = _asked(each, episodes)


def _asked(each: Tensor, episodes: Sequence[Episode]) -> Floats:
    """(E,) accuracy of scores (N, K) of every row and class, among the classes of each episode."""
    choices = [each[e.query][:, e.classes].argmax(1).numpy() for e in episodes]
    return np.array([mean_recall(c, e.truth, len(e.classes)) for c, e in zip(choices, episodes, strict=True)])


# -- regression ----------------------------------------------------------------------------------------------


def _values(plan: Plan, rows: Rows, spaces: Sequence[Space], seed: int, bar: Progress) -> Scores:
    kind = task_kind(rows.task)
    episodes = draw_labelled(
        rows.roles, shots=plan.most, episodes=plan.episodes, queries=max(plan.queries, 50), seed=seed
    )
    scores = Scores(
        seed=seed,
        metric=kind.primary,
        chance=0.0,
        classes=[],
        rows=len(rows.pool),
        queries=sum(len(e.query) for e in episodes),
        data=rows.data,
        left_out={"": rows.left_out} if rows.left_out else {},
        notes=["zero-shot is not possible for a task without classes: there are no names to compare with"]
        if 0 in plan.shots
        else [],
    )
    shots = [k for k in plan.shots if k > 0]
    line = bar.add_task(f"few-shot, seed {seed}", total=len(spaces) * len(shots))
    for space in spaces:
        pool = space.standard(space.pool)
        for k in shots:
            found = []
            for episode in episodes:
                support = episode.support[0, :k]
                guess = ridge_predictions(pool[support], rows.targets[support][:, 0], pool[episode.query])
                found.append(kind.primary_value(guess, rows.targets[episode.query]))
            scores.values[space.name, RIDGE, k] = np.array(found)
            bar.advance(line)
    return scores


# -- keeping them --------------------------------------------------------------------------------------------


def save_scores(scores: Scores, path: Path) -> None:
    """Write scores as JSON."""
    plain = asdict(scores)
    plain["values"] = [
        [*key, [None if v != v else v for v in value.tolist()]] for key, value in scores.values.items()
    ]
    written = path.with_suffix(".tmp")
    written.write_text(json.dumps(plain) + "\n")
    written.replace(path)


def load_scores(path: Path) -> Scores:
    """Read what ``save_scores`` wrote."""
    plain = json.loads(path.read_text())
    plain["values"] = {
        (space, method, k): np.array([np.nan if v is None else v for v in values])
        for space, method, k, values in plain["values"]
    }
    return Scores(**plain)
