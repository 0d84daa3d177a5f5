"""From what a language model said to a valid record: found, checked, repaired at most once, or rejected."""

from __future__ import annotations

from zoo.generation.records.find import find_object
from zoo.generation.records.repair import repair
from zoo.generation.records.schema import check_record, problems
from zoo.generator import Generation


def parse_record(text: str) -> Generation:
    """Read the record in a text; a text without one never raises.

    Returns:
        "ok" with the record as plain JSON; "repaired" with the record and every repair in ``reason`` (the rules are
        in zoo.generation.records.repair); or "rejected" with the fields that no rule mends and what they hold. A
        record of which the repair leaves nothing known is rejected too. ``text`` is what was said.

    >>> parse_record("I see no image.")
    Generation(value=None, status='rejected', reason='the text holds no JSON object', text='I see no image.')
    """
    try:
        return _parse(text)
    except RecursionError:
        return Generation(None, "rejected", "the JSON object is nested too deep", text)


def _parse(text: str) -> Generation:
    found, notes = find_object(text)
    if found is None:
        return Generation(None, "rejected", "; ".join(notes), text)
    if not problems(found):
        return Generation(check_record(found), "repaired" if notes else "ok", "; ".join(notes), text)
    mended, repairs = repair(found)
    left = problems(mended)
    if left:
        said = [f"after the repair: {', '.join(notes + repairs)}"] if notes or repairs else []
        return Generation(None, "rejected", "; ".join(left + said), text)
    record = check_record(mended)
    if not any(known for part in record.values() for known in _known(part)):
        return Generation(None, "rejected", "; ".join(["the repair leaves nothing known", *notes, *repairs]), text)
    return Generation(record, "repaired", "; ".join(notes + repairs), text)


def _known(part: object) -> list[bool]:
    """Whether each field of a section says something; one entry an order."""
    return [v not in ("unknown", []) for v in part.values()] if isinstance(part, dict) else [True for _ in part]  # type: ignore[attr-defined]
