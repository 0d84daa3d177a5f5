"""What a card says of subgroups."""

from __future__ import annotations

import numpy as np
import torch

from zoo.bundle.subgroups import subgroup_lines
from zoo.contract import TaskSpec
from zoo.tasks.base import task_kind
from zoo.training.collector import Evaluated

N = 40


class Names:
    """Names and sources of N test rows."""

    source = np.zeros(N, dtype=np.int16)

    def id(self, row: int) -> str:
        return f"s/{row}"


class Groups:
    """A pipeline of N test rows and columns of groups."""

    def __init__(self, **columns: list[str]) -> None:
        self.columns = columns
        self.rows = {"test": np.arange(N)}
        self.join = Names()
        self.source_names = ("s",)

    def group_columns(self) -> list[str]:
        return sorted(self.columns)

    def groups(self, column: str, rows: object) -> list[str]:
        return self.columns[column]

    def labels(self, split: str, task: str) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor([0, 1] * 10), torch.zeros(20, dtype=torch.long)


def lines(tested: bool = True, **columns: list[str]) -> str:
    kind = task_kind(TaskSpec("ill", "classification", 2, classes=("no", "yes")))
    target = torch.arange(N) % 2
    right = torch.where(torch.arange(N) < 15, target, 1 - target)  # right at site a alone
    prediction = torch.nn.functional.one_hot(right, 2).float()
    found = Evaluated(prediction, target, torch.zeros(N, dtype=torch.long), [f"s/{k}" for k in range(N)])
    return "\n".join(subgroup_lines({"ill": kind}, {"ill": found} if tested else {}, Groups(**columns)))  # type: ignore[arg-type]


def test_each_group_of_enough_rows_has_a_line() -> None:
    site = ["a"] * 15 + ["b"] * 20 + ["c"] * 3 + [""] * 2
    said = lines(site=site, patient=[f"p{k}" for k in range(N)], sex=["f"] * N)
    assert "| ill | site: a | 15 | accuracy | 1.000 (" in said
    assert "| ill | site: b | 20 | accuracy | 0.000 (" in said
    assert "site: c" not in said
    assert "`patient` names 40 groups" in said
    assert "`sex` has no two groups of 10 test rows" in said


def test_what_is_not_known_is_said() -> None:
    assert "The data name no groups" in lines()
    assert "was not tested" in lines(False, site=["a"] * N)
