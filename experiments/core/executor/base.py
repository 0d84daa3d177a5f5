"""Executor: the interface of an engine that does work in workers, such as processes of this machine."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any, Generic, TypeVar

from zoo.errors import ZooError
from zoo.registry import Registry

ATTEMPTS = 3
"""How often an item is begun whose worker is lost each time."""

Item = TypeVar("Item", bound=Hashable)
Answer = TypeVar("Answer")


class JobFailed(ZooError):
    """Work raised an error in another process; the message holds it."""


class WorkerLost(ZooError):
    """The process or machine that worked on an item ended before it was done.

    Args:
        message: why.
        again: whether the item may be submitted again.
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class Work(ABC, Generic[Item, Answer]):
    """What workers do with each item that is submitted.

    An object of it is sent to each worker once, by pickle; what it keeps between its items stays in that worker.

    Attributes:
        threads: CPU threads of torch in a worker; 0 is one.
        passing: errors that reach the caller as they are; of all others another process sends the words.
    """

    threads: int = 0
    passing: tuple[type[Exception], ...] = ()

    def begin(self) -> None:
        """Make ready a worker that is another process; it knows all registered classes and plugins already."""

    @abstractmethod
    def run(self, item: Item) -> Answer:
        """Do one item."""


class Executor(ABC, Generic[Item, Answer]):
    """Does work somewhere. Used as a context manager, which ends what it has started.

    A subclass implements ``submit`` and ``close``. Trainings travel by way of the folder of finished jobs, so that an
    engine on several machines needs a folder that all of them see.

    Args:
        work: what is done with each item.
        workers: the largest number of items that are submitted and have not ended.
    """

    def __init__(self, work: Work[Item, Answer], workers: int) -> None:
        self.work = work
        self.workers = workers
        self._losses: Counter[Item] = Counter()

    @abstractmethod
    def submit(self, item: Item) -> Future[Answer]:
        """Begin an item.

        Returns:
            A future of the answer. It raises ``lost(...)`` where the worker ended early, and what the work raised, as
            it is or as JobFailed.
        """

    def close(self, *, kill: bool) -> None:
        """End the workers.

        Args:
            kill: whether items that run are stopped; otherwise nothing runs any more.
        """

    def lost(self, item: Item, reason: str) -> WorkerLost:
        """The error of an item whose worker was lost; it may be submitted again until it has had ATTEMPTS."""
        self._losses[item] += 1
        again = self._losses[item] < ATTEMPTS
        advice = "" if again else f", {ATTEMPTS} times; --workers 1 needs less memory"
        return WorkerLost(reason + advice, again=again)

    def until_done(self, following: Callable[[], Item | None]) -> Iterator[tuple[Item, Future[Answer]]]:
        """Keep the workers busy; yield each item as it ends, with its future.

        Args:
            following: gives the next item to begin, or None where there is none before another one ends.
        """
        running: dict[Future[Answer], Item] = {}
        while True:
            while len(running) < self.workers and (item := following()) is not None:
                running[self.submit(item)] = item
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future

    def each(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        """Do all items; yield each with its answer as it ends, and raise the first error.

        Args:
            items: to do; the first of them are begun first.
        """
        waiting = deque(items)
        for item, future in self.until_done(lambda: waiting.popleft() if waiting else None):
            if to_do_again(future):
                waiting.append(item)
            else:
                yield item, future.result()

    def __enter__(self) -> Executor[Item, Answer]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kill=error is not None)


EXECUTORS: Registry[Executor[Any, Any]] = Registry("executor", "core.executor")
"""Executors by class name."""


def to_do_again(future: Future[Any]) -> bool:
    """Whether the worker of an item that ended was lost, and the item is to be submitted again."""
    error = future.exception()
    return isinstance(error, WorkerLost) and error.again


def make_executor(work: Work[Item, Answer], workers: int, name: str = "", *, most: int = 0) -> Executor[Item, Answer]:
    """The executor that a command asks for.

    Args:
        work: what is done with each item.
        workers: how many items run at once; 0 takes cores over threads.
        name: of the Executor; "" takes this process for one worker, and processes for several.
        most: number of items, above which no workers are of use; 0 where it is not known.
    """
    number = workers or max(1, (os.cpu_count() or 1) // max(work.threads, 1))
    number = min(number, most or number)
    return EXECUTORS.get(name or ("InlineExecutor" if number == 1 else "ProcessExecutor"))(work, number)
