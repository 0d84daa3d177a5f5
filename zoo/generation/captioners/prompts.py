"""What a vision-language model is asked for: a record of the schema, from a picture and what is known of the row."""

from __future__ import annotations

import json

from zoo.errors import SpecError
from zoo.generation.records.schema import UNKNOWN, record_schema_text
from zoo.generator import Condition


def system_prompt() -> str:
    """Tell the model what it is to do, and the schema of a record.

    The task is that of the published pipeline (appendix B.1 of the paper on cross-modal augmentation), in other
    words.
    """
    return (
        "You write structured clinical records for research in dermatology. Look at the picture of a skin lesion, "
        "read what is known of the patient, and fill in one record. Answer with one JSON object that follows the "
        "schema below, and with nothing else: no explanation, no code fence. Keep every entry short and say nothing "
        f'twice. Write "{UNKNOWN}" wherever the picture and the given values do not tell.\n\n'
        f"Schema:\n{record_schema_text()}"
    )


def user_prompt(given: Condition, *, leaky_replication: bool = False) -> str:
    """Tell the model what is known of a row: its metadata, column by column.

    Args:
        given: the row.
        leaky_replication: add the diagnosis, "for reference", as the published pipeline does for training,
            validation and test rows alike. What is written of such a row tells its label.

    Raises:
        SpecError: the diagnosis is asked for, and the row has none.
    """
    lines = [f"- {name}: {_text(value)}" for name, value in (given.metadata or {}).items()]
    if leaky_replication:
        if not given.label:
            raise SpecError(
                f"row '{given.id}': leaky_replication puts the diagnosis into the prompt, but the row was given no "
                "label; give it one, or switch leaky_replication off"
            )
        lines.append(f"- diagnosis (for reference): {given.label}")
    known = "\n".join(lines) or "- nothing"
    return f"Known of the patient:\n{known}\n\nFill in the record of this picture."


def repair_prompt(reason: str) -> str:
    """Ask for the record once more, and say what was wrong with the first."""
    return (
        f"That was not a record of the schema: {json.dumps(reason)}. Answer again with one JSON object that follows "
        "the schema, and with nothing else."
    )


def _text(value: float | str | None) -> str:
    """A value as a prompt has it: whole numbers without decimals."""
    if value is None or value != value:
        return UNKNOWN
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
