"""What readers' answers say: how often they are right, beside guessing, and how far they agree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from zoo.errors import DataError
from zoo.evaluation.exact import proportion
from zoo.evaluation.generated.readers.items import QUESTIONS
from zoo.evaluation.resampling import Interval, Resampler, Whole, describe_units

CHANCE = 0.5
"""Share of right answers of a reader who guesses between the two."""


@dataclass(frozen=True)
class ReaderScore:
    """How often one reader is right in one task.

    Attributes:
        reader: name.
        task: one of QUESTIONS.
        n: items that the reader answered.
        unanswered: items without an answer, which enter nothing.
        right: share of right answers, with the interval of Clopper and Pearson; guessing reaches CHANCE.
        p: two-sided p-value of guessing (exact binomial test, each item for itself).
        right_first, right_second: the same share of items whose truth is the first answer (real, or yes) and the
            second (generated, or no).
        seconds: median time for an item.
    """

    reader: str
    task: str
    n: int
    unanswered: int
    right: Interval
    p: float
    right_first: Interval
    right_second: Interval
    seconds: float


@dataclass(frozen=True)
class ReaderAgreement:
    """How far readers agree in one task, over the items that all of them answered.

    Attributes:
        task: one of QUESTIONS.
        n: these items.
        right: mean share of right answers over readers, with its interval over patients; guessing reaches CHANCE.
        fleiss: kappa of all readers (Fleiss 1971), with its interval over patients; 0 by chance. NaN for one reader,
            and where all answers are the same.
        cohen: pair of readers -> kappa (Cohen 1960), with its interval; 0 by chance.
        unit: what intervals draw, and how many.
    """

    task: str
    n: int
    right: Interval
    fleiss: Interval
    cohen: dict[tuple[str, str], Interval]
    unit: str


def read_answers(files: Sequence[str | Path], key: str | Path) -> pd.DataFrame:
    """Join the answers of readers with the key of the study.

    Args:
        files: that readers downloaded.
        key: ``key.csv`` of the study.

    Returns:
        A row for each reader and item with reader, item, task, answer ("" for none), seconds, truth, unit and source.

    Raises:
        DataError: a file lacks a column, names an item that the key has not, lacks one, repeats one, or has an
            answer that its question does not offer.
    """
    truth = _read(key, ("item", "task", "truth", "unit", "source"))
    parts = []
    for file in files:
        part = _read(file, ("reader", "item", "task", "answer", "seconds"))
        part["seconds"] = pd.to_numeric(part["seconds"], errors="coerce")
        if set(part["item"]) != set(truth["item"]) or part["item"].duplicated().any():
            odd = (
                sorted(set(part["item"]) ^ set(truth["item"])) or part.loc[part["item"].duplicated(), "item"].tolist()
            )
            raise DataError(
                f"{len(odd)} items are not once in both the answers and the key, such as '{odd[0]}'; the file is of "
                "another study, or was edited",
                file=file,
            )
        joined = part.drop(columns="task").merge(truth, on="item", validate="one_to_one")
        for item, task, answer in zip(joined["item"], joined["task"], joined["answer"], strict=True):
            if answer not in ("", *QUESTIONS[task].answers):
                raise DataError(f"the answer {answer!r} is none of {QUESTIONS[task].answers}", file=file, row=item)
        parts.append(joined)
    found = pd.concat(parts, ignore_index=True)
    if found.duplicated(["reader", "item"]).any():
        raise DataError(f"two files are of one reader: {[str(f) for f in files]}; give one file for each")
    return found


def score_readers(answers: pd.DataFrame) -> list[ReaderScore]:
    """How often each reader is right in each task.

    Args:
        answers: of ``read_answers``.
    """
    from scipy.stats import binomtest

    found = []
    for (reader, task), rows in answers.groupby(["reader", "task"], sort=True):
        told = rows[rows["answer"] != ""]
        right = (told["answer"] == told["truth"]).to_numpy()
        units, first = told["unit"].tolist(), (told["truth"] == QUESTIONS[str(task)].answers[0]).to_numpy()
        sides = [
            proportion(right[side], [units[k] for k in np.flatnonzero(side)]) if side.any() else Interval(math.nan)
            for side in (first, ~first)
        ]
        found.append(
            ReaderScore(
                reader=str(reader),
                task=str(task),
                n=len(told),
                unanswered=len(rows) - len(told),
                right=proportion(right, units) if len(told) else Interval(math.nan),
                p=float(binomtest(int(right.sum()), len(told), CHANCE).pvalue) if len(told) else math.nan,
                right_first=sides[0],
                right_second=sides[1],
                seconds=float(told["seconds"].median()),
            )
        )
    return found


def reader_agreement(answers: pd.DataFrame, *, resamples: int = 500, seed: int = 0) -> list[ReaderAgreement]:
    """How far readers agree in each task, and how often they are right together.

    Args:
        answers: of ``read_answers``.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    return [_agreement(str(task), rows, resamples, seed) for task, rows in answers.groupby("task", sort=True)]


def _agreement(task: str, rows: pd.DataFrame, resamples: int, seed: int) -> ReaderAgreement:
    wide = rows.pivot(index="item", columns="reader", values="answer")
    wide = wide[(wide != "").all(axis=1)]
    facts = rows.drop_duplicates("item").set_index("item").loc[wide.index]
    units, readers = [f"patient:{u}" for u in facts["unit"]], [str(name) for name in wide.columns]
    second = QUESTIONS[task].answers[1]
    codes, truth = ((x == second).to_numpy().astype(np.int64) for x in (wide, facts["truth"]))
    resampler = Resampler(units, resamples=resamples, seed=seed)

    def interval(statistic: Callable[[Whole], float], columns: Sequence[int]) -> Interval:
        draws = resampler.apply(lambda picks: statistic(codes[picks][:, columns]), units)
        return resampler.interval(draws, bounds=(-1.0, 1.0), support=max(1, len(resampler)))

    right = resampler.means((codes == truth[:, None]).mean(1) if len(wide) else [], units)
    return ReaderAgreement(
        task=task,
        n=len(wide),
        right=resampler.interval(right, bounds=(0.0, 1.0)),
        fleiss=interval(_fleiss, range(len(readers))),
        cohen={
            (readers[a], readers[b]): interval(_cohen, (a, b))
            for a, b in itertools.combinations(range(len(readers)), 2)
        },
        unit=describe_units(units),
    )


def _fleiss(codes: Whole) -> float:
    """Kappa of answers (items, readers), 0 and 1; NaN for one reader, and where all answers are the same."""
    from statsmodels.stats.inter_rater import fleiss_kappa

    if codes.shape[1] < 2 or np.ptp(codes) == 0:
        return math.nan
    ones = codes.sum(1)
    return float(fleiss_kappa(np.stack([codes.shape[1] - ones, ones], 1)))


def _cohen(codes: Whole) -> float:
    """Kappa of answers (items, 2), 0 and 1; NaN where both readers always give one and the same answer."""
    from sklearn.metrics import cohen_kappa_score

    return math.nan if np.ptp(codes) == 0 else float(cohen_kappa_score(codes[:, 0], codes[:, 1]))


def _read(file: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"this is no table of a reader study: {type(error).__name__}", file=file) from error
    missing = [name for name in columns if name not in table]
    if missing:
        raise DataError(f"the table has no column {missing}; it has {list(table.columns)}", file=file)
    return table[list(columns)]
