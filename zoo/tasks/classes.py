"""What kinds of task that predict one class for each row have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.task import TargetCodec
from zoo.tasks import parts
from zoo.tasks.base import TaskKind
from zoo.tasks.codecs import ClassCodec
from zoo.tasks.items import Floats, Form, Probabilities, Variable, probabilities_of
from zoo.tasks.readout import Matrix, Readout, fit_classes

if TYPE_CHECKING:
    from zoo.results import Figure


class ClassTask(TaskKind):
    """One of K classes; targets (N,) long codes, -1 for what is none of them, predictions (N, K) probabilities.

    Attributes:
        most_shown: classes that a confusion matrix shows; rarer ones are put together.
    """

    primary = "accuracy"
    form: Form = "class"
    gives_probabilities = True
    codec: type[TargetCodec] = ClassCodec
    class_codes = True
    reads_out = True
    most_shown: int = 16

    @classmethod
    def check(cls, spec: TaskSpec) -> None:
        """Refuse fewer than two classes of a fixed list."""
        super().check(spec)
        if cls.fixed_classes() and spec.num_outputs < 2:
            raise SpecError(f"task '{spec.name}': {spec.kind} needs at least 2 classes, got {spec.num_outputs}")

    def predict(self, logits: Tensor) -> Tensor:
        """Map logits (N, K) to probabilities (N, K) by softmax."""
        return torch.softmax(logits.float(), -1)

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Combine (S, N, K): weighted average of probabilities, or shares of the votes."""
        return parts.combine_probabilities(predictions, weights, voting)

    def row_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) 1 where the most probable class is the target, else 0; 0 where the target is -1."""
        return (prediction.argmax(-1) == target).float()

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """One-hot (n, K) of the most frequent training class."""
        return parts.majority(parts.class_counts(self.spec.name, train_target, self.spec.num_outputs), n)

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """One-hot (n, K) of a class drawn uniformly from those in the training targets."""
        counts = parts.class_counts(self.spec.name, train_target, self.spec.num_outputs)
        return parts.random_classes(counts, n, generator)

    def probabilities(self, prediction: Tensor, target: Tensor) -> Probabilities:
        """The probabilities of the rows whose target is one of the classes."""
        known = target >= 0
        rows = torch.arange(len(target))
        return probabilities_of(prediction.double()[known], target[known], rows[known], int((~known).sum()))

    def prevalence(self, train_target: Tensor, shape: torch.Size) -> Tensor:
        """The frequencies of the classes; one row is added to each."""
        return class_frequencies(train_target, self.spec.num_outputs).expand(shape).clone()

    def variables(self, prediction: Tensor, target: Tensor) -> list[Variable]:
        """The class."""
        codes = target.numpy().astype(np.float64)
        return [Variable(prediction.double().numpy(), codes, np.ones(len(codes), dtype=bool))]

    def label_order(self, target: Tensor, train_target: Tensor) -> tuple[Floats, str]:
        """From the most frequent training class at 0 to the rarest at 1, as is the code -1."""
        from scipy.stats import rankdata

        known = train_target[train_target >= 0]
        counts = torch.bincount(known, minlength=self.spec.num_outputs).double().numpy()
        place = rankdata(-counts, method="min") - 1
        place = np.append(place / max(place.max(), 1), 1.0)
        return np.asarray(place[target.numpy()], dtype=np.float64), "rarer classes are missing more"

    def example_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) probability of the target; NaN where it is -1."""
        picked = prediction.gather(1, target.clamp_min(0).unsqueeze(1)).squeeze(1)
        return torch.where(target >= 0, picked, torch.nan)

    def describe(self, prediction: Tensor, target: Tensor) -> tuple[str, str]:
        """The class, and the most probable one with both probabilities."""
        p, true, best = prediction[0], int(target[0]), int(prediction[0].argmax())
        names = self.spec.classes
        if true < 0:
            return "none of the classes", f"{names[best]} (p {float(p[best]):.2f})"
        return names[true], f"{names[best]} (p {float(p[best]):.2f}; truth {float(p[true]):.2f})"

    def figures(self, prediction: Tensor, target: Tensor, ids: Sequence[str], data: str) -> list[Figure]:
        """The confusion matrix."""
        from zoo.tasks.figures import confusion  # here, for it brings pandas

        choice = prediction.argmax(-1)
        return confusion(self.spec, choice, target, data=data, most=self.most_shown, ordered=self.ordered)

    def cells(self, prediction: Tensor, length: int) -> list[str | float]:
        """The most probable class, and all probabilities."""
        return [self.spec.classes[int(prediction.argmax())], *super().cells(prediction, length)[1:]]

    def known(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows whose target is one of the classes."""
        return target >= 0

    def learnable(self, target: Tensor) -> bool:
        """Whether training targets hold two classes."""
        return len(torch.unique(target[target >= 0])) > 1

    def readout(self, features: Matrix, target: Tensor, *, seed: int, strengths: Sequence[float]) -> Readout:
        """Logistic regression."""
        codes = target.numpy().astype(np.int64)
        return fit_classes(features, codes, self.spec.num_outputs, seed=seed, strengths=strengths)


def class_frequencies(train_target: Tensor, classes: int) -> Tensor:
    """Frequencies (K,) of the codes in training targets of any shape; one is added to the count of each class."""
    counts = torch.bincount(train_target[train_target >= 0], minlength=classes) + 1
    return counts / counts.sum()
