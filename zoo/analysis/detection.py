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
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.analysis.groups import CLASS_KINDS, Score, draws
from zoo.analysis.paired import interval
from zoo.analysis.predict import fused_vectors
from zoo.contract import Batch
from zoo.errors import MissingExtraError
from zoo.module import MultitaskModule
from zoo.tasks.parts import nan_mean

Floats = npt.NDArray[np.float64]
DETECTORS = ("msp", "energy", "knn", "mahalanobis", "input_knn")
"""Maximum softmax probability (Hendrycks and Gimpel 2017) and energy (Liu et al. 2020) of the logits; distance to the
k-th neighbour (Sun et al. 2022) and Mahalanobis distance to the class means under one covariance (Lee et al. 2018) of
the fused vectors; and as a baseline without a network the distance to the k-th neighbour of the inputs."""
MOST_TRAIN = 5000
"""Training rows that detectors are fitted on at most, evenly spaced."""
SMALLEST = 1e-3
"""Directions whose spread over the training rows is below this share of the largest are left out (Mahalanobis)."""
COMPONENTS = 50
"""Principal components of the inputs that ``input_knn`` measures distances in."""
SIDE = 8
"""Height and width that images are averaged to for ``input_knn``."""


@dataclass
class Features:
    """What detectors look at, of N rows that carry a label of one task, sorted by id.

    Attributes:
        ids: of the rows.
        vectors: (N, D) of the fused stream, or the mean of the available streams under late fusion.
        inputs: (N, F) plain numbers of the inputs, see ``plain``.
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


@torch.no_grad()
def collect(module: MultitaskModule, batches: Iterable[Batch], task: str) -> Features:
    """Run a trained module over batches and keep what detectors need of the rows that carry a label of ``task``."""
    before = module.training
    module.eval()
    kind = module.kinds[task]
    parts: dict[str, list[Tensor]] = {k: [] for k in ("vectors", "inputs", "target", "probabilities", "logits")}
    ids: list[str] = []
    try:
        for batch in batches:
            if not len(batch):
                continue
            batch = batch.to(module.device)
            output = module(batch)
            if task not in output.predicted:
                continue
            rows = output.predicted[task]
            keep = batch.observed[task][rows]
            rows = rows[keep]
            ids += [batch.ids[i] for i in rows.tolist()]
            parts["vectors"].append(fused_vectors(output.streams, output.available)[rows].float().cpu())
            parts["inputs"].append(plain(module, batch)[rows].cpu())
            parts["target"].append(batch.targets[task][(batch.observed[task].cumsum(0) - 1)[rows]].cpu())
            parts["probabilities"].append(output.predictions[task][keep].float().cpu())
            if kind.kind in ("classification", "vqa"):
                parts["logits"].append(_mean_logits(output, task, len(batch))[rows].cpu())
    finally:
        module.train(before)
    order = sorted(range(len(ids)), key=lambda k: ids[k])
    whole = {k: torch.cat(v)[order] if v else torch.zeros((0, 1)) for k, v in parts.items()}
    return Features(
        [ids[k] for k in order],
        whole["vectors"],
        whole["inputs"],
        whole["target"],
        whole["probabilities"] if kind.kind in CLASS_KINDS else None,
        whole["logits"] if kind.kind in ("classification", "vqa") else None,
    )


def _mean_logits(output: Any, task: str, size: int) -> Tensor:
    """Logits (B, K) of a task, averaged over the streams that a row has; zeros for a row without any."""
    total: Tensor | None = None
    count: Tensor | None = None
    for (t, stream), logits in output.logits.items():
        if t != task:
            continue
        rows = output.rows[(t, stream)]
        full = logits.float().new_zeros((size, logits.shape[-1])).index_copy(0, rows, logits.float())
        seen = full.new_zeros(size).index_fill(0, rows, 1.0)
        total = full if total is None else total + full
        count = seen if count is None else count + seen
    assert total is not None
    assert count is not None
    return total / count.clamp_min(1.0).unsqueeze(-1)


def plain(module: MultitaskModule, batch: Batch) -> Tensor:
    """Plain numbers (B, F) of the inputs of a batch; a modality that a row lacks is 0, and so is its mark.

    Codes become counts of each code; images are averaged to SIDE x SIDE; of signals the logarithm of the variance of
    each channel is taken; expression and tables stay as they are.
    """
    columns = []
    for name, spec in module.modalities.items():
        there = batch.present.get(name)
        if there is None:
            there = torch.zeros(len(batch), dtype=torch.bool, device=module.device)
        x = batch.inputs.get(name)
        if x is None:
            x = torch.zeros((0, *spec.shape), dtype=torch.long if spec.is_integer else torch.float32)
        if spec.is_integer:
            size = spec.vocab_size or {"dna": 6, "protein": 22}[spec.kind]
            values = x.new_zeros((len(x), size), dtype=torch.float32)
            values.scatter_add_(1, x, torch.ones_like(x, dtype=torch.float32))
            values = values[:, 1:]
        elif spec.kind == "image":
            values = F.adaptive_avg_pool2d(x.float(), SIDE).flatten(1)
        elif spec.kind == "signal":
            values = (x.float().var(-1) + 1e-6).log()
        else:
            values = x.float().flatten(1)
        full = torch.zeros((len(batch), values.shape[1]), device=module.device)
        full[there] = values.to(module.device)
        columns += [full, there.float().unsqueeze(1)]
    return torch.cat(columns, 1)


def thinned(rows: npt.NDArray[np.int64], most: int = MOST_TRAIN) -> npt.NDArray[np.int64]:
    """At most ``most`` of ``rows``, evenly spaced."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def outlier_scores(train: Features, splits: Mapping[str, Features]) -> dict[str, dict[str, Floats]]:
    """Fit every detector that applies on training rows, and score the rows of each split.

    Args:
        train: of training rows, such as those of ``thinned``.
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
    """Scores of one detector in one run: of rows in distribution and out of it, with their ids."""

    inside: Floats
    outside: Floats
    inside_ids: Sequence[str] = field(default_factory=list)
    outside_ids: Sequence[str] = field(default_factory=list)


def detection_scores(runs: Sequence[Scored], *, resamples: int = 200, seed: int = 0) -> dict[str, Score]:
    """Mean over runs (seeds) of auroc, fpr95 and aupr, with bootstrap intervals over the rows.

    Scores of different networks are on different scales, so runs are scored each on its own and averaged.
    """
    names = ("auroc", "fpr95", "aupr")
    each = [detect(r.inside, r.outside) for r in runs]
    drawn = {n: np.full((len(runs), resamples), np.nan) for n in names}
    for k, run in enumerate(runs):
        picks = zip(draws(run.inside_ids, resamples, seed), draws(run.outside_ids, resamples, seed + 1), strict=False)
        for b, (here, there) in enumerate(picks):
            found = detect(run.inside[here], run.outside[there])
            for n in names:
                drawn[n][k, b] = getattr(found, n)
    return {n: Score(nan_mean([getattr(d, n) for d in each]), *interval(drawn[n].mean(0))) for n in names}
