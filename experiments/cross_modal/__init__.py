"""``run.py cross_modal``: what a generated modality adds, against real ones, on your data.

A generator makes the missing modality of each row: a record from image and metadata, or an image from metadata. It
learns from training rows alone, is told no diagnosis, and describes training rows by a copy that did not see them.
The command trains every setting (image, metadata, both, both with what was generated, the leaky published pipeline,
...) on the same splits over several seeds, scores one model under masks beside separate models, calibrates on
validation, and compares with logistic regression, random forest, SVM and XGBoost. ``run.py table --paper
cross_modal FOLDER`` prints the result in the form of the paper's tables.
"""

from __future__ import annotations

import sys
import time

from experiments.budget import Budget
from experiments.cross_modal.findings import make_result
from experiments.cross_modal.judging import judge
from experiments.cross_modal.scoring import Key, Scored, add_references, score_settings
from experiments.cross_modal.settings import SETTINGS, Plan, chosen_settings, make_plan
from experiments.finish import finish, show_table
from experiments.schedule import run_cells
from experiments.study import Study, folders, study_parser

MODELS = {
    "LogisticRegressionTable": "logistic_regression",
    "RandomForestTable": "random_forest",
    "SVMTable": "svm_rbf",
    "XGBoostTable": "xgboost",
}
"""Class of a classical model of tables -> its name in the results."""


def main() -> None:
    """Generate, train what is not finished, score, and save."""
    parser = study_parser("cross_modal", __doc__ or "")
    parser.set_defaults(seeds=[0, 1, 2, 3, 4])
    keys = ", ".join(f"'{SETTINGS.get(n).key}'" for n in SETTINGS)
    parser.add_argument("--settings", nargs="+", default=None, help=f"of {keys}; default: all that the data allow")
    parser.add_argument("--no-models", action="store_true", help="leave out random forest, SVM, XGBoost and so on")
    parser.add_argument(
        "--judges", nargs="*", default=None, help="of generated values (default: those without a network)"
    )
    parser.add_argument("--tta", type=int, default=1, help="views of test-time augmentation (default 1: none)")
    options, rest = parser.parse_known_args(sys.argv[2:])
    settings = chosen_settings(options.settings)
    study = Study.parse(rest)
    folder, kept = folders(options, study, "cross_modal")
    started, budget = time.monotonic(), Budget(options.budget)
    data = study.data(seed=options.seeds[0])
    data.print_summary()
    plan = make_plan(data.pipeline, study.name)
    cells = {(s.key, seed): s.cell(plan, seed) for seed in options.seeds for s in settings}
    wanted = [c for c in cells.values() if c is not None]
    prepare(study, [(c.seed, tuple(x for x in c.changes if x.startswith("data."))) for c in wanted])
    ran = run_cells(study, wanted, kept, budget=budget, jobs=options.jobs)
    scored = score_settings(study, plan, settings, options.seeds, ran, options.tta)
    add_references(scored, options.seeds)
    for seed in options.seeds:  # the data of a seed are prepared once for both
        if not options.no_models:
            add_models(study, plan, seed, scored)
        judge(study, plan, seed, options.judges, scored)
    result = make_result(study, scored, settings, options.seeds, ran, options.resamples)
    for table in result.tables:
        show_table(table, most=40, without=("leaky", "data", "n") if table.name == "settings" else ())
    finish(result, folder, started)


def prepare(study: Study, wanted: list[tuple[int, tuple[str, ...]]]) -> None:
    """Generate everything once, here: trainings in several processes then only read it."""
    for seed, changes in dict.fromkeys(wanted):
        study.data(seed=seed, changes=changes)


def add_models(study: Study, plan: Plan, seed: int, scored: Scored) -> None:
    """The classical models of tables: of the metadata, and of metadata and records."""
    from zoo.baselines.table_models import fit_table_model

    pipeline = study.data(seed=seed).pipeline
    for suffix, tables in (("", [plan.metadata]), ("+records", [plan.metadata, plan.record])):
        if not all(tables):
            continue
        for model, name in MODELS.items():
            found = fit_table_model(pipeline, plan.task, model, tables, seed=seed, splits=("test",))
            scored.add(Key(f"{name}{suffix}", "tabular"), seed, found["test"])
