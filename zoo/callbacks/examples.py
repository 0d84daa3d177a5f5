"""Test rows that a model got most wrong, with their inputs as pictures and short texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.contract import TaskSpec
from zoo.evaluation import Evaluated
from zoo.results import Example
from zoo.tasks.base import TaskKind
from zoo.tasks.parts import split_observed

FOLDER = "examples"
"""Folder of the pictures, below that of the run."""
SIDE = 160
"""Longest side of a picture of an image, in pixels."""
LETTERS = 200
"""Letters of a text, sequence or table that are kept."""


def worst_examples(
    kinds: Mapping[str, TaskKind], results: Mapping[str, Evaluated], pipeline: Any, folder: Path, per_task: int = 3
) -> list[Example]:
    """The ``per_task`` rows of each task with the lowest ``example_scores``, and PNG files below ``folder``/examples.

    Args:
        kinds: task -> TaskKind.
        results: task -> predictions of the test split.
        pipeline: of the data module: ``rows["test"]``, ``join.id(row)``, ``dataset.raw(row).inputs``,
            ``raw_modalities`` and ``source_simulated``.
        folder: of the run; pictures are named relative to it.
        per_task: rows a task; 0 for none.
    """
    picks = {t: _worst(kinds[t], results[t], per_task) for t in kinds if t in results} if per_task else {}
    wanted = {results[t].ids[k] for t, rows in picks.items() for k, _ in rows}
    found = {i: r for r in pipeline.rows["test"].tolist() if (i := pipeline.join.id(r)) in wanted} if wanted else {}
    made = []
    for task, rows in picks.items():
        spec, result = kinds[task].spec, results[task]
        for rank, (k, score) in enumerate(rows, 1):
            name = result.ids[k]
            truth, prediction = _words(kinds[task], result.prediction[k : k + 1], result.target[k : k + 1])
            source = int(result.source[k])
            invented = source >= 0 and bool(pipeline.source_simulated[source])
            example = Example(task, name, truth, prediction, score, data="simulated" if invented else "real")
            inputs = pipeline.dataset.raw(found[name]).inputs
            for modality, value in inputs.items():
                if modality in pipeline.raw_modalities and (spec.uses(modality) or modality == spec.reads):
                    _show(example, pipeline.raw_modalities[modality], value, folder, f"{task}_{rank}_{modality}.png")
            made.append(example)
    return made


def example_scores(kind: TaskKind, prediction: Tensor, target: Tensor) -> Tensor:
    """(N,) scores of single rows, higher is better; NaN where a row has none.

    The probability of the truth for classes and answers; minus the mean loss over observed entries for multilabel
    (nats) and regression (absolute error in standard deviations); ``row_scores`` for the rest.
    """
    which = kind.spec.kind
    if which in ("classification", "ordinal", "vqa"):
        picked = prediction.gather(1, target.clamp_min(0).unsqueeze(1)).squeeze(1)
        return torch.where(target >= 0, picked, torch.nan)
    if which in ("multilabel", "regression"):
        value, seen = split_observed(target)
        if which == "regression":
            each = (prediction - value).abs()
        else:
            likely = torch.where(value > 0.5, prediction, 1 - prediction)
            each = -likely.clamp_min(1e-7).log()
        count = seen.sum(-1)
        return torch.where(count > 0, -(each * seen).sum(-1) / count.clamp_min(1.0), torch.nan)
    scores = kind.row_scores(prediction, target)
    return scores if scores is not None else torch.full((len(target),), torch.nan)


def _worst(kind: TaskKind, result: Evaluated, most: int) -> list[tuple[int, float]]:
    scores = example_scores(kind, result.prediction, result.target)
    known = [(k, v) for k, v in enumerate(scores.tolist()) if math.isfinite(v)]
    return sorted(known, key=lambda pair: pair[1])[:most]


def _words(kind: TaskKind, prediction: Tensor, target: Tensor) -> tuple[str, str]:
    """Truth and prediction of one row, (1, ...) each, in words."""
    spec = kind.spec
    if spec.kind in ("classification", "ordinal", "vqa"):
        p, true, best = prediction[0], int(target[0]), int(prediction[0].argmax())
        return spec.classes[true], f"{spec.classes[best]} (p {float(p[best]):.2f}; truth {float(p[true]):.2f})"
    if spec.kind == "multilabel":
        value, seen = (x[0] for x in split_observed(target))
        present = [c for c, v, s in zip(spec.classes, value, seen, strict=True) if s > 0 and v > 0.5]
        likely = [f"{c} {float(p):.2f}" for c, p, s in zip(spec.classes, prediction[0], seen, strict=True) if s > 0]
        return _short(", ".join(present) or "none"), _short(", ".join(likely))
    if spec.kind == "regression":
        value, seen = (x[0] for x in split_observed(target))
        return _values(spec, value, seen), _values(spec, prediction[0], seen)
    if spec.kind == "token_classification":
        known = target[0] >= 0
        return (
            _short(" ".join(spec.classes[k] for k in target[0, known].tolist())),
            _short(" ".join(spec.classes[k] for k in prediction[0, known].argmax(-1).tolist())),
        )
    measured = kind.metrics(prediction, target)
    return (
        f"{int((target[0, :, 3] > 0).sum())} resolved residues",
        f"TM-score {measured['tm_score']:.2f}, RMSD {measured['rmsd']:.1f} angstrom",
    )


def _values(spec: TaskSpec, values: Tensor, seen: Tensor) -> str:
    unit = f" {spec.unit}" if spec.unit else ""
    mean, scale = spec.mean or (0.0,) * len(values), spec.scale or (1.0,) * len(values)
    named = zip(spec.classes or ("",) * len(values), values.tolist(), seen.tolist(), mean, scale, strict=True)
    return _short(", ".join(f"{c} {v * s + m:.3g}{unit}".strip() for c, v, known, m, s in named if known > 0))


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 4] + " ..."


# -- inputs ------------------------------------------------------------------------------------------------


def _show(example: Example, modality: Any, value: Any, folder: Path, file: str) -> None:
    """Add an input to ``example``: as a picture where it is an image or a signal, else as text."""
    if modality.kind not in ("image", "signal"):
        example.texts[modality.name] = describe(modality, value)
        return
    path = folder / FOLDER / file
    path.parent.mkdir(parents=True, exist_ok=True)
    (_save_image if modality.kind == "image" else _save_signal)(modality, np.asarray(value), path)
    example.pictures[modality.name] = f"{FOLDER}/{file}"


def describe(modality: Any, value: Any) -> str:
    """An input that is no picture, in at most LETTERS letters; of expression the genes with the highest values."""
    if modality.kind == "tabular":
        known = {k: v for k, v in value.items() if v is not None}
        return _short(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in known.items()))
    if modality.kind == "expression":
        genes = np.asarray(value)
        order = np.argsort(-genes, kind="stable")[:12]
        names = modality.features or tuple(f"gene {k}" for k in range(len(genes)))
        unit = f" {modality.unit}" if modality.unit else ""
        return _short("highest: " + ", ".join(f"{names[k]} {genes[k]:.3g}{unit}" for k in order if genes[k] > 0))
    return _short(str(value))


def _save_image(modality: Any, value: Any, path: Path) -> None:
    """Write an image at most SIDE pixels wide and high; floats are spread between their 1st and 99th percentile."""
    from PIL import Image

    if value.dtype != np.uint8:
        known = np.nan_to_num(value.astype(np.float64))
        low, high = np.percentile(known, [1, 99])
        value = (np.clip((known - low) / max(high - low, 1e-12), 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(value)
    scale = SIDE / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    image.resize(size, Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.NEAREST).save(path, optimize=True)


def _save_signal(modality: Any, value: Any, path: Path, most: int = 8) -> None:
    """Write the traces of the first ``most`` channels of (C, T), one above the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = np.nan_to_num(value[:most])
    canvas = Figure(figsize=(3.2, 0.4 + 0.22 * len(shown)), layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    step = float(np.abs(shown).max()) or 1.0
    time = np.arange(shown.shape[1]) / (modality.sampling_rate or 1.0)
    for k, trace in enumerate(shown):
        axes.plot(time, trace - k * step, color="#0072B2", linewidth=0.6)
    names = list(modality.features[: len(shown)]) or [str(k) for k in range(len(shown))]
    axes.set_yticks([-k * step for k in range(len(shown))], names, fontsize=6)
    axes.tick_params(labelsize=6)
    axes.set_xlabel("s" if modality.sampling_rate else "sample", fontsize=6)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, dpi=100)
