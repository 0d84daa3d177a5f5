"""Which trainings the rows of Table 1 ask for, and how their predictions are put together."""

from __future__ import annotations

import pytest
import torch

from experiments.commands.table1.paper import TABLE_1, TASKS
from experiments.commands.table1.rows import ROWS, Plan, Row, all_jobs, chosen_rows, merge
from zoo.contract import ModalitySpec, TaskSpec
from zoo.errors import UnknownNameError
from zoo.training.collector import Evaluated

PLAN = Plan(
    (
        ModalitySpec("ct", "image", (1, 8, 8)),
        ModalitySpec("xray", "image", (1, 8, 8)),
        ModalitySpec("eeg", "signal", (2, 8)),
        ModalitySpec("question", "text", (8,), vocab_size=9),
    ),
    (
        TaskSpec("disease", "classification", 2, ("a", "b"), ("ct", "xray")),
        TaskSpec("finding", "classification", 2, ("a", "b"), ("xray",)),
        TaskSpec("hand", "classification", 2, ("l", "r"), ("eeg",)),
        TaskSpec("vqa", "vqa", 2, ("yes", "no"), ("question", "ct"), reads="question"),
        TaskSpec("about", "vqa", 2, ("yes", "no"), ("ct",), reads="question"),
    ),
)
BY_NAME = {t.name: t for t in PLAN.tasks}


def wanted(row: str, task: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(c.tasks, c.modalities) for c in ROWS.get(row)().jobs(BY_NAME[task], PLAN, 0)]


def test_unimodal_has_a_network_a_modality_and_task() -> None:
    assert wanted("Unimodal", "disease") == [(("disease",), ("ct",)), (("disease",), ("xray",))]
    assert wanted("Unimodal", "vqa") == [(("vqa",), ("question",))]
    assert wanted("Unimodal", "about") == [(("about",), ("ct", "question"))]


def test_unimodal_multitask_has_all_tasks_of_the_modality() -> None:
    assert wanted("UnimodalMultitask", "disease") == [(("disease",), ("ct",)), (("disease", "finding"), ("xray",))]


def test_multimodal_rows() -> None:
    assert wanted("Multimodal", "disease") == [(("disease",), ("ct", "xray"))]
    assert wanted("MultimodalMultitask", "disease") == [((), ())]
    assert wanted("DomainSpecific", "disease") == [(("disease",), ())]


def test_equal_trainings_are_one_cell() -> None:
    eeg = BY_NAME["hand"]
    jobs = {ROWS.get(r)().jobs(eeg, PLAN, 0)[0] for r in ("Unimodal", "UnimodalMultitask", "Multimodal")}
    assert len(jobs) == 1
    alone = Plan(PLAN.modalities[2:3], PLAN.tasks[2:3])
    assert {r.jobs(eeg, alone, 0)[0] for r in chosen_rows(None)[1:]} == {alone.network(0, ["hand"])}


def test_cells_come_seed_by_seed_with_the_whole_network_first() -> None:
    jobs = all_jobs(chosen_rows(None), PLAN, [0, 1])
    assert len(jobs) == len(set(jobs))
    assert [c.seed for c in jobs] == sorted(c.seed for c in jobs)
    assert (jobs[0].kind, jobs[0].tasks) == ("network", ())
    kinds = [c.kind for c in jobs if c.seed == 0][1:]
    assert kinds == sorted(kinds)


def test_the_five_rows_are_those_of_the_paper() -> None:
    assert [r.label for r in chosen_rows(None)] == list(TABLE_1)
    assert all(set(TABLE_1[r]) == set(TASKS) for r in TABLE_1)
    assert TABLE_1["multimodal multitask"]["vqa"] == 0.6938
    with pytest.raises(UnknownNameError, match="unknown row 'Unimodel'; did you mean 'Unimodal'"):
        chosen_rows(["Unimodel"])


@pytest.mark.parametrize("name", ROWS.names())
def test_every_row_can_run_every_task(name: str) -> None:
    row = ROWS.get(name)()
    assert row.label
    assert row.about
    for task in PLAN.tasks:
        jobs = row.jobs(task, PLAN, 3)
        assert jobs
        assert all(c.seed == 3 and (not c.tasks or task.name in c.tasks) for c in jobs)


def test_merge_takes_the_first_that_has_an_id() -> None:
    def part(ids: list[str], value: float) -> Evaluated:
        n = len(ids)
        return Evaluated(torch.full((n, 2), value), torch.zeros(n), torch.zeros(n), ids)

    merged = merge([part(["c", "a"], 1.0), part(["a", "b"], 2.0)])
    assert merged is not None
    assert merged.ids == ["a", "b", "c"]
    assert merged.prediction[:, 0].tolist() == [1.0, 2.0, 1.0]
    assert merge([]) is None


def test_a_further_row_is_one_class() -> None:
    class Everything(Row):
        label, about, order = "everything", "a row of a test", 9

        def jobs(self, task: TaskSpec, plan: Plan, seed: int) -> list:
            return [plan.network(seed, [t.name for t in plan.tasks], changes=("model.fusion=LateFusion",))]

    rows = [*chosen_rows(None), Everything()]
    assert any(c.changes for c in all_jobs(rows, PLAN, [0]))
