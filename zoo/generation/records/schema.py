"""The record that a captioner writes: an EHR-like form of fixed fields, each of which may be "unknown".

The fields are those of "Cross-modal generative augmentation", appendix B.1 (Fig. 3), and the orders of its
appendix C.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from zoo.errors import DataError

UNKNOWN = "unknown"
"""What stands in a field that nothing is known of; a list of nothing is empty."""
Order = Literal["biopsy", "urgent_referral", "dermoscopy_follow_up", "excision", "reassurance"]
"""What may be ordered."""
ORDERS: tuple[str, ...] = get_args(Order)
"""The five types of order, in the order of their slots. The paper names three of its five: biopsy, urgent referral,
reassurance; follow-up by dermoscopy and excision are our choice of the other two."""
SEXES = ("male", "female", UNKNOWN)
"""What may stand in the field sex."""
LONGEST, MOST = 2000, 100
"""Largest number of characters of a text, and of entries of a list."""

Word = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST, pattern=r"\S")]
"""A text that is not blank."""
_WORD = 'text, or "unknown"'


class _Part(BaseModel):
    """A part of a record: unknown keys are refused and no type is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Patient(_Part):
    """Who it is about."""

    age_years: Annotated[float, Field(ge=0, le=130)] | Literal["unknown"] = Field(
        description='number 0 to 130, or "unknown"'
    )
    sex: Literal["male", "female", "unknown"] = Field(description='"male", "female" or "unknown"')


class Encounter(_Part):
    """Where and why the patient was seen."""

    encounter_type: Word = Field(description=_WORD)
    site: Word = Field(description=_WORD)


class LesionObservation(_Part):
    """What is seen."""

    anatomical_site: Word = Field(description=_WORD)
    visual_findings: Annotated[list[Word], Field(max_length=MOST)] = Field(description="list of short texts")
    size_mm: Annotated[float, Field(ge=0, le=1000)] | Literal["unknown"] = Field(
        description='number 0 to 1000, or "unknown"'
    )
    image_quality_note: Word = Field(description=_WORD)


class Assessment(_Part):
    """What is made of it."""

    provisional_diagnosis_label: Word = Field(description=_WORD)
    malignancy_risk: Annotated[float, Field(ge=0, le=1)] | Literal["unknown"] = Field(
        description='number 0 to 1, or "unknown"'
    )
    rationale: Annotated[list[Word], Field(max_length=MOST)] = Field(description="list of short texts")


class OrderEntry(_Part):
    """One thing that is ordered."""

    type: Order = Field(description=f"one of {', '.join(ORDERS)}")
    note: Word = Field(description=_WORD)


class Record(_Part):
    """A whole record."""

    patient: Patient = Field(description="object")
    encounter: Encounter = Field(description="object")
    lesion_observation: LesionObservation = Field(description="object")
    assessment: Assessment = Field(description="object")
    orders: Annotated[list[OrderEntry], Field(max_length=MOST)] = Field(description="list of {type, note}")


SECTIONS: dict[str, type[BaseModel]] = {
    "patient": Patient,
    "encounter": Encounter,
    "lesion_observation": LesionObservation,
    "assessment": Assessment,
}
"""Name -> model of the parts that are objects; ``orders`` is a list."""
_MODELS: tuple[type[BaseModel], ...] = (Record, OrderEntry, *SECTIONS.values())
_ALLOWED: dict[str, str] = {
    name: str(field.description) for model in _MODELS for name, field in model.model_fields.items()
}


def unknown_record() -> dict[str, Any]:
    """The record of which nothing is known.

    >>> unknown_record()["patient"]
    {'age_years': 'unknown', 'sex': 'unknown'}
    """
    sections: dict[str, Any] = {
        name: {f: [] if _ALLOWED[f].startswith("list") else UNKNOWN for f in model.model_fields}
        for name, model in SECTIONS.items()
    }
    return {**sections, "orders": []}


def record_schema() -> dict[str, Any]:
    """The JSON schema of a record (draft 2020-12)."""
    return Record.model_json_schema()


def record_schema_text() -> str:
    """Write the fields of a record and what each may hold as JSON text, short enough for a prompt.

    >>> record_schema_text().splitlines()[-1]
    '}'
    """
    fields: dict[str, Any] = {
        section: {name: _ALLOWED[name] for name in model.model_fields} for section, model in SECTIONS.items()
    }
    for section in ("lesion_observation", "assessment"):
        fields[section] = {n: ["short text"] if t.startswith("list") else t for n, t in fields[section].items()}
    fields["orders"] = [{name: _ALLOWED[name] for name in OrderEntry.model_fields}]
    return json.dumps(fields, indent=2)


def problems(record: Any) -> list[str]:
    """Say what is wrong with a record: which field, what it holds, what is allowed. Empty for a valid one."""
    try:
        Record.model_validate(record)
    except ValidationError as error:
        said: dict[str, str] = {}
        for problem in error.errors(include_url=False, include_context=False):
            where, what = _problem(problem["loc"], problem["type"], problem["input"])
            said.setdefault(where, what)
        return [f"{where}: {what}" for where, what in said.items()]
    return []


def _problem(place: tuple[int | str, ...], kind: str, value: Any) -> tuple[str, str]:
    """Name the field and the fault; branches of a union, which the place ends in, are left out."""
    if kind in ("extra_forbidden", "missing"):
        fault = "is missing" if kind == "missing" else "is no field of a record"
        return _path(place), fault
    if place and isinstance(place[-1], str) and place[-1] not in _ALLOWED:
        place = place[:-1]
    names = [p for p in place if isinstance(p, str)]
    allowed = _ALLOWED[names[-1]] if names else "an object"
    return _path(place) or "record", f"got {shown(value)}; allowed: {allowed}"


def _path(place: tuple[int | str, ...]) -> str:
    return ascii(".".join(map(str, place)))[1:-1][:120]


def shown(value: Any) -> str:
    """Show at most 80 characters of a value, in ASCII.

    >>> shown("x" * 100) == "'" + "x" * 76 + "..."
    True
    """
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def check_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as plain JSON, its numbers as float.

    Raises:
        DataError: a field is missing, unknown, of another type or out of its range; the message names all.
    """
    found = problems(record)
    if found:
        raise DataError(f"not a valid record: {'; '.join(found)}")
    return Record.model_validate(record).model_dump()
