"""The scores of ``run.py compare``: a table, a figure for each task, and what they say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.commands.ablate.values import metric_names
from experiments.commands.compare.plan import NETWORK, Method
from experiments.commands.table1.rows import Plan
from experiments.core.job import Finished, spec_of
from experiments.core.study_command import StudyRun
from experiments.reporting.columns import figure_columns, interval_column, reference_columns
from zoo.errors import SpecError
from zoo.evaluation.paired import Difference, Estimate, Runs, compare, estimate, over_rows
from zoo.evaluation.summary import references
from zoo.results import Column, Figure, Series, Table, joint_word
from zoo.tasks.base import task_kind


@dataclass
class Scores:
    """What one method scores on one set of modalities.

    Attributes:
        method: which.
        metric: what is measured.
        runs: seed -> kind and test predictions.
        missing: seeds that are not finished.
        found: value and interval over units; None where no seed has test rows.
        rows: value and interval over rows; None where it was not asked for, or where rows are the units.
        gap: network minus this method on the rows that both predict; None for the network itself.
        chance, constant: what a guesser and the best constant score, averaged over seeds.
        n_train: training rows of the last seed.
        data: "real", "simulated" or "mixed".
    """

    method: Method
    metric: str
    runs: Runs
    missing: tuple[int, ...] = ()
    found: Estimate | None = None
    rows: Estimate | None = None
    gap: Difference | None = None
    chance: float = math.nan
    constant: float = math.nan
    n_train: int = 0
    data: str = "real"

    @property
    def wider(self) -> float | None:
        """How many times the interval over units is as wide as the one over rows."""
        if self.rows is None or self.found is None or not self.rows.high > self.rows.low:
            return None
        return (self.found.high - self.found.low) / (self.rows.high - self.rows.low)


def score(methods: Sequence[Method], plan: Plan, run: StudyRun) -> list[Scores]:
    """Score every method, and compare the network with each pipeline of the same task and modalities.

    Args:
        methods: in the order of the table.
        plan: modalities and tasks.
        run: with what was trained.
    """
    resamples = run.options.resamples
    networks: dict[tuple[str, tuple[str, ...]], Scores] = {}
    found = []
    for method in methods:
        each = _runs(method, plan, run)
        key = method.task.name, method.modalities
        if each.runs:
            asked = {"metric": each.metric, "resamples": resamples}
            each.found = estimate(each.runs, **asked)
            if run.options.rows_too and not each.found.unit.startswith("row ("):
                each.rows = estimate(over_rows(each.runs), **asked)
            if method.label != NETWORK and key in networks:
                each.gap = compare(networks[key].runs, each.runs, **asked)
        if method.label == NETWORK:
            networks[key] = each
        found.append(each)
    return found


def _runs(method: Method, plan: Plan, run: StudyRun) -> Scores:
    """The predictions of a method, with their references."""
    task, asked = method.task.name, run.options.metric
    kind = task_kind(method.task)
    metric = asked if asked in metric_names(method.task) else kind.primary
    runs, parts, missing = {}, dict[int, Finished](), []
    for seed in run.seeds:
        part = run.trained.finished.get(method.job(plan, seed))
        if part is None:
            missing.append(seed)
        elif (result := part.predicted["test"].results.get(task)) is not None:
            if run.options.unit:
                result = replace(result, units=_units(run, seed, result.ids))
            runs[seed] = task_kind(spec_of(part, task)), result
            parts[seed] = part
    scores = Scores(method, metric, runs, tuple(missing))
    if parts:
        told = [_references(run, seed, part, runs[seed], metric) for seed, part in parts.items()]
        scores.chance, scores.constant = _mean(t[0] for t in told), _mean(t[1] for t in told)
        scores.data = joint_word([p.info["data"]["test"][task] for p in parts.values()])
        scores.n_train = int(list(parts.values())[-1].info["n_train"])
    return scores


def _units(run: StudyRun, seed: int, ids: Sequence[str]) -> list[str]:
    """The group of each row in the column --unit, as the networks of a seed know it; the row where there is none.

    Raises:
        SpecError: no finished network knows the column.
    """
    column: str = run.options.unit
    codes: dict[str, int] = {}
    known: set[str] = set()
    for job, part in run.trained.finished.items():
        predicted = part.predicted.get("test")
        if job.kind == "network" and job.seed == seed and predicted is not None:
            known |= set(predicted.groups)
            if column in predicted.groups:
                codes |= dict(zip(predicted.ids, predicted.groups[column].tolist(), strict=True))
    if not codes:
        raise SpecError(
            f"--unit {column}: no finished network of seed {seed} has this group; groups: {sorted(known)}"
        )
    found = [(name, codes.get(name, -1)) for name in ids]
    return [f"{column}:{code}" if code >= 0 else f"row:{name}" for name, code in found]


def _references(run: StudyRun, seed: int, part: Finished, scored: Any, metric: str) -> tuple[float, float]:
    """Chance and best constant: as the job keeps them, or of another metric than the primary one, measured now."""
    kind, result = scored
    task = kind.spec.name
    if metric == kind.primary:
        told = part.info["references"]["test"][task]
        return _number(told["chance"]), _number(told["constant"])
    labels = run.study.data(seed=seed).pipeline.labels("train", task)
    return references(kind, result, labels, kind.chance_draws, metric=metric)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _mean(values: Iterable[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else math.nan


def table_of(found: Sequence[Scores]) -> Table:
    """The table: a row for each task, set of modalities and method."""
    columns = [
        Column("task", "task"),
        Column("metric", "metric"),
        Column("reads", "reads"),
        Column("method", "method"),
        *figure_columns(),
        interval_column("rows", "over rows", "the same with an interval over rows"),
        Column("wider", "wider", "number", help="width of the interval over units, divided by that over rows"),
        interval_column("gap", "network minus it", "paired, on the rows that both predict"),
        Column("p", "p", "number", help="two-sided, paired bootstrap"),
        *reference_columns(),
        Column("n_train", "training rows", "integer", help="of one seed"),
        Column("data", "data"),
        Column("note", "note"),
    ]
    return Table("compare", "The network beside classical pipelines", columns, [_line(s) for s in found])


def _line(scores: Scores) -> dict[str, Any]:
    method, found = scores.method, scores.found
    line: dict[str, Any] = {"task": method.task.name, "metric": scores.metric, "reads": method.reads}
    line |= {"method": method.label, "data": scores.data}
    if scores.missing:
        line["note"] = f"not finished: seeds {list(scores.missing)}"
    elif found is None:
        line["note"] = "predicts no test row"
    if found is None:
        return line
    line |= {"value": found.value, "low": found.low, "high": found.high, "std": found.std, "n": found.n}
    line |= {"unit": found.unit, "interval": found.method, "seeds": found.seeds, "n_train": scores.n_train}
    line |= {"chance": scores.chance, "constant": scores.constant}
    if scores.rows is not None:
        rows = scores.rows
        line |= {"rows": rows.value, "rows_low": rows.low, "rows_high": rows.high, "wider": scores.wider}
    if scores.gap is not None:
        gap = scores.gap
        line |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high, "p": gap.p}
    return line


VERDICTS = {"better": "better than", "worse": "worse than", "undecided": "not to be told from"}


def sentences(found: Sequence[Scores]) -> list[str]:
    """For each task and set of modalities, which pipelines the network is better or worse than."""
    said = []
    for key in dict.fromkeys((s.method.task.name, s.method.reads) for s in found):
        mine = [s for s in found if (s.method.task.name, s.method.reads) == key]
        gaps = {s.method.label: s.gap.verdict for s in mine if s.gap is not None}
        named = {w: [n for n, v in gaps.items() if v == verdict] for verdict, w in VERDICTS.items()}
        parts = [f"{words} {', '.join(names)}" for words, names in named.items() if names]
        what = f"{key[0]} from {key[1]}: "
        none = "no classical pipeline was compared."
        said.append(what + (f"by paired intervals the network is {'; '.join(parts)}." if parts else none))
    return said


def figures_of(found: Sequence[Scores]) -> list[Figure]:
    """Bars for each task: sets of modalities across, a colour for each method."""
    figures = []
    for task in dict.fromkeys(s.method.task.name for s in found):
        mine = [s for s in found if s.method.task.name == task and s.found is not None]
        if not mine:
            continue
        reads = list(dict.fromkeys(s.method.reads for s in mine))
        series = []
        for label in dict.fromkeys(s.method.label for s in mine):
            by = {s.method.reads: s.found for s in mine if s.method.label == label}
            part = Series(label, reads, [e.value if (e := by.get(r)) else None for r in reads])
            part.low = [e.low if (e := by.get(r)) else None for r in reads]
            part.high = [e.high if (e := by.get(r)) else None for r in reads]
            part.simulated = mine[0].data != "real"
            series.append(part)
        chance = _mean(s.chance for s in mine)
        figures.append(
            Figure(
                f"compare-{task}",
                f"{task}: network and classical pipelines, 95 % intervals",
                "bars",
                "modalities",
                mine[0].metric,
                series,
                {"chance": chance} if math.isfinite(chance) else {},
                group="compare",
                panel=task,
                data=joint_word([s.data for s in mine]),
            )
        )
    return figures
