"""Training jobs: a lost worker's job runs again, two runners share the work, and a budget ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path

import pytest
from filelock import FileLock

from experiments.core.budget import Budget, Pace
from experiments.core.executor import Executor
from experiments.core.job import JobBusy, TrainingJob, finished_seconds, run_job
from experiments.core.runner import JobRequest, JobResults, JobRun, Training, run_jobs
from experiments.core.study import Study
from zoo.errors import DataError

HERE = Path(__file__).parent
CONFIG = """
threads: 1
trainer: {max_epochs: 1, accelerator: cpu}
data:
  class_path: datamodules.MultimodalDataModule
  init_args:
    sampling: {batch_size: 32}
    sources:
      - class_path: datamodules.phantom.PhantomCohort
        init_args: {n: 100, size: 16, modalities: [ct], tasks: [disease]}
model:
  class_path: killing.Killing
  init_args:
    encoders:
      image: {class_path: zoo.ViTEncoder, init_args: {dim: 16, depth: 1, patch_size: 8}}
    fusion: {class_path: zoo.ConcatFusion, init_args: {dim: 16}}
"""
SHARED = """
import sys
from pathlib import Path
from experiments.core.job import TrainingJob
from experiments.core.runner import run_jobs
from experiments.core.study import Study

if __name__ == "__main__":
    jobs = [TrainingJob("network", s) for s in (0, 1, 2)]
    done = run_jobs(Study.parse(sys.argv[2:]), jobs, Path(sys.argv[1]), workers=1)
    print(len(done.finished), done.fresh)
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("KILLING_FOLDER", str(tmp_path))
    (tmp_path / "small.yaml").write_text(CONFIG)
    return ["--config", str(tmp_path / "small.yaml")]


def begun(folder: Path) -> list[str]:
    return sorted((folder / "begun").read_text().split())


def test_the_job_of_a_killed_worker_runs_again(config: list[str], tmp_path: Path) -> None:
    (tmp_path / "kill-1").write_text("1")
    jobs = [TrainingJob("network", 0), TrainingJob("network", 1)]
    results = run_jobs(Study.parse(config), jobs, tmp_path / "jobs", workers=2)
    assert set(results.finished) == set(jobs)
    assert (results.fresh, results.failed, results.left_out) == (2, {}, [])
    assert begun(tmp_path) == ["0", "1", "1"]  # the other worker's job was not touched
    assert not list((tmp_path / "jobs").glob(".*"))


def test_a_job_that_kills_every_worker_is_named(config: list[str], tmp_path: Path) -> None:
    (tmp_path / "kill-1").write_text("9")
    study, jobs = Study.parse(config), [TrainingJob("network", 0), TrainingJob("network", 1)]
    run_jobs(study, jobs[:1], tmp_path / "jobs", workers=1)
    results = run_jobs(study, jobs, tmp_path / "jobs", executor="ProcessExecutor")
    assert list(results.finished) == jobs[:1]
    assert "killed (out of memory?), 3 times" in results.failed[jobs[1]]
    assert begun(tmp_path) == ["0", "1", "1", "1"]
    assert any("A training failed: network all tasks" in s for s in results.sentences())


def test_two_runners_train_each_job_once(config: list[str], tmp_path: Path) -> None:
    script = tmp_path / "share.py"
    script.write_text(SHARED)
    command = [sys.executable, str(script), str(tmp_path / "jobs"), *config]
    path = os.pathsep.join([str(HERE), str(HERE.parents[2])])
    runners = [
        subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [tuple(map(int, r.communicate(timeout=300)[0].split()[-2:])) for r in runners]
    assert [finished for finished, _ in said] == [3, 3]
    assert sum(fresh for _, fresh in said) == 3
    assert begun(tmp_path) == ["0", "1", "2"]


def test_a_job_of_another_process_is_not_run(config: list[str], tmp_path: Path) -> None:
    study, job = Study.parse(config), TrainingJob("network", 0)
    with FileLock(tmp_path / f".{job.key(study)}.lock"), pytest.raises(JobBusy, match="network all tasks"):
        run_job(study, job, tmp_path, wait=0)
    assert run_job(study, job, tmp_path, wait=0).fresh
    assert not run_job(study, job, tmp_path, wait=0).fresh


def test_a_budget_reckons_with_what_other_commands_have_trained(config: list[str], tmp_path: Path) -> None:
    study = Study.parse(config)
    other = Study.parse([*config, "--model.optimisation.learning_rate", "0.5"])
    job = TrainingJob("network", 3, ("disease",), holdout=("organ", "lung"))
    for each, seconds in ((study, 5.5), (other, 7.0)):
        path = tmp_path / "jobs" / job.key(each)
        path.mkdir(parents=True)
        (path / "job.json").write_text(json.dumps({"seconds": seconds, "job": asdict(job)}))
    assert finished_seconds(study, tmp_path / "jobs") == [(job, 5.5)]
    (path / "job.json").write_text("{")
    with pytest.raises(DataError, match="delete its folder"):
        finished_seconds(study, tmp_path / "jobs")


class Busy(Executor[JobRequest, bool]):
    """Takes note of what is submitted; another process trains all of it, and nothing finishes."""

    def __init__(self, work: Training) -> None:
        super().__init__(work, 1)
        self.asked: list[int] = []

    def submit(self, item: JobRequest) -> Future[bool]:
        self.asked.append(item.job.seed)
        future: Future[bool] = Future()
        future.set_exception(JobBusy("elsewhere"))
        return future


@pytest.mark.parametrize(
    ("budget", "known", "asked", "left"),
    [
        (0.0, [600.0], [0, 1, 0, 1], [0, 1]),  # no budget: both are asked for, and waited for in the end
        (100.0, [], [0, 1, 0, 1], [0, 1]),  # nothing is known of how long they take
        (100.0, [10.0, 600.0, 700.0], [0], [1, 0]),  # the first is begun all the same; the median is too long
        (100.0, [10.0, 20.0, 700.0], [0, 1, 0, 1], [0, 1]),
        (1e-9, [], [], [0, 1]),
    ],
)
def test_what_a_budget_lets_begin(
    config: list[str], tmp_path: Path, budget: float, known: list[float], asked: list[int], left: list[int]
) -> None:
    study, pace, results = Study.parse(config), Pace(), JobResults()
    executor = Busy(Training(study, tmp_path))
    for seconds in known:
        pace.add("network", seconds)
    waiting = deque([TrainingJob("network", 0), TrainingJob("network", 1)])
    assert not list(JobRun(study, tmp_path, executor, Budget(budget), pace, results).until_done(waiting))
    assert executor.asked == asked
    assert [j.seed for j in results.left_out] == left
    assert "The budget left out 2 of 2 trainings" in results.sentences()[-1]
