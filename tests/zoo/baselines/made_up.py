"""Tiny separable data, one maker a kind of modality, and a task of each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.contract import AMINO_ACIDS, TaskSpec

RATE = 100.0


@dataclass(frozen=True)
class Modality:
    """What baselines_for asks of a modality."""

    name: str
    kind: str


def image(code: int, rng: np.random.Generator) -> Any:
    picture = rng.normal(100, 8, (24, 20, 3))
    picture[4 + 6 * code : 10 + 6 * code] += 90
    return picture.clip(0, 255).astype(np.uint8)


def signal(code: int, rng: np.random.Generator) -> Any:
    time = np.arange(200) / RATE
    wave = rng.normal(0, 1.0, (3, 200))
    wave[code] += 5 * np.sin(2 * np.pi * 10 * time + rng.uniform(0, 6))
    return wave.astype(np.float32)


def dna(code: int, rng: np.random.Generator) -> str:
    letters = rng.choice(list("ACGT"), 40)
    letters[10:16] = list(("TATAAT", "GCGCGC", "TTGACA")[code])
    return "".join(letters)


def protein(code: int, rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(("AELKAAEL", "GPSTNGPS", "VIYFVIYF")[code]), 30))


def expression(code: int, rng: np.random.Generator) -> Any:
    rate = np.full(20, 2.0)
    rate[5 * code : 5 * code + 5] = 12
    return rng.poisson(rate).astype(np.float32)


def text(code: int, rng: np.random.Generator) -> str:
    words = ("fracture of the bone", "infection and fever", "tumour with mass")[code]
    return f"patient {rng.integers(100)} has {words} today"


def tabular(code: int, rng: np.random.Generator) -> dict[str, float | str | None]:
    sex = None if rng.random() < 0.2 else str(rng.choice(["f", "m"]))
    return {"level": None if rng.random() < 0.2 else code + rng.normal(0, 0.2), "site": "abc"[code], "sex": sex}


def molecule(code: int, rng: np.random.Generator) -> str:
    times = int(rng.integers(1, 5))
    return ("CC" * times, "c1ccccc1" * times, "NCC(=O)" * times)[code]


MAKERS: dict[str, Callable[[int, np.random.Generator], Any]] = {
    "image": image,
    "signal": signal,
    "dna": dna,
    "protein": protein,
    "expression": expression,
    "text": text,
    "molecule": molecule,
    "tabular": tabular,
}
CLASSES = ("a", "b", "c")


def task_of(kind: str, classes: tuple[str, ...] = CLASSES) -> TaskSpec:
    if kind == "structure":
        return TaskSpec("t", kind, 40, reads="x")
    if kind == "token_classification":
        return TaskSpec("t", kind, 3, CLASSES, reads="x", length=34)
    if kind == "vqa":
        return TaskSpec("t", kind, len(classes), classes, reads="x")
    if kind == "survival":
        return TaskSpec("t", kind, 3, edges=(0.0, 2.0, 4.0, 6.0))
    return TaskSpec("t", kind, len(classes), classes)


def walk(sequence: str) -> np.ndarray[Any, Any]:
    """Coordinates that follow from the letters: each turns the walk by an angle of its own."""
    heading = np.cumsum([0.3 + 0.1 * AMINO_ACIDS.index(c) for c in sequence])
    steps = np.stack([np.cos(heading), np.sin(heading), np.full(len(heading), 0.4)], -1)
    return np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True), 0)


def relative(code: int, rng: np.random.Generator) -> tuple[str, str]:
    """A family's parent, and a relative of it with three residues exchanged."""
    parent = np.random.default_rng(code).choice(list(AMINO_ACIDS[:20]), 34)
    child = parent.copy()
    child[rng.integers(0, 34, 3)] = "G"
    return "".join(parent), "".join(child)


def target_of(task: TaskSpec, code: int, value: Any) -> Tensor:
    if task.kind == "structure":
        out = torch.zeros(task.num_outputs, 4)
        out[: len(value), :3] = torch.from_numpy(walk(value)).float()
        out[: len(value), 3] = 1
        return out
    if task.kind == "token_classification":
        out = torch.full((task.length,), -1, dtype=torch.long)
        out[: len(value)] = torch.tensor([AMINO_ACIDS.index(c) % 3 for c in value])
        return out
    if task.kind in ("multilabel", "regression"):
        one_hot = torch.zeros(task.num_outputs)
        one_hot[code] = 1.0
        return torch.stack([one_hot, torch.ones(task.num_outputs)])
    if task.kind == "survival":  # each class dies at a time of its own
        return torch.tensor([1.0 + 2 * code, 1.0])
    return torch.tensor(code)


def make(
    task: TaskSpec, kind: str, codes: tuple[int, ...] = (0, 1, 2), n: int = 36, seed: int = 0
) -> tuple[list[dict[str, Any]], Tensor]:
    """Raw rows of modality ``x`` and their targets, ``codes`` in turn."""
    rng = np.random.default_rng(seed)
    rows, targets = [], []
    for i in range(n):
        code = codes[i % len(codes)]
        shape, value = relative(code, rng) if task.kind == "structure" else ("", MAKERS[kind](code, rng))
        rows.append({"x": value})
        targets.append(target_of(task, code, shape or value))
    return rows, torch.stack(targets)
