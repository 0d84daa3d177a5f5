"""``run.py suite``: all the evidence for one configuration within one budget, and then the page.

Runs table1, ablate, ood, fewshot and robustness one after another, each with a share of the time that is left, and
ends with ``run.py report`` over all of them. Trainings are shared: what table1 has trained, the others read. What
does not fit a configuration (no groups to hold out, no task with enough classes) is named and left out. The same
command again goes on with what the budget did not allow.
"""

from __future__ import annotations

import importlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from experiments.budget import Budget
from experiments.study import Study, study_parser
from zoo.errors import ZooError

RESERVE = 0.08
"""Share of the budget that is kept for the page."""
USUAL = ("organ", "subject", "patient", "site", "family")
"""Group columns that are held out rather than others."""


@dataclass
class Part:
    """One command of the suite.

    Attributes:
        command: its name.
        share: of the budget.
        arguments: its own options; None leaves it out.
        why: it is left out for.
    """

    command: str
    share: float
    arguments: list[str] | None
    why: str = ""


def parts(study: Study, group: str, task: str) -> list[Part]:
    """What the suite runs for a configuration."""
    data = study.data()
    pipe = data.pipeline
    columns = sorted(pipe.group_columns(), key=lambda c: (c not in USUAL, c))
    labels = {t.name for t in data.task_specs}
    train = pipe.rows["train"]
    group = group or next((c for c in columns if c not in labels and len({*pipe.groups(c, train)} - {""}) > 1), "")
    wide = {t.name: t.num_outputs for t in data.task_specs if t.kind in ("classification", "ordinal")}
    wide = {t: n for t, n in wide.items() if n >= 4 and (not task or t == task)}
    task = task or (max(wide, key=lambda n: _rows(pipe, n)) if wide else "")
    classes = str(min(4, wide.get(task, 6) - 2))
    several = any(len(t.modalities or pipe.modality_specs) > 1 for t in data.task_specs)
    return [
        Part("table1", 0.4, []),
        Part("robustness", 0.1, []),
        Part("ood", 0.18, ["--group", group] if group else None, "no source has a group column to hold out"),
        Part(
            "fewshot",
            0.14,
            ["--task", task, "--hold-out-classes", classes] if task else None,
            "no task has four classes or more",
        ),
        Part("ablate", 0.18, [] if several else None, "no task has two modalities"),
    ]


def _rows(pipe: object, task: str) -> int:
    return int(pipe.holdings.labelled[task].sum())  # type: ignore[attr-defined]


def main() -> None:
    """Run every part, then draw the page."""
    parser = study_parser("suite", __doc__ or "")
    parser.add_argument("--group", default="", help="group column for ood (default: the first there is)")
    parser.add_argument("--task", default="", help="task for fewshot (default: that of most rows with 4 classes)")
    parser.add_argument("--no-png", action="store_true", help="draw the page alone")
    options, rest = parser.parse_known_args(sys.argv[2:])
    study = Study.parse(rest)
    out = options.out or Path("runs") / "suite" / study.name
    budget, console, failed, done = Budget(options.budget), Console(), [], []
    chosen = parts(study, options.group, options.task)
    study.forget()  # each command prepares its own
    total = sum(p.share for p in chosen if p.arguments is not None)
    for part in chosen:
        console.print(Rule(part.command))
        if part.arguments is None:
            console.print(f"left out: {part.why}", markup=False)
            continue
        arguments = [*rest, *part.arguments, "--out", str(out / part.command), "--cells", str(out / "cells")]
        arguments += ["--seeds", *map(str, options.seeds), "--resamples", str(options.resamples)]
        if options.budget:
            share = (budget.left - RESERVE * options.budget) * part.share / total
            arguments += ["--budget", f"{max(share, 1.0):.0f}s"]
        if options.jobs:
            arguments += ["--jobs", str(options.jobs)]
        total -= part.share
        problem = run_part(part.command, arguments)
        if problem:
            failed.append(f"{part.command}: {problem}")
            console.print(f"failed: {problem}", style="red", markup=False)
        else:
            done.append(str(out / part.command))
    if not done:
        raise SystemExit("error: no part of the suite finished:\n" + "\n".join(failed))
    console.print(Rule("report"))
    run_part("report", [*done, "--out", str(out / "index.html"), *(["--no-png"] if options.no_png else [])])
    console.print(f"{budget.spent / 60:.1f} min; page: {out}/index.html", markup=False, highlight=False)
    if failed:
        raise SystemExit("error: these parts failed:\n" + "\n".join(failed))


def run_part(command: str, arguments: list[str]) -> str:
    """Run a command in this process; what went wrong in words, "" for nothing."""
    before = sys.argv
    sys.argv = [before[0], command, *arguments]
    started = time.monotonic()
    try:
        importlib.import_module(f"experiments.{command}").main()
    except ZooError as error:
        return str(error)
    except SystemExit as end:
        if end.code not in (None, 0):
            return str(end.code)
    finally:
        sys.argv = before
        print(f"{command}: {time.monotonic() - started:.0f} s")
    return ""
