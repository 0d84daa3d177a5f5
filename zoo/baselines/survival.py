"""Censored times: Cox regression with an elastic net, and a random survival forest (extra ``survival``)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.baselines.base import BASELINES, Row
from zoo.baselines.cells import log_normalise
from zoo.baselines.tabular import TabularBaseline
from zoo.errors import MissingExtraError, SpecError
from zoo.tasks.lifetimes import concordance
from zoo.tasks.readout import Matrix, Readout
from zoo.tasks.survival import times_and_events

Floats = npt.NDArray[np.float64]
Curves = Callable[[Floats], tuple[Floats, Floats]]
"""Map features (N, F) to times (T,) and the probabilities (N, T) to live longer than each of them."""
FOLDS = 5
"""Folds of the cross-validation that chooses the strength of the elastic net."""


class SurvivalBaseline(TabularBaseline):
    """A survival model on standardised numbers and one-hot categories, or on standardised expression.

    Expression of whole numbers, which are counts, is scaled and its logarithm taken first.
    """

    modality_kinds: tuple[str, ...] = ("tabular", "expression")
    task_kinds = ("survival",)
    _counts = False

    @classmethod
    def available(cls) -> bool:
        """Whether scikit-survival is installed."""
        return find_spec("sksurv") is not None

    @abstractmethod
    def curves(self, features: Floats, time: Floats, event: npt.NDArray[np.bool_]) -> Curves:
        """Fit features (N, F) to times (N,) and events (N,), at least one of them True.

        Args:
            features: (N, F) training rows.
            time: (N,) time of the event or of the end of observation.
            event: (N,) whether the event was observed.

        Raises:
            MissingExtraError: scikit-survival is not installed.
        """

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N rows of a table, or of expression (G,), to (N, F)."""
        if not isinstance(values[0], np.ndarray):
            return super().features(values, target)
        from sklearn.preprocessing import StandardScaler

        table = np.stack(values).astype(np.float32)
        if target is not None:
            self._counts = bool((table >= 0).all() and (table == table.round()).all())
        table = log_normalise(table) if self._counts else table
        if target is not None:
            self._scaler = StandardScaler().fit(table)
        return self._scaler.transform(table)

    def fit(self, inputs: Sequence[Row], target: Tensor) -> None:
        """Learn the features, then the model.

        Raises:
            SpecError: a row lacks the modality, or no training row has an event.
            MissingExtraError: scikit-survival is not installed.
        """
        values = self.values(inputs)
        if not bool((target[:, 1] > 0).any()):
            raise SpecError(
                f"{type(self).__name__}: none of the {len(target)} rows of '{self.task.name}' has an event"
            )
        self._readout = self.readout(self.features(values, target), target)

    def readout(self, features: Matrix, target: Tensor) -> Readout:
        """Fit the model, and read its curves at the ends of the intervals of the task."""
        model = self.curves(np.asarray(features, dtype=np.float64), *times_and_events(target))
        ends = np.array(self.task.edges[1:])

        def predict(x: Matrix) -> Floats:
            times, values = model(np.asarray(x, dtype=np.float64))
            place = np.searchsorted(times, ends, side="right")
            found: Floats = np.concatenate([np.ones((len(values), 1)), values], 1)[:, place]
            return found

        return predict


@BASELINES.register
class CoxBaseline(SurvivalBaseline):
    """Cox's proportional hazards with an elastic net, half L1 and half L2, down to nearly no penalty.

    Its strength is that of the best mean concordance in FOLDS folds.
    """

    citation = (
        "Cox, Regression models and life-tables, J. Royal Statistical Society B 34:187, 1972; Simon, Friedman, "
        "Hastie and Tibshirani, Regularization paths for Cox's proportional hazards, J. Stat. Softw. 39(5), 2011"
    )

    def curves(self, features: Floats, time: Floats, event: npt.NDArray[np.bool_]) -> Curves:
        """Choose the strength, then fit the whole path on all rows."""
        try:
            from sksurv.linear_model import CoxnetSurvivalAnalysis
            from sksurv.util import Surv
        except ImportError as error:
            raise MissingExtraError("scikit-survival", "survival") from error
        truth = Surv.from_arrays(event, time)
        model = CoxnetSurvivalAnalysis(n_alphas=30, alpha_min_ratio=0.01, fit_baseline_model=True)
        model.fit(features, truth)
        strengths = model.alphas_
        best = float(strengths[int(np.argmax(self._scores(features, time, event, strengths)))])

        def predict(x: Floats) -> tuple[Floats, Floats]:
            functions = model.predict_survival_function(x, alpha=best)
            return functions[0].x, np.stack([f.y for f in functions]) if len(x) else np.zeros((0, 1))

        return predict

    def _scores(self, features: Floats, time: Floats, event: npt.NDArray[np.bool_], strengths: Floats) -> Floats:
        """Mean concordance (S,) over folds with events on both sides; zeros where there are none."""
        from sklearn.model_selection import StratifiedKFold
        from sksurv.linear_model import CoxnetSurvivalAnalysis
        from sksurv.util import Surv

        parts = min(FOLDS, int(event.sum()), int((~event).sum()) or len(event))
        scores = np.zeros(len(strengths))
        if parts < 2:
            return scores
        for train, val in StratifiedKFold(parts, shuffle=True, random_state=self.seed).split(features, event):
            model = CoxnetSurvivalAnalysis(alphas=strengths).fit(
                features[train], Surv.from_arrays(event[train], time[train])
            )
            risks = [model.predict(features[val], alpha=a) for a in strengths]
            scores += np.nan_to_num([concordance(time[val], event[val], r) for r in risks], nan=0.5)
        return scores / parts


@BASELINES.register
class RandomSurvivalForestBaseline(SurvivalBaseline):
    """300 trees on bootstrap samples with log-rank splits, at least ten rows a leaf, sqrt(F) features a split."""

    citation = (
        "Ishwaran, Kogalur, Blackstone and Lauer, Random survival forests, Annals of Applied Statistics 2:841, 2008"
    )

    def curves(self, features: Floats, time: Floats, event: npt.NDArray[np.bool_]) -> Curves:
        """Fit on one core."""
        try:
            from sksurv.ensemble import RandomSurvivalForest
            from sksurv.util import Surv
        except ImportError as error:
            raise MissingExtraError("scikit-survival", "survival") from error
        model = RandomSurvivalForest(300, min_samples_leaf=10, random_state=self.seed, n_jobs=1)
        model.fit(features, Surv.from_arrays(event, time))
        return lambda x: (model.unique_times_, model.predict_survival_function(x, return_array=True))
