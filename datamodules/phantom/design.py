"""The information design of the phantom as data: what each modality reveals, and what each task needs.

From the two tables follows, by enumeration, the best accuracy that any model can reach from a set of
modalities if it perceives without error. Measured accuracies are read against these numbers.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from datamodules.phantom import questions
from datamodules.phantom.latent import (
    BONE_AGES,
    BRAIN_TUMOURS,
    CELL_TYPES,
    DISEASES,
    HANDS,
    MALIGNANCY,
    ORGANS,
    RETINOPATHY,
)
from zoo.errors import SpecError, unknown_name

Values = Mapping[str, int]

LATENTS: dict[str, int] = {
    "organ": len(ORGANS),
    "disease": len(DISEASES),
    "calcification": 2,
    "effusion": 2,
    "promoter": 2,
    "upstream": 2,
    "brain_tumour": len(BRAIN_TUMOURS),
    "malignant": len(MALIGNANCY),
    "retinopathy": len(RETINOPATHY),
    "bone_age": len(BONE_AGES),
    "hand": len(HANDS),
    "cell_type": len(CELL_TYPES),
}
"""Discrete factors and their numbers of values; uniform and independent. Severity, side and the age within a
class are left out: no label depends on them."""


def _all(latent: str) -> tuple[int, ...]:
    return tuple(range(LATENTS[latent]))


REVEALS: dict[str, dict[str, tuple[int, ...]]] = {
    "ct": {
        "organ": _all("organ"),
        "disease": (0, 1, 2, 0),
        "calcification": _all("calcification"),
        "effusion": _all("effusion"),
    },
    "xray": {
        "organ": _all("organ"),
        "disease": (0, 0, 1, 0),
        "calcification": _all("calcification"),
        "effusion": _all("effusion"),
        "bone_age": _all("bone_age"),
    },
    "mri": {"organ": _all("organ"), "disease": (0, 1, 0, 2), "brain_tumour": _all("brain_tumour")},
    "text": {"organ": _all("organ"), "disease": (0, 1, 2, 2), "effusion": _all("effusion")},
    "fundus": {"retinopathy": _all("retinopathy")},
    "oct": {"retinopathy": (0, 0, 1, 2)},
    "pathology": {"malignant": _all("malignant")},
    "genomics": {"promoter": _all("promoter"), "upstream": _all("upstream")},
    "scrna": {"organ": _all("organ"), "cell_type": _all("cell_type")},
    "protein": {},
    "eeg": {"hand": _all("hand")},
    "question": {},
}
"""Modality -> factor -> code of the part of the partition that each value falls in; equal codes look alike.

Over all visits: the X-ray of a hand visit reveals the bone age, the MRI of a neuro visit the brain tumour.
A factor that is not listed is not shown at all."""

TASK_MODALITIES: dict[str, tuple[str, ...]] = {
    "disease": ("ct", "mri", "xray", "text"),
    "brain_tumor": ("mri",),
    "breast_cancer": ("pathology",),
    "radiographic_findings": ("ct", "xray"),
    "bone_age": ("xray",),
    "retinopathy": ("fundus", "oct"),
    "motor_imagery": ("eeg",),
    "cell_type": ("scrna",),
    "expression": ("genomics",),
    "structure": ("protein",),
    "vqa": ("question", "ct", "xray", "mri"),
    "response": ("ct", "xray", "genomics"),
}
"""Task -> the modalities that may inform it."""


@dataclass(frozen=True)
class Label:
    """How a label follows from the factors.

    Attributes:
        latents: the factors that it depends on.
        parts: one function a label; several for a multilabel task, whose accuracy is the mean over them.
    """

    latents: tuple[str, ...]
    parts: tuple[Callable[[Values], Hashable], ...]


def _same(latent: str) -> Label:
    return Label((latent,), (lambda v: v[latent],))


LABELS: dict[str, Label] = {
    "disease": _same("disease"),
    "brain_tumor": _same("brain_tumour"),
    "breast_cancer": _same("malignant"),
    "radiographic_findings": Label(
        ("disease", "calcification", "effusion"),
        (
            lambda v: DISEASES[v["disease"]] in ("cyst", "hemorrhage"),
            lambda v: v["calcification"],
            lambda v: v["effusion"],
        ),
    ),
    "bone_age": _same("bone_age"),
    "retinopathy": _same("retinopathy"),
    "motor_imagery": _same("hand"),
    "cell_type": _same("cell_type"),
    "response": Label(("calcification", "promoter"), (lambda v: v["calcification"] ^ v["promoter"],)),
}
"""Task -> label, for the tasks with classes (vqa apart, whose label also depends on the question)."""


def _check(task: str, modalities: Sequence[str]) -> None:
    if task not in TASK_MODALITIES:
        raise unknown_name("task", task, TASK_MODALITIES)
    for name in modalities:
        if name not in REVEALS:
            raise unknown_name("modality", name, REVEALS)
    if task in ("expression", "structure"):
        raise SpecError(
            f"task '{task}' is not a choice among classes and has no best accuracy; tasks: {(*LABELS, 'vqa')}"
        )


def _best(label: Callable[[Values], Hashable], latents: Sequence[str], modalities: Sequence[str]) -> float:
    """Accuracy of the most frequent label in every group of patients that look alike."""
    seen: dict[tuple[int, ...], dict[Hashable, int]] = defaultdict(lambda: defaultdict(int))
    total = 0
    for combination in itertools.product(*(range(LATENTS[name]) for name in latents)):
        values = dict(zip(latents, combination, strict=True))
        view = tuple(REVEALS[m][k][values[k]] for m in modalities for k in latents if k in REVEALS[m])
        seen[view][label(values)] += 1
        total += 1
    return sum(max(counts.values()) for counts in seen.values()) / total


def _best_answer(modalities: Sequence[str]) -> float:
    """Best VQA accuracy, each question about an image among ``modalities`` (about any, where there is none)."""
    images = [m for m in questions.KINDS if m in modalities] or list(questions.KINDS)
    if "question" not in modalities:
        raise SpecError("task 'vqa' has no answer without the question: add 'question' to the modalities")
    value = 0.0
    for image in images:
        for kind, share in questions.KINDS[image].items():
            polarities = questions.ABSENCE.get(kind, (False, False))
            for absence in polarities:
                latents = (kind,) if kind in LATENTS else ("disease",)

                def label(v: Values, image: str = image, kind: str = kind, absence: bool = absence) -> str:
                    return questions.answer(image, kind, absence, v)

                value += share / len(polarities) / len(images) * _best(label, latents, modalities)
    return value


def best_accuracy(task: str, modalities: Sequence[str]) -> float:
    """Return the best accuracy that ``modalities`` allow, by enumeration of the factors.

    >>> best_accuracy("response", ["ct"]), best_accuracy("response", ["ct", "genomics"])
    (0.5, 1.0)

    Raises:
        UnknownNameError: no such task or modality.
        SpecError: the task is not one of classes (expression, structure), or vqa without the question.
    """
    _check(task, modalities)
    if task == "vqa":
        return _best_answer(modalities)
    label = LABELS[task]
    return sum(_best(part, label.latents, modalities) for part in label.parts) / len(label.parts)


@dataclass(frozen=True)
class Information:
    """Gains in best accuracy over knowing neither modality; the four parts sum to ``both``.

    Attributes:
        alone_a, alone_b, both: gain of each modality alone, and of the two together.
        unique_a, unique_b: gain that only one of them brings.
        redundant: gain that either brings.
        synergistic: gain that neither brings alone.
    """

    alone_a: float
    alone_b: float
    both: float
    unique_a: float
    unique_b: float
    redundant: float
    synergistic: float


def information(task: str, a: str, b: str) -> Information:
    """Split what ``a`` and ``b`` tell about ``task`` into unique, redundant and synergistic gains of accuracy.

    With gains g: redundant = max(0, g_a + g_b - g_ab), synergistic = max(0, g_ab - g_a - g_b), and unique is
    what remains of each alone. A plain account in accuracy, not a partial information decomposition in bits.

    Args:
        task: of the design.
        a: a modality.
        b: another modality.

    >>> information("response", "ct", "genomics").synergistic
    0.5
    """
    always = ["question"] if task == "vqa" else []
    base = best_accuracy(task, always)
    gain_a, gain_b = best_accuracy(task, [*always, a]) - base, best_accuracy(task, [*always, b]) - base
    both = best_accuracy(task, [*always, a, b]) - base
    redundant = max(0.0, gain_a + gain_b - both)
    return Information(
        alone_a=gain_a,
        alone_b=gain_b,
        both=both,
        unique_a=gain_a - redundant,
        unique_b=gain_b - redundant,
        redundant=redundant,
        synergistic=max(0.0, both - gain_a - gain_b),
    )
