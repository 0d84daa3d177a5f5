"""Scores of predicted classes over the classes that are there, and their mean (sd) over seeds."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.contract import TaskSpec
from zoo.errors import SpecError, unknown_name
from zoo.tasks.classification import Classification
from zoo.tasks.parts import as_numpy, macro_auroc

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
SCORES = (
    "accuracy",
    "balanced_accuracy",
    "auroc",
    "macro_f1",
    "weighted_f1",
    "macro_precision",
    "macro_recall",
)
"""Names of the scores, in the order in which tables show them."""


def checked(prediction: Tensor, target: Tensor) -> tuple[Floats, Codes]:
    """Probabilities (N, K) and class codes (N,) as arrays.

    Raises:
        SpecError: the shapes disagree, a probability is not finite, or a code is outside 0 .. K - 1.
    """
    if prediction.ndim != 2 or target.shape != prediction.shape[:1]:
        raise SpecError(
            f"class scores need predictions (N, K) and targets (N,), got {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}"
        )
    table, truth = as_numpy(prediction), target.numpy().astype(np.int64)
    if not np.isfinite(table).all():
        row = int(np.argmin(np.isfinite(table).all(1)))
        raise SpecError(f"the prediction of row {row} is not finite: {table[row].tolist()}")
    if len(truth) and not 0 <= truth.min() <= truth.max() < table.shape[1]:
        raise SpecError(
            f"target codes must be from 0 to {table.shape[1] - 1}, got {truth.min()} to {truth.max()}; "
            "leave unlabelled rows out"
        )
    return table, truth


def confusion(choice: Codes, target: Codes, classes: int, weight: Floats | None = None) -> Floats:
    """(K, K) rows of each class (first axis) that were taken for each class (second axis).

    Args:
        choice: (N,) predicted classes.
        target: (N,) true classes.
        classes: K, the number of classes.
        weight: (N,) how often each row counts; None for once.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    counts = np.bincount(target * classes + choice, weights=weight, minlength=classes * classes)
    return counts.astype(np.float64).reshape(classes, classes)


def per_class(table: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 (K,) of a confusion matrix (K, K); NaN for a class without a row.

    A class that is there and is never predicted has precision 0, as with ``zero_division=0`` of scikit-learn.
    """
    right, there, predicted = np.diag(table), table.sum(1), table.sum(0)
    absent = there == 0
    precision = np.where(absent, math.nan, right / np.where(predicted > 0, predicted, 1.0))
    recall = np.where(absent, math.nan, right / np.where(absent, 1.0, there))
    both = there + predicted
    return precision, recall, np.where(absent, math.nan, 2 * right / np.where(both > 0, both, 1.0))


def class_scores(prediction: Tensor, target: Tensor) -> dict[str, float]:
    """Score predictions (N, K) of classes against codes (N,).

    Macro scores are means over the classes that occur in ``target``: scikit-learn with ``labels=np.unique(target)``
    and ``zero_division=0``. A class that is predicted and has no row is not averaged over; its predictions lower the
    recall of the classes whose rows they are. So macro_f1 is at least that of the task's own metrics, which average
    over predicted classes too (scikit-learn's default); they agree where every predicted class has a row. Hence
    macro_recall is balanced_accuracy; both are given as both are tabled. weighted_f1 weighs by rows.
    auroc is one against the rest, NaN where fewer than two classes occur. All are NaN for no rows.

    Raises:
        SpecError: see ``checked``.
    """
    probabilities, truth = checked(prediction, target)
    if not len(truth):
        return dict.fromkeys(SCORES, math.nan)
    found = _of_choices(probabilities.argmax(1), truth, probabilities.shape[1])
    return {name: macro_auroc(probabilities, truth) if name == "auroc" else found[name] for name in SCORES}


def _of_choices(choice: Codes, truth: Codes, classes: int) -> dict[str, float]:
    """The scores that follow from the most probable class: all but auroc, of at least one row."""
    table = confusion(choice, truth, classes)
    precision, recall, f1 = per_class(table)
    share = table.sum(1) / table.sum()
    return {
        "accuracy": float(np.trace(table) / table.sum()),
        "balanced_accuracy": float(np.nanmean(recall)),
        "macro_f1": float(np.nanmean(f1)),
        "weighted_f1": float(np.nansum(share * f1)),
        "macro_precision": float(np.nanmean(precision)),
        "macro_recall": float(np.nanmean(recall)),
    }


class ByScore(Classification):
    """Classification whose primary metric is one of SCORES, for ``paired.estimate`` and ``paired.compare``.

    >>> ByScore(TaskSpec("t", "classification", 3), "macro_f1").primary
    'macro_f1'
    """

    def __init__(self, spec: TaskSpec, score: str) -> None:
        super().__init__(spec)
        if score not in SCORES:
            raise unknown_name("class score", score, SCORES)
        self.primary = score

    @property
    def floor(self) -> float:
        """The score of a guesser who knows the number of classes: .5 for auroc, else 1 / classes."""
        return 0.5 if self.primary == "auroc" else 1.0 / self.spec.num_outputs

    def support(self, target: Tensor, units: Codes) -> int:
        """Units of the class that has fewest: a perfect score is one of each class."""
        codes = target.numpy()
        return min((len(np.unique(units[codes == c])) for c in np.unique(codes)), default=0)

    def row_scores(self, prediction: Tensor, target: Tensor) -> Tensor | None:  # type: ignore[override]
        """(N,) 1 where right for accuracy; None for the scores that are no mean over rows."""
        return super().row_scores(prediction, target) if self.primary == "accuracy" else None

    def primary_value(self, prediction: Tensor, target: Tensor) -> float:
        """The one score, without the others: a bootstrap asks for it thousands of times."""
        if self.primary == "auroc" or not len(target):
            return class_scores(prediction, target)[self.primary]
        choice, truth = prediction.argmax(-1).numpy(), target.numpy().astype(np.int64)
        return _of_choices(choice, truth, prediction.shape[1])[self.primary]

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return ``class_scores``."""
        return class_scores(prediction, target)
