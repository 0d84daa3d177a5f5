"""What a card says of subgroups: the test's results by site, sex, organ, and whatever else the data name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from zoo.data import Pipeline
from zoo.evaluation.metric_draws import primary_interval
from zoo.evaluation.subgroups import Group, subgroups
from zoo.evaluation.summary import references
from zoo.tasks.base import TaskKind
from zoo.training.collector import Evaluated

LEAST = 10
"""Test rows that a group must have for a line of its own."""
MOST = 20
"""Groups of a column at most; a column of more, such as one of patients, names single units."""
SOURCE = "source"
"""Stands for the data set that a row comes from, beside the group columns."""
RESAMPLES = 200
"""Of the bootstrap behind the interval of a group."""
HEAD = (
    "| task | group | rows | metric | value (95 % interval) | chance |",
    "|---|---|---|---|---|---|",
)


def subgroup_lines(kinds: Mapping[str, TaskKind], results: Mapping[str, Evaluated], pipeline: Pipeline) -> list[str]:
    """Lines of Markdown: a table with a row for each task and group, and what is not in it.

    Args:
        kinds: of the tasks, by name.
        results: task -> predictions of the test split; {} where the model was not tested.
        pipeline: that names the groups of rows.
    """
    if not results:
        return ["The model was not tested, so nothing is known of subgroups."]
    names = _names(pipeline)
    if not names:
        return ["The data name no groups, such as site or sex, so that results are not split by them."]
    told, left = list[str](), list[str]()
    for column, of in names.items():
        found = set(of.values()) - {""}
        if len(found) > MOST:
            left.append(f"`{column}` names {len(found)} groups, too many for lines of their own")
            continue
        lines = [x for t, r in results.items() for x in _lines(kinds[t], r, column, of, pipeline)]
        told += lines
        if not lines:
            left.append(f"`{column}` has no two groups of {LEAST} test rows of a task")
    notes = [f"Groups of fewer than {LEAST} test rows are left out."] if told else []
    notes += ["Not shown: " + "; ".join(left) + "."] if left else []
    return [*((*HEAD, *told, "") if told else ()), " ".join(notes)]


def _names(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """Column -> id of a test row -> name of its group."""
    rows = pipeline.rows["test"]
    ids = [pipeline.join.id(r) for r in rows.tolist()]
    found = {c: dict(zip(ids, pipeline.groups(c, rows), strict=True)) for c in pipeline.group_columns()}
    sources = pipeline.join.source[rows].tolist()
    if len(set(sources)) > 1:
        found[SOURCE] = {i: pipeline.source_names[s] for i, s in zip(ids, sources, strict=True)}
    return {c: of for c, of in found.items() if any(of.values())}


def _lines(
    kind: TaskKind, result: Evaluated, column: str, names: Mapping[str, str], pipeline: Pipeline
) -> Sequence[str]:
    """A row for each group of enough rows, where there are two of them at least."""
    found = subgroups(kind, result, [names[i] for i in result.ids], min_rows=LEAST)
    large = [g for g in found.groups if g.counted]
    return [_line(kind, column, g, pipeline) for g in large] if len(large) > 1 else []


def _line(kind: TaskKind, column: str, group: Group, pipeline: Pipeline) -> str:
    interval = primary_interval(kind, group.part, resamples=RESAMPLES)
    chance, _ = references(kind, group.part, pipeline.labels("train", kind.spec.name), kind.chance_draws)
    ends = f" ({interval.low:.3f} to {interval.high:.3f})" if math.isfinite(interval.low) else ""
    value = f"{group.value:.3f}{ends}" if math.isfinite(group.value) else "none: one class, or no spread"
    score = f"{chance:.3f}" if math.isfinite(chance) else "none"
    name = group.name.replace("|", "/")
    return f"| {kind.spec.name} | {column}: {name} | {len(group.part.target)} | {kind.primary} | {value} | {score} |"
