"""run_jobs: train what is not finished, in a given order, within a budget, and each job once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.core.budget import Budget, Pace
from experiments.core.executor import Executor, Work, WorkerLost, make_executor, to_do_again
from experiments.core.job import Finished, JobBusy, TrainingJob, finished_seconds, load_job, run_job
from experiments.core.quiet import quiet
from experiments.core.study import Study
from zoo.encoders.feature_store import VARIABLE
from zoo.errors import ZooError

MOST = 8
"""Jobs that a sentence names."""


@dataclass
class JobResults:
    """What became of the jobs that were asked for.

    Attributes:
        finished: job -> what it left.
        left_out: jobs that the budget did not allow, in order.
        failed: job -> error, in words; where nothing at all finished, the error is raised.
        fresh: how many were run now; the others were finished before.
    """

    finished: dict[TrainingJob, Finished] = field(default_factory=dict)
    left_out: list[TrainingJob] = field(default_factory=list)
    failed: dict[TrainingJob, str] = field(default_factory=dict)
    fresh: int = 0

    def add(self, other: JobResults) -> None:
        """Take in what became of further jobs."""
        self.finished |= other.finished
        self.failed |= other.failed
        self.left_out += [j for j in other.left_out if j not in self.left_out]
        self.fresh += other.fresh

    def sentences(self) -> list[str]:
        """What was trained, what failed, and what the budget left out."""
        said = [f"{self.fresh} training(s) made now, {len(self.finished) - self.fresh} finished before."]
        said += [f"A training failed: {j.describe()}: {why.splitlines()[0]}" for j, why in self.failed.items()]
        if self.left_out:
            total = len(self.left_out) + len(self.finished) + len(self.failed)
            names = "; ".join(j.describe() for j in self.left_out[:MOST])
            more = f"; and {len(self.left_out) - MOST} more" if len(self.left_out) > MOST else ""
            said.append(
                f"The budget left out {len(self.left_out)} of {total} trainings; run the command again to go on with "
                f"them: {names}{more}"
            )
        return said


def run_jobs(
    study: Study,
    jobs: Sequence[TrainingJob],
    folder: Path,
    *,
    budget: Budget | None = None,
    workers: int = 0,
    executor: str = "",
) -> JobResults:
    """Run jobs, or read those that are finished.

    While the budget lasts, a job is begun where the median time of finished ones of its kind fits into what is left,
    or where no such time is known; the first is begun while any time is left. A job that was begun is finished.
    A job whose worker is lost is begun again. A job that another process trains is read when that has finished it.

    Args:
        study: the configuration.
        jobs: in the order of importance; repeated ones run once.
        folder: where finished jobs are kept; several commands and processes may share it.
        budget: time that is left; None for no end.
        workers: how many jobs run at once; 0 takes cores over threads.
        executor: name of the Executor; "" takes this process for one worker, and processes for several.
    """
    budget = budget or Budget()
    quiet()
    results = JobResults()
    waiting = deque[TrainingJob]()
    for job in dict.fromkeys(jobs):
        done = load_job(study, job, folder)
        if done is None:
            waiting.append(job)
        else:
            results.finished[job] = done
    engine = make_executor(Training(study, folder), workers, executor, most=max(len(waiting), 1))
    pace = Pace()
    if budget.seconds and waiting:
        for job, seconds in finished_seconds(study, folder):  # those of other commands too
            pace.add(job.kind, seconds)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        line = bar.add_task("trainings", total=len(waiting) + len(results.finished), completed=len(results.finished))
        with _shared_features(folder / "features"), engine:
            for _ in JobRun(study, folder, engine, budget, pace, results).until_done(waiting):
                bar.advance(line)
    for job, problem in results.failed.items():
        console.print(f"failed: {job.describe()}: {problem}", style="red", markup=False)
    return results


@contextmanager
def _shared_features(folder: Path) -> Iterator[None]:
    """Let all processes share what frozen networks have seen, where the user has not said where to keep it."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = before or str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]


@dataclass(frozen=True)
class JobRequest:
    """A job that is submitted to an executor.

    Attributes:
        job: what to train.
        wait: seconds to wait where another process trains this job; a negative number waits until it ends.
    """

    job: TrainingJob
    wait: float = field(default=0.0, compare=False)


class Training(Work[JobRequest, bool]):
    """Trains jobs; the answer is whether a job was trained by this call, and not by another process.

    Args:
        study: the configuration that jobs are trained by.
        folder: where ``run_job`` keeps finished jobs.
    """

    passing = (JobBusy,)

    def __init__(self, study: Study, folder: Path) -> None:
        self.study = study
        self.folder = folder
        self.threads = study.threads

    def run(self, item: JobRequest) -> bool:
        """Train a job, or wait for the process that trains it."""
        return run_job(self.study, item.job, self.folder, wait=item.wait).fresh


@dataclass
class JobRun:
    """The jobs of one call of run_jobs while they run.

    Attributes:
        study: the configuration.
        folder: where finished jobs are kept.
        executor: runs them.
        budget: time that is left.
        pace: how long jobs take.
        results: what became of jobs.
        elsewhere: jobs that another process trains; they are waited for when nothing else is left to begin.
    """

    study: Study
    folder: Path
    executor: Executor[JobRequest, bool]
    budget: Budget
    pace: Pace
    results: JobResults
    elsewhere: set[TrainingJob] = field(default_factory=set)

    def until_done(self, waiting: deque[TrainingJob]) -> Iterator[TrainingJob]:
        """Run the jobs; yield each as it finishes or fails."""
        begun = bool(self.results.finished)

        def following() -> JobRequest | None:
            nonlocal begun
            while waiting:
                job = waiting.popleft()
                if self.budget.allows(self.pace.expected(job.kind) if begun else 0.0):
                    begun = True
                    return JobRequest(job, min(self.budget.left, 1e9) if job in self.elsewhere else 0.0)
                self.results.left_out.append(job)
            return None

        for request, future in self.executor.until_done(following):
            job = request.job
            if self._again(job, future):
                waiting.append(job)
            elif job in self.results.finished or job in self.results.failed:
                yield job

    def _again(self, job: TrainingJob, future: Future[bool]) -> bool:
        """Take note of a job that ended; whether it is to be begun again."""
        done = load_job(self.study, job, self.folder)
        if done is not None:
            self.results.finished[job] = done
            self.results.fresh += future.exception() is None and future.result()
            self.pace.add(job.kind, float(done.info["seconds"]))
            return False
        error = future.exception()
        if isinstance(error, JobBusy):
            if job in self.elsewhere:  # the budget ended while another process trained it
                self.results.left_out.append(job)
                return False
            self.elsewhere.add(job)
            return True
        if to_do_again(future):
            return True
        problem = error if error is not None else WorkerLost("its worker ended and left nothing")
        if not self.results.finished:
            raise problem
        self.results.failed[job] = str(problem) if isinstance(problem, ZooError) else _named(problem)
        return False


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
