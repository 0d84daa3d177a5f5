"""How long a command may take."""

from __future__ import annotations

import argparse
import re
import statistics
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

    def allows(self, seconds: float) -> bool:
        """Whether something that is expected to take so long may begin."""
        return self.left > 0 and seconds <= self.left


class Pace:
    """How long finished trainings of each kind took.

    >>> pace = Pace()
    >>> for seconds in (10.0, 20.0, 90.0):
    ...     pace.add("network", seconds)
    >>> pace.expected("network"), pace.expected("classical")
    (20.0, 0.0)
    """

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def add(self, kind: str, seconds: float) -> None:
        """Take note of a training of a kind that took so long."""
        self._seconds.setdefault(kind, []).append(seconds)

    def expected(self, kind: str) -> float:
        """The median of seconds of this kind; 0 where none has finished."""
        return statistics.median(self._seconds.get(kind, [0.0]))
