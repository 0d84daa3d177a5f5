"""Sweeps: the shipped files before wandb's own functions and the real command line, and the same with Optuna."""

from __future__ import annotations

import csv
import itertools
import pickle
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.apis.public.sweeps import _validate_config_and_fill_distribution
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args, load_sweep_config
from wandb.sdk.sweeps.scheduler.optuna import search_space_from_sweep_config

from experiments.commands import sweep
from experiments.commands.sweep.file import SHIPPED, Parameter, SweepFile, fill_in, find_sweep, load_sweep
from experiments.commands.sweep.running import Trials
from experiments.commands.sweep.search import Search, open_storage, open_trials
from experiments.commands.sweep.trial import Outcome, options_of, parse_study, plan
from experiments.core.catalogue import find_configs
from experiments.core.executor.local import InlineExecutor
from experiments.core.study import Study
from zoo.errors import DataError, SpecError, UnknownNameError, ZooError
from zoo.fusion.base import FUSIONS
from zoo.results import load_result

SWEEPS = sorted(SHIPPED.glob("*.yaml"))
SMALL = str(Path(__file__).parents[1] / "small.yaml")
each = pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)
COMMAND = ["${env}", "${interpreter}", "${program}", "fit", "--config", SMALL, "${args}"]


def content(**changes: Any) -> dict[str, Any]:
    """A small sweep as YAML has it; None takes a key out."""
    made = {
        "program": "experiments/run.py",
        "method": "random",
        "metric": {"name": "val/skill", "goal": "maximize"},
        "command": COMMAND,
        "parameters": {
            "model.fusion": {"values": ["LateFusion", "ConcatFusion"]},
            "model.optimisation.learning_rate": {"distribution": "log_uniform_values", "min": 0.001, "max": 0.01},
        },
        **changes,
    }
    return {k: v for k, v in made.items() if v is not None}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content(**changes)))
    return path


def command_of(said: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The command line that a W&B agent makes: wandb_agent.Agent._command_run, by the functions that it calls."""
    variables = create_sweep_command_args({"args": {k: {"value": v} for k, v in values.items()}})
    variables |= {"env": [], "interpreter": ["python"], "program": [said["program"]]}
    words: list[str] = []
    for word in create_sweep_command(list(said["command"])):
        words += variables[word[2:-1]] if word.startswith("${") else [word]
    return words


def values_of(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Settings in which each value of each parameter, and both ends of each range, occur."""
    parameters = said["parameters"].items()
    ends = {k: p.get("values") or ([p["value"]] if "value" in p else [p["min"], p["max"]]) for k, p in parameters}
    first = {k: v[0] for k, v in ends.items()}
    return [first, *({**first, k: v} for k, values in ends.items() for v in values[1:])]


# -- the shipped files -------------------------------------------------------------------------------------------


def test_three_are_shipped() -> None:
    assert {"modalities", "fusion_lambda_lr", "fusion_lambda_lr_real"} <= {p.stem for p in SWEEPS}


@each
def test_wandb_accepts(path: Path) -> None:
    """By load_sweep_config, which ``wandb sweep`` reads with; _validate_config_and_fill_distribution, which it checks
    with before it sends; and search_space_from_sweep_config, which ``wandb sweep-scheduler`` makes a search of.
    """
    said = load_sweep_config(str(path))
    assert said is not None
    filled = _validate_config_and_fill_distribution(said)
    assert filled == said, "distributions are written out where W&B would have to guess them"
    theirs = search_space_from_sweep_config(said["parameters"])
    ours = {p.name: p for p in load_sweep(path).parameters}
    for name, distribution in theirs.items():
        if ours[name].choices:
            assert tuple(map(str, distribution.choices)) == ours[name].distribution().choices  # type: ignore[attr-defined]
        else:
            assert distribution == ours[name].distribution()


@each
def test_wandb_schema(path: Path) -> None:
    """By the schema of wandb[sweeps], where it is installed; W&B's server checks with it."""
    sweeps = pytest.importorskip("sweeps", reason="wandb[sweeps] is not installed")
    assert not sweeps.schema_violations_from_proposed_config(yaml.safe_load(path.read_text()))


@each
def test_the_command_line_accepts_every_value(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an agent would type is parsed by the real command line, and what was set is in the configuration."""
    monkeypatch.setenv("ZOO_DATA", str(path.parent))
    said = yaml.safe_load(path.read_text())
    for values in values_of(said):
        words = command_of(said, values)
        assert words[:3] == ["python", "experiments/run.py", "fit"]
        config = parse_study(find_configs(words[3:])).config
        for name, value in values.items():
            node: Any = config
            for part in name.split("."):
                node = node.get("init_args", node).get(part) if part != "init_args" else node["init_args"]
            if name == "model.fusion":
                assert node["class_path"].endswith(f".{value}")
            else:
                assert node == (yaml.safe_load(value) if isinstance(value, str) else value)


def test_fusions_and_modalities_are_whole() -> None:
    fusions = next(p for p in load_sweep(find_sweep("fusion_lambda_lr")).parameters if p.name == "model.fusion")
    assert sorted(fusions.choices) == FUSIONS.names()
    (subsets,) = load_sweep(find_sweep("modalities.yaml")).varied
    names = ("ct", "mri", "xray", "text")
    every = [f"[{','.join(s)}]" for k in range(1, 5) for s in itertools.combinations(names, k)]
    assert list(subsets.choices) == every


def test_wandb_writes_lists_so_that_they_are_read() -> None:
    for value in ("[ct,mri]", ["ct", "mri"]):
        (argument,) = create_sweep_command_args({"args": {"data.modalities": {"value": value}}})["args"]
        assert Study.parse(["--config", SMALL, argument]).config["data"]["init_args"]["modalities"] == ["ct", "mri"]
        assert options_of({"data.modalities": value}) == [argument]


def test_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    file = load_sweep(find_sweep("fusion_lambda_lr_real"))
    monkeypatch.setenv("ZOO_DATA", "there")
    assert fill_in(file.arguments, ["-c", "b.yaml"]) == ["--data.root=there", "-c", "b.yaml"]
    assert create_sweep_command(["--data.root=${envvar:ZOO_DATA}"]) == ["--data.root=there"]
    monkeypatch.delenv("ZOO_DATA")
    with pytest.raises(SpecError, match=r"ZOO_DATA is not set; set it, or give --data.root"):
        fill_in(file.arguments, [])
    assert fill_in(file.arguments, ["--data.root", "here"]) == ["--config=mtl_real.yaml", "--data.root", "here"]


# -- reading a file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected", "grid"),
    [
        ({"value": 3}, Parameter("data.x", ("3",)), ("3",)),
        ({"values": [True, None, 0.5]}, Parameter("data.x", ("True", "None", "0.5")), ("True", "None", "0.5")),
        ({"min": 1, "max": 3}, Parameter("data.x", (), 1, 3, whole=True), (1, 2, 3)),
        ({"min": 0.0, "max": 1.0}, Parameter("data.x", (), 0.0, 1.0), None),
        ({"distribution": "uniform", "min": 0, "max": 1}, Parameter("data.x", (), 0, 1), None),
        (
            {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.5},
            Parameter("data.x", (), 0.0, 1.0, 0.5),
            (0.0, 0.5, 1.0),
        ),
        (
            {"distribution": "q_uniform", "min": 2, "max": 8, "q": 3},
            Parameter("data.x", (), 2, 8, 3, whole=True),
            (2, 5, 8),
        ),
        (
            {"distribution": "log_uniform_values", "min": 0.1, "max": 1.0},
            Parameter("data.x", (), 0.1, 1.0, log=True),
            None,
        ),
    ],
)
def test_forms_of_parameters(said: Any, expected: Parameter, grid: Any, tmp_path: Path) -> None:
    """As wandb's own translation to Optuna has them."""
    other = {"data.y": {"values": [1, 2]}}
    file = load_sweep(write(tmp_path, parameters={"data.x": said, **other}))
    assert file.parameters[0] == expected
    if not expected.choices:
        assert expected.distribution() == search_space_from_sweep_config({"data.x": said})["data.x"]
    if grid is None:
        with pytest.raises(SpecError, match=r"cannot go through the range of 'data.x'"):
            expected.grid()
    else:
        assert expected.grid() == grid


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"method": "byaes"}, "did you mean 'bayes'"),
    ({"methd": "grid"}, "did you mean 'method'"),
    ({"program": "train.py"}, "must be experiments/run.py"),
    ({"parameters": None}, "has no 'parameters'"),
    ({"parameters": {"data.sampling.batch_size": {"value": 3}}}, "varies nothing"),
    ({"command": None}, "command must be such as"),
    ({"command": ["${program}", "fit", "${args}", "oops"]}, "'oops' is no option with a value"),
    ({"metric": {"name": "test/skill", "goal": "maximize"}}, "the test chooses nothing"),
    ({"metric": {"name": "val/skill"}}, "W&B minimizes"),
    ({"method": "bayes", "metric": None}, "name one of the validation"),
    ({"early_terminate": {"type": "envelope"}}, "hyperband"),
    ({"run_cap": "many"}, "number of runs"),
]
WRONG += [
    ({"parameters": {"model.x": said}}, message)
    for said, message in (
        (3, "write {values"),
        ({"min": 0.1, "max": 1.0, "distribution": "normal"}, "'normal' is not known here"),
        ({"min": -3.0, "max": 1.0, "distribution": "log_uniform"}, "log_uniform_values takes values"),
        ({"min": 0.0, "max": 1.0, "distribution": "log_uniform_values"}, "above 0"),
        ({"min": 1, "max": 2.5}, "both be whole"),
        ({"min": "1e-4", "max": 1.0}, "YAML reads 1.0e-4"),
        ({"min": 2.0, "max": 1.0}, "min must be below max"),
        ({"min": 2.0}, "give value, values, or min and max"),
        ({"values": []}, "must be a list that is not empty"),
        ({"values": [1, "1"]}, "has a value twice"),
        ({"value": 1, "values": [1, 2]}, "give one of them"),
        ({"vlaues": [1, 2]}, "did you mean 'values'"),
        ({"parameters": {"lr": {"value": 1}}}, "is nested"),
        ({"min": 0.5, "max": 1.5, "distribution": "int_uniform"}, "needs whole ends"),
        ({"min": 0.5, "max": 1.5, "q": 0.1}, "goes with q_uniform"),
    )
]
WRONG += [
    ({"parameters": {name: {"values": [1, 2]}}}, message)
    for name, message in (
        ("learning_rate", "no option of data, model or trainer"),
        ("trainer.limit_train_batches", "option of the trainer that a sweep can set"),
        ("data.split.seed", "with --seeds instead"),
    )
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_wrong_files(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=message.replace("{", r"\{")):
        load_sweep(write(tmp_path, **changes))


def test_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: [")
    with pytest.raises(DataError, match="no readable YAML"):
        load_sweep(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="no readable YAML"):
        load_sweep(path)
    with pytest.raises(UnknownNameError, match=r"did you mean 'modalities.yaml'"):
        find_sweep("modalites.yaml")


def test_the_command_line_refuses_before_anything_is_trained(tmp_path: Path) -> None:
    for name, values, message in (
        ("model.fusion", ["LateFusion", "LateFusoin"], "LateFusoin"),
        ("model.lerning_rate", [0.1, 0.2], "lerning_rate"),
        ("data.modalities", ["[ct]", "ct"], "ct"),
    ):
        file = load_sweep(write(tmp_path, parameters={name: {"values": values}}))
        with pytest.raises(SpecError, match=f"sets {name}=.*{message}"):
            sweep.check(file, ["--config", SMALL])


# -- searching, without training ---------------------------------------------------------------------------------


def searching(file: SweepFile, storage: Path, total: int = 0) -> Search:
    trials = open_trials(file, "x", open_storage(storage))
    return Search(
        file, [], Study({"data": {}, "model": {}, "trainer": {}}, "x"), [0], storage.parent, trials, total, 0
    )


def judged(trial: Any) -> Outcome:
    value = 1.0 if trial.params.get("model.fusion") == "LateFusion" else 0.5
    return Outcome(value=value - trial.params.get("model.optimisation.learning_rate", 0.0))


@pytest.mark.parametrize("suffix", ["journal", "db"])
def test_a_grid_is_whole_and_in_order_though_killed(suffix: str, tmp_path: Path) -> None:
    grid = {"model.a": {"values": ["x", "y", "z"]}, "model.b": {"min": 1, "max": 2}, "model.c": {"value": 7}}
    file = load_sweep(write(tmp_path, method="grid", parameters=grid))
    storage = tmp_path / f"study.{suffix}"
    search = searching(file, storage)
    assert search.take_up() == 0
    for _ in range(2):
        search.tell(trial := search.ask(), judged(trial))
    cut = search.ask()  # and a kill
    assert cut is not None
    search = searching(file, storage)
    assert search.take_up() == 1
    while (trial := search.ask()) is not None:
        search.tell(trial, judged(trial))
    done = [tuple(c.values()) for c, _ in search.outcomes().values()]
    assert sorted(done) == sorted(itertools.product("xyz", (1, 2)))
    assert done[:2] == [("x", 1), ("x", 2)]
    assert searching(file, storage).ask() is None


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_an_interrupted_search_is_the_same(method: str, tmp_path: Path) -> None:
    file = load_sweep(write(tmp_path, method=method))

    def go_on(storage: Path, trials: int) -> list[dict[str, Any]]:
        search = searching(file, storage, trials)
        search.take_up()
        while (trial := search.ask()) is not None:
            search.tell(trial, judged(trial))
        return [c for c, _ in search.outcomes().values()]

    whole = go_on(tmp_path / "a.journal", 12)
    assert len(go_on(tmp_path / "b.journal", 4)) == 4
    killed = searching(file, tmp_path / "b.journal", 7).ask()
    parts = go_on(tmp_path / "b.journal", 12)
    assert len(whole) == len({str(w) for w in whole}) == 12
    assert killed.params == whole[4]
    assert sorted(map(str, parts)) == sorted(map(str, whole))


def test_what_was_told_before_a_kill_counts(tmp_path: Path) -> None:
    file = load_sweep(write(tmp_path))
    search = searching(file, tmp_path / "a.journal", 2)
    trial = search.ask()
    trial.set_user_attr("outcome", Outcome(value=0.3).as_dict())  # killed before Optuna was told
    search = searching(file, tmp_path / "a.journal", 2)
    assert search.take_up() == 0
    assert [(c, o.value) for c, o in search.outcomes().values()] == [(trial.params, 0.3)]
    assert search.trials.best_value == 0.3


def test_what_fails_is_told(tmp_path: Path) -> None:
    search = searching(load_sweep(write(tmp_path)), tmp_path / "a.journal", 3)
    for outcome in (Outcome("failed", error="no memory"), Outcome(value=float("nan")), Outcome("pruned")):
        search.tell(search.ask(), outcome)
    told = [o for _, o in search.outcomes().values()]
    assert [o.state for o in told] == ["failed", "failed", "pruned"]
    assert [o.error for o in told] == ["no memory", "val/skill is not finite", ""]
    assert search.ask() is None


def test_plans() -> None:
    base = parse_study(["--config", SMALL])
    settings = {"data.modalities": "[ct,xray]", "data.init_args.tasks": "['disease']", "model.fusion": "LateFusion"}
    made = plan(base, ["--config", SMALL], settings, [0, 3])
    assert made.study is base
    assert [c.seed for c in made.jobs] == [0, 3]
    assert {(c.modalities, c.tasks, c.changes) for c in made.jobs} == {
        (("ct", "xray"), ("disease",), ("model.fusion=LateFusion",))
    }
    other = plan(base, ["--config", SMALL], {"trainer.max_epochs": 5, "data.sampling.source_temperature": 2.0}, [0])
    assert other.study.config["trainer"]["max_epochs"] == 5
    assert other.study.config["data"]["init_args"]["sampling"]["source_temperature"] == 2.0
    assert other.jobs[0].changes == ()


# -- training ----------------------------------------------------------------------------------------------------


def start(path: Path, *arguments: str) -> None:
    assert sweep.Sweep().main([str(path), "--out", str(path.parent / "out"), *arguments]) == 0


def test_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, method="bayes", early_terminate={"type": "hyperband", "min_iter": 1})
    short = ("--trainer.max_epochs", "1", "--resamples", "20")
    start(path, "--trials", "2", "--dry-run", *short)
    said = capsys.readouterr().out
    assert said.count("python experiments/run.py fit") == 2
    assert not (tmp_path / "out").exists()
    start(path, "--trials", "1", *short)
    jobs = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "jobs").iterdir()}
    assert len(jobs) == 2  # the configuration as it is, and the trial
    start(path, "--trials", "2", *short)
    again = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "jobs").iterdir()}
    assert len(again) == 3
    assert jobs.items() <= again.items()
    said = capsys.readouterr().out
    assert "1 trials were finished before" in said
    check_result(tmp_path / "out", said)


def check_result(folder: Path, said: str) -> None:
    result = load_result(folder)
    assert result.data == "simulated"
    trials, best = result.tables
    assert [r["state"] for r in trials.rows] == ["finished"] * 3
    assert all(r["data"] == "simulated" for t in result.tables for r in t.rows)
    values = [r["value"] for r in trials.rows]
    assert values == sorted(values, reverse=True)
    skills = [[v for k, v in r.items() if k.startswith("skill/")] for r in trials.rows]
    assert values == pytest.approx([sum(s) / len(s) for s in skills])
    logged = []
    for path in folder.glob("jobs/*/metrics.csv"):
        with path.open() as file:
            logged.append(max(float(r["val/skill"]) for r in csv.DictReader(file) if r["val/skill"]))
    assert sorted(logged, reverse=True) == pytest.approx(values, abs=1e-5)
    assert {r["task"] for r in best.rows} == {"disease", "radiographic_findings", "expression", "vqa", "response"}
    assert all(r["low"] <= r["value"] <= r["high"] for r in best.rows if r["low"] is not None)
    assert {f.name for f in result.figures} == {
        "value_by_trial",
        "value_by_model_fusion",
        "value_by_model_optimisation_learning_rate",
    }
    assert (
        (folder / "trials.csv")
        .read_text()
        .startswith("name,state,model.fusion,model.optimisation.learning_rate,value")
    )
    chosen = next(r for r in trials.rows if r["trial"] is not None)
    assert f"--model.fusion={chosen['model.fusion']}" in result.summary[-1]
    assert "trainer.max_epochs" not in result.summary[-1]
    assert "draws it" in said


def test_a_grid_of_modalities(tmp_path: Path) -> None:
    """What cannot be learned fails and is told, and the budget leaves out the rest."""
    parameters = {
        "data.tasks": {"value": "[disease]"},
        "data.modalities": {"values": ["[ct]", "[genomics]", "[xray]"]},
    }
    path = write(tmp_path, method="grid", metric=None, parameters=parameters)
    short = ("--trainer.max_epochs", "1", "--resamples", "20")
    start(path, "--budget", "0.001s", *short)
    result = load_result(tmp_path / "out")
    assert "The budget left out 3 trials; a rerun goes on with them." in result.summary
    start(path, "--storage", str(tmp_path / "s.db"), *short)
    result = load_result(tmp_path / "out")
    rows = {r["data.modalities"]: r for r in result.tables[0].rows}
    assert {k: r["state"] for k, r in rows.items()} == {
        None: "finished",
        "[ct]": "finished",
        "[xray]": "finished",
        "[genomics]": "failed",
    }
    assert "genomics" in rows["[genomics]"]["error"]
    assert any("failed" in s and "genomics" in s for s in result.summary)
    assert rows["[ct]"].keys() >= {"skill/disease"}


def test_hopeless_trials_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = {"model.optimisation.learning_rate": {"values": [0.003, 1e-8]}}
    path = write(tmp_path, method="grid", parameters=parameters, early_terminate={"type": "hyperband", "min_iter": 1})
    monkeypatch.setattr("experiments.commands.sweep.search.STARTUP", 2)
    arguments = ("--trainer.max_epochs", "6", "--data.tasks=[radiographic_findings]", "--resamples", "20")
    start(path, *arguments)
    rows = load_result(tmp_path / "out").tables[0].rows
    assert [r["state"] for r in rows if r["trial"] is not None] == ["finished", "pruned"]
    assert not list((tmp_path / "out" / "jobs").glob(".running*"))
    before = sorted((tmp_path / "out" / "jobs").iterdir())
    start(path, *arguments)
    assert sorted((tmp_path / "out" / "jobs").iterdir()) == before


def test_two_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, method="grid", parameters={"model.fusion": {"values": ["LateFusion", "GatedFusion"]}})
    start(
        path,
        "--workers",
        "2",
        "--data.tasks=[disease]",
        "--trainer.max_epochs",
        "1",
        "--resamples",
        "20",
    )
    rows = load_result(tmp_path / "out").tables[0].rows
    assert {r["model.fusion"] for r in rows if r["state"] == "finished"} == {None, "LateFusion", "GatedFusion"}


class Lossy(InlineExecutor[int, Outcome]):
    """Loses the worker of trial 0 once, and that of trial 1 each time."""

    def submit(self, item: int) -> Future[Outcome]:
        if self._losses[item] >= (1, 9)[item]:
            return super().submit(item)
        future: Future[Outcome] = Future()
        future.set_exception(self.lost(item, "killed"))
        return future


def test_the_trial_of_a_lost_worker_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Lossy] = []

    def lossy(work: Any, workers: int, name: str, *, most: int) -> Lossy:
        made.append(Lossy(work, 1))
        return made[0]

    monkeypatch.setattr("experiments.commands.sweep.running.make_executor", lossy)
    path = write(tmp_path, method="grid", parameters={"model.fusion": {"values": ["LateFusion", "GatedFusion"]}})
    start(path, "--data.tasks=[disease]", "--trainer.max_epochs", "1", "--resamples", "20")
    rows = {r["model.fusion"]: r for r in load_result(tmp_path / "out").tables[0].rows}
    assert {k: r["state"] for k, r in rows.items() if k} == {"LateFusion": "finished", "GatedFusion": "failed"}
    assert rows["GatedFusion"]["error"] == "killed, 3 times; --workers 1 needs less memory"
    assert made[0]._losses == {0: 1, 1: 3}


def test_trials_travel_to_another_process(tmp_path: Path) -> None:
    path = write(tmp_path, method="grid", parameters={"model.fusion": {"values": ["LateFusion", "GatedFusion"]}})
    search = _open_search(path, tmp_path)
    sent = pickle.loads(pickle.dumps(Trials(search)))
    sent.begin()
    assert [t.params for t in sent.search.trials.get_trials()] == [t.params for t in search.trials.get_trials()]
    assert sent.search.jobs == tmp_path / "shared"
    assert sent.threads == search.base.threads


def _open_search(path: Path, folder: Path) -> Search:
    search = searching(load_sweep(path), folder / "a.journal")
    search.storage, search.jobs_folder = folder / "a.journal", folder / "shared"
    search.take_up()
    search.ask()
    return search


def test_help_says_how_to_start_it_with_wandb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sweep.Sweep().parser().parse_args(["--help"])
    said = capsys.readouterr().out
    assert "wandb sweep experiments/sweeps/" in said
    assert "wandb agent ID" in said
