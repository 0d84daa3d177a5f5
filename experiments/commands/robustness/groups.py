"""Results by subgroup, over seeds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from experiments.commands.robustness.pile import Mean, Model, Options, Pile, ends
from zoo.errors import unknown_name
from zoo.evaluation.resampling import UNIT_HELP
from zoo.evaluation.subgroups import subgroups
from zoo.results import Column, Figure, Series, Table, joint_word

SOURCE = "source"
"""Stands for the data set that a row comes from, in the place of a group column."""
OVERALL, GAP = "overall", "worst - overall"


def check_columns(pipeline: Any, wanted: list[str] | None) -> None:
    """Refuse a group column that no source has.

    Raises:
        UnknownNameError: it names the known ones.
    """
    known = [SOURCE, *pipeline.group_columns()]
    for name in wanted or ():
        if name not in known:
            raise unknown_name("group column", name, known)


def group_names(model: Model, column: str) -> dict[str, str]:
    """Id of a test row -> name of its group; "" where unknown."""
    view = model.view.view
    rows = view.rows["test"]
    ids = [view.join.id(r) for r in rows.tolist()]
    if column == SOURCE:
        return {i: view.source_names[s] for i, s in zip(ids, view.join.source[rows].tolist(), strict=True)}
    return dict(zip(ids, view.groups(column, rows), strict=True))


class Groups:
    """Gathers results by subgroup over models of several seeds."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.pile = Pile(options.resamples)
        self.unknown: Counter[tuple[str, str]] = Counter()
        self.small: Counter[str] = Counter()

    def add(self, model: Model) -> None:
        """Take in a model. Columns that were not asked for must have two groups of ``min_rows`` test rows."""
        columns = self.options.subgroups
        known = [SOURCE, *model.view.view.whole.group_columns()]
        for column in known if columns is None else columns:
            names = group_names(model, column)
            for task in self.options.tasks:
                result = model.test.results.get(task)
                if result is None:
                    continue
                mine = [names[i] for i in result.ids]
                large = [n for n, c in Counter(m for m in mine if m).items() if c >= self.options.min_rows]
                if not any(mine) or (columns is None and len(large) < 2):
                    self.small[column] += columns is None and any(mine)
                    continue
                self._measure(model, column, task, mine)

    def _measure(self, model: Model, column: str, task: str, names: list[str]) -> None:
        result, kind, pile = model.test.results[task], model.kind(task), self.pile
        found = subgroups(kind, result, names, min_rows=self.options.min_rows)
        self.unknown[(task, column)] += found.unknown
        word, chance = model.word(result), model.chance(task, result)
        pile.measure((task, column, OVERALL), task, kind, found.known, chance=chance, data=word)
        if found.worst is not None:
            pile.measure((task, column, GAP), task, kind, found.worst.part, data=word, minus=found.known)
        for group in found.groups:
            pile.measure((task, column, f"= {group.name}"), task, kind, group.part, data=word)

    def table(self, metrics: dict[str, str]) -> Table:
        """A row a task, column and group, then overall and the gap."""
        rows = []
        for key in self._keys():
            task, column, name = key
            mean: Mean = self.pile.mean(key)
            value, low, high = mean.estimate
            shown = name.removeprefix("= ")
            rows.append(
                {
                    "task": task, "metric": metrics[task], "column": column, "group": shown, "n": mean.n,
                    "unit": mean.unit,
                    "value": value, "low": low, "high": high, "data": mean.data,
                    "chance": self.pile.mean((task, column, OVERALL)).chance,
                    "counted": mean.n >= self.options.min_rows if name.startswith("= ") else None,
                    "worst": shown == self.worst(task, column) if name.startswith("= ") else None,
                }
            )  # fmt: skip
        columns = [
            Column("task", "task"), Column("metric", "metric"), Column("column", "by"), Column("group", "group"),
            Column("n", "rows", "integer"), Column("unit", "unit", help=UNIT_HELP),
            Column("value", "value", "number", "low", "high"),
            Column("chance", "chance", "number", help="over the rows of all groups"),
            Column("counted", "enough rows", "flag", help=f"{self.options.min_rows} test rows a seed"),
            Column("worst", "worst", "flag"), Column("data", "data"),
        ]  # fmt: skip
        note = (
            f"Groups of fewer than {self.options.min_rows} test rows are shown but never called worst. "
            f"'{GAP}': mean over seeds of each seed's worst group - all rows of known group; the group is chosen on "
            "the same rows, so the gap of many small groups is overstated. Its interval draws units with the group"
            " fixed. A correlation or AUROC within a group lacks what tells groups apart, so it may be lower in each"
            " than over all rows."
        )
        left = {k: n for k, n in self.unknown.items() if n}
        note += "".join(f" {n} rows of {t} have no known {c}." for (t, c), n in left.items())
        if self.small:
            shown = ", ".join(sorted(self.small))
            note += f" Not shown for some tasks, with fewer than two large groups: {shown} (name it in --subgroups)."
        return Table("subgroups", "Results by subgroup", columns, rows, note)

    def worst(self, task: str, column: str) -> str:
        """The group of enough rows with the lowest mean value; "" where fewer than two have enough."""
        groups = [k for k in self.pile.listed() if k[:2] == (task, column) and k[2].startswith("= ")]
        large = [(self.pile.mean(k).samples[0], k[2]) for k in groups if self.pile.mean(k).n >= self.options.min_rows]
        large = [g for g in large if np.isfinite(g[0])]
        return str(min(large)[1].removeprefix("= ")) if len(large) > 1 else ""

    def gaps(self) -> list[tuple[str, str, str, tuple[float, float, float], str]]:
        """(task, column, worst group, gap with interval, data) of every task and column that has one."""
        return [
            (k[0], k[1], self.worst(k[0], k[1]), self.pile.mean(k).estimate, self.pile.mean(k).data)
            for k in self.pile.listed()
            if k[2] == GAP
        ]

    def figures(self, metrics: dict[str, str]) -> list[Figure]:
        """Bars of the groups beside the value over all."""
        figures = []
        for task, column in dict.fromkeys(k[:2] for k in self.pile.listed()):
            names = [k for k in self._keys() if k[:2] == (task, column) and k[2].startswith("= ")]
            means = [self.pile.mean(k) for k in names]
            y, low, high = ends(m.estimate for m in means)
            flags = [m.data == "simulated" for m in means]
            x = [f"{k[2].removeprefix('= ')} (n = {m.n})" for k, m in zip(names, means, strict=True)]
            overall = self.pile.mean((task, column, OVERALL))
            figures.append(
                Figure(
                    f"subgroups_{task}_{column}", f"{task} by {column}", "bars", column, metrics[task],
                    [Series("value", x, y, low, high, [m.n for m in means], flags)],
                    {"overall": float(overall.samples[0]), "chance": overall.chance},
                    group="subgroups", panel=f"{task} by {column}",
                    data=joint_word([m.data for m in means]),
                    note=f"Groups below {self.options.min_rows} rows are never called worst.",
                )
            )  # fmt: skip
        return figures

    def _keys(self) -> list[Any]:
        """Keys by task and column: groups by name, then overall and the gap."""
        order = {OVERALL: 1, GAP: 2}
        return sorted(self.pile.listed(), key=lambda k: (k[0], k[1], order.get(k[2], 0), k[2]))
