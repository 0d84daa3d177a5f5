"""Tables, figure and sentences of ``run.py fewshot``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.commands.fewshot.scores import HEAD, PROBE, PROTOTYPES, RIDGE, STEPS, Plan, Scores
from experiments.commands.fewshot.spaces import CLASSICAL, MODEL, UNTRAINED
from zoo.evaluation.few_shot import Floats
from zoo.evaluation.resampling import UNIT_HELP, mean_interval
from zoo.evaluation.zero_shot import telling
from zoo.results import Column, Figure, Result, Series, Table, joint_word

PAPER = {"disease": (0.5378, 0.5728), "cell_type": (0.6021, 0.6683), "expression": (0.5865, 0.6543)}
"""Task -> zero-shot and 20-shot figures of MultiMed's Table 2, as its text quotes them."""
SHOWN: tuple[tuple[str, str], ...] = (
    (MODEL, PROTOTYPES),
    (MODEL, PROBE),
    (MODEL, HEAD),
    (CLASSICAL, PROTOTYPES),
    (CLASSICAL, PROBE),
)
SHOWN += ((UNTRAINED, PROTOTYPES), (MODEL, RIDGE), (CLASSICAL, RIDGE), (UNTRAINED, RIDGE))
"""Curves of the figure; the table has all."""
Key = tuple[str, str, int]


def _pooled(scores: Sequence[Scores]) -> dict[Key, list[Floats]]:
    """Space, method and shots -> the episodes of each seed."""
    found: dict[Key, list[Floats]] = {}
    for one in scores:
        for key, values in one.values.items():
            found.setdefault(key, []).append(values)
    order = (MODEL, UNTRAINED, CLASSICAL)
    return dict(sorted(found.items(), key=lambda item: (order.index(item[0][0]), item[0][2] > 0, item[0][1:])))


def result_of(config: str, plan: Plan, scores: Sequence[Scores], resamples: int) -> Result:
    """Make tables, figure and sentences of what the trainings scored.

    Args:
        config: name of the configuration.
        plan: what was held out.
        scores: of each training.
        resamples: of the bootstrap.
    """
    data = joint_word([s.data for s in scores])
    pooled = _pooled(scores)
    chance = float(np.mean([s.chance for s in scores]))
    rows = [_line(key, values, chance, scores, data, resamples) for key, values in pooled.items()]
    note = _note(plan, scores)
    columns = [
        Column("features", "features"),
        Column("method", "method"),
        Column("shots", "shots", "integer", help="examples a class (in all, for regression)"),
        Column("value", scores[0].metric, "number", "low", "high", help="mean over episodes of all seeds"),
        Column("spread", "spread over seeds", "number", help="standard deviation of the seeds' means"),
        Column("chance", "chance", "number"),
        Column("beats", "beats chance", "flag", help="whether the whole interval lies above chance"),
        Column("seeds", "seeds", "integer"),
        Column("episodes", "episodes", "integer"),
        Column("unit", "unit", help=UNIT_HELP),
        Column("queries", "queries", "integer", help="query rows of all episodes together"),
        Column("rows", "rows", "integer", help="rows that episodes draw from, of all seeds together"),
        Column("data", "data"),
    ]
    what = f"the unseen task {plan.task}" if plan.whole_task else f"unseen classes of {plan.task}"
    tables = [Table("fewshot", f"Few-shot learning of {what}", columns, rows, note), _seeds_table(scores, pooled)]
    if plan.task in PAPER:
        tables.append(_paper_table(plan.task))
    return Result(
        command="fewshot",
        title=f"Few-shot learning of {what}",
        config=config,
        data=data,
        summary=_summary(plan, scores, pooled, rows, chance, resamples),
        tables=tables,
        figures=[_figure(plan, rows, chance, data, what, scores[0].metric, note)],
        seeds=[s.seed for s in scores],
    )


def _line(
    key: Key, values: Sequence[Floats], chance: float, scores: Sequence[Scores], data: str, resamples: int
) -> dict[str, Any]:
    every = np.concatenate(values)
    bounds = (0.0, 1.0) if scores[0].metric == "accuracy" else (-1.0, 1.0)
    found = mean_interval(every, bounds=bounds, resamples=resamples)
    means = [float(np.nanmean(v)) for v in values]
    return {
        "features": key[0],
        "method": key[1],
        "shots": key[2],
        "value": float(np.nanmean(every)),
        "low": found.low,
        "high": found.high,
        "unit": f"episode ({int(np.isfinite(every).sum())})",
        "spread": float(np.std(means, ddof=1)) if len(means) > 1 else None,
        "chance": chance,
        "beats": bool(found.low > chance),
        "seeds": len(values),
        "episodes": len(every),
        "queries": sum(s.queries for s in scores),
        "rows": sum(s.rows for s in scores),
        "data": data,
    }


def _note(plan: Plan, scores: Sequence[Scores]) -> str:
    if scores[0].metric != "accuracy":
        return (
            "Ridge regression on standardised embeddings of k labelled rows; queries are rows of the test split. The "
            "encoders were trained on the other tasks."
        )
    chosen = "; ".join(f"seed {s.seed}: " + ", ".join(f"{k} {v}" for k, v in s.chosen.items()) for s in scores)
    return (
        "Accuracy is the mean over classes. Encoders and fusion were trained without these classes; every row is "
        "embedded once, and neither changes. Intervals are over episodes of all seeds: they say how sure the mean is "
        "for these trainings and these classes. Each seed has its own split, its own weights and, unless they were "
        "named, its own classes: how much these matter is the spread over seeds. "
        f"Fine-tuned head: the head alone, from the prototypes, {STEPS} steps of Adam. Classical features: "
        "principal components of the inputs (log-normalised counts of cells), fitted on training rows. Metric of the "
        f"prototypes, chosen on seen classes: {chosen}."
    )


def _seeds_table(scores: Sequence[Scores], pooled: Mapping[Key, Sequence[Floats]]) -> Table:
    shown = [k for k in pooled if k[0] == MODEL and (k[1] in (PROTOTYPES, RIDGE) or k[2] == 0)]
    columns = [Column("seed", "seed", "integer"), Column("classes", "classes to learn"), Column("left", "left out")]
    columns += [Column(f"v{i}", f"{k[1]}, {k[2]} shots", "number") for i, k in enumerate(shown)]
    rows = []
    for s in scores:
        left = ", ".join(f"{c or 'rows that cannot be used'} ({n})" for c, n in s.left_out.items())
        row: dict[str, Any] = {"seed": s.seed, "classes": ", ".join(s.classes), "left": left, "data": s.data}
        row |= {f"v{i}": float(np.nanmean(s.values[k])) for i, k in enumerate(shown) if k in s.values}
        rows.append(row)
    return Table("seeds", "By seed: features of the model", [*columns, Column("data", "data")], rows)


def _paper_table(task: str) -> Table:
    columns = [
        Column("row", "row"),
        Column("task", "task"),
        Column("shots", "shots", "integer"),
        Column("value", "value", "number"),
        Column("source", "source"),
    ]
    rows = [
        {"row": "multimodal multitask", "task": task, "shots": k, "value": v, "source": "the paper's data"}
        for k, v in zip((0, 20), PAPER[task], strict=True)
    ]
    return Table(
        "paper",
        "MultiMed, Table 2, on the paper's data",
        columns,
        rows,
        "As the paper's text quotes them; it names no classes, ways or episodes. Other data and other classes: no "
        "difference to the measured figures says anything about either.",
    )


def _summary(
    plan: Plan,
    scores: Sequence[Scores],
    pooled: Mapping[Key, Sequence[Floats]],
    rows: Sequence[Mapping[str, Any]],
    chance: float,
    resamples: int,
) -> list[str]:
    said = []
    shots = [k for k in plan.shots if k > 0]
    if len(shots) > 1:
        for space, method in dict.fromkeys((k[0], k[1]) for k in pooled if k[0] == MODEL and k[2] > 0):
            rise = _difference(pooled, (space, method, shots[-1]), (space, method, shots[0]), resamples)
            word = "rises" if rise[1] > 0 else "falls" if rise[2] < 0 else "does not change beyond its interval"
            said.append(
                f"{method.capitalize()} on the {space}: the curve {word} from {shots[0]} to {shots[-1]} shots, by "
                f"{rise[0]:+.3f} ({rise[1]:+.3f} to {rise[2]:+.3f}) on the same queries."
            )
    for k in shots[-1:]:
        for method in (PROTOTYPES, PROBE, RIDGE):
            for other in (CLASSICAL, UNTRAINED):
                if (MODEL, method, k) in pooled and (other, method, k) in pooled:
                    gap = _difference(pooled, (MODEL, method, k), (other, method, k), resamples)
                    word = "better than" if gap[1] > 0 else "worse than" if gap[2] < 0 else "level with"
                    said.append(
                        f"{method.capitalize()} of {k} shots: the model is {word} {other}, by {gap[0]:+.3f} "
                        f"({gap[1]:+.3f} to {gap[2]:+.3f})."
                    )
    for row in rows:
        if row["shots"] == 0 and row["features"] == MODEL:
            word = "above chance" if row["low"] > chance else "not above chance"
            said.append(
                f"Zero-shot by {row['method']}: {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}), {word} "
                f"({chance:.3f})."
            )
    if 0 in plan.shots and scores[0].classes and not all(telling(s.classes) for s in scores):
        said.append(
            "The class names differ in numbers alone and mean nothing, so zero-shot by names can only be chance."
        )
    left = {c or "rows that cannot be used": n for s in scores for c, n in s.left_out.items()}
    if left:
        said.append("Left out: " + ", ".join(f"{c} ({n} rows)" for c, n in left.items()) + ".")
    return said + sorted({n[:1].upper() + n[1:] + "." for s in scores for n in s.notes})


def _difference(
    pooled: Mapping[Key, Sequence[Floats]], one: Key, other: Key, resamples: int
) -> tuple[float, float, float]:
    """Mean difference over the same episodes, and its interval."""
    values = np.concatenate([a - b for a, b in zip(pooled[one], pooled[other], strict=True)])
    found = mean_interval(values, bounds=(-1.0, 1.0), resamples=resamples)
    return found.value, found.low, found.high


def _figure(
    plan: Plan, rows: Sequence[Mapping[str, Any]], chance: float, data: str, what: str, metric: str, note: str
) -> Figure:
    series = []
    shown = [*SHOWN, *dict.fromkeys((r["features"], r["method"]) for r in rows if r["shots"] == 0)]
    for space, method in shown:
        points = [r for r in rows if (r["features"], r["method"]) == (space, method)]
        if points:
            series.append(
                Series(
                    f"{method}, {space}" + (" (zero-shot)" if points[0]["shots"] == 0 else ""),
                    [r["shots"] for r in points],
                    [r["value"] for r in points],
                    [r["low"] for r in points],
                    [r["high"] for r in points],
                    n=[r["episodes"] for r in points],
                    simulated=data != "real",
                    dashed=space != MODEL,
                )
            )
    return Figure(
        f"fewshot_{plan.task}",
        f"Few-shot learning of {what}",
        "lines",
        x_label="examples a class" if metric == "accuracy" else "labelled rows",
        y_label=metric if metric != "accuracy" else "accuracy, mean over classes",
        series=series,
        references={"chance": chance},
        group="few-shot",
        panel=plan.task,
        note=note,
        data=data,
    )
