"""An audit report as one page of HTML that needs nothing else: no network, no script, light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.audit.findings import Report, SourceReport
from datamodules.audit.report import counts_words, label_words, verdicts
from datamodules.core.splits import SPLITS
from experiments.reporting.html import environment
from zoo.values import Picture

MOST_CLASSES = 40
"""Classes of a task that are listed; the page says how many more there are."""


def write_audit(report: Report, path: Path) -> None:
    """Write the page of an audit."""
    made = environment()
    made.filters["as_source"] = as_source
    made.filters["in_words"] = lambda counts: counts_words(counts, 24)
    content = made.get_template("audit.html").render(
        report=report,
        style=resources.files("experiments.reporting").joinpath("audit.css").read_text(encoding="utf-8"),
        splits=SPLITS,
        source_heads=["source", "rows", "read", "unreadable", "published", *(f"own {s}" for s in SPLITS)],
        label_heads=["class", "rows", "", *SPLITS],
        verdicts=[(line, _mark(line)) for line in verdicts(report)],
        left_out={s.name: _left_out(s) for s in report.sources},
        told_labels={s.name: {task: _labels(s, task) for task in s.labels} for s in report.sources},
    )
    path.write_text(content, encoding="utf-8")


def as_source(picture: Picture) -> str:
    """A picture (H, W, 3) uint8 as the address of an image that holds its own data."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(held, format="PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()


def _mark(line: str) -> str:
    bad = "not handled" in line or "could not" in line or "cannot be read" in line
    return "leak" if bad else "ok" if "no leak" in line else "soft"


def _left_out(source: SourceReport) -> str:
    return "; ".join(f"{n} {reason}" for reason, n in {**source.skipped, **source.own_skipped}.items())


def _labels(source: SourceReport, task: str) -> Mapping[str, Any]:
    """What is said of the labels of a task: words for numbers, else its most frequent classes with their share."""
    labels = source.labels[task]
    told: dict[str, Any] = {"kind": labels.kind, "rows": labels.rows, "words": "", "classes": [], "more": 0}
    if labels.numbers or not labels.counts:
        return {**told, "words": label_words(labels)}
    shown = list(labels.counts.items())
    if len(shown) > MOST_CLASSES:  # the most frequent ones, where not all have room
        shown = sorted(shown, key=lambda item: -item[1]["all"])[:MOST_CLASSES]
    most = max(n["all"] for _, n in shown) or 1
    classes = [(name, counts, 100 * counts["all"] / most) for name, counts in shown]
    return {**told, "classes": classes, "more": len(labels.counts) - len(shown)}
