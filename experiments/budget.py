"""How long a command may take."""

from __future__ import annotations

import argparse
import re
import time

SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """Seconds in words such as "90s", "20m", "1.5h" or "1h30m"; a bare number is seconds.

    >>> seconds_of("1h30m")
    5400.0
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text)
    seconds = sum(float(number) * SECONDS[unit or "s"] for number, unit in parts)
    if "".join(n + u for n, u in parts) != text or not seconds:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; give such as 90s, 20m, 1h30m")
    return seconds


class Budget:
    """Seconds that are left of a budget; without one there is always enough.

    Args:
        seconds: the budget, counted from now; 0 for none.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._start = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds that remain; infinite without a budget."""
        return self.seconds - self.spent if self.seconds else float("inf")
