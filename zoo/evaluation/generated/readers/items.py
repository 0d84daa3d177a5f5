"""What readers are asked: five questions, each of items whose right answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, unknown_name

REAL, GENERATED, YES, NO = "real", "generated", "yes", "no"


@dataclass(frozen=True)
class Question:
    """One task of a reader study.

    Attributes:
        text: that is asked.
        answers: that can be given; the first is the answer for what is real or belongs together.
        images: how many an item shows.
        report: whether an item shows a report.
    """

    text: str
    answers: tuple[str, str]
    images: int
    report: bool


QUESTIONS = {
    "frontal": Question("Is this frontal X-ray real or generated?", (REAL, GENERATED), 1, False),
    "lateral": Question("Is this lateral X-ray real or generated?", (REAL, GENERATED), 1, False),
    "report": Question("Was this report written by a radiologist, or generated?", (REAL, GENERATED), 0, True),
    "views": Question("Do these two views belong to one study?", (YES, NO), 2, False),
    "fit": Question("Does this report fit this image?", (YES, NO), 1, True),
}
"""Task -> what is asked (Visual Turing Test, XGeM section 4.4)."""


@dataclass(frozen=True)
class Item:
    """One thing that readers judge.

    Attributes:
        task: one of QUESTIONS.
        truth: the right answer, one of the question's answers.
        images: (H, W) or (H, W, 3) bytes each, as many as the question shows.
        report: text; "" where the question shows none.
        unit: patient, which intervals draw; "" for one of its own.
        source: where it comes from, such as the generator's name; readers do not see it.
    """

    task: str
    truth: str
    images: tuple[npt.NDArray[np.uint8], ...] = ()
    report: str = ""
    unit: str = ""
    source: str = ""


def check_items(items: Sequence[Item]) -> None:
    """Refuse items that a question cannot show, or that tell their truth by their size.

    Raises:
        UnknownNameError: an unknown task.
        DataError: a truth that is no answer, another number of images than the task shows, a report too many or too
            few, images of a task that differ in shape, or a task whose items all have one truth.
    """
    if not items:
        raise DataError("a reader study needs items, got none")
    for row, item in enumerate(items):
        if item.task not in QUESTIONS:
            raise unknown_name("task of readers", item.task, QUESTIONS)
        asked = QUESTIONS[item.task]
        if item.truth not in asked.answers:
            raise DataError(f"the truth {item.truth!r} of task '{item.task}' is none of {asked.answers}", row=row)
        if len(item.images) != asked.images or bool(item.report.strip()) != asked.report:
            raise DataError(
                f"an item of task '{item.task}' shows {asked.images} images and "
                f"{'a' if asked.report else 'no'} report, got {len(item.images)} images, {len(item.report)} letters",
                row=row,
            )
        if any(i.dtype != np.uint8 or i.ndim not in (2, 3) for i in item.images):
            raise DataError("images of readers must be (H, W) or (H, W, 3) bytes (uint8)", row=row)
    for task in QUESTIONS:
        mine = [item for item in items if item.task == task]
        shapes = sorted({tuple(image.shape for image in item.images) for item in mine})
        if len(shapes) > 1:
            raise DataError(
                f"images of task '{task}' differ in shape: {shapes[:3]}; bring all to one, which tells no truth"
            )
        if mine and len({item.truth for item in mine}) < 2:
            raise DataError(f"all {len(mine)} items of task '{task}' are '{mine[0].truth}'; show both kinds")
