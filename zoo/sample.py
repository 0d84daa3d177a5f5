"""One subject, visit or item, as a source reads it; torch is not imported for this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Sample:
    """One subject, visit or item: whatever is known of it.

    Attributes:
        id: unique, stable name of the sample.
        inputs: modality -> value. Raw values from a source; tensors of the spec's shape after processing.
        targets: task -> target, only for known labels (see TaskKind for the forms).
        groups: group column -> integer code (organ, subject, ...); -1 or absent where unknown.
        unit: name of the unit of independence that the sample belongs to, such as "patient:17"; "" where the sample
            is its own. Intervals draw units, not samples (see zoo.evaluation.resampling).
    """

    id: str
    inputs: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    unit: str = ""
