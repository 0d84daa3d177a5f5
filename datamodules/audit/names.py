"""Rows that belong together by the names of their files, and end in two splits: copies, and frames of one study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datamodules.audit.chance import beats_shuffles, level
from datamodules.audit.findings import Finding
from datamodules.audit.leaks import FEWEST, Judged, Own
from datamodules.core.file_names import NAME, STUDIES, copies, found_by
from datamodules.core.similarity import COMMON, FEW
from zoo.contract import TASKS
from zoo.raw import RawTask
from zoo.thinning import evenly_spaced

ROWS = 2_000
"""Rows that the test of a pattern looks at, evenly spaced."""
PICTURES = 400
"""Pictures that are compared at most."""
GAIN = 0.1
"""Rows of one study agree in their label by this share of pairs more often than chance."""
NEARER = 0.25
"""Pictures of one study are nearer to full correlation than others by this share."""
STUDIES_AT_LEAST = 5
"""Studies of several rows without which nothing is said."""
A_CLASS = 3
"""Studies for each class without which the name may hold the class, and no study."""
BINS = 4
"""Parts into which numbers are cut, to see whether rows of one study agree."""


@dataclass
class Files:
    """What the search for names needs of a source.

    Attributes:
        names: path of the file of each row, or its id; "" where it is not compared.
        ids: of each row.
        parts: of each row, of the publisher's split; "" where there is none.
        own: where the zoo's own reading puts rows.
        thumbs: row -> small picture, flat, with mean 0 and length 1; {} where none was read.
        contents: of each modality, row -> number of its content, which copies share.
    """

    names: list[str]
    ids: list[str]
    parts: list[str]
    own: Own
    thumbs: dict[int, npt.NDArray[np.float32]]
    contents: Sequence[dict[int, int]] = ()

    def judge(self, sets: Sequence[Sequence[int]]) -> Judged:
        """Count which of some sets of rows cross a split."""
        judged = Judged()
        for rows in sets:
            judged.add([self.ids[r] for r in rows], [self.parts[r] for r in rows], self.own)
        return judged

    def are_copies(self, sets: Sequence[Sequence[int]]) -> bool:
        """Whether the rows of each set have one content in a modality, so that the search for copies names them."""
        for held in self.contents:
            known = [{held[r] for r in rows if r in held} for rows in sets if sum(r in held for r in rows) > 1]
            if known and all(len(contents) == 1 for contents in known):
                return True
        return False


def find_copies(files: Files) -> list[Finding]:
    """Find files that their names call copies of others, such as "scan (1).png" beside "scan.png", across splits."""
    sets = copies(files.names, max(FEW, int(COMMON * len(files.names))))
    judged = files.judge(sets)
    if not judged.leaks:
        return []
    message = f"by their names, {judged.rows} files are copies of each other, in {judged.sets} sets: {said(judged)}"
    remedy = f"data.split.group_by: {NAME} keeps them together; group_duplicates: true only those that look alike"
    return [_finding("copy by name", message, judged, remedy)]


def find_studies(files: Files, tasks: dict[str, RawTask], labels: dict[str, dict[int, str]]) -> list[Finding]:
    """Find a part of the file names that tells a study or patient whose rows end in two splits.

    A part of the name counts where rows that share it agree in their label, or look alike, more than rows of equal
    names but for the digits, which are shuffled.

    Args:
        files: names and splits.
        tasks: of the source.
        labels: task -> row -> class, or the number as one of BINS classes; see ``classes_of``.
    """
    looks = len(STUDIES) * (len(tasks) + 1)
    least = max(STUDIES_AT_LEAST, *(A_CLASS * len(set(of.values())) for of in labels.values()), 0)
    for pattern in STUDIES:
        studies = found_by(pattern, files.names)
        sets = _sets(studies)
        judged = files.judge(sets)
        most = max(FEW, int(COMMON * len(studies)))  # a larger one is a part of the data, such as a class or a site
        few = len(sets) < least or max(map(len, sets)) > most
        if not judged.leaks or few or files.are_copies(sets):
            continue
        why = _why(files, studies, labels, level(looks))
        if why:
            example = studies[sets[0][0]]
            message = f"rows of one study, by their names (such as '{example}'), {why}; {len(sets)} studies: "
            remedy = f"data.split.group_by: '{pattern}' keeps the rows of each in one split"
            return [_finding("study by name", message + said(judged), judged, remedy)]
    return []


def _finding(kind: str, message: str, judged: Judged, remedy: str) -> Finding:
    numbers = {"rows": float(judged.rows), "sets": float(judged.sets), "across": float(judged.across),
               "apart_in_own_split": float(judged.apart)}  # fmt: skip
    return Finding(kind, "leak", "file names", message, judged.handled, numbers, judged.pairs(), remedy=remedy)


def said(judged: Judged) -> str:
    """How many sets cross which split."""
    words = [f"{judged.across} cross the published split"] if judged.across else []
    return ", ".join([*words, f"{judged.apart} cross the zoo's own split"] if judged.apart else words)


def _sets(studies: list[str]) -> list[list[int]]:
    held: dict[str, list[int]] = {}
    for row, study in enumerate(studies):
        if study:
            held.setdefault(study, []).append(row)
    return [rows for rows in held.values() if len(rows) > 1]


def _why(files: Files, studies: list[str], labels: dict[str, dict[int, str]], wanted: float) -> str:
    """In which way rows of one study are alike beyond chance; "" for none."""
    for task, of in labels.items():
        rows = in_runs([r for r in of if studies[r]], ROWS)
        if len(rows) >= FEWEST:
            agree = _agreement(
                [files.names[r] for r in rows], [studies[r] for r in rows], [of[r] for r in rows], wanted
            )
            if agree:
                return f"agree in {task} ({agree})"
    rows = in_runs([r for r in files.thumbs if studies[r]], PICTURES)
    if len(rows) >= FEWEST:
        thumbs = np.stack([files.thumbs[r] for r in rows])
        alike = _likeness(thumbs, [files.names[r] for r in rows], [studies[r] for r in rows], wanted)
        if alike:
            return f"look alike ({alike})"
    return ""


def in_runs(rows: list[int], most: int) -> list[int]:
    """At most so many of some rows, in runs of 20 that are evenly spaced, so that neighbours stay together.

    Args:
        rows: in order.
        most: of them.
    """
    if len(rows) <= most:
        return rows
    runs = np.array_split(np.asarray(rows), max(1, len(rows) // 20))
    return [int(r) for k in evenly_spaced(len(runs), max(1, most // 20)) for r in runs[k]]


def _strata(names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Numbers of names that are equal but for their digits: what letters tell, such as a class, is not shuffled."""
    skeleton = np.unique([re.sub(r"\d+", "#", n) for n in names], return_inverse=True)[1]
    return np.asarray(skeleton, dtype=np.int64)


def _shuffle(
    values: npt.NDArray[np.int64], strata: npt.NDArray[np.int64], generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Values in another order within each stratum."""
    shuffled = np.empty_like(values)
    shuffled[np.argsort(strata, kind="stable")] = values[np.lexsort((generator.random(len(values)), strata))]
    return shuffled


def _agreement(names: Sequence[str], studies: Sequence[str], labels: Sequence[str], wanted: float) -> str:
    study = np.unique(studies, return_inverse=True)[1]
    label = np.unique(labels, return_inverse=True)[1]
    classes = int(label.max()) + 1
    if classes < 2:
        return ""
    sizes = np.bincount(study)
    pairs = float((sizes * (sizes - 1)).sum())
    strata = _strata(names)

    def share(of: npt.NDArray[np.int64]) -> float:
        counts = np.bincount(study * classes + of, minlength=len(sizes) * classes)
        return float((counts * (counts - 1)).sum()) / pairs

    if not pairs:
        return ""
    agree = share(label)
    beyond, chance = beats_shuffles(agree, lambda g: share(_shuffle(label, strata, g)), wanted)
    return f"{agree:.0%} of pairs, chance {chance:.0%}" if beyond and agree - chance >= GAIN else ""


def _likeness(thumbs: npt.NDArray[np.float32], names: Sequence[str], studies: Sequence[str], wanted: float) -> str:
    study = np.unique(studies, return_inverse=True)[1].astype(np.int64)
    correlation = thumbs @ thumbs.T
    order = [np.flatnonzero(study == s) for s in range(int(study.max()) + 1)]
    left, right = (
        np.concatenate([np.repeat(r, len(r)) if side else np.tile(r, len(r)) for r in order]) for side in (0, 1)
    )
    left, right = left[left != right], right[left != right]
    if not len(left):
        return ""
    strata, place = _strata(names), np.arange(len(study))

    def mean(of: npt.NDArray[np.int64]) -> float:
        return float(correlation[of[left], of[right]].mean())

    alike = mean(place)
    beyond, chance = beats_shuffles(alike, lambda g: mean(_shuffle(place, strata, g)), wanted)
    near = beyond and alike - chance >= NEARER * (1 - chance)
    return f"correlation {alike:.2f}, of others {chance:.2f}" if near else ""


def classes_of(task: RawTask, labels: Sequence[tuple[int, object]]) -> dict[int, str]:
    """Row -> its class as a word; numbers are cut into BINS parts of equal size.

    Args:
        task: whose labels these are.
        labels: (row, label) of the rows that have one.
    """
    kind = TASKS.get(task.kind)
    held = {row: kind.label_classes(label) for row, label in labels}
    if any(held.values()):
        return {row: ", ".join(sorted(words)) for row, words in held.items()}
    numbers = {row: next(iter(kind.label_targets(label).values()), None) for row, label in labels}
    known = {row: v for row, v in numbers.items() if isinstance(v, float)}
    if len(known) < FEWEST:
        return {}
    cuts = np.quantile(list(known.values()), np.arange(1, BINS) / BINS)
    return {row: str(int(np.searchsorted(cuts, v))) for row, v in known.items()}
