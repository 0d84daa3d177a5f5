"""What Lightning refuses: an option that it cannot follow is an error of the user, and is told as one."""

from __future__ import annotations

from pathlib import Path

TYPES = ("MisconfigurationException", "RuntimeError", "ValueError", "AttributeError")
"""Names of the classes of errors by which Lightning refuses an option."""
LONGEST = 600
"""Characters of a message that are shown; Lightning lists every metric that it knows."""


def refusal(error: BaseException) -> str | None:
    """The message of an error that Lightning itself raised, in one line; None for an error of any other code.

    >>> refusal(ValueError("of the zoo")) is None
    True
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or type(error).__name__ not in TYPES:
        return None
    folders = Path(trace.tb_frame.f_code.co_filename).parts
    if "lightning" not in folders and "lightning_fabric" not in folders:
        return None
    said = " ".join(str(error).split())
    said = said if len(said) <= LONGEST else f"{said[:LONGEST]} ..."
    return f"Lightning refuses this: {said} (ZOO_DEBUG=1 shows where)"
