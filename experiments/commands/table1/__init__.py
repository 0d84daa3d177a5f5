"""The command ``table1``: MultiMed's Table 1 on your data."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table as RichTable

from experiments.commands.table1.figures import figures
from experiments.commands.table1.files import write_latex, write_markdown
from experiments.commands.table1.paper import NOTE, TABLE_1
from experiments.commands.table1.rows import ROWS, Plan, Row, all_jobs, chosen_rows, same_seed
from experiments.core.command import COMMANDS
from experiments.core.finish import wide_console
from experiments.core.job import Finished, TrainingJob, spec_of
from experiments.core.runner import JobResults
from experiments.core.study_command import StudyCommand, StudyRun
from experiments.reporting.columns import figure_columns, interval_column, reference_columns
from zoo.contract import TaskSpec
from zoo.evaluation.paired import Difference, Estimate, Runs, compare, estimate
from zoo.results import Column, Result, Table, joint_word
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated


@dataclass
class Entry:
    """One task of one row.

    Attributes:
        task, metric, row: which.
        estimate: value and interval; None where no seed is finished.
        runs: seed -> kind and test predictions.
        above: against the row above; None where either lacks, or where both are the same trainings.
        first: against the first row of the table.
        same_as: label of the nearest row above of the same trainings, "" for none.
        chance, constant: references, averaged over seeds.
        data: "real", "simulated" or "mixed".
        missing: seeds that are not finished.
    """

    task: str
    metric: str
    row: Row
    estimate: Estimate | None
    runs: Runs
    above: Difference | None = None
    first: Difference | None = None
    same_as: str = ""
    chance: float = float("nan")
    constant: float = float("nan")
    data: str = "real"
    missing: tuple[int, ...] = ()


@COMMANDS.register
class Table1(StudyCommand):
    """MultiMed's Table 1 on your data: five methods, every task, several seeds, with intervals.

    Rows are domain-specific (each field's classical pipeline), unimodal, unimodal multitask, multimodal and
    multimodal multitask. All rows see the same splits and are scored by the same code on the same test rows.
    """

    name = "table1"
    suite_share = 0.4

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Which rows."""
        parser.add_argument(
            "--rows", nargs="+", default=None, help=f"of {', '.join(ROWS.names())}; default: the five"
        )

    def check(self, options: argparse.Namespace) -> None:
        """Refuse unknown rows."""
        self.rows = chosen_rows(options.rows)

    def jobs(self, run: StudyRun) -> list[TrainingJob]:
        """The trainings of all rows."""
        data = run.study.data(seed=run.seeds[0])
        data.print_summary()
        self.plan = Plan(tuple(data.modality_specs), tuple(data.task_specs))
        return all_jobs(self.rows, self.plan, run.seeds)

    def evaluate(self, run: StudyRun) -> Result:
        """Score every row on every task."""
        self.entries = make_entries(self.rows, self.plan, run.seeds, run.trained, run.options.resamples)
        words = [e.data for e in self.entries.values() if e.estimate]
        result = run.result(self.name, f"Table 1 on {run.study.name}", words)
        result.summary = summary(self.rows, self.entries)
        result.tables = [_long_table(self.entries), _pipelines(run.trained)]
        result.figures = figures(self.rows, self.plan, self.entries, run.trained, run.seeds)
        return result

    def files(self, run: StudyRun, result: Result) -> None:
        """The table in Markdown and LaTeX, methods across."""
        write_markdown(result, self.rows, self.entries, run.folder / "table1.md")
        write_latex(self.rows, self.entries, run.folder / "table1.tex")

    def show(self, result: Result) -> None:
        """Print methods across, tasks down."""
        show(self.rows, self.entries, result)


def make_entries(
    rows: Sequence[Row], plan: Plan, seeds: Sequence[int], trained: JobResults, resamples: int
) -> dict[tuple[str, str], Entry]:
    """Score every row on every task, and compare it with the row above and with the first.

    Args:
        rows: of the table.
        plan: modalities and tasks.
        seeds: of the trainings.
        trained: what became of the trainings.
        resamples: of the bootstrap.
    """
    entries: dict[tuple[str, str], Entry] = {}
    for task in plan.tasks:
        before: list[Entry] = []
        for row in rows:
            entry = _entry(row, task, plan, seeds, trained, resamples)
            jobs = same_seed(row.jobs(task, plan, seeds[0]))
            alike = [
                other.row.label
                for other in before
                if type(row).combine is Row.combine is type(other.row).combine
                and same_seed(other.row.jobs(task, plan, seeds[0])) == jobs
            ]
            entry.same_as = alike[-1] if alike else ""
            if before and entry.same_as != before[-1].row.label:
                entry.above = compare(entry.runs, before[-1].runs, resamples=resamples)
            if before:
                entry.first = compare(entry.runs, before[0].runs, resamples=resamples)
            before.append(entry)
            entries[(row.label, task.name)] = entry
    return entries


def _entry(row: Row, task: TaskSpec, plan: Plan, seeds: Sequence[int], trained: JobResults, resamples: int) -> Entry:
    runs: dict[int, tuple[Any, Evaluated]] = {}
    missing, parts = [], []
    for seed in seeds:
        jobs = row.jobs(task, plan, seed)
        if not all(c in trained.finished for c in jobs):
            missing.append(seed)
            continue
        mine = [trained.finished[c] for c in jobs]
        result = row.combine(task, mine, "test")
        if result is not None:
            runs[seed] = task_kind(spec_of(mine[0], task.name)), result
            parts += mine
    entry = Entry(task.name, task_kind(task).primary, row, None, runs, missing=tuple(missing))
    if runs:
        entry.estimate = estimate(runs, resamples=resamples)
        references = [_told(p, "references", task.name) for p in parts]
        entry.chance = _mean([r["chance"] for r in references if r])
        entry.constant = _mean([r["constant"] for r in references if r])
        entry.data = joint_word([w for p in parts if (w := _told(p, "data", task.name))] or ["real"])
    return entry


def _told(part: Finished, what: str, task: str) -> Any:
    return part.info[what].get("test", {}).get(task)


def _mean(values: Sequence[float | None]) -> float:
    known = [v for v in values if v is not None and math.isfinite(v)]
    return sum(known) / len(known) if known else float("nan")


def summary(rows: Sequence[Row], entries: dict[tuple[str, str], Entry]) -> list[str]:
    """Count the tasks on which each row beats the one above it, and the last beats the first."""
    lines = []
    pairs = [(rows[k], rows[k - 1], "above") for k in range(1, len(rows))]
    if len(rows) > 2:
        pairs += [(row, rows[0], "first") for row in rows[2:]]
    for row, other, which in pairs:
        mine = [e for (label, _), e in entries.items() if label == row.label and e.estimate is not None]
        compared = [(e.task, d) for e in mine if (d := getattr(e, which)) is not None]
        same = [e.task for e in mine if which == "above" and e.same_as == other.label]
        told = {v: [t for t, d in compared if d.verdict == v] for v in ("better", "worse", "undecided")}
        line = f"{row.label} against {other.label}: better with its interval on {len(told['better'])} of {len(mine)} "
        line += f"tasks ({_names(told['better'])}), worse on {len(told['worse'])} ({_names(told['worse'])}), "
        line += f"undecided on {len(told['undecided'])} ({_names(told['undecided'])})"
        lines.append(line + (f", the same trainings on {len(same)} ({_names(same)})." if same else "."))
    return lines


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _long_table(entries: dict[tuple[str, str], Entry]) -> Table:
    columns = [
        Column("task", "task"),
        Column("metric", "metric"),
        Column("row", "method"),
        *figure_columns(),
        interval_column("above", "minus row above", "paired bootstrap over units"),
        Column("above_p", "p", "number", help="two-sided, paired bootstrap"),
        interval_column("first", "minus first row", "paired bootstrap over units"),
        *reference_columns(),
        Column("data", "data"),
        Column("paper", "paper", "number", help="Table 1 of MultiMed, on the paper's data"),
        Column("note", "note"),
    ]
    return Table("table1", "Table 1, measured", columns, [_line(e) for e in entries.values()], NOTE)


def _line(entry: Entry) -> dict[str, Any]:
    found = entry.estimate
    line: dict[str, Any] = {
        "task": entry.task,
        "metric": entry.metric,
        "row": entry.row.label,
        "paper": TABLE_1.get(entry.row.label, {}).get(entry.task),
        "note": f"the trainings of {entry.same_as}" if entry.same_as else "",
        "data": entry.data,
    }
    if entry.missing:
        line["note"] = "; ".join(filter(None, [line["note"], f"not finished: seeds {list(entry.missing)}"]))
    if found is None:
        return line
    line |= {"value": found.value, "std": found.std, "low": found.low, "high": found.high, "n": found.n}
    line |= {"unit": found.unit, "interval": found.method}
    line |= {"seeds": found.seeds, "chance": entry.chance, "constant": entry.constant}
    for name, gap in (("above", entry.above), ("first", entry.first)):
        if gap is not None:
            line |= {name: gap.value, f"{name}_low": gap.low, f"{name}_high": gap.high, f"{name}_p": gap.p}
    return line


def _pipelines(trained: JobResults) -> Table:
    """Which classical pipeline the domain-specific row took for which data set."""
    names = ("source", "modality", "baseline", "validation", "n_train")
    rows = [
        {"task": task, "seed": job.seed, **{n: c.get(n) for n in names}}
        for job, done in trained.finished.items()
        for task, chosen in done.info.get("chosen", {}).items()
        for c in chosen
    ]
    kinds = {"validation": "number", "n_train": "integer", "seed": "integer"}
    columns = [Column(n, n.replace("_", " "), kinds.get(n, "text")) for n in ("task", "seed", *names)]
    return Table("pipelines", "Classical pipelines of the domain-specific row, chosen on validation", columns, rows)


def show(rows: Sequence[Row], entries: dict[tuple[str, str], Entry], result: Result) -> None:
    """Print methods across, tasks down.

    Args:
        rows: of the table.
        entries: (row, task) -> its entry.
        result: whose sentences are printed.
    """
    console = wide_console()
    table = RichTable(title=f"{result.title}: value, standard deviation over seeds, 95 % interval")
    table.add_column("task (metric, data)", no_wrap=True)
    for row in rows:
        table.add_column(row.label)
    table.add_column("chance / constant", justify="right")
    for task in dict.fromkeys(e.task for e in entries.values()):
        mine = [entries[(row.label, task)] for row in rows]
        known = next((e for e in mine if e.estimate), mine[0])
        cells = [_cell(e) for e in mine]
        table.add_row(f"{task} ({known.metric}, {known.data})", *cells, f"{known.chance:.3f} / {known.constant:.3f}")
    console.print(table)
    console.print("+ or -: better or worse than the row to its left, = the same trainings; n and p are in table1.csv")


def _cell(entry: Entry) -> str:
    if entry.estimate is None:
        return "not run"
    e = entry.estimate
    mark = {"better": " [green]+[/]", "worse": " [red]-[/]"}.get(entry.above.verdict if entry.above else "", "")
    std = "" if math.isnan(e.std) else f" sd {e.std:.3f}"
    return f"{e.value:.3f}{std} ({e.low:.3f} to {e.high:.3f}){' =' if entry.same_as else mark}"
