"""Calibration, conformal sets and subgroups of a task's test predictions, over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.commands.robustness.pile import Model, Options, ends, finite
from experiments.reporting.columns import interval_column
from zoo.contract import TaskSpec
from zoo.evaluation import calibration as cal
from zoo.evaluation.conformal import METHODS, Conformal, conformal, expected_coverage
from zoo.evaluation.exact import proportion
from zoo.evaluation.metric_draws import mean_draws
from zoo.evaluation.resampling import UNIT_HELP, Resampler, describe_units
from zoo.results import Column, Figure, Series, Table, joint_word
from zoo.tasks.base import task_kind
from zoo.tasks.items import Probabilities

BEFORE, AFTER, NAIVE = "as it is", "after temperature", "class frequencies"


class Trust:
    """Gathers calibration and conformal prediction over models of several seeds."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.items: dict[tuple[str, str], list[tuple[Probabilities, float]]] = {}
        self.sets: dict[tuple[str, str], list[Conformal]] = {}
        self.words: dict[str, list[str]] = {}
        self.specs: dict[str, TaskSpec] = {}

    def add(self, model: Model) -> None:
        """Take in a model."""
        for task in self.options.tasks:
            if task not in model.test.results:
                continue
            self.specs[task] = model.specs[task]
            self.words.setdefault(task, []).append(model.word(model.test.results[task]))
            if task not in model.val.results:
                continue
            if model.kind(task).gives_probabilities:
                self._calibrate(model, task)
            for method in METHODS[model.kind(task).form]:
                made = conformal(
                    model.kind(task), model.val.results[task], model.test.results[task],
                    method=method, alpha=self.options.alpha, seed=model.seed,
                )  # fmt: skip
                self.sets.setdefault((task, method), []).append(made)

    def _calibrate(self, model: Model, task: str) -> None:
        kind, test = model.kind(task), model.test.results[task]
        temperature = cal.fit_temperature(cal.probabilities(kind, model.val.results[task]))
        items = cal.probabilities(kind, test)
        naive = cal.prevalence(kind, test, model.view.view.labels("train", task)[0])
        for name, part, t in (
            (BEFORE, items, 1.0),
            (AFTER, items, temperature),
            (NAIVE, cal.probabilities(kind, naive), 1.0),
        ):
            self.items.setdefault((task, name), []).append((part, t))

    # -- calibration ---------------------------------------------------------------------------------------------

    def calibration_table(self) -> Table:
        """A row a task, before and after temperature scaling, and of the class frequencies."""
        rows = []
        for (task, name), items in self.items.items():
            resampler = Resampler((u for p, _ in items for u in p.drawn), resamples=self.options.resamples)
            parts = [cal.calibration(p, resampler=resampler, temperature=t) for p, t in items]
            row: dict[str, Any] = {"task": task, "probabilities": name, "data": joint_word(self.words[task])}
            for key in ("temperature", "ece", "ece_mass", "ece_expected", "ece_limit", "accuracy"):
                row[key] = float(np.mean([getattr(p, key) for p in parts]))
            row["off"] = bool(row["ece"] > row["ece_limit"])
            for key in ("brier", "nll"):
                found = resampler.interval(np.mean(np.stack([getattr(p, key) for p in parts]), 0))
                row |= {key: found.value, f"{key}_low": found.low, f"{key}_high": found.high}
            row["n"] = round(sum(p.n for p in parts) / len(parts))
            row["unit"] = describe_units(resampler.names)
            row["left_out"] = sum(p.left_out for p in parts)
            rows.append(row)
        columns = [
            Column("task", "task"), Column("probabilities", "probabilities"), Column("n", "items", "integer"),
            Column("unit", "unit", help=UNIT_HELP),
            Column("temperature", "temperature", "number", help="fitted on validation; above 1 was over-confident"),
            Column("ece", "ECE", "number", help="15 bins of equal width"),
            Column("ece_expected", "ECE if calibrated", "number", help="mean at this number of items"),
            Column("ece_limit", "its 95 % limit", "number"),
            Column("off", "miscalibrated", "flag", help="the ECE is above what calibrated probabilities give"),
            Column("ece_mass", "ECE, equal mass", "number"),
            interval_column("brier", "Brier", "0 to 2, lower is better"),
            interval_column("nll", "NLL", "nats, lower is better"),
            Column("accuracy", "accuracy", "number"),
            Column("left_out", "outside vocabulary", "integer"), Column("data", "data"),
        ]  # fmt: skip
        others = [t for t, s in self.specs.items() if not task_kind(s).gives_probabilities]
        note = (
            "Items are rows; labels of a row for multilabel tasks (absent against present); positions for residues. "
            "Temperature: fitted on validation by the least NLL, never on test; it changes no decision. Mean over "
            "seeds. 'class frequencies' knows no input: calibrated and useless."
        )
        if others:
            note += f" Nothing is calibrated for {', '.join(others)}: values and coordinates have no probabilities."
        return Table("calibration", "Calibration", columns, rows, note)

    def calibration_figures(self) -> list[Figure]:
        """Reliability diagrams, and the number of items in each of their bins."""
        figures = []
        for task in dict.fromkeys(t for t, _ in self.items):
            word = joint_word(self.words[task])
            lines, bars = [], []
            for name in (BEFORE, AFTER):
                found = cal.reliability(_pooled([cal.at_temperature(p, t) for p, t in self.items[(task, name)]]))
                simulated = word == "simulated"
                lines.append(
                    Series(
                        name, found.confidence, list(found.accuracy), list(found.low), list(found.high), found.count,
                        simulated,
                    )
                )  # fmt: skip
                labels = [f"{c:.2f}" for c in found.confidence]
                bars.append(Series(name, labels, [float(c) for c in found.count], simulated=simulated))
            lines.append(Series("perfect", [0.0, 1.0], [0.0, 1.0], dashed=True, simulated=word == "simulated"))
            figures.append(
                Figure(
                    f"reliability_{task}", f"Reliability of {task}", "lines", "mean confidence of the bin",
                    "share that is right", lines, group="reliability", panel=task, data=word,
                    note="Ten bins of equal width, items of all seeds; intervals over units. Below the dashed line: "
                    "over-confident.",
                )
            )  # fmt: skip
            figures += [
                Figure(
                    f"reliability_counts_{task}_{k}", f"Items by confidence of {task}, {bar.name}", "bars",
                    "mean confidence of the bin", "items, all seeds", [bar], group="reliability counts",
                    panel=f"{task}, {bar.name}", data=word,
                )
                for k, bar in enumerate(bars)
            ]  # fmt: skip
        return figures

    # -- conformal -----------------------------------------------------------------------------------------------

    def conformal_tables(self) -> list[Table]:
        """Coverage and size by task, and coverage by class."""
        rows, classes = self._conformal_rows()
        number = Column("coverage", "coverage", "number", "low", "high")
        shared = [Column("task", "task"), Column("method", "method")]
        target = Column("target", "asked for", "number")
        columns = [
            *shared, Column("n", "test rows", "integer"), target, number,
            Column("least", "expected from", "number", help="2.5 % quantile if validation and test are exchangeable"),
            Column("most_expected", "to", "number", help="97.5 % quantile"),
            Column("holds", "reached", "flag", help="not below the expected range"),
            interval_column("size", "set size or width"), Column("unit", "unit"),
            Column("most", "classes", "integer"), Column("empty", "empty sets", "number"),
            Column("calibration", "calibration rows", "integer"),
            Column("full", "too few", "flag", help="too few validation rows for a threshold: every set is full"),
            Column("drawn", "unit of intervals", help=UNIT_HELP), Column("data", "data"),
        ]  # fmt: skip
        none = [t for t, s in self.specs.items() if not METHODS[task_kind(s).form]]
        note = (
            "Split conformal prediction, thresholds from validation rows: LAC (Sadinle et al. 2019), APS (Romano et "
            "al. 2020, randomised), absolute residuals for regression. Intervals: Clopper and Pearson, at the "
            "effective number of rows of one seed. Only the coverage over all rows is promised, not that of a class. "
            "Expected: the range that a threshold of so many validation rows gives on so many test rows "
            "(beta-binomial)."
        )
        if none:
            note += f" None for {', '.join(none)}: positions and coordinates of a chain are not exchangeable items."
        by_class = [*shared, Column("class", "class"), Column("n", "rows", "integer"), target, number]
        return [
            Table("conformal", "Conformal sets", columns, rows, note),
            Table(
                "conformal_classes",
                "Coverage by class",
                [*by_class, Column("drawn", "unit of intervals", help=UNIT_HELP), Column("data", "data")],
                classes,
            ),
        ]

    def _conformal_rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Rows of the table by task and method, and of the table by class."""
        rows: list[dict[str, Any]] = []
        classes: list[dict[str, Any]] = []
        for (task, method), parts in self.sets.items():
            spec, word = self.specs[task], joint_word(self.words[task])
            row: dict[str, Any] = {"task": task, "method": method, "target": 1 - self.options.alpha, "data": word}
            form = task_kind(spec).form
            entries = 1 if form == "class" else spec.num_outputs
            row |= _coverage([(p.covered, p.units) for p in parts], entries)
            resampler = Resampler((u for p in parts for u in p.units), resamples=self.options.resamples)
            size = resampler.interval(mean_draws([resampler.means(p.size, p.units) for p in parts]))
            row |= {"size": size.value, "size_low": size.low, "size_high": size.high}
            row["most"] = None if method == "residual" else (2 if form == "labels" else spec.num_outputs)
            row["drawn"] = describe_units(resampler.names)
            row["unit"] = "classes" if method != "residual" else spec.unit or "standardised"
            row["empty"] = float(np.mean([p.empty for p in parts]))
            row["calibration"] = min(p.n_calibration for p in parts)
            row["full"] = any(p.full for p in parts)
            row["least"], row["most_expected"] = expected_coverage(row["calibration"], row["n"], self.options.alpha)
            row["holds"] = bool(row["full"] or row["coverage"] >= row["least"])
            rows.append(row)
            names = ("absent", "present") if form == "labels" else spec.classes
            for code in sorted({int(c) for p in parts for c in np.unique(p.labels)} if method != "residual" else ()):
                name = "outside the vocabulary" if code < 0 else (names[code] if names else str(code))
                line = {"task": task, "method": method, "class": name, "target": 1 - self.options.alpha}
                some = [_of_code(p, code) for p in parts]
                drawn = describe_units(u for _, units in some for u in units)
                classes.append({**line, **_coverage(some), "drawn": drawn, "data": word})
        return rows, classes

    def conformal_figures(self) -> list[Figure]:
        """Coverage of every task beside what was asked for."""
        if not self.sets:
            return []
        series, words = [], []
        for method in dict.fromkeys(m for _, m in self.sets):
            tasks = [t for t, m in self.sets if m == method]
            found = [_coverage([(p.covered, p.units) for p in self.sets[(t, method)]]) for t in tasks]
            y, low, high = ends((f["coverage"], f["low"], f["high"]) for f in found)
            flags = [joint_word(self.words[t]) == "simulated" for t in tasks]
            series.append(Series(method, list(tasks), y, low, high, [f["n"] for f in found], flags))
            words += [joint_word(self.words[t]) for t in tasks]
        asked = 1 - self.options.alpha
        return [
            Figure(
                "conformal_coverage", "Coverage of conformal sets", "bars", "task", "coverage on test", series,
                {f"asked for: {asked:g}": asked}, data=joint_word(words),
            )
        ]  # fmt: skip


def _pooled(parts: Sequence[Probabilities]) -> Probabilities:
    """Items of several seeds as one; their classes are the same."""
    return Probabilities(
        np.concatenate([p.values for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.rows for p in parts]),
        units=[u for p in parts for u in p.drawn],
    )


def _of_code(made: Conformal, code: int) -> tuple[Any, list[str]]:
    """Whether the sets of the rows of one class hold the truth, and the units of these rows."""
    rows = np.flatnonzero(made.labels == code)
    return made.covered[rows], [made.units[k] for k in rows]


def _coverage(parts: Sequence[tuple[Any, list[str]]], entries: int = 1) -> dict[str, Any]:
    """Mean coverage over seeds, and the mean of the ends of each seed's interval over units.

    Args:
        parts: for each seed, whether each set holds the truth, and its unit.
        entries: sets of each row.
    """
    parts = [p for p in parts if len(p[0])]
    if not parts:
        return {"coverage": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    found = [proportion(*p) for p in parts]
    share, low, high = (float(np.mean([getattr(f, end) for f in found])) for end in ("value", "low", "high"))
    n = max(1, round(sum(len(p[0]) for p in parts) / len(parts) / entries))
    return {"coverage": share, "low": finite(low), "high": finite(high), "n": n}
