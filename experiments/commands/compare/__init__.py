"""The command ``compare``: a network beside every classical pipeline by its name, on the same rows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from experiments.commands.ablate.values import metric_names
from experiments.commands.compare.plan import (
    SUBSETS,
    Method,
    check_pipelines,
    chosen_tasks,
    methods_of,
)
from experiments.commands.compare.scores import Scores, figures_of, score, sentences, table_of
from experiments.commands.table1.rows import Plan
from experiments.core.command import COMMANDS
from experiments.core.finish import show_table
from experiments.core.job import TrainingJob
from experiments.core.study_command import StudyCommand, StudyRun
from zoo.errors import SpecError, unknown_name
from zoo.evaluation.pooled import LOWER_IS_BETTER
from zoo.results import Result

HIDDEN = ("std", "low", "high", "interval", "seeds", "n_train", "constant", "p", "data")
"""Columns that are in the files and not on the screen."""


@COMMANDS.register
class Compare(StudyCommand):
    """The network beside every classical pipeline, by name, on each modality alone and on all of them.

    For each task and set of modalities a network and all pipelines that can read the set are fitted on the same
    training rows and scored by the same code on the same test rows, with paired differences.
    """

    name = "compare"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Which tasks, modalities and pipelines, and what is measured."""
        add = parser.add_argument
        add(
            "--subsets",
            nargs="+",
            choices=SUBSETS,
            default=["single", "all"],
            help="sets of modalities: each alone, each two, all that inform the task (default: single all)",
        )
        add("--tasks", nargs="+", default=None, help="default: all")
        add("--pipelines", nargs="+", default=[], help="classical ones by class name (default: all that fit)")
        add("--metric", default="", help="such as concordance, where a task has it (default: the primary one)")
        add(
            "--unit",
            default="",
            metavar="GROUP",
            help="group column that intervals draw, such as protein (default: the unit of independence of the data)",
        )
        add("--rows-too", action="store_true", help="also an interval over rows, and how much the other one is wider")

    def check(self, options: argparse.Namespace) -> None:
        """Refuse metrics by which nothing is ranked here."""
        if options.metric in LOWER_IS_BETTER:
            raise SpecError(
                f"--metric {options.metric}: lower is better, and here higher has to be; take another one"
            )

    def jobs(self, run: StudyRun) -> list[TrainingJob]:
        """Seed by seed, the networks and the pipelines of every task."""
        given = run.options
        check_pipelines(given.pipelines)
        data = run.study.data(seed=run.seeds[0])
        data.print_summary()
        self.plan = Plan(tuple(data.modality_specs), tuple(data.task_specs))
        tasks = chosen_tasks(self.plan, given.tasks)
        known = sorted({name for t in tasks for name in metric_names(t)})
        if given.metric and given.metric not in known:
            raise unknown_name("metric of these tasks", given.metric, known)
        self.methods: list[Method] = [
            m for t in tasks for m in methods_of(self.plan, t, given.subsets, given.pipelines)
        ]
        return list(dict.fromkeys(m.job(self.plan, seed) for seed in run.seeds for m in self.methods))

    def evaluate(self, run: StudyRun) -> Result:
        """Score every method, and compare the network with each pipeline of the same modalities."""
        found: Sequence[Scores] = score(self.methods, self.plan, run)
        result = run.result(self.name, f"Network and classical pipelines: {run.study.name}", [s.data for s in found])
        result.summary = sentences(found)
        result.tables = [table_of(found)]
        result.figures = figures_of(found)
        return result

    def show(self, result: Result) -> None:
        """Print what is read first."""
        for table in result.tables:
            empty = [c.key for c in table.columns if all(row.get(c.key) is None for row in table.rows)]
            show_table(table, without=(*HIDDEN, *empty))
