"""StudyCommand: a command that trains what a question needs, looks at what was trained, and ends in one Result."""

from __future__ import annotations

import argparse
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from experiments.core.budget import Budget, seconds_of
from experiments.core.command import Command, at_least
from experiments.core.finish import finish, show_table
from experiments.core.job import TrainingJob
from experiments.core.runner import JobResults, run_jobs
from experiments.core.study import Study
from zoo.results import Result, joint_word

EPILOG = """--config FILE, --data.*, --model.*, --trainer.*, --threads and --plugins are those of zoo fit. What is
finished is kept in the folder of --out, and is not run again; another configuration has other keys."""


@dataclass
class StudyRun:
    """One run of a study command.

    Attributes:
        study: the configuration.
        options: of the command line.
        seeds: of split and training, each once.
        folder: of the results.
        jobs_folder: of finished trainings, which several commands may share.
        budget: time that the whole command may take.
        training_budget: time that its trainings may take.
        trained: what became of all trainings so far.
    """

    study: Study
    options: argparse.Namespace
    seeds: list[int]
    folder: Path
    jobs_folder: Path
    budget: Budget
    training_budget: Budget
    trained: JobResults = field(default_factory=JobResults)

    def train(self, jobs: Sequence[TrainingJob]) -> JobResults:
        """Train what is not finished, add it to ``trained``, and return that."""
        known = {*self.trained.finished, *self.trained.failed, *self.trained.left_out}
        wanted = [j for j in dict.fromkeys(jobs) if j not in known]
        if wanted:
            found = run_jobs(
                self.study,
                wanted,
                self.jobs_folder,
                budget=self.training_budget,
                workers=self.options.workers,
                executor=self.options.executor,
            )
            self.trained.add(found)
        return self.trained

    def result(self, command: str, title: str, words: Sequence[str]) -> Result:
        """An empty Result of this run.

        Args:
            command: name of the command.
            title: of the result.
            words: "real", "simulated" or "mixed" of each of its parts; where it has none, the data are asked.
        """
        data = joint_word(words) if words else self.study.word()
        return Result(command, title, config=self.study.name, data=data, seeds=list(self.seeds))


def study_options(
    parser: argparse.ArgumentParser,
    name: str,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    resamples: int = 500,
    workers: int = 0,
) -> None:
    """Add the options that all studies have.

    Args:
        parser: to add them to.
        name: of the command.
        seeds: default of --seeds.
        resamples: default of --resamples.
        workers: default of --workers.
    """
    add = parser.add_argument_group("options of all studies").add_argument
    words = " ".join(map(str, seeds))
    add("--out", type=Path, default=None, help=f"folder of the results (default runs/{name}/CONFIG)")
    add("--seeds", type=int, nargs="+", default=list(seeds), help=f"of split and training (default {words})")
    add("--budget", type=seconds_of, default=0.0, help="time to stop at, such as 20m; default none")
    many = "trainings at once; 0: cores / threads" + (" (default)" if not workers else f" (default {workers})")
    add("--workers", type=int, default=workers, help=many)
    add("--resamples", type=int, default=resamples, help=f"of the bootstrap (default {resamples})")


def job_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of where trainings run and where finished ones are kept."""
    add = parser.add_argument_group("options of trainings").add_argument
    add("--jobs-folder", type=Path, default=None, help="of finished trainings (default: jobs in --out)")
    add("--executor", default="", help="class that runs trainings; default: processes of this machine")


class StudyCommand(Command):
    """A command that trains networks or baselines and compares them.

    A subclass gives its ``jobs`` and how they are ``evaluate``d; it may add ``options``, ``check`` them, and write
    further ``files``. Reading the configuration, seeds, budget, training, what was left out, the files of the result
    and printing are the same for all.

    Attributes:
        seeds: default of --seeds.
        resamples: default of --resamples.
        training_share: share of a budget that trainings may take; the rest is for looking at what was trained.
        suite_share: share of the budget of ``zoo suite`` that this command takes; 0 is no part of the suite.
    """

    group: ClassVar[str] = "studies"
    takes_configuration: ClassVar[bool] = True
    epilog: ClassVar[str] = EPILOG
    seeds: ClassVar[Sequence[int]] = (0, 1, 2)
    resamples: ClassVar[int] = 500
    training_share: ClassVar[float] = 1.0
    suite_share: ClassVar[float] = 0.0

    def parser(self) -> argparse.ArgumentParser:
        """The options that all studies have, and the command's own."""
        parser = super().parser()
        study_options(parser, self.name, seeds=self.seeds, resamples=self.resamples)
        job_options(parser)
        return parser

    def main(self, arguments: Sequence[str]) -> int:
        """Parse the command's options; what is left is the configuration."""
        started = time.monotonic()
        options, rest = self.parser().parse_known_args(arguments)
        at_least(options, workers=0, resamples=1)
        self.check(options)
        study = Study.parse(rest)
        folder = options.out or Path("runs") / self.name / study.name
        run = StudyRun(
            study,
            options,
            list(dict.fromkeys(options.seeds)),
            folder,
            options.jobs_folder or folder / "jobs",
            Budget(options.budget),
            Budget(options.budget * self.training_share),
        )
        run.train(self.jobs(run))
        result = self.evaluate(run)
        result.summary += run.trained.sentences()
        folder.mkdir(parents=True, exist_ok=True)
        self.files(run, result)
        self.show(result)
        finish(result, folder, started, [self.name, *arguments])
        return 0

    def check(self, options: argparse.Namespace) -> None:
        """Refuse options that contradict each other, before the configuration is read."""

    @abstractmethod
    def jobs(self, run: StudyRun) -> list[TrainingJob]:
        """What must be trained, in the order of importance: a budget leaves out the last."""

    @abstractmethod
    def evaluate(self, run: StudyRun) -> Result:
        """Look at ``run.trained``, where jobs may be missing, and say what was found. It may ``run.train`` more."""

    def files(self, run: StudyRun, result: Result) -> None:
        """Write files of the command's own into ``run.folder``."""

    def show(self, result: Result) -> None:
        """Print the tables."""
        for table in result.tables:
            show_table(table)

    def suite_options(self, study: Study, options: argparse.Namespace) -> list[str]:
        """The command's own options in ``zoo suite``.

        Args:
            study: the configuration, whose data are prepared.
            options: of the suite.

        Raises:
            SpecError: the command does not fit the configuration; the message says why.
        """
        return []
