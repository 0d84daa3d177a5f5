"""Where training jobs run: one file an engine, found by discovery; the option --executor names it."""

from experiments.core.executor.base import EXECUTORS, Executor, JobFailed, WorkerLost

__all__ = ["EXECUTORS", "Executor", "JobFailed", "WorkerLost"]
