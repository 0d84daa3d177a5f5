"""A record as one row of a table, without the diagnosis and what argues for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.generation.records.schema import UNKNOWN, check_record

COLUMNS: dict[str, tuple[str, str]] = {
    "age_years": ("patient", "age_years"),
    "sex": ("patient", "sex"),
    "encounter_type": ("encounter", "encounter_type"),
    "site": ("encounter", "site"),
    "anatomical_site": ("lesion_observation", "anatomical_site"),
    "size_mm": ("lesion_observation", "size_mm"),
    "malignancy_risk": ("assessment", "malignancy_risk"),
    "image_quality": ("lesion_observation", "image_quality_note"),
}
"""Column -> section and field of a record; ``orders`` and ``visual_findings`` come after them."""
SEPARATOR = "; "
"""What stands between the entries of a list in one column."""


def flatten(record: Mapping[str, Any]) -> dict[str, float | str | None]:
    """Make column -> number, text or None (unknown) of a record.

    ``provisional_diagnosis_label`` and ``rationale`` are left out, for they say what is to be predicted, and so are
    the notes of orders. Lists are joined with "; ", each entry once; the entry "unknown" is left out, and a list of
    nothing is None.

    Raises:
        DataError: the record is not valid.
    """
    valid = check_record(record)
    flat: dict[str, float | str | None] = {c: _cell(valid[part][field]) for c, (part, field) in COLUMNS.items()}
    flat["orders"] = _joined([order["type"] for order in valid["orders"]])
    flat["visual_findings"] = _joined(valid["lesion_observation"]["visual_findings"])
    return flat


def _cell(value: float | str) -> float | str | None:
    if not isinstance(value, str):
        return value
    return None if value.strip().lower() == UNKNOWN else value.strip()


def _joined(entries: Sequence[str]) -> str | None:
    known = [e.strip() for e in entries if e.strip().lower() != UNKNOWN]
    return SEPARATOR.join(dict.fromkeys(known)) or None
