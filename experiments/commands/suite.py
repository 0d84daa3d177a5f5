"""The command ``suite``: every study that is part of it, within one budget, and then the page."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from experiments.core.budget import Budget
from experiments.core.command import COMMANDS, Command
from experiments.core.study import Study
from experiments.core.study_command import StudyCommand, job_options, study_options
from zoo.errors import SpecError, ZooError

RESERVE = 0.08
"""Share of the budget that is kept for the page."""


@dataclass
class Part:
    """One study of the suite.

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


def parts(study: Study, options: argparse.Namespace) -> list[Part]:
    """What the suite runs for a configuration: studies with a share in it, the largest share first."""
    classes = [COMMANDS.get(name) for name in COMMANDS]
    studies = [c for c in classes if issubclass(c, StudyCommand) and c.suite_share > 0]
    found = []
    for cls in sorted(studies, key=lambda c: (-c.suite_share, c.name)):
        try:
            found.append(Part(cls.name, cls.suite_share, cls().suite_options(study, options)))
        except SpecError as error:
            found.append(Part(cls.name, cls.suite_share, None, str(error)))
    return found


@COMMANDS.register
class Suite(Command):
    """All the evidence for one configuration within one budget, and then the page.

    Runs table1, ablate, ood, fewshot, robustness and whatever study of a plugin has a share in it, one after another,
    each with a share of the time that is left, and ends with ``zoo report`` over all of them. Trainings are shared:
    what table1 has trained, the others read. What does not fit a configuration (no groups to hold out, no task with
    enough classes) is named and left out. The same command again goes on with what the budget did not allow.
    """

    name = "suite"
    group = "studies"
    takes_configuration = True

    def options(self, parser: argparse.ArgumentParser) -> None:
        """What some of the studies are about."""
        add = parser.add_argument
        add("--group", default="", help="group column for ood (default: the first there is)")
        add("--task", default="", help="task for fewshot (default: that of most rows with 4 classes)")
        add("--no-png", action="store_true", help="draw the page alone")
        study_options(parser, self.name)
        job_options(parser)

    def main(self, arguments: Sequence[str]) -> int:
        """Run every part, then draw the page."""
        options, rest = self.parser().parse_known_args(arguments)
        study = Study.parse(rest)
        out = options.out or Path("runs") / "suite" / study.name
        budget, console = Budget(options.budget), Console()
        chosen = parts(study, options)
        study.forget()  # each command prepares its own
        failed, done = [], []
        total = sum(p.share for p in chosen if p.arguments is not None)
        for part in chosen:
            console.print(Rule(part.command))
            if part.arguments is None:
                console.print(f"left out: {part.why}", markup=False)
                continue
            own = [*rest, *part.arguments, *_shared(options, out, part.command)]
            if options.budget:
                share = (budget.left - RESERVE * options.budget) * part.share / total
                own += ["--budget", f"{max(share, 1.0):.0f}s"]
            total -= part.share
            problem = run_part(part.command, own)
            if problem:
                failed.append(f"{part.command}: {problem}")
                console.print(f"failed: {problem}", style="red", markup=False)
            else:
                done.append(str(out / part.command))
        if not done:
            raise SpecError("no part of the suite finished:\n" + "\n".join(failed))
        console.print(Rule("report"))
        run_part("report", [*done, "--out", str(out / "index.html"), *(["--no-png"] if options.no_png else [])])
        console.print(f"{budget.spent / 60:.1f} min; page: {out}/index.html", markup=False, highlight=False)
        if failed:
            raise SpecError("these parts failed:\n" + "\n".join(failed))
        return 0


def _shared(options: argparse.Namespace, out: Path, command: str) -> list[str]:
    """The options that each study of the suite is given."""
    given = ["--out", str(out / command), "--jobs-folder", str(options.jobs_folder or out / "jobs")]
    given += ["--seeds", *map(str, options.seeds), "--resamples", str(options.resamples)]
    given += ["--workers", str(options.workers)]
    return [*given, "--executor", options.executor] if options.executor else given


def run_part(command: str, arguments: Sequence[str]) -> str:
    """Run a command in this process; what went wrong in words, "" for nothing."""
    started = time.monotonic()
    try:
        code = COMMANDS.get(command)().main(arguments)
        return f"it ended with exit status {code}" if code else ""
    except ZooError as error:
        return str(error)
    except SystemExit as end:
        return str(end.code) if end.code not in (None, 0) else ""
    finally:
        print(f"{command}: {time.monotonic() - started:.0f} s")
