"""Values where modalities are missing, and the tables and figures of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from experiments.commands.robustness.pile import Model, Options, Pile, ends, finite, uses
from experiments.reporting.columns import interval_column
from zoo.contract import Batch
from zoo.evaluation.missing import (
    filled,
    informative_chances,
    lose,
    source_constants,
    take_rows,
    without,
)
from zoo.evaluation.resampling import UNIT_HELP
from zoo.models.predict import predict
from zoo.results import Column, Figure, Series, Table, joint_word
from zoo.training.collector import Evaluated

MISSING = "missing"
RANDOM, INFORMATIVE, WITHOUT = "random", "informative", "without"
KEPT, EVERY, BEFORE = "rows that keep a modality", "all rows", "nothing missing"
Change = Callable[[Batch], Batch]


def measure_missing(model: Model, pile: Pile, options: Options) -> dict[str, str]:
    """Hide modalities of the test rows: each entirely, all at random, all depending on the label.

    Values go on the pile under ("missing", task, mechanism, modality, rate, which rows).

    Args:
        model: the trained model with its data.
        pile: where values go.
        options: of the command.

    Returns:
        task -> how its label makes modalities go missing, or why nothing can.
    """
    said = {}
    for task in options.tasks:
        if task not in model.specs or task not in model.test.results:
            continue
        spec = model.specs[task]
        keep = {spec.reads} - {""}
        losable = [m for m in model.module.modalities if uses(spec, m) and m not in keep]
        if not losable:
            said[task] = f"it reads '{spec.reads}' and nothing else, so nothing can be missing"
            continue
        whole = model.test.results[task]
        train = model.view.view.labels("train", task)
        scores, said[task] = model.kind(task).label_order(whole.target, train[0])
        constant = source_constants(model.kind(task), whole, train)
        chance = model.chance(task, whole)
        here = _Task(model, pile, options, task, whole, constant, chance)
        for name in losable:
            here.without(name)
        for rate in options.rates:
            here.rate(RANDOM, rate, rate, keep)
            chances = informative_chances(scores, rate)
            here.rate(INFORMATIVE, rate, dict(zip(whole.ids, chances.tolist(), strict=True)), keep)
    return said


class _Task:
    """One task of one model."""

    def __init__(
        self,
        model: Model,
        pile: Pile,
        options: Options,
        task: str,
        whole: Evaluated,
        constant: torch.Tensor,
        chance: float,
    ) -> None:
        self.model, self.pile, self.options, self.task = model, pile, options, task
        self.whole, self.constant, self.chance = whole, constant, chance
        self.batches = _rows(model.batches, set(whole.ids))

    def without(self, modality: str) -> None:
        """Hide one modality in the rows that have it."""
        if self.options.over(f"seed {self.model.seed}: {self.task} without {modality}"):
            return
        has = dict(zip(self.model.test.ids, self.model.test.present[modality].tolist(), strict=True))
        rows = [k for k, i in enumerate(self.whole.ids) if has[i]]
        if rows:
            part, constant = self.whole.take(rows), self.constant[torch.tensor(rows)]
            batches = _rows(self.batches, set(part.ids))
            self._measure((WITHOUT, modality, 1.0), part, constant, batches, lambda b: without(b, modality))

    def rate(self, mechanism: str, rate: float, chances: Any, keep: set[str]) -> None:
        """Hide modalities with a probability a row."""
        if self.options.over(f"seed {self.model.seed}: {self.task}, {mechanism} missingness {rate:g}"):
            return
        seed = self.model.seed
        self._measure(
            (mechanism, "", rate),
            self.whole,
            self.constant,
            self.batches,
            lambda b: lose(b, chances, keep=keep, seed=seed),
        )

    def _measure(
        self,
        what: tuple[str, str, float],
        part: Evaluated,
        constant: torch.Tensor,
        batches: list[Batch],
        change: Change,
    ) -> None:
        kept = predict(self.model.module, batches, change).results.get(self.task)
        everyone, _ = filled(part, kept, constant)
        key = (MISSING, self.task, *what)
        rest = part.take([]) if kept is None else kept
        for which, result in ((BEFORE, part), (EVERY, everyone), (KEPT, rest)):
            kind, word = self.model.kind(self.task), self.model.word(result if len(result.ids) else part)
            self.pile.measure((*key, which), self.task, kind, result, chance=self.chance, data=word)


def _rows(batches: Iterable[Batch], ids: set[str]) -> list[Batch]:
    """The rows with these ids, of the batches that have any."""
    cut = [take_rows(b, torch.tensor([i in ids for i in b.ids], dtype=torch.bool)) for b in batches]
    return [b for b in cut if len(b)]


def missing_table(pile: Pile, metrics: dict[str, str], said: dict[str, str]) -> Table:
    """A row a task, mechanism and rate.

    Args:
        pile: the measured values.
        metrics: task -> name of its metric.
        said: task -> how its label makes modalities go missing.
    """
    rows = []
    for key in (k for k in pile.listed() if k[0] == MISSING and k[5] == EVERY):
        _, task, mechanism, modality, rate, _ = key
        every, kept, before = (pile.mean((*key[:5], which)) for which in (EVERY, KEPT, BEFORE))
        row: dict[str, Any] = {
            "task": task, "metric": metrics[task], "missing": f"without {modality}" if modality else mechanism,
            "rate": rate, "n": every.n, "unit": every.unit,
            "coverage": kept.n / max(every.n, 1), "chance": every.chance, "data": every.data,
        }  # fmt: skip
        for name, mean in (("before", before), ("kept", kept), ("every", every)):
            row[name], row[f"{name}_low"], row[f"{name}_high"] = mean.estimate
        rows.append(row)
    columns = [
        Column("task", "task"), Column("metric", "metric"), Column("missing", "what is missing"),
        Column("rate", "rate", "number"), Column("n", "rows", "integer"),
        Column("unit", "unit", help=UNIT_HELP),
        Column("coverage", "coverage", "number", help="share of rows that the network can still predict"),
        Column("chance", "chance", "number"),
        interval_column("before", "nothing missing"),
        interval_column("kept", "rows that keep a modality"),
        interval_column("every", "all rows"), Column("data", "data"),
    ]  # fmt: skip
    note = (
        "Modalities are hidden from the trained network at test time; what a task reads is never hidden. 'without': "
        "in the rows that have the modality. random: each modality of a row goes with probability = rate. "
        "informative: with probability sigmoid(a + 4 score of the label), a such that the mean is the rate. A row "
        "that keeps no modality of the task is predicted by the best constant of its source in training ('all rows') "
        "or left out ('rows that keep a modality': other rows at each rate, so not a fair curve). "
        + " ".join(f"{t}: {s}." for t, s in said.items())
    )
    return Table("missing", "Missing modalities", columns, rows, note)


def missing_figures(pile: Pile, metrics: dict[str, str]) -> list[Figure]:
    """For each task lines against the rate, and bars without each modality."""
    figures = []
    keys = [k for k in pile.listed() if k[0] == MISSING]
    for task in dict.fromkeys(k[1] for k in keys):
        mine = [k for k in keys if k[1] == task]
        lines = [
            _line(pile, [k for k in mine if k[2] == mechanism and k[5] == which], f"{mechanism}: {which}")
            for mechanism in (RANDOM, INFORMATIVE)
            for which in (EVERY, KEPT)
        ]
        lines = [s for s in lines if s.x]
        first = pile.mean(mine[0])
        word = joint_word([pile.mean(k).data for k in mine])
        if lines:
            figures.append(
                Figure(
                    f"missing_{task}", f"{task} with modalities missing", "lines", "rate of missing modalities",
                    metrics[task], lines, {"chance": first.chance}, group="missing", panel=task, data=word,
                    note="All rows: what cannot be predicted any more gets the constant of its source.",
                )
            )  # fmt: skip
        figures += _bars(pile, [k for k in mine if k[2] == WITHOUT], task, metrics[task])
    return figures


def _line(pile: Pile, keys: Sequence[Any], name: str) -> Series:
    means = [(k[4], pile.mean(k)) for k in keys]
    y, low, high = ends(m.estimate for _, m in means)
    simulated = bool(means) and means[0][1].data == "simulated"
    return Series(name, [r for r, _ in means], y, low, high, [m.n for _, m in means], simulated, KEPT in name)


def _bars(pile: Pile, keys: Sequence[Any], task: str, metric: str) -> list[Figure]:
    if not keys:
        return []
    names = list(dict.fromkeys(k[3] for k in keys))
    series, words = [], []
    for which, label in ((BEFORE, "all its modalities"), (EVERY, "without this modality")):
        means = [pile.mean((MISSING, task, WITHOUT, m, 1.0, which)) for m in names]
        y, low, high = ends(m.estimate for m in means)
        flags = [m.data == "simulated" for m in means]
        series.append(Series(label, names, y, low, high, [m.n for m in means], flags))
        words += [m.data for m in means]
    chance = finite(pile.mean(keys[0]).chance)
    return [
        Figure(
            f"without_{task}", f"{task} without one modality", "bars", "modality", metric, series,
            {} if chance is None else {"chance": chance}, group="without", panel=task, data=joint_word(words),
            note="Over the test rows that have it; a row left with nothing gets the constant of its source.",
        )
    ]  # fmt: skip
