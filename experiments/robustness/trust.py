"""Calibration, conformal sets and subgroups of a task's test predictions, over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from experiments.robustness.pile import Model, Options, ends, finite
from zoo.analysis import calibration as cal
from zoo.analysis.conformal import METHODS, Conformal, conformal, expected_coverage
from zoo.analysis.subgroups import interval
from zoo.contract import TaskSpec
from zoo.results import Column, Figure, Series, Table, joint_word

BEFORE, AFTER, NAIVE = "as it is", "after temperature", "class frequencies"


class Trust:
    """Gathers calibration and conformal prediction over models of several seeds."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.calibrations: dict[tuple[str, str], list[cal.Calibration]] = {}
        self.items: dict[tuple[str, str], list[cal.Probabilities]] = {}
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
            if model.kind(task).kind in cal.KINDS:
                self._calibrate(model, task)
            for method in METHODS.get(model.kind(task).kind, ()):
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
            found = cal.calibration(part, temperature=t, resamples=self.options.resamples)
            self.calibrations.setdefault((task, name), []).append(found)
            self.items.setdefault((task, name), []).append(cal.at_temperature(part, t))

    # -- calibration ---------------------------------------------------------------------------------------------

    def calibration_table(self) -> Table:
        """A row a task, before and after temperature scaling, and of the class frequencies."""
        rows = []
        for (task, name), parts in self.calibrations.items():
            row: dict[str, Any] = {"task": task, "probabilities": name, "data": joint_word(self.words[task])}
            for key in ("temperature", "ece", "ece_mass", "ece_expected", "ece_limit", "accuracy"):
                row[key] = float(np.mean([getattr(p, key) for p in parts]))
            row["off"] = bool(row["ece"] > row["ece_limit"])
            for key in ("brier", "nll"):
                estimate = interval(np.mean(np.stack([getattr(p, key) for p in parts]), 0))
                row[key], row[f"{key}_low"], row[f"{key}_high"] = estimate
            row["n"] = round(sum(p.n for p in parts) / len(parts))
            row["left_out"] = sum(p.left_out for p in parts)
            rows.append(row)
        columns = [
            Column("task", "task"), Column("probabilities", "probabilities"), Column("n", "items", "integer"),
            Column("temperature", "temperature", "number", help="fitted on validation; above 1 was over-confident"),
            Column("ece", "ECE", "number", help="15 bins of equal width"),
            Column("ece_expected", "ECE if calibrated", "number", help="mean at this number of items"),
            Column("ece_limit", "its 95 % limit", "number"),
            Column("off", "miscalibrated", "flag", help="the ECE is above what calibrated probabilities give"),
            Column("ece_mass", "ECE, equal mass", "number"),
            Column("brier", "Brier", "number", "brier_low", "brier_high", help="0 to 2, lower is better"),
            Column("nll", "NLL", "number", "nll_low", "nll_high", help="nats, lower is better"),
            Column("accuracy", "accuracy", "number"),
            Column("left_out", "outside vocabulary", "integer"), Column("data", "data"),
        ]  # fmt: skip
        others = [t for t, s in self.specs.items() if s.kind not in cal.KINDS]
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
                found = cal.reliability(_pooled(self.items[(task, name)]))
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
                    note="Ten bins of equal width, items of all seeds; Wilson intervals. Below the dashed line: "
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
        rows, classes = [], []
        for (task, method), parts in self.sets.items():
            spec, word = self.specs[task], joint_word(self.words[task])
            row: dict[str, Any] = {"task": task, "method": method, "target": 1 - self.options.alpha, "data": word}
            entries = spec.num_outputs if spec.kind in ("regression", "multilabel") else 1
            row |= _coverage([p.covered for p in parts], entries)
            samples = [cal.row_means(p.size, np.arange(len(p.size)), self.options.resamples) for p in parts]
            row["size"], row["size_low"], row["size_high"] = interval(np.mean(np.stack(samples), 0))
            row["most"] = None if method == "residual" else (2 if spec.kind == "multilabel" else spec.num_outputs)
            row["unit"] = "classes" if method != "residual" else spec.unit or "standardised"
            row["empty"] = float(np.mean([p.empty for p in parts]))
            row["calibration"] = min(p.n_calibration for p in parts)
            row["full"] = any(p.full for p in parts)
            row["least"], row["most_expected"] = expected_coverage(row["calibration"], row["n"], self.options.alpha)
            row["holds"] = bool(row["full"] or row["coverage"] >= row["least"])
            rows.append(row)
            names = ("absent", "present") if spec.kind == "multilabel" else spec.classes
            for code in sorted({int(c) for p in parts for c in np.unique(p.labels)} if method != "residual" else ()):
                name = "outside the vocabulary" if code < 0 else (names[code] if names else str(code))
                line = {"task": task, "method": method, "class": name, "target": 1 - self.options.alpha}
                classes.append({**line, **_coverage([p.covered[p.labels == code] for p in parts]), "data": word})
        number = Column("coverage", "coverage", "number", "low", "high")
        shared = [Column("task", "task"), Column("method", "method")]
        target = Column("target", "asked for", "number")
        columns = [
            *shared, Column("n", "test rows", "integer"), target, number,
            Column("least", "expected from", "number", help="2.5 % quantile if validation and test are exchangeable"),
            Column("most_expected", "to", "number", help="97.5 % quantile"),
            Column("holds", "reached", "flag", help="not below the expected range"),
            Column("size", "set size or width", "number", "size_low", "size_high"), Column("unit", "unit"),
            Column("most", "classes", "integer"), Column("empty", "empty sets", "number"),
            Column("calibration", "calibration rows", "integer"),
            Column("full", "too few", "flag", help="too few validation rows for a threshold: every set is full"),
            Column("data", "data"),
        ]  # fmt: skip
        none = [t for t, s in self.specs.items() if s.kind not in METHODS]
        note = (
            "Split conformal prediction, thresholds from validation rows: LAC (Sadinle et al. 2019), APS (Romano et "
            "al. 2020, randomised), absolute residuals for regression. Wilson intervals at the rows of one seed. Only"
            " the coverage over all rows is promised, not that of a class. Expected: the range that a threshold of so"
            " many validation rows gives on so many test rows (beta-binomial)."
        )
        if none:
            note += f" None for {', '.join(none)}: positions and coordinates of a chain are not exchangeable items."
        by_class = [*shared, Column("class", "class"), Column("n", "rows", "integer"), target, number]
        return [
            Table("conformal", "Conformal sets", columns, rows, note),
            Table("conformal_classes", "Coverage by class", [*by_class, Column("data", "data")], classes),
        ]

    def conformal_figures(self) -> list[Figure]:
        """Coverage of every task beside what was asked for."""
        if not self.sets:
            return []
        series, words = [], []
        for method in dict.fromkeys(m for _, m in self.sets):
            tasks = [t for t, m in self.sets if m == method]
            found = [_coverage([p.covered for p in self.sets[(t, method)]]) for t in tasks]
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


def _pooled(parts: Sequence[cal.Probabilities]) -> cal.Probabilities:
    """Items of several seeds as one; their classes are the same."""
    return cal.Probabilities(
        np.concatenate([p.values for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.rows for p in parts]),
    )


def _coverage(parts: Sequence[Any], entries: int = 1) -> dict[str, Any]:
    """Mean coverage over seeds, with a Wilson interval at the rows of one seed, of so many entries each."""
    parts = [p for p in parts if len(p)]
    if not parts:
        return {"coverage": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    share = float(np.mean([p.mean() for p in parts]))
    n = max(1, round(sum(len(p) for p in parts) / len(parts) / entries))
    found = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return {"coverage": share, "low": finite(found.low), "high": finite(found.high), "n": n}
