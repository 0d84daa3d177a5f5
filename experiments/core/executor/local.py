"""The executors of one machine: in this process, or in several."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from experiments.core.executor.base import EXECUTORS, Answer, Executor, Item, JobFailed, Work
from experiments.core.quiet import quiet
from zoo.errors import ZooError
from zoo.registry import discover_all, plugins, use_plugins


@EXECUTORS.register
class InlineExecutor(Executor[Item, Answer]):
    """Does each item at once in this process."""

    def submit(self, item: Item) -> Future[Answer]:
        """Do an item; the future that is returned has ended."""
        future: Future[Answer] = Future()
        try:
            future.set_result(self.work.run(item))
        except Exception as error:
            future.set_exception(error)
        return future


@EXECUTORS.register
class ProcessExecutor(Executor[Item, Answer]):
    """Works in processes of this machine, each of which keeps the data that it prepared between its items.

    A worker is a pool of one process: where a process is killed, it is known which item it ran, and no other is lost.
    """

    def __init__(self, work: Work[Item, Answer], workers: int) -> None:
        super().__init__(work, workers)
        self._idle: list[_Worker | None] = [None] * workers  # None is a process that is yet to be started
        self._busy: set[_Worker] = set()

    def submit(self, item: Item) -> Future[Answer]:
        """Begin an item in an idle process."""
        worker = self._idle.pop() or _Worker(self.work)
        self._busy.add(worker)
        future: Future[Answer] = Future()

        def end(inner: Future[Answer]) -> None:
            error = inner.exception()
            lost = isinstance(error, BrokenProcessPool)
            self._busy.discard(worker)
            self._idle.append(None if lost else worker)
            if lost:
                future.set_exception(self.lost(item, "its process was killed (out of memory?)"))
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(inner.result())

        worker.pool.submit(_run, item).add_done_callback(end)
        return future

    def close(self, *, kill: bool) -> None:
        """End the processes."""
        for worker in [*self._busy, *(w for w in self._idle if w is not None)]:
            worker.close(kill=kill)


class _Worker:
    """A pool of one process, whose number is asked for first, so that it can be killed."""

    def __init__(self, work: Work[Any, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(work, plugins()))
        self._number = self.pool.submit(os.getpid)

    def close(self, *, kill: bool) -> None:
        """End the process."""
        if kill:
            with contextlib.suppress(BrokenProcessPool, ProcessLookupError):
                os.kill(self._number.result(), signal.SIGKILL)
        self.pool.shutdown(wait=True, cancel_futures=True)


_WORK: list[Work[Any, Any]] = []
"""What this worker process does."""


def _begin(work: Work[Any, Any], packages: Sequence[str]) -> None:
    """Begin a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers
    torch.set_num_threads(max(work.threads, 1))
    quiet()
    use_plugins(packages)
    discover_all()
    work.begin()
    _WORK[:] = [work]


def _run(item: Any) -> Any:
    """Do an item in this worker process."""
    (work,) = _WORK
    try:
        return work.run(item)
    except work.passing:
        raise
    except ZooError as error:  # errors travel between processes as words, since not all can be rebuilt
        raise JobFailed(str(error)) from error
    except Exception as error:
        raise JobFailed(f"{type(error).__name__}: {error}") from error
