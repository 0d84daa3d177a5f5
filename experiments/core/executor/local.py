"""The executors of one machine: in this process, or in several."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch

from experiments.core.executor.base import EXECUTORS, Executor, JobFailed, WorkerLost
from experiments.core.job import JobBusy, TrainingJob, run_job
from experiments.core.quiet import quiet
from experiments.core.study import Study
from zoo.errors import ZooError
from zoo.registry import discover_all, plugins, use_plugins


@EXECUTORS.register
class InlineExecutor(Executor):
    """Runs each job at once in this process."""

    def submit(self, job: TrainingJob, *, wait: float) -> Future[bool]:
        """Run a job; the future that is returned has ended."""
        future: Future[bool] = Future()
        try:
            future.set_result(run_job(self.study, job, self.folder, wait=wait).fresh)
        except Exception as error:
            future.set_exception(error)
        return future


@EXECUTORS.register
class ProcessExecutor(Executor):
    """Runs jobs in processes of this machine, each of which keeps the data that it prepared between its jobs.

    A worker is a pool of one process: where a process is killed, it is known which job it ran, and no other is lost.
    """

    def __init__(self, study: Study, folder: Path, workers: int) -> None:
        super().__init__(study, folder, workers)
        self._idle: list[_Worker | None] = [None] * workers  # None is a process that is yet to be started
        self._busy: set[_Worker] = set()

    def submit(self, job: TrainingJob, *, wait: float) -> Future[bool]:
        """Begin a job in an idle process."""
        worker = self._idle.pop() or _Worker(self.study, self.folder)
        self._busy.add(worker)
        future: Future[bool] = Future()

        def end(inner: Future[bool]) -> None:
            error = inner.exception()
            lost = isinstance(error, BrokenProcessPool)
            self._busy.discard(worker)
            self._idle.append(None if lost else worker)
            if lost:
                future.set_exception(WorkerLost("its process was killed (out of memory?)"))
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(inner.result())

        worker.pool.submit(_train, job, wait).add_done_callback(end)
        return future

    def close(self, *, kill: bool) -> None:
        """End the processes."""
        for worker in [*self._busy, *(w for w in self._idle if w is not None)]:
            worker.close(kill=kill)


class _Worker:
    """A pool of one process, whose number is asked for first, so that it can be killed."""

    def __init__(self, study: Study, folder: Path) -> None:
        given = (study.config, study.name, study.threads, folder, plugins())
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=given)
        self._number = self.pool.submit(os.getpid)

    def close(self, *, kill: bool) -> None:
        """End the process."""
        if kill:
            with contextlib.suppress(BrokenProcessPool, ProcessLookupError):
                os.kill(self._number.result(), signal.SIGKILL)
        self.pool.shutdown(wait=True, cancel_futures=True)


_WORKER: list[tuple[Study, Path]] = []
"""The study and the folder of this worker process."""


def _begin(config: dict[str, Any], name: str, threads: int, folder: Path, packages: Sequence[str]) -> None:
    """Begin a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers
    torch.set_num_threads(max(threads, 1))
    quiet()
    use_plugins(packages)
    discover_all()
    _WORKER[:] = [(Study(config, name, threads), folder)]


def _train(job: TrainingJob, wait: float) -> bool:
    """Run a job in this worker process; whether it was trained just now."""
    study, folder = _WORKER[0]
    try:
        return run_job(study, job, folder, wait=wait).fresh
    except JobBusy:
        raise
    except ZooError as error:  # errors travel between processes as words, since not all can be rebuilt
        raise JobFailed(str(error)) from error
    except Exception as error:
        raise JobFailed(f"{type(error).__name__}: {error}") from error
