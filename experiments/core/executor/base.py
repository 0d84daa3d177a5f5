"""Executor: the interface of an engine that runs training jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType

from experiments.core.job import TrainingJob
from experiments.core.study import Study
from zoo.errors import ZooError
from zoo.registry import Registry


class JobFailed(ZooError):
    """A training raised an error in another process; the message holds it."""


class WorkerLost(ZooError):
    """The process or machine that ran a training ended before the training did. The job can be submitted again."""


class Executor(ABC):
    """Runs training jobs somewhere. Used as a context manager, which ends what it has started.

    A subclass implements ``submit`` and ``close``. Results travel by way of the folder of finished jobs, so that an
    engine on several machines needs a folder that all of them see.

    Args:
        study: the configuration that jobs are trained by.
        folder: where ``run_job`` keeps finished jobs.
        workers: the largest number of jobs that are submitted and have not ended.
    """

    def __init__(self, study: Study, folder: Path, workers: int) -> None:
        self.study = study
        self.folder = folder
        self.workers = workers

    @abstractmethod
    def submit(self, job: TrainingJob, *, wait: float) -> Future[bool]:
        """Begin a job.

        Args:
            job: what to train.
            wait: seconds to wait where another process trains this job; a negative number waits until it ends.

        Returns:
            A future that ends when the job is finished in ``folder``: whether it was trained by this call, and not by
            another process. It raises JobBusy where another process still
            trains the job, WorkerLost where the worker ended early, and what the training raised, as it is or as
            JobFailed.
        """

    def close(self, *, kill: bool) -> None:
        """End the workers.

        Args:
            kill: whether jobs that run are stopped; otherwise nothing runs any more.
        """

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kill=error is not None)


EXECUTORS: Registry[Executor] = Registry("executor", "core.executor")
"""Executors by class name."""
