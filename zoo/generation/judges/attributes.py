"""The offline judge: what was made against the row's own picture and metadata."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import SpecError
from zoo.generation.captioners.appearance import Thresholds
from zoo.generation.captioners.features import measure_once
from zoo.generation.judges.base import (
    JUDGES,
    MANY,
    MIDDLE,
    STATEMENTS,
    Check,
    Judge,
    Verdict,
    as_number,
    is_known,
    part_of,
    rejected,
    statements,
    texts_of,
    verdict_of,
)
from zoo.generation.judges.neighbours import Neighbours
from zoo.generator import Condition, Generation

FACT, FINDING = 2.0, 1.0
"""Weights of a fact of the metadata, and of a finding."""


@JUDGES.register
class AttributeJudge(Judge):
    """Compare what was made with the row's own picture and metadata, by rules alone.

    A record: its age, sex, site and size against the metadata (a contradiction weighs FACT; "unknown" where the
    metadata know is half), and each finding that STATEMENTS read against the measured picture (zoo.generation.
    captioners.appearance): contradicted where the measure lies in the opposite tercile of training pictures,
    half in the middle one. Findings that no rule reads are not judged.

    A picture: the metadata of its nearest training pictures (coarse pixels and colour histograms) against the row's
    own. Of each column that real pictures tell (leave-one-out, TELLS above chance), 0 is chance and 1 what real
    pictures reach on average.

    Args:
        age_column, sex_column, site_column, size_column: columns of the metadata with age in years, sex, anatomical
            site and size in mm; "" for none.
        age_slack: years by which an age may differ.
        neighbours: pictures that a generated picture is compared with.

    Raises:
        SpecError: ``age_slack`` is negative or ``neighbours`` below 1.
    """

    TELLS = 0.03

    def __init__(
        self,
        *,
        age_column: str = "age",
        sex_column: str = "sex",
        site_column: str = "localization",
        size_column: str = "",
        age_slack: float = 5.0,
        neighbours: int = 10,
    ) -> None:
        if age_slack < 0 or neighbours < 1:
            raise SpecError(
                f"AttributeJudge: age_slack must be at least 0 and neighbours at least 1, got {age_slack} and "
                f"{neighbours}"
            )
        self.age_column, self.sex_column = age_column, sex_column
        self.site_column, self.size_column = site_column, size_column
        self.age_slack, self.neighbours = age_slack, neighbours
        self.thresholds: dict[str, tuple[float, float]] | None = None
        self._real: Neighbours | None = None

    def fit(self, rows: Sequence[Condition]) -> None:
        """Learn terciles of the measures, and the pictures with metadata, from training rows."""
        measured = [_measures(row.image) for row in rows if row.image is not None]
        self.thresholds = {}
        for name in {n for _, n, _ in STATEMENTS}:
            known = [m[name] for m in measured if math.isfinite(m[name])]
            if known:
                low, high = np.quantile(known, [1 / 3, 2 / 3])
                self.thresholds[name] = (float(low), float(high))
        self._real = Neighbours([r for r in rows if r.image is not None and r.metadata], self.neighbours)

    def score(self, given: Condition, made: Generation) -> Verdict:
        """Judge a record or a picture.

        Raises:
            SpecError: the judge was not fitted, or the value is neither.
        """
        if (gone := rejected(made)) is not None:
            return gone
        if self.thresholds is None or self._real is None:
            raise SpecError("AttributeJudge was not fitted; call fit with training rows first")
        if isinstance(made.value, np.ndarray):
            return verdict_of(self._real.checks(given, made.value, self.TELLS))
        if isinstance(made.value, Mapping):
            return verdict_of([*self._facts(given, made.value), *self._findings(given, made.value)])
        raise SpecError(f"row '{given.id}': a judge reads records and pictures, got {type(made.value).__name__}")

    def _facts(self, given: Condition, record: Mapping[str, Any]) -> list[Check]:
        """Compare the record with the metadata."""
        fields = (
            (self.age_column, "age", part_of(record, "patient", "age_years")),
            (self.sex_column, "sex", part_of(record, "patient", "sex")),
            (self.site_column, "site", part_of(record, "lesion_observation", "anatomical_site")),
            (self.size_column, "size", part_of(record, "lesion_observation", "size_mm")),
        )
        checks = []
        for column, what, said in fields:
            truth = (given.metadata or {}).get(column)
            if not column or not is_known(truth):
                continue
            if not is_known(said):
                checks.append(Check(0.5, FACT, f"{what} is known ({truth}) and not told"))
                continue
            checks.append(Check(float(self._same(what, truth, said)), FACT, f"{what} is {said!r}, not {truth!r}"))
        return checks

    def _same(self, what: str, truth: object, said: object) -> bool:
        if what in ("age", "size"):
            slack = self.age_slack if what == "age" else max(1.0, 0.2 * as_number(truth))
            return abs(as_number(truth) - as_number(said)) <= slack
        first, second = (set(re.findall(r"[a-z]+", str(v).lower())) for v in (truth, said))
        return bool(first & second) and (first <= second or second <= first)

    def _findings(self, given: Condition, record: Mapping[str, Any]) -> list[Check]:
        """Compare each finding with the picture."""
        findings = texts_of(part_of(record, "lesion_observation", "visual_findings"))
        if given.image is None or not findings:
            return []
        measures = _measures(given.image)
        checks = []
        for text in findings:
            if "no lesion" in text.lower():
                checks.append(Check(1.0 - measures["found"], FINDING, f"{text!r}, but a lesion is found"))
                continue
            for name, level in statements(text).items():
                passed = _agrees(measures[name], level, self.thresholds or {}, name)
                if passed is not None:
                    checks.append(Check(passed, FINDING, f"{text!r}, but {name} is {measures[name]:.3g}"))
        return checks


def _measures(image: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Measure a picture, with light and dark brown together as ``brown``."""
    found = measure_once(image)
    return {**found, "brown": found["light_brown"] + found["dark_brown"]}


def _agrees(value: float, level: int, thresholds: Thresholds, name: str) -> float | None:
    """1, one half or 0; None where the measure or its thresholds are unknown."""
    if name not in thresholds or not math.isfinite(value):
        return None
    low, high = thresholds[name]
    if level == MIDDLE:
        return 1.0 if low <= value <= high else 0.5
    beyond, opposite = (value > high, value <= low) if level == MANY else (value <= low, value > high)
    return 1.0 if beyond else 0.0 if opposite else 0.5
