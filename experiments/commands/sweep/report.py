"""What a sweep found: the table of trials, the figures, and the test of the best trial."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from experiments.commands.sweep.file import Parameter
from experiments.commands.sweep.search import Search, command_of
from experiments.commands.sweep.trial import Outcome, plan
from experiments.core.finish import finish, show_table
from experiments.core.job import load_job, spec_of
from zoo.evaluation.paired import estimate
from zoo.evaluation.resampling import UNIT_HELP
from zoo.results import Column, Figure, Result, Series, Table, joint_word
from zoo.tasks.base import task_kind

Rows = list[dict[str, Any]]
LEAST = 4
"""Finished trials from which importances are told."""
AS_IT_IS = "configuration as it is"


def report(
    search: Search, as_it_is: Outcome, out_of_time: bool, resamples: int, started: float, arguments: Sequence[str]
) -> Result:
    """Make, save and print the result of a sweep.

    Args:
        search: with its trials told.
        as_it_is: the outcome of the configuration with none of the options set.
        out_of_time: whether the budget ended the sweep.
        resamples: of the bootstrap of the test.
        started: time.monotonic() at the beginning.
        arguments: of the command line.
    """
    rows = trial_rows(search, as_it_is)
    best = next((r for r in rows if r["state"] == "finished" and r["trial"] is not None), None)
    tables = [Table("trials", f"Trials by {search.file.metric} (validation)", _columns(search), rows, _note(search))]
    settings = {**search.file.constants, **(_settings(search, best) if best else {})}
    if best:
        tables.append(test_table(search, settings, resamples))
    words = [r["data"] for r in rows if r["state"] == "finished"]
    result = Result(
        "sweep",
        f"Sweep {search.file.name} ({search.file.method}) of {search.base.name}",
        config=search.base.name,
        data=joint_word(words) if words else search.base.word(),
        tables=tables,
        figures=figures(search, as_it_is, joint_word(words)) if best else [],
        seeds=search.seeds,
    )
    result.summary = _summary(search, rows, best, as_it_is, out_of_time)
    if best:
        result.summary.append(f"The best in full: {command_of(_whole(search.arguments), settings)}")
    for table in tables:
        show_table(table, without=("error",))
    finish(result, search.folder, started, arguments)
    return result


def trial_rows(search: Search, as_it_is: Outcome) -> Rows:
    """The rows of the table of trials, best first; the configuration as it is stands among them."""
    rows: Rows = [_row(None, dict.fromkeys([p.name for p in search.file.varied]), as_it_is)]
    rows += [_row(number, chosen, outcome) for number, (chosen, outcome) in search.outcomes().items()]
    sign = -1.0 if search.file.maximize else 1.0
    order = {"finished": 0, "pruned": 1, "failed": 2}
    return sorted(
        rows, key=lambda r: (order[r["state"]], sign * (r["value"] or 0.0), -1 if r["trial"] is None else r["trial"])
    )


def _row(number: int | None, chosen: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    done = outcome.state == "finished"
    row: dict[str, Any] = {
        "trial": number,
        "name": AS_IT_IS if number is None else f"trial {number}",
        "state": outcome.state,
    }
    row |= {"value": outcome.value if done else None, "seconds": outcome.seconds, "error": outcome.error}
    row |= {"n": outcome.n if done else None, "data": outcome.data if done else ""}
    return row | chosen | {f"skill/{t}": v for t, v in outcome.skills.items()}


def _columns(search: Search) -> list[Column]:
    tasks = sorted({t for _, o in search.outcomes().values() for t in o.skills})
    columns = [Column("name", "trial"), Column("state", "state")]
    columns += [
        Column(p.name, p.name.replace("init_args.", ""), "text" if p.choices else "number")
        for p in search.file.varied
    ]
    columns.append(
        Column("value", search.file.metric, "number", help="on the validation split; 0 is chance, 1 perfect")
    )
    columns += [Column(f"skill/{t}", f"skill {t}", "number") for t in tasks] if len(tasks) > 1 else []
    columns += [Column("n", "n", "integer", help="validation rows"), Column("seconds", "seconds", "number")]
    return [*columns, Column("data", "data"), Column("error", "error")]


def _note(search: Search) -> str:
    note = "Skill: 0 is chance, 1 is perfect; the mean over tasks. The highest of many trials is too high by chance."
    sets = {tuple(sorted(o.skills)) for _, o in search.outcomes().values() if o.state == "finished"}
    sizes = {o.n for _, o in search.outcomes().values() if o.state == "finished"}
    if len(sets) > 1:
        note += " Trials learned different tasks: their means do not compare."
    if len(sizes) > 1:
        note += " Trials are scored on different rows (column n): those that have one of their modalities."
    return note


def _settings(search: Search, row: dict[str, Any]) -> dict[str, Any]:
    return {p.name: row[p.name] for p in search.file.varied}


def test_table(search: Search, settings: dict[str, Any], resamples: int) -> Table:
    """The tasks of the best trial on the test split, which chose nothing.

    Args:
        search: the sweep.
        settings: of the best trial.
        resamples: of the bootstrap.
    """
    made = plan(search.base, search.arguments, settings, search.seeds)
    jobs = {c.seed: load_job(made.study, c, search.jobs) for c in made.jobs}
    done = {seed: c for seed, c in jobs.items() if c is not None}
    first = next(iter(done.values()))
    rows: Rows = []
    for task in first.info["tasks"]:
        runs = {
            s: (task_kind(spec_of(c, task)), c.predicted["test"].results[task])
            for s, c in done.items()
            if task in c.predicted["test"].results
        }
        if not runs:
            continue
        found = estimate(runs, resamples=resamples)
        known = [done[s].info["references"]["test"][task] for s in runs]
        row = {"task": task, "metric": task_kind(spec_of(first, task)).primary, "value": found.value}
        row |= {"low": found.low, "high": found.high, "n": found.n, "unit": found.unit}
        row |= {k: sum(r[k] for r in known) / len(known) for k in ("chance", "constant")}
        rows.append(row | {"data": joint_word([done[s].info["data"]["test"][task] for s in runs])})
    columns = [Column("task", "task"), Column("metric", "metric")]
    columns += [Column("value", "test", "number", "low", "high"), Column("chance", "chance", "number")]
    columns += [Column("constant", "best constant", "number"), Column("n", "n", "integer")]
    columns += [Column("unit", "unit", help=UNIT_HELP), Column("data", "data")]
    title = "The best trial on the test split (looked at once it was chosen)"
    return Table("best_test", title, columns, rows)


def figures(search: Search, as_it_is: Outcome, data: str) -> list[Figure]:
    """Value by trial, value by each option, and Optuna's importances of the options.

    Args:
        search: the sweep.
        as_it_is: the trial of the configuration as it is.
        data: "real", "simulated" or "mixed".
    """
    found = {k: v for k, v in search.outcomes().items() if v[1].state == "finished"}
    numbers = list(found)
    values: list[float | None] = [o.value for _, o in found.values()]
    pick: Any = max if search.file.maximize else min
    best: list[float | None] = [pick(values[: k + 1]) for k in range(len(values))]
    simulated = data != "real"
    references = {AS_IT_IS: as_it_is.value} if as_it_is.state == "finished" else {}
    references |= {"chance": 0.0} if search.file.metric == "val/skill" else {}
    series = [
        Series("trial", numbers, values, simulated=simulated),
        Series("best so far", numbers, best, simulated=simulated, dashed=True),
    ]
    shared: dict[str, Any] = {"y_label": search.file.metric, "references": references, "data": data}
    title = f"{search.file.metric} by trial (validation)"
    made = [Figure("value_by_trial", title, "lines", x_label="trial", series=series, **shared)]
    made += [_by_option(p, found, pick, simulated, shared) for p in search.file.varied]
    told = importances(search)
    if told:
        bars = [Series("importance", list(told), list(told.values()), simulated=simulated)]
        title = f"Which options matter ({len(found)} trials)"
        note = "Optuna's estimate; with few trials a hint at most."
        made.append(Figure("importance", title, "bars", y_label="share", series=bars, note=note, data=data))
    return made


def _by_option(
    parameter: Parameter, found: dict[int, tuple[dict[str, Any], Outcome]], pick: Any, simulated: bool, shared: Any
) -> Figure:
    """The value over one option: of each trial where it is a number, of the best trial of each choice where not."""
    pairs = sorted(((c[parameter.name], o.value) for c, o in found.values()), key=lambda p: p[0])
    if parameter.choices:
        used = [c for c in parameter.choices if any(k == c for k, _ in pairs)]
        pairs = [(c, pick(v for k, v in pairs if k == c)) for c in used]
    name = "best trial" if parameter.choices else "trial"
    series = Series(name, [k for k, _ in pairs], [v for _, v in pairs], simulated=simulated)
    return Figure(
        f"value_by_{parameter.name.replace('.', '_')}",
        f"{shared['y_label']} by {parameter.name}",
        "bars" if parameter.choices else "lines",
        x_label=parameter.name,
        series=[series],
        group="value_by_option",
        panel=parameter.name,
        log_x=parameter.log,
        note="The other options change, too.",
        **shared,
    )


def importances(search: Search) -> dict[str, float]:
    """Optuna's importance of each varied option; nothing where there are too few trials, or all scored the same."""
    import optuna

    found = [o.value for _, o in search.outcomes().values() if o.state == "finished"]
    if len(found) < LEAST or len(set(found)) < 2 or len(search.file.varied) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = optuna.importance.get_param_importances(search.trials)
    return {k: float(v) for k, v in told.items()}


def _summary(
    search: Search, rows: Rows, best: dict[str, Any] | None, as_it_is: Outcome, out_of_time: bool
) -> list[str]:
    trials = [r for r in rows if r["trial"] is not None]
    counts = {s: sum(r["state"] == s for r in trials) for s in ("finished", "pruned", "failed")}
    lines = [f"{len(trials)} trials: " + ", ".join(f"{n} {s}" for s, n in counts.items()) + "."]
    if out_of_time:
        total = search.total or len(trials) + search.waiting()
        lines.append(f"The budget left out {max(total - len(trials), 0)} trials; a rerun goes on with them.")
    lines += [f"{r['name']} failed: {r['error']}" for r in rows if r["state"] == "failed"][:5]
    if best is None:
        return [*lines, "No trial finished: nothing was found."]
    chosen = ", ".join(
        f"{k} = {f'{v:.4g}' if isinstance(v, float) else v}" for k, v in _settings(search, best).items()
    )
    lines.append(f"Best on validation: {best['name']}, {search.file.metric} {best['value']:.3f}, with {chosen}.")
    if as_it_is.state == "finished":
        gap = (best["value"] - as_it_is.value) * (1 if search.file.maximize else -1)
        lines.append(
            f"The {AS_IT_IS} has {as_it_is.value:.3f}; the best trial is {abs(gap):.3f} "
            f"{'better' if gap > 0 else 'worse' if gap < 0 else 'apart'}."
        )
    return lines


def _whole(arguments: Sequence[str]) -> list[str]:
    """The arguments without options of the trainer, which a sweep is made short with."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument.startswith("--trainer."):
            skip = "=" not in argument
        else:
            kept.append(argument)
    return kept
