"""The command ``cross_modal``: what a generated modality adds, against real ones, on your data."""

from __future__ import annotations

import argparse

from experiments.commands.cross_modal.findings import make_result
from experiments.commands.cross_modal.judging import judge
from experiments.commands.cross_modal.scoring import Key, Scored, add_references, score_settings
from experiments.commands.cross_modal.settings import SETTINGS, Plan, chosen_settings, make_plan
from experiments.core.command import COMMANDS, at_least
from experiments.core.finish import show_table
from experiments.core.job import TrainingJob
from experiments.core.study import Study
from experiments.core.study_command import StudyCommand, StudyRun
from zoo.results import Result

MODELS = {
    "LogisticRegressionTable": "logistic_regression",
    "RandomForestTable": "random_forest",
    "SVMTable": "svm_rbf",
    "XGBoostTable": "xgboost",
}
"""Class of a classical model of tables -> its name in the results."""


@COMMANDS.register
class CrossModal(StudyCommand):
    """What a generated modality adds: records made of images, images made of metadata.

    A generator makes the missing modality of each row: a record from image and metadata, or an image from metadata.
    It learns from training rows alone, is told no diagnosis, and describes training rows by a copy that did not see
    them. The command trains every setting (image, metadata, both, both with what was generated, the leaky published
    pipeline, ...) on the same splits over several seeds, scores one model under masks beside separate models,
    calibrates on validation, and compares with logistic regression, random forest, SVM and XGBoost. ``zoo table
    --paper cross_modal FOLDER`` prints the result in the form of the paper's tables.
    """

    name = "cross_modal"
    seeds = (0, 1, 2, 3, 4)

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Which settings, and what is looked at beside them."""
        add = parser.add_argument
        keys = ", ".join(f"'{SETTINGS.get(n).key}'" for n in SETTINGS)
        add("--settings", nargs="+", default=None, help=f"of {keys}; default: all that the data allow")
        add("--no-models", action="store_true", help="leave out random forest, SVM, XGBoost and so on")
        judges = "of generated values (default: those without a network)"
        add("--judges", nargs="*", default=None, help=judges)
        add("--tta", type=int, default=1, help="views of test-time augmentation (default 1: none)")

    def check(self, options: argparse.Namespace) -> None:
        """Refuse unknown settings."""
        self.settings = chosen_settings(options.settings)
        at_least(options, tta=1)

    def jobs(self, run: StudyRun) -> list[TrainingJob]:
        """Generate what is missing, and train every setting that the data allow."""
        data = run.study.data(seed=run.seeds[0])
        data.print_summary()
        self.plan = make_plan(data.pipeline, run.study.name)
        made = [s.job(self.plan, seed) for seed in run.seeds for s in self.settings]
        jobs = [j for j in made if j is not None]
        for job in jobs:  # generated once, here: trainings in several processes then only read it
            run.study.data(seed=job.seed, changes=tuple(c for c in job.changes if c.startswith("data.")))
        return jobs

    def evaluate(self, run: StudyRun) -> Result:
        """Score every setting, the references, the classical models and the judges."""
        scored = score_settings(run, self.plan, self.settings, run.options.tta)
        add_references(scored, run.seeds)
        for seed in run.seeds:  # the data of a seed are prepared once for both
            if not run.options.no_models:
                add_models(run.study, self.plan, seed, scored)
            judge(run.study, self.plan, seed, run.options.judges, scored)
        return make_result(run, scored, self.settings)

    def show(self, result: Result) -> None:
        """Print the tables that are short enough."""
        for table in result.tables:
            show_table(table, most=40, without=("leaky", "data", "n") if table.name == "settings" else ())


def add_models(study: Study, plan: Plan, seed: int, scored: Scored) -> None:
    """The classical models of tables: of the metadata, and of metadata and records.

    Args:
        study: the configuration.
        plan: what is compared.
        seed: of split and models.
        scored: where the scores go.
    """
    from zoo.baselines.table_models import fit_table_model

    pipeline = study.data(seed=seed).pipeline
    for suffix, tables in (("", [plan.metadata]), ("+records", [plan.metadata, plan.record])):
        if not all(tables):
            continue
        for model, name in MODELS.items():
            found = fit_table_model(pipeline, plan.task, model, tables, seed=seed, splits=("test",))
            scored.add(Key(f"{name}{suffix}", "tabular"), seed, found["test"])
