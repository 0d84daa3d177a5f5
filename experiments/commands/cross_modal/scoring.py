"""Score finished trainings in the forms of the paper: separate models, one under masks, calibrated, ensembles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.core.view import DataView
from experiments.commands.cross_modal.settings import Plan, Setting
from experiments.core.job import Finished, spec_of, view_of
from experiments.core.study import Study
from experiments.core.study_command import StudyRun
from zoo.contract import TaskSpec
from zoo.errors import DataError
from zoo.evaluation.adjust import Adjustment
from zoo.evaluation.class_scores import class_scores
from zoo.evaluation.ensemble import average
from zoo.evaluation.tta import predict_tta
from zoo.models.base import TaskModel
from zoo.models.predict import predict
from zoo.results import joint_word
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated, Predicted

FUSED = ("fusion", "fusion+records", "fusion+records leaky")
"""Settings whose model is also shown parts of its inputs, and several views of its images."""


@dataclass(frozen=True)
class Key:
    """What a set of predictions comes from.

    Attributes:
        setting: key of a Setting, or the name of a baseline.
        mode: "fusion", "image" or "tabular": what the model saw.
        trained: "separate" for a model of its own, "masked" for a model of everything of which parts are hidden.
        calibrated: whether logits were adjusted on validation.
    """

    setting: str
    mode: str = "fusion"
    trained: str = "separate"
    calibrated: bool = False


@dataclass
class Scored:
    """Test predictions of everything that was compared.

    Attributes:
        plan: what the configuration offers.
        spec: of the task.
        runs: key -> seed -> predictions of the test split.
        words: key -> word for its rows: "real", "simulated" or "mixed".
        counts: seed -> (K,) training rows of each class.
        judged: judge -> seed -> id -> score of the generated value.
        generation: one row a generated modality and seed: how many rows were made, repaired, rejected.
    """

    plan: Plan
    spec: TaskSpec
    runs: dict[Key, dict[int, Evaluated]] = field(default_factory=dict)
    words: dict[Key, str] = field(default_factory=dict)
    counts: dict[int, Tensor] = field(default_factory=dict)
    judged: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    generation: list[dict[str, Any]] = field(default_factory=list)

    def add(self, key: Key, seed: int, result: Evaluated, word: str = "") -> None:
        """Keep the test predictions of a seed, and whether they come of real data."""
        self.runs.setdefault(key, {})[seed] = result
        if word:
            self.words[key] = word

    def word(self, key: Key) -> str:
        """Whether a setting's data are real, simulated or mixed; that of its plain form where it has none."""
        plain = replace(key, calibrated=False)
        same = [w for k, w in self.words.items() if k.setting == key.setting.removesuffix(", TTA")]
        return self.words.get(key) or self.words.get(plain) or next(iter(same), "real")

    @property
    def data(self) -> str:
        """The word for all of them together."""
        return joint_word([self.word(k) for k in self.runs] or ["real"])

    def rows(self) -> Iterator[dict[str, Any]]:
        """One line a key and seed, with every score."""
        for key, by_seed in self.runs.items():
            for seed, result in sorted(by_seed.items()):
                found = class_scores(result.prediction, result.target)
                yield {
                    "dataset": self.plan.dataset,
                    "direction": self.plan.direction,
                    "setting": key.setting,
                    "mode": key.mode,
                    "trained": key.trained,
                    "calibrated": key.calibrated,
                    "leaky": "leaky" in key.setting,
                    "seed": seed,
                    "n": len(result.ids),
                    "accuracy": found["accuracy"],
                    "auroc": found["auroc"],
                    "macro_f1": found["macro_f1"],
                    "precision": found["macro_precision"],
                    "recall": found["macro_recall"],
                    "balanced_accuracy": found["balanced_accuracy"],
                    "weighted_f1": found["weighted_f1"],
                    "data": self.word(key),
                }


def mode_of(plan: Plan, modalities: Sequence[str]) -> str:
    """What a model of ``modalities`` sees, in the paper's words."""
    pictures = {plan.image, plan.painted, plan.trip} - {""}
    seen = {m in pictures for m in modalities}
    return "fusion" if len(seen) == 2 else "image" if True in seen else "tabular"


def score_settings(run: StudyRun, plan: Plan, settings: Sequence[Setting], views: int = 1) -> Scored:
    """Score what is finished: each setting as it is, calibrated, and the fused ones under masks.

    Args:
        run: the study, its seeds, and what is trained.
        plan: what the configuration offers.
        settings: to score.
        views: of test-time augmentation of the fused models (section 3.4); 1 for none.

    Raises:
        DataError: nothing is finished.
    """
    scored: Scored | None = None
    for seed in run.seeds:
        for setting in settings:
            job = setting.job(plan, seed)
            done = run.trained.finished.get(job) if job is not None else None
            if done is None:
                continue
            spec = spec_of(done, plan.task)
            scored = scored or Scored(plan, spec)
            mode = mode_of(plan, done.info["modalities"])
            key = Key(setting.key, mode)
            _take(scored, key, seed, run.study, done)
            if mode == "fusion" and setting.key in FUSED:
                _look_again(scored, setting.key, seed, *done.restore(run.study), views)
    if scored is None:
        raise DataError("no training is finished: give more --budget, or run the command again")
    _ensembles(scored)
    return scored


def _take(scored: Scored, key: Key, seed: int, study: Study, done: Finished) -> None:
    """Keep the predictions of a training, plain and adjusted on validation."""
    task = scored.plan.task
    test, val = done.predicted["test"].results[task], done.predicted["val"].results[task]
    scored.add(key, seed, test, done.info["data"]["test"][task])
    counts = scored.counts.get(seed)
    if counts is None:
        counts = _class_counts(study, done, task)
        scored.counts[seed] = counts
    _adjust(scored, key, seed, val, test)


def _adjust(scored: Scored, key: Key, seed: int, val: Evaluated, test: Evaluated) -> None:
    """Calibrate on validation alone (appendix C.3) and keep the adjusted test predictions."""
    fitted = Adjustment.fit(val.prediction, val.target, scored.counts[seed])
    scored.add(replace(key, calibrated=True), seed, replace(test, prediction=fitted.apply(test.prediction)))


def _class_counts(study: Study, done: Finished, task: str) -> Tensor:
    spec = spec_of(done, task)
    labels, _ = view_of(study, done.job).view.labels("train", task)
    return torch.bincount(labels, minlength=spec.num_outputs)


def _look_again(scored: Scored, setting: str, seed: int, module: TaskModel, view: DataView, views: int) -> None:
    """A fused model shown only its image or only its tables (section 3.3), and jittered views of its images (3.4)."""
    names = [s.name for s in view.modality_specs]
    pictures = [m for m in names if mode_of(scored.plan, (m,)) == "image"]
    shown: dict[Key, Callable[[Any], Predicted]] = {
        Key(setting, mode, "masked"): partial(predict, module, change=lambda b, kept=kept: b.select(kept))
        for mode, kept in (("image", pictures), ("tabular", [m for m in names if m not in pictures]))
    }
    if views > 1:
        shown[Key(f"{setting}, TTA")] = lambda batches: predict_tta(
            partial(predict, module, batches),
            module.modalities.values(),
            module.tasks.values(),
            views=views,
            seed=seed,
        )
    for key, look in shown.items():
        val, test = (look(view.split_dataloader(s)).results[scored.plan.task] for s in ("val", "test"))
        scored.add(key, seed, test)
        _adjust(scored, key, seed, val, test)


def _ensembles(scored: Scored) -> None:
    """Average the fused model with the model of the tables alone (section 5.5)."""
    best = "fusion+records" if scored.plan.record else "fusion"
    table = "metadata+records" if scored.plan.record else "metadata"
    for calibrated in (False, True):
        fused = scored.runs.get(Key(best, "fusion", calibrated=calibrated), {})
        alone = scored.runs.get(Key(table, "tabular", calibrated=calibrated), {})
        for seed in fused:
            if seed in alone:
                result = average([fused[seed], alone[seed]])
                word = joint_word([scored.word(Key(best)), scored.word(Key(table, "tabular"))])
                scored.add(Key("ensemble", "fusion", calibrated=calibrated), seed, result, word)


def add_references(scored: Scored, seeds: Sequence[int]) -> None:
    """The best constant and a guesser, on the same rows."""
    kind = task_kind(scored.spec)
    reference = next(iter(scored.runs.values()))
    for seed in seeds:
        if seed not in reference:
            continue
        result, counts = reference[seed], scored.counts[seed]
        train = torch.repeat_interleave(torch.arange(len(counts)), counts)
        n = len(result.ids)
        constant = kind.constant(train, n)
        guess = kind.chance(train, n, np.random.default_rng(seed))
        scored.add(Key("constant"), seed, replace(result, prediction=constant))
        scored.add(Key("chance"), seed, replace(result, prediction=guess))
