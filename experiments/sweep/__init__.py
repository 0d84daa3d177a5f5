"""``run.py sweep``: run a W&B sweep file here, with Optuna; trials are scored on the validation split."""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.budget import Budget
from experiments.run import find_configs
from experiments.schedule import quiet
from experiments.study import study_parser
from experiments.sweep.file import SweepFile, fill_in, find_sweep, load_sweep
from experiments.sweep.report import report
from experiments.sweep.search import Search, command_of, open_storage, open_trials
from experiments.sweep.trial import Outcome, options_of, parse_study, plan, run_plan
from zoo.errors import MissingExtraError, SpecError

HELP = """Run a sweep over options of run.py fit, and say which were best on the validation split.

The file is one of Weights & Biases. The same file runs on their server:
  wandb sweep experiments/sweeps/fusion_lambda_lr.yaml      prints the sweep's ID
  wandb agent ID                                            on each machine that shall train, from this folder
and here, without a server or an account (Optuna, pip install -e '.[sweeps]'):
  run.py sweep fusion_lambda_lr.yaml --trials 10 --budget 20m
grid goes through all combinations, random draws them, bayes is a tree-structured Parzen estimator; early_terminate is
a median pruner here. A W&B run is one whole run.py fit; here a trial is trained as the other commands of the evidence
train. A rerun goes on where it was stopped. Only the validation split chooses; the test of the best is shown at the
end. Run one at a time in a folder."""
SHOWN = 5
"""Commands that a dry run shows."""


class _Here(Executor):
    """Run what is submitted at once, in this process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def check(file: SweepFile, arguments: Sequence[str]) -> None:
    """Parse each value, and both ends of each range, before anything is trained.

    Raises:
        SpecError: the command line refuses one.
    """
    for parameter in file.parameters:
        for value in parameter.ends():
            settings = {**file.constants, parameter.name: value}
            try:
                plan(parse_study([*arguments, *options_of(settings)]), arguments, settings, [0])
            except SpecError as error:
                raise SpecError(f"the sweep '{file.name}' sets {parameter.name}={value}: {error}") from error


def run_trials(search: Search, budget: Budget, jobs: int, console: Console) -> bool:
    """Run trials until there is none left; return whether the budget ended it."""
    took = [o.seconds for _, o in search.outcomes().values() if o.state == "finished"]
    running: dict[Future[Any], Any] = {}
    out_of_time = False
    pool = _pool(search, jobs)
    try:
        while True:
            while len(running) < jobs and not out_of_time:
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


def _pool(search: Search, jobs: int) -> Executor:
    _SEARCH[:] = [search]
    if jobs == 1:
        return _Here()
    made: Any = (search.file, search.arguments, search.seeds, search.folder, search.trials.study_name, search.storage)
    return ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=made,
    )


def _begin(file: SweepFile, arguments: list[str], seeds: list[int], folder: Path, name: str, storage: Path) -> None:
    """Begin a worker process, which keeps its data between trials."""
    import torch

    _silence()
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
    return run_plan(made, search.file.metric, search.folder / "cells", watch)


def _silence() -> None:
    import optuna

    quiet()
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _parser() -> argparse.ArgumentParser:
    shared = study_parser("sweep", HELP)
    parser = argparse.ArgumentParser(
        prog=shared.prog,
        description=HELP,
        epilog=shared.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
        conflict_handler="resolve",  # --seeds and --jobs have other defaults here
        allow_abbrev=False,
    )
    parser.add_argument("sweep", help="a W&B sweep file, or the name of one in experiments/sweeps")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], help="of split and training; a trial is their mean"
    )
    parser.add_argument("--jobs", type=int, default=1, help="trials at once (default 1)")
    parser.add_argument("--trials", type=int, default=0, help="in all; default: the file's run_cap, the grid, or 20")
    parser.add_argument(
        "--storage", type=Path, default=None, help="file of the trials: .db is SQLite, else a journal"
    )
    parser.add_argument("--search-seed", type=int, default=0, help="of random and bayes (default 0)")
    parser.add_argument("--dry-run", action="store_true", help="print the first commands, and train nothing")
    return parser


def main() -> None:
    """Run or continue a sweep, and report."""
    started = time.monotonic()
    options, rest = _parser().parse_known_args(sys.argv[2:])
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "sweeps") from error
    for name, least in (("trials", 0), ("jobs", 1)):
        if getattr(options, name) < least:
            raise SpecError(f"--{name} must be at least {least}, got {getattr(options, name)}")
    _silence()
    file = load_sweep(find_sweep(options.sweep))
    arguments = find_configs(fill_in(file.arguments, rest))
    total = options.trials or file.run_cap or (0 if file.method == "grid" else 20)
    base = parse_study(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=160)
    if options.dry_run:
        check(file, arguments)
        trials = open_trials(file, file.name, optuna.storages.InMemoryStorage())
        search = Search(file, arguments, base, options.seeds, Path(), trials, total, options.search_seed)
        _print_commands(search, console)
        return
    folder = options.out or Path("runs") / "sweep" / file.name
    storage = options.storage or folder / "study.journal"
    what = [file.method, [repr(p) for p in file.parameters], file.metric, file.maximize, options.seeds]
    key = json.dumps([*what, options.search_seed, base.fingerprint()])
    name = f"{file.name}-{hashlib.blake2b(key.encode(), digest_size=6).hexdigest()}"
    trials = open_trials(file, name, open_storage(storage))
    search = Search(file, arguments, base, options.seeds, folder, trials, total, options.search_seed, storage)
    if not trials.get_trials(deepcopy=False):
        check(file, arguments)
    cut = search.take_up()
    before = len(search.outcomes())
    if before or cut:
        console.print(f"{before} trials were finished before; {cut} were cut short and are run again")
    budget = Budget(options.budget)
    as_it_is = run_plan(plan(base, arguments, file.constants, options.seeds), file.metric, folder / "cells")
    if as_it_is.state == "failed":
        raise SpecError(f"the configuration cannot be trained as it is: {as_it_is.error}")
    out_of_time = run_trials(search, budget, options.jobs, console)
    report(search, as_it_is, out_of_time, options.resamples, started)


def _print_commands(search: Search, console: Console) -> None:
    """Print what a sweep would run first."""
    search.take_up()
    number = search.waiting() if search.file.method == "grid" else search.total
    number = min(number, search.total or number)
    console.print(f"{search.file.name}: {search.file.method} over {len(search.file.varied)} options, {number} trials")
    for _ in range(min(SHOWN, number)):
        trial = search.ask()
        if trial is not None:
            line = command_of(search.arguments, {**search.file.constants, **trial.params})
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if number > SHOWN:
        console.print(
            f"and {number - SHOWN} more" + ("" if search.file.method == "grid" else ", which learn from these")
        )
