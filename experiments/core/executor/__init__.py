"""Where work is done: one file an engine, found by discovery; the option --executor names it."""

from experiments.core.executor.base import (
    EXECUTORS,
    Executor,
    JobFailed,
    Work,
    WorkerLost,
    make_executor,
    to_do_again,
)

__all__ = ["EXECUTORS", "Executor", "JobFailed", "Work", "WorkerLost", "make_executor", "to_do_again"]
