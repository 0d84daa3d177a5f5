"""Classical models of tables that the second paper compares with: logistic regression, forest, SVM and boosting.

They are no candidates of MultiMed's domain-specific row (see zoo.baselines.domain): they have their own registry.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.baselines.base import Row
from zoo.baselines.domain import allowed_modalities, read_rows, spec_of_task
from zoo.baselines.tabular import TabularBaseline
from zoo.contract import MODALITIES, TaskSpec
from zoo.data import Pipeline
from zoo.errors import MissingExtraError, SpecError
from zoo.registry import Registry
from zoo.tasks.readout import Matrix, Readout
from zoo.training.collector import Evaluated

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Weighting = Literal["", "balanced"]
TABLE = "table"
"""Name of the one table that several modalities are joined to; a column is then ``modality.column``."""
LISTS = ("orders", "visual_findings")
"""Columns that hold several words joined by SEPARATOR; each frequent word becomes a column of 0 and 1."""
SEPARATOR = "; "
MOST_WORDS = 64
"""Words of a list that become columns at most, the most frequent of training (appendix C.1 of the paper)."""


class TableModel(TabularBaseline):
    """A classifier on the features of TabularBaseline: standardised numbers, indicators, one-hot categories.

    Options of the models are fixed; those not named are scikit-learn's or XGBoost's own.

    Args:
        task: what to predict, of kind classification or ordinal.
        modality: name of the table to read.
        seed: of whatever is random.
        sampling_rate: not used.
        class_weight: "balanced" weighs each training row by 1 / (classes x rows of its class); "" all alike.

    Raises:
        SpecError: the kind of the task is another one, or ``class_weight`` is unknown.
    """

    task_kinds = ("classification", "ordinal")

    def __init__(
        self,
        task: TaskSpec,
        modality: str,
        seed: int = 0,
        sampling_rate: float = 0.0,
        class_weight: Weighting = "",
    ) -> None:
        super().__init__(task, modality, seed, sampling_rate)
        if class_weight not in ("", "balanced"):
            raise SpecError(f"{type(self).__name__}: class_weight is {class_weight!r}; allowed: '' and 'balanced'")
        self.class_weight = class_weight

    @abstractmethod
    def classifier(self, features: Floats, codes: Codes) -> Readout:
        """Fit on features (N, F) and codes (N,) from 0 to the number of classes seen less one, at least two.

        Returns:
            A function from features (M, F) to probabilities (M, classes seen).
        """

    def readout(self, features: Matrix, target: Tensor) -> Readout:
        """Fit the classifier; a class that training lacks gets probability 0."""
        seen, codes = np.unique(target.numpy(), return_inverse=True)
        model = self.classifier(np.asarray(features, dtype=np.float64), codes.astype(np.int64))

        def predict(x: Matrix) -> Floats:
            out = np.zeros((x.shape[0], self.task.num_outputs))
            out[:, seen] = model(x)
            return out

        return predict


TABLE_MODELS: Registry[TableModel] = Registry("table model", "baselines")
"""Table models by class name; none of them is in BASELINES."""


@TABLE_MODELS.register
class LogisticRegressionTable(TableModel):
    """Multinomial logistic regression with an L2 penalty, C = 1."""

    citation = "Cox, The regression analysis of binary sequences, J. Royal Statistical Society B 20:215, 1958"

    def classifier(self, features: Floats, codes: Codes) -> Readout:
        """Fit, at most 2000 iterations of L-BFGS."""
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1.0, max_iter=2000, class_weight=self.class_weight or None)
        found: Readout = model.fit(features, codes).predict_proba
        return found


@TABLE_MODELS.register
class RandomForestTable(TableModel):
    """500 trees grown to the end on bootstrap samples, the square root of the features tried at each split."""

    citation = "Breiman, Random forests, Machine Learning 45:5, 2001"

    def classifier(self, features: Floats, codes: Codes) -> Readout:
        """Fit on one core."""
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(
            500, max_features="sqrt", class_weight=self.class_weight or None, random_state=self.seed, n_jobs=1
        )
        found: Readout = model.fit(features, codes).predict_proba
        return found


@TABLE_MODELS.register
class SVMTable(TableModel):
    """Support vector machine with a radial kernel, C = 1 and gamma = 1 / (features x variance).

    Probabilities are the softmax of its one-against-rest decision values: their order is that of the values and the
    most probable class is the machine's own, but they are not calibrated (Platt scaling by cross-validation needs
    several rows of every class, which rare classes lack).
    """

    citation = "Cortes and Vapnik, Support-vector networks, Machine Learning 20:273, 1995"

    def classifier(self, features: Floats, codes: Codes) -> Readout:
        """Fit; ties of votes are broken by the decision values."""
        from scipy.special import expit, softmax
        from sklearn.svm import SVC

        model = SVC(C=1.0, gamma="scale", break_ties=True, class_weight=self.class_weight or None)
        model.fit(features, codes)

        def predict(x: Matrix) -> Floats:
            values = np.asarray(model.decision_function(x), dtype=np.float64)
            if values.ndim == 1:
                return np.stack([expit(-values), expit(values)], 1)
            found: Floats = softmax(values, axis=1)
            return found

        return predict


@TABLE_MODELS.register
class XGBoostTable(TableModel):
    """300 boosted trees of depth 6, learning rate .1, 80 % of rows and columns a tree (extra ``augmentation``)."""

    citation = "Chen and Guestrin, XGBoost: a scalable tree boosting system, KDD 2016"

    @classmethod
    def available(cls) -> bool:
        """Whether XGBoost is installed."""
        from importlib.util import find_spec

        return find_spec("xgboost") is not None

    def classifier(self, features: Floats, codes: Codes) -> Readout:
        """Fit on one core.

        Raises:
            MissingExtraError: XGBoost is not installed.
        """
        from sklearn.utils.class_weight import compute_sample_weight

        try:
            from xgboost import XGBClassifier
        except ImportError as error:
            raise MissingExtraError("xgboost", "augmentation") from error
        model = XGBClassifier(
            n_estimators=300, max_depth=6, learning_rate=0.1, subsample=0.8, colsample_bytree=0.8,
            tree_method="hist", random_state=self.seed, n_jobs=1,
        )  # fmt: skip
        weight = compute_sample_weight(self.class_weight, codes) if self.class_weight else None
        model.fit(features, codes, sample_weight=weight)
        return lambda x: np.asarray(model.predict_proba(x), dtype=np.float64)


class TableJoin:
    """Join the tables of a row to one, and make columns of the words of lists; words are those of training.

    A table that a row lacks leaves its columns unknown.

    Args:
        modalities: the tables, in order.
        lists: names of columns that hold words joined by SEPARATOR.
    """

    def __init__(self, modalities: Sequence[str], lists: Sequence[str] = LISTS) -> None:
        self.modalities, self.lists = tuple(modalities), tuple(lists)
        self.words: dict[str, tuple[str, ...]] = {}

    def fit(self, inputs: Sequence[Row]) -> None:
        """Learn the words of each list: the MOST_WORDS most frequent, ties in the order of the alphabet."""
        counts: dict[str, Counter[str]] = {}
        for row in inputs:
            for name, value in self._columns(row):
                if self._is_list(name):
                    counts.setdefault(name, Counter()).update(set(_split(value)))
        for name, found in counts.items():
            ordered = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
            self.words[name] = tuple(word for word, _ in ordered[:MOST_WORDS])

    def __call__(self, inputs: Sequence[Row]) -> list[Row]:
        """One table a row, as modality TABLE."""
        joined: list[Row] = []
        for row in inputs:
            table: dict[str, Any] = {}
            for name, value in self._columns(row):
                if not self._is_list(name):
                    table[name] = value
                    continue
                there = set(_split(value))
                known = self.words.get(name, ())
                table.update({f"{name}={w}": None if value is None else float(w in there) for w in known})
            joined.append({TABLE: table})
        return joined

    def _columns(self, row: Row) -> list[tuple[str, Any]]:
        return [(f"{m}.{c}", v) for m in self.modalities for c, v in (row.get(m) or {}).items()]

    def _is_list(self, name: str) -> bool:
        return name.split(".", 1)[1] in self.lists


def _split(value: object) -> list[str]:
    return [] if value is None else [w.strip().lower() for w in str(value).split(SEPARATOR.strip()) if w.strip()]


def fit_table_model(
    pipeline: Pipeline,
    task: str,
    name: str,
    modalities: Sequence[str],
    *,
    seed: int,
    splits: Sequence[str] = ("val", "test"),
    class_weight: Weighting = "",
    lists: Sequence[str] = LISTS,
) -> dict[str, Evaluated]:
    """Fit a table model on the training rows of a pipeline and predict its other splits.

    All sources are learned together; training rows are read as zoo.baselines.domain does (at most MOST_TRAIN a
    source). Everything is learned from training rows.

    Args:
        pipeline: sources, split and fitted.
        task: name of the task, of kind classification or ordinal.
        name: of the model, one of ``table_models()``.
        modalities: tables to read, joined to one; a row that lacks some has their columns unknown.
        seed: of whatever the model draws.
        splits: the splits to predict.
        class_weight: see TableModel.
        lists: columns of words, see TableJoin.

    Returns:
        split -> predictions of its labelled rows that have one of the tables, sorted by id; a split without such
        rows is left out.

    Raises:
        UnknownNameError: a task, modality or model that does not exist.
        SpecError: a modality is no table or may not inform the task, or training has fewer than two classes.
        MissingExtraError: the model's library is not installed.
    """
    cls, spec = TABLE_MODELS.get(name), spec_of_task(pipeline, task)
    if not modalities:
        raise SpecError(f"{name}: no modality to read was given")
    allowed = allowed_modalities(pipeline, spec, modalities)
    for modality in dict.fromkeys(modalities):
        kind = pipeline.raw_modalities[modality].kind
        table = MODALITIES.get(kind).table
        if not table or modality not in allowed:
            why = f"is of kind '{kind}'" if not table else f"may not inform task '{task}'"
            raise SpecError(f"{name} reads tables that inform the task, but modality '{modality}' {why}")
    model = cls(spec, TABLE, seed=seed, class_weight=class_weight)
    train, join = read_rows(pipeline, spec, "train", allowed), TableJoin(allowed, lists)
    join.fit(train.inputs)
    model.fit(join(train.inputs), train.target)
    results = {}
    for split in splits:
        rows = read_rows(pipeline, spec, split, allowed)
        if rows.ids:
            source = torch.from_numpy(rows.source)
            done = Evaluated(model.predict(join(rows.inputs)), rows.target, source, rows.ids, rows.units)
            results[split] = done.take(sorted(range(len(rows.ids)), key=lambda i: rows.ids[i]))
    return results
