"""Figures of the MultiMed paper, to be shown beside measured ones: they are the paper's, on the paper's data."""

from __future__ import annotations

TASKS = ("disease", "brain_tumor", "breast_cancer", "radiographic_findings", "retinopathy", "bone_age")
TASKS += ("motor_imagery", "cell_type", "expression", "structure", "vqa")
_VALUES = {
    "domain-specific": (45.39, 54.27, 43.78, 54.73, 49.23, 33.15, 36.82, 55.72, 53.25, 35.15, 49.35),
    "unimodal": (52.32, 63.16, 52.75, 62.03, 57.86, 40.23, 42.15, 63.25, 60.78, 43.16, 56.32),
    "unimodal multitask": (55.21, 66.85, 54.35, 65.15, 59.21, 43.15, 44.67, 65.83, 64.29, 45.37, 58.79),
    "multimodal": (57.56, 69.23, 56.32, 68.07, 62.38, 45.27, 47.85, 67.29, 66.16, 47.65, 62.16),
    "multimodal multitask": (61.89, 73.52, 61.37, 73.29, 67.86, 49.78, 53.21, 71.15, 72.35, 53.28, 69.38),
}
TABLE_1: dict[str, dict[str, float]] = {
    row: {task: round(value / 100, 4) for task, value in zip(TASKS, values, strict=True)}
    for row, values in _VALUES.items()
}
"""Row -> task -> accuracy (Pearson r for expression, TM-score for structure) of MultiMed's Table 1.

The figures that the paper's section 5.2 calls unimodal are those of its domain-specific row.
"""
NOTE = (
    "The column 'paper' is Table 1 of MultiMed, on the paper's data, which are other and larger than these: no "
    "difference between it and the measured values says anything about either. Section 5.2 of the paper quotes its "
    "domain-specific row as unimodal."
)
