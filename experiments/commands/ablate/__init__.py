"""The command ``ablate``: which modalities a task needs, alone and together, and what else of the model matters."""

from __future__ import annotations

import argparse

from experiments.commands.ablate import design
from experiments.commands.ablate.ablation import Ablation, figures_of, tables_of, variant_tables
from experiments.commands.ablate.plan import DROPOUT, EXACT, MASKED, make_plans
from experiments.commands.ablate.values import metric_names
from experiments.commands.ablate.variants import make_variants
from experiments.core.command import COMMANDS, at_least
from experiments.core.finish import show_table
from experiments.core.job import TrainingJob
from experiments.core.study import Study
from experiments.core.study_command import StudyCommand, StudyRun
from zoo.errors import SpecError, unknown_name
from zoo.results import Result

MODES = {"masked": (MASKED,), "exact": (EXACT,), "both": (MASKED, EXACT), "none": ()}
SHOWN = ("combinations", "contributions", "pairs", "information", "selection", "variants")
"""Tables that are printed; all are in result.json and as CSV."""


@COMMANDS.register
class Ablate(StudyCommand):
    """Every subset of modalities: the best, Shapley values, synergy; also fusions and weightings.

    Every subset of a task's modalities is valued twice: by a network for each subset (exact), and by one network that
    is evaluated under masks (masked). Other fusions, weightings, lambdas and options of the model are compared with
    the configured ones.
    """

    name = "ablate"
    suite_share = 0.18

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Which subsets, how they are valued, and which variants."""
        _subset_options(parser)
        _variant_options(parser)

    def check(self, options: argparse.Namespace) -> None:
        """Refuse values out of range."""
        if options.dropout is not None and not 0.0 <= options.dropout < 1.0:
            raise SpecError(f"--dropout is a probability below 1, got {options.dropout}")
        at_least(options, epochs=0, order=0)

    def jobs(self, run: StudyRun) -> list[TrainingJob]:
        """Masked networks and those of subsets; forward selection trains more as it goes."""
        given = run.options
        self.modes = MODES[given.mode]
        self.ablation, self.plans = Ablation(run), []
        self.variants = make_variants(
            run.study,
            fusions=given.fusions,
            weightings=given.weightings,
            lambdas=given.lambdas,
            vary=given.vary,
        )
        if not self.modes and not self.variants:
            raise SpecError("--mode none leaves nothing to do; give --fusions, --weightings, --lambdas or --vary")
        if given.design:
            design.check_simulated(run.study)
        if self.modes:
            self.plans, notes = make_plans(
                run.study,
                tasks=given.tasks,
                modalities=given.modalities,
                order=given.order,
                greedy=given.greedy,
                companions=given.companions,
            )
            known = sorted({m for p in self.plans for m in metric_names(p.task)})
            if given.metric and given.metric not in known:
                raise unknown_name("metric of these tasks", given.metric, known)
            self.ablation.notes += notes
        return self.ablation.jobs(self.plans, self.modes)

    def evaluate(self, run: StudyRun) -> Result:
        """Value every subset, then every variant."""
        if self.modes:
            self.ablation.measure(self.plans, self.modes)
        tables, said = tables_of(self.ablation)
        if self.variants:
            tables += variant_tables(self.ablation, self.variants)
        words = [str(r["data"]) for t in tables for r in t.rows]
        result = run.result(self.name, f"Ablation of modalities: {run.study.name}", words)
        result.summary = [*said, *self.ablation.notes]
        result.tables, result.figures = tables, figures_of(self.ablation, tables)
        return result

    def show(self, result: Result) -> None:
        """Print the tables that are read first."""
        for table in result.tables:
            if table.name in SHOWN:
                show_table(table)

    def suite_options(self, study: Study, options: argparse.Namespace) -> list[str]:
        """As configured; some task must have two modalities."""
        data = study.data()
        if not any(len(t.modalities or data.pipeline.modality_specs) > 1 for t in data.task_specs):
            raise SpecError("no task has two modalities")
        return []


def _subset_options(parser: argparse.ArgumentParser) -> None:
    """Options of what modalities are worth."""
    add = parser.add_argument
    add(
        "--order",
        type=int,
        default=2,
        help="train subsets of up to this many modalities, and all together; 0: all sizes (default 2)",
    )
    add("--greedy", action="store_true", help="forward selection on validation (automatic above 6 modalities a task)")
    add(
        "--mode",
        choices=tuple(MODES),
        default="both",
        help="masked: one network under masks; exact: a training a subset; none: variants only",
    )
    add(
        "--rows",
        choices=("all", "any"),
        default="all",
        help="test rows that have all modalities of the task, or any (default all)",
    )
    add("--tasks", nargs="+", default=None, help="default: all that several modalities inform")
    add("--modalities", nargs="+", default=None, help="default: all; what a task reads is always kept")
    add("--joint", action="store_true", help="masked: one network for all tasks instead of one a task")
    add(
        "--companions",
        action="store_true",
        help="every network also learns the other tasks that its modalities inform",
    )
    add(
        "--dropout",
        type=float,
        default=None,
        metavar="P",
        help=f"model.training.modality_dropout of the masked network (default: the configured one, else {DROPOUT})",
    )
    add(
        "--epochs",
        type=int,
        default=0,
        metavar="N",
        help="epochs of the masked network, which learns every subset in one training (default: trainer.max_epochs)",
    )
    add(
        "--metric",
        default="",
        help="what is compared, such as auroc, where a task has it (default: the primary metric)",
    )
    add("--redundancy", choices=("imin", "mmi"), default="imin", help="of the decomposition in bits (default imin)")
    add("--design", action="store_true", help="compare with the stated design of the simulated cohort")


def _variant_options(parser: argparse.ArgumentParser) -> None:
    """Options of other parts of the model."""
    add = parser.add_argument
    add("--fusions", nargs="+", default=[], metavar="FUSION", help="also train these fusions")
    add("--weightings", nargs="+", default=[], metavar="WEIGHTING", help="also train these weightings")
    add(
        "--lambdas",
        nargs="+",
        default=[],
        metavar="TASK=V1,V2",
        help="also train these lambdas, such as disease=0.1,1,10",
    )
    add(
        "--vary",
        nargs="+",
        default=[],
        metavar="KEY=V1|V2",
        help="also train these options, such as 'model.encoders.image=ViTEncoder|...'",
    )
