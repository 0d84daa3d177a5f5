"""The command ``sweep``: run a W&B sweep file here, with Optuna; trials are scored on the validation split."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.commands.sweep.file import SweepFile, fill_in, find_sweep, load_sweep
from experiments.commands.sweep.report import report
from experiments.commands.sweep.running import run_trials, silence
from experiments.commands.sweep.search import Search, command_of, open_storage, open_trials
from experiments.commands.sweep.trial import options_of, parse_study, plan, run_plan
from experiments.core.budget import Budget
from experiments.core.catalogue import find_configs
from experiments.core.command import COMMANDS, Command, at_least
from experiments.core.study_command import job_options, study_options
from zoo.errors import MissingExtraError, SpecError

SHOWN = 5
"""Commands that a dry run shows."""


@COMMANDS.register
class Sweep(Command):
    """Run a W&B sweep file here, by Optuna, and say which options were best on the validation split.

    The file is one of Weights & Biases. The same file runs on their server:
      wandb sweep experiments/sweeps/fusion_lambda_lr.yaml      prints the sweep's ID
      wandb agent ID                                            on each machine that shall train, from this folder
    and here, without a server or an account (Optuna, pip install -e '.[sweeps]'):
      zoo sweep fusion_lambda_lr.yaml --trials 10 --budget 20m
    grid goes through all combinations, random draws them, bayes is a tree-structured Parzen estimator;
    early_terminate is a median pruner here. A W&B run is one whole zoo fit; here a trial is trained as the other
    studies train. A rerun goes on where it was stopped. Only the validation split chooses; the test of the best is
    shown at the end. Run one at a time in a folder.
    """

    name = "sweep"
    group = "studies"
    takes_configuration = True

    def options(self, parser: argparse.ArgumentParser) -> None:
        """The sweep, and how long to go on."""
        add = parser.add_argument
        add("sweep", help="a W&B sweep file, or the name of one in experiments/sweeps")
        add("--trials", type=int, default=0, help="in all; default: the file's run_cap, the grid, or 20")
        add("--storage", type=Path, default=None, help="file of the trials: .db is SQLite, else a journal")
        add("--search-seed", type=int, default=0, help="of random and bayes (default 0)")
        add("--dry-run", action="store_true", help="print the first commands, and train nothing")
        study_options(parser, self.name, seeds=[0], workers=1)
        job_options(parser)

    def main(self, arguments: Sequence[str]) -> int:
        """Run or continue a sweep, and report."""
        started = time.monotonic()
        options, rest = self.parser().parse_known_args(arguments)
        try:
            import optuna
        except ImportError as error:
            raise MissingExtraError("optuna", "sweeps") from error
        at_least(options, trials=0, workers=0)
        silence()
        file = load_sweep(find_sweep(options.sweep))
        words = find_configs(fill_in(file.arguments, rest))
        console = Console() if sys.stdout.isatty() else Console(width=160)
        if options.dry_run:
            check(file, words)
            trials = open_trials(file, file.name, optuna.storages.InMemoryStorage())
            _print_commands(_search(file, words, options, trials), console)
            return 0
        search = _open(file, words, options)
        cut = search.take_up()
        before = len(search.outcomes())
        if before or cut:
            console.print(f"{before} trials were finished before; {cut} were cut short and are run again")
        budget = Budget(options.budget)
        as_it_is = run_plan(plan(search.base, words, file.constants, options.seeds), file.metric, search.jobs)
        if as_it_is.state == "failed":
            raise SpecError(f"the configuration cannot be trained as it is: {as_it_is.error}")
        out_of_time = run_trials(search, budget, options.workers, console, options.executor)
        report(search, as_it_is, out_of_time, options.resamples, started, [self.name, *arguments])
        return 0


def _search(file: SweepFile, arguments: list[str], options: argparse.Namespace, trials: object) -> Search:
    """The search over ``trials``."""
    total = options.trials or file.run_cap or (0 if file.method == "grid" else 20)
    folder = options.out or Path("runs") / "sweep" / file.name
    base = parse_study(arguments)
    return Search(file, arguments, base, options.seeds, folder, trials, total, options.search_seed)


def _open(file: SweepFile, arguments: list[str], options: argparse.Namespace) -> Search:
    """The search of a sweep, new or from before; where it is new every value is checked."""
    search = _search(file, arguments, options, None)
    search.storage = options.storage or search.folder / "study.journal"
    search.jobs_folder = options.jobs_folder
    what = [file.method, [repr(p) for p in file.parameters], file.metric, file.maximize, options.seeds]
    key = json.dumps([*what, options.search_seed, search.base.fingerprint()])
    name = f"{file.name}-{hashlib.blake2b(key.encode(), digest_size=6).hexdigest()}"
    search.trials = open_trials(file, name, open_storage(search.storage))
    if not search.trials.get_trials(deepcopy=False):
        check(file, arguments)
    return search


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
