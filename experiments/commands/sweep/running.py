"""Run the trials of a sweep, one after another or several at once."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.commands.sweep.file import SweepFile
from experiments.commands.sweep.search import Search, open_storage, open_trials
from experiments.commands.sweep.trial import Outcome, parse_study, plan, run_plan
from experiments.core.budget import Budget
from experiments.core.quiet import quiet
from zoo.errors import SpecError


class _Here(Executor):
    """Run what is submitted at once, in this process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def run_trials(search: Search, budget: Budget, workers: int, console: Console) -> bool:
    """Run trials until there is none left; return whether the budget ended it.

    Args:
        search: the sweep.
        budget: time that is left.
        workers: trials at once.
        console: where progress is shown.
    """
    took = [o.seconds for _, o in search.outcomes().values() if o.state == "finished"]
    running: dict[Future[Any], Any] = {}
    out_of_time = False
    pool = _pool(search, workers)
    try:
        while True:
            while len(running) < workers and not out_of_time:
                if budget.left <= (sum(took) / len(took) if took else 0.0):
                    out_of_time = search.waiting() > 0 or len(search.begun()) < search.total
                    break
                trial = search.ask()
                if trial is None:
                    break
                settings = {**search.file.constants, **trial.params}
                running[pool.submit(_train, settings, trial.number)] = trial
            if not running:
                return out_of_time
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                trial, outcome = running.pop(future), future.result()
                search.tell(trial, outcome)
                took += [outcome.seconds] if outcome.state == "finished" else []
                _say(console, search, trial, outcome)
    except BaseException:
        for process in list(getattr(pool, "_processes", {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown()


def _say(console: Console, search: Search, trial: Any, outcome: Outcome) -> None:
    words = {"finished": f"{search.file.metric} {outcome.value:.3f}", "failed": f"failed: {outcome.error}"}
    of = f"/{search.total}" if search.total else ""
    chosen = " ".join(f"{k}={_short(v)}" for k, v in trial.params.items())
    done = f"{words.get(outcome.state, outcome.state)} ({outcome.seconds:.0f} s)"
    console.print(f"trial {len(search.begun())}{of}  {chosen}  {done}", markup=False, highlight=False)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_SEARCH: list[Search] = []
"""The search of this process."""


def _pool(search: Search, workers: int) -> Executor:
    _SEARCH[:] = [search]
    if workers == 1:
        return _Here()
    made: Any = (search.file, search.arguments, search.seeds, search.folder, search.trials.study_name, search.storage)
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=made,
    )


def _begin(file: SweepFile, arguments: list[str], seeds: list[int], folder: Path, name: str, storage: Path) -> None:
    """Begin a worker process, which keeps its data between trials."""
    import torch

    silence()
    base = parse_study(arguments)
    torch.set_num_threads(max(base.threads, 1))
    trials = open_trials(file, name, open_storage(storage))
    _SEARCH[:] = [Search(file, arguments, base, seeds, folder, trials, 0, 0)]


def _train(settings: dict[str, Any], number: int) -> Outcome:
    """Train trial ``number`` in this process; the report of each validation goes through the storage."""
    import optuna

    search = _SEARCH[0]
    watch = None
    if search.file.warmup is not None:
        watch = optuna.trial.Trial(search.trials, search.trials.get_trials(deepcopy=False)[number]._trial_id)
    try:
        made = plan(search.base, search.arguments, settings, search.seeds)
    except SpecError as error:
        return Outcome("failed", error=str(error))
    return run_plan(made, search.file.metric, search.folder / "jobs", watch)


def silence() -> None:
    """Silence Lightning and Optuna."""
    import optuna

    quiet()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
