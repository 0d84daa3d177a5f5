"""Detection of rows out of distribution, from what a network computes for them and, to compare, from its inputs.

The detectors are those of pytorch-ood (Kirchheim, Filax and Ortmeier, CVPR Workshops 2022). A score is higher the
less a row looks like the training rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.contract import MODALITIES, Batch, ModalitySpec
from zoo.errors import MissingExtraError, SpecError
from zoo.evaluation.metric_draws import mean_draws
from zoo.evaluation.resampling import Floats, Interval, Resampler
from zoo.tasks.base import TaskKind
from zoo.training.collector import Predicted

DETECTORS = ("msp", "energy", "knn", "mahalanobis", "input_knn")
"""Maximum softmax probability (Hendrycks and Gimpel 2017) and energy (Liu et al. 2020) of the logits; distance to the
k-th neighbour (Sun et al. 2022) and Mahalanobis distance to the class means under one covariance (Lee et al. 2018) of
the fused vectors; and as a baseline without a network the distance to the k-th neighbour of the inputs."""
MEASURES = ("auroc", "fpr95", "aupr")
"""Of a detector, see Detected."""
MOST_TRAIN = 5000
"""Training rows that detectors are fitted on at most, evenly spaced."""
SMALLEST = 1e-3
"""Directions whose spread over the training rows is below this share of the largest are left out (Mahalanobis)."""
COMPONENTS = 50
"""Principal components of the inputs that ``input_knn`` measures distances in."""


@dataclass
class Features:
    """What detectors look at, of N rows that carry a label of one task, sorted by id.

    Attributes:
        ids: of the rows.
        vectors: (N, D) of the fused stream, or the mean of the available streams under late fusion.
        inputs: (N, F) plain numbers of the inputs, see ``plain_inputs``.
        target: (N, ...) encoded targets.
        probabilities: (N, K) for tasks of classes, else None.
        logits: (N, K) before the softmax, averaged over the streams of late fusion; None where there is no softmax.
    """

    ids: list[str]
    vectors: Tensor
    inputs: Tensor
    target: Tensor
    probabilities: Tensor | None = None
    logits: Tensor | None = None


@dataclass
class Detected:
    """How well a detector tells rows out of distribution (positives) from others.

    Attributes:
        auroc, fpr95, aupr: area under the ROC curve (chance: .5); share of rows in distribution that are taken for
            others at the threshold that finds 95 % of these (chance: .95, lower is better); area under the curve of
            precision over recall (chance: share of positives).
        n_in, n_out: rows.
    """

    auroc: float
    fpr95: float
    aupr: float
    n_in: int = 0
    n_out: int = 0


def features(predicted: Predicted, kind: TaskKind) -> Features:
    """What detectors look at of the rows that carry a label of a task.

    Args:
        predicted: with vectors, with the logits of the task and with ``plain_inputs``.
        kind: of the task.

    Raises:
        SpecError: the model makes no vectors, or the inputs were not kept.
    """
    if predicted.inputs is None:
        raise SpecError("detection needs the inputs of each row: predict(..., inputs=plain_inputs)")
    vectors, task = predicted.vectors_for("detection"), kind.spec.name
    result = predicted.results.get(task)
    if result is None:
        return Features([], vectors[:0], predicted.inputs[:0], torch.zeros((0, 1)))
    place = {name: k for k, name in enumerate(predicted.ids)}
    rows = torch.tensor([place[name] for name in result.ids], dtype=torch.long)
    return Features(
        result.ids,
        vectors[rows],
        predicted.inputs[rows],
        result.target,
        result.prediction if kind.class_codes else None,
        predicted.logits.get(task) if kind.class_logits else None,
    )


def plain_inputs(batch: Batch, modalities: Iterable[ModalitySpec]) -> Tensor:
    """Plain numbers (B, F) of the inputs of a batch; a modality that a row lacks is 0, and so is its mark.

    The kind of each modality says what its plain numbers are: see ModalityKind.features.
    """
    columns = []
    for spec in modalities:
        name = spec.name
        there = batch.present.get(name)
        if there is None:
            there = torch.zeros(len(batch), dtype=torch.bool)
        there = there.cpu()
        x = batch.inputs.get(name)
        if x is None:
            x = torch.zeros((0, *spec.shape), dtype=torch.long if spec.is_integer else torch.float32)
        values = MODALITIES.get(spec.kind).features(spec, x)
        full = torch.zeros((len(batch), values.shape[1]))
        full[there] = values.cpu()
        columns += [full, there.float().unsqueeze(1)]
    return torch.cat(columns, 1)


def outlier_scores(train: Features, splits: Mapping[str, Features]) -> dict[str, dict[str, Floats]]:
    """Fit every detector that applies on training rows, and score the rows of each split.

    Args:
        train: of training rows, such as MOST_TRAIN of them.
        splits: name -> rows to score.

    Returns:
        detector -> split -> (N,) scores, higher for rows that look out of distribution. "msp" is there for tasks of
        classes, "energy" where there is a softmax over classes, the others always.

    Raises:
        MissingExtraError: pytorch-ood is not installed.
    """
    try:
        from pytorch_ood.detector import KNN, EnergyBased, Mahalanobis, MaxSoftmax
    except ImportError as error:
        raise MissingExtraError("pytorch-ood", "evidence") from error
    found: dict[str, dict[str, Floats]] = {}
    if train.probabilities is not None:
        found["msp"] = {
            s: _numbers(MaxSoftmax(None).predict_logits(_need(f.probabilities).clamp_min(1e-30).log()))
            for s, f in splits.items()
        }
    if train.logits is not None:
        found["energy"] = {s: _numbers(EnergyBased(None).predict_logits(_need(f.logits))) for s, f in splits.items()}
    if not len(train.ids):
        return found
    neighbours = min(50, math.ceil(math.sqrt(len(train.ids))))
    none = torch.zeros(len(train.ids), dtype=torch.long)
    knn = KNN(None, k=neighbours).fit_features(train.vectors, none)
    found["knn"] = {s: _apply(knn, f.vectors) for s, f in splits.items()}
    white = _Whitening(train.vectors, SMALLEST)
    gauss = Mahalanobis(None).fit_features(white(train.vectors), _classes(train))
    found["mahalanobis"] = {s: _apply(gauss, white(f.vectors)) for s, f in splits.items()}
    reduce = _Components(train.inputs)
    near = KNN(None, k=neighbours, normalize=False).fit_features(reduce(train.inputs), none)
    found["input_knn"] = {s: _apply(near, reduce(f.inputs)) for s, f in splits.items()}
    return found


def _need(values: Tensor | None) -> Tensor:
    assert values is not None
    return values


def _numbers(values: Tensor) -> Floats:
    return values.detach().cpu().double().numpy()


def _apply(detector: Any, values: Tensor) -> Floats:
    return _numbers(detector.predict_features(values)) if len(values) else np.zeros(0)


def _classes(train: Features) -> Tensor:
    """Codes (N,) 0, 1, ... of the classes that occur; all 0 where targets are no classes."""
    if train.probabilities is None or train.target.dim() != 1:
        return torch.zeros(len(train.ids), dtype=torch.long)
    codes: Tensor = torch.unique(train.target, return_inverse=True)[1]
    return codes


class _Whitening:
    """Rotate and scale vectors (N, D) so that training vectors have the covariance 1, without directions of none.

    Mahalanobis distances do not depend on it; it keeps the inverse of the covariance exact in single precision.
    """

    def __init__(self, train: Tensor, smallest: float) -> None:
        self.mean: Tensor = train.double().mean(0)
        _, spread, axes = torch.linalg.svd(train.double() - self.mean, full_matrices=False)
        keep = spread > smallest * spread.max().clamp_min(1e-12)
        keep[0] = True  # vectors that are all alike keep one direction
        scale = spread[keep].clamp_min(1e-12) / math.sqrt(max(len(train), 1))
        self.axes: Tensor = axes[keep].T / scale

    def __call__(self, values: Tensor) -> Tensor:
        turned: Tensor = ((values.double() - self.mean) @ self.axes).float()
        return turned


class _Components:
    """Standardise columns (N, F) and project them to the leading principal components of the training rows."""

    def __init__(self, train: Tensor) -> None:
        from sklearn.decomposition import PCA

        self.mean, spread = train.double().mean(0), train.double().std(0, correction=0)
        self.scale = torch.where(spread > 1e-9, spread, 1.0)
        most = min(COMPONENTS, *train.shape)
        self.pca = PCA(most, random_state=0).fit(self._standard(train)) if most else None

    def _standard(self, values: Tensor) -> Floats:
        result: Floats = ((values.double() - self.mean) / self.scale).numpy()
        return result

    def __call__(self, values: Tensor) -> Tensor:
        if self.pca is None or not len(values):
            return torch.zeros((len(values), 1))
        reduced: Tensor = torch.from_numpy(self.pca.transform(self._standard(values)))
        return reduced.float()


def detect(inside: Floats, outside: Floats) -> Detected:
    """AUROC, FPR95 and AUPR of scores of rows in (N,) and out of distribution (M,); NaN where either has none.

    Raises:
        MissingExtraError: pytorch-ood is not installed.
    """
    try:
        from pytorch_ood.metrics import functional
    except ImportError as error:
        raise MissingExtraError("pytorch-ood", "evidence") from error
    if not len(inside) or not len(outside):
        return Detected(math.nan, math.nan, math.nan, len(inside), len(outside))
    values = torch.from_numpy(np.concatenate([inside, outside]))
    labels = torch.cat([torch.zeros(len(inside)), -torch.ones(len(outside))]).long()
    return Detected(
        float(functional.auroc(values, labels)),
        float(functional.fpr_at_tpr(values, labels, 0.95)),
        float(functional.aupr(values, labels)),
        len(inside),
        len(outside),
    )


@dataclass
class Scored:
    """Scores of one detector in one run: of rows in distribution and out of it, with the id and unit of each row.

    Without units each id is its own.
    """

    inside: Floats
    outside: Floats
    inside_ids: Sequence[str] = field(default_factory=list)
    outside_ids: Sequence[str] = field(default_factory=list)
    inside_units: Sequence[str] = field(default_factory=list)
    outside_units: Sequence[str] = field(default_factory=list)

    def units(self) -> tuple[Sequence[str], Sequence[str]]:
        """The unit of each row in and out of distribution."""
        return self.inside_units or self.inside_ids, self.outside_units or self.outside_ids


def detection_scores(runs: Sequence[Scored], *, resamples: int = 200, seed: int = 0) -> dict[str, Interval]:
    """Mean over runs (seeds) of auroc, fpr95 and aupr, with intervals over units of independence.

    Scores of different networks are on different scales, so runs are scored each on its own and averaged. Rows in and
    out of distribution are drawn independently.

    Args:
        runs: one a seed.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    here = Resampler((u for r in runs for u in r.units()[0]), resamples=resamples, seed=seed)
    there = Resampler((u for r in runs for u in r.units()[1]), resamples=resamples, seed=seed + 1)
    if not len(here) or not len(there):
        return dict.fromkeys(MEASURES, Interval(math.nan))
    each = [_drawn(run, here, there) for run in runs]
    fewest = min(len(here), len(there))
    return {
        name: here.interval(mean_draws([e[k] for e in each]), units=fewest, bounds=(0.0, 1.0), support=fewest)
        for k, name in enumerate(MEASURES)
    }


def _drawn(run: Scored, here: Resampler, there: Resampler) -> Floats:
    """(3, 1 + R) of MEASURES, on all rows and on each resample."""
    inside, outside = (r.places(units) for r, units in zip((here, there), run.units(), strict=True))
    rows = [
        detect(np.repeat(run.inside, a[inside]), np.repeat(run.outside, b[outside]))
        for a, b in zip(here, there, strict=True)
    ]
    return np.array([[getattr(found, name) for found in rows] for name in MEASURES])
