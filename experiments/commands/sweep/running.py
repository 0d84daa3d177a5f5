"""Run the trials of a sweep, one after another or several at once."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from rich.console import Console

from experiments.commands.sweep.search import Search, open_storage, open_trials
from experiments.commands.sweep.trial import Outcome, plan, run_plan
from experiments.core.budget import Budget
from experiments.core.executor import Work, WorkerLost, make_executor, to_do_again
from experiments.core.quiet import quiet
from zoo.errors import SpecError


class Trials(Work[int, Outcome]):
    """Trains trials, by their numbers; what each sets and the report of each validation go through the storage.

    Args:
        search: the sweep.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self.name = search.trials.study_name
        self.threads = search.base.threads

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to know; it opens the storage itself."""
        return {**self.__dict__, "search": replace(self.search, trials=None)}

    def begin(self) -> None:
        """Open the storage in another process."""
        silence()
        search = self.search
        assert search.storage is not None
        search.trials = open_trials(search.file, self.name, open_storage(search.storage))

    def run(self, item: int) -> Outcome:
        """Train a trial in this process."""
        import optuna

        search = self.search
        trial = search.trials.get_trials(deepcopy=False)[item]
        watch = None if search.file.warmup is None else optuna.trial.Trial(search.trials, trial._trial_id)
        try:
            made = plan(search.base, search.arguments, {**search.file.constants, **trial.params}, search.seeds)
        except SpecError as error:
            return Outcome("failed", error=str(error))
        return run_plan(made, search.file.metric, search.jobs, watch)


def run_trials(search: Search, budget: Budget, workers: int, console: Console, executor: str = "") -> bool:
    """Run trials until there is none left; return whether the budget ended it.

    Args:
        search: the sweep.
        budget: time that is left. A trial is begun where the mean time of finished ones fits into it.
        workers: trials at once.
        console: where progress is shown.
        executor: name of the Executor, see make_executor.
    """
    took = [o.seconds for _, o in search.outcomes().values() if o.state == "finished"]
    asked: dict[int, Any] = {}
    again: deque[int] = deque()
    out_of_time = False

    def following() -> int | None:
        nonlocal out_of_time
        if again:
            return again.popleft()
        if out_of_time or budget.left <= (sum(took) / len(took) if took else 0.0):
            out_of_time = search.waiting() > 0 or len(search.begun()) < search.total
            return None
        trial = search.ask()
        if trial is not None:
            asked[trial.number] = trial
        return None if trial is None else trial.number

    with make_executor(Trials(search), workers, executor, most=search.total) as engine:
        for number, future in engine.until_done(following):
            if to_do_again(future):
                again.append(number)
                continue
            trial, outcome = asked.pop(number), _outcome(future)
            search.tell(trial, outcome)
            took += [outcome.seconds] if outcome.state == "finished" else []
            _say(console, search, trial, outcome)
    return out_of_time


def _outcome(future: Future[Outcome]) -> Outcome:
    """What became of a trial that ended; one that no worker survives has failed."""
    error = future.exception()
    return Outcome("failed", error=str(error)) if isinstance(error, WorkerLost) else future.result()


def _say(console: Console, search: Search, trial: Any, outcome: Outcome) -> None:
    words = {"finished": f"{search.file.metric} {outcome.value:.3f}", "failed": f"failed: {outcome.error}"}
    of = f"/{search.total}" if search.total else ""
    chosen = " ".join(f"{k}={_short(v)}" for k, v in trial.params.items())
    done = f"{words.get(outcome.state, outcome.state)} ({outcome.seconds:.0f} s)"
    console.print(f"trial {len(search.begun())}{of}  {chosen}  {done}", markup=False, highlight=False)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def silence() -> None:
    """Silence Lightning and Optuna."""
    import optuna

    quiet()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
