"""What a file of signals says of itself, and how what is asked of it is found there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.errors import DataError, unknown_name

VOLTS = {"v": 1.0, "mv": 1e-3, "uv": 1e-6, "nv": 1e-9}
"""Unit in small letters -> volts."""


@dataclass(frozen=True)
class SignalHeader:
    """What a header says of its signals.

    Attributes:
        names: C names of channels, as they are written.
        units: C units.
        rate: sampling rate in Hz.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    rate: float

    @property
    def unit(self) -> str:
        """The unit of all channels; "" where they have several."""
        return self.units[0] if len(set(self.units)) == 1 else ""

    def places(self, channels: Sequence[str], rate: float, path: Path) -> list[int]:
        """Positions of channels in the file.

        Args:
            channels: names, in the order wanted; () for all in the order of the file.
            rate: that the file must have, in Hz; 0 for any.
            path: the file, for errors.

        Raises:
            DataError: it has another rate, lacks a channel, or has two of one name.
        """
        if rate and not np.isclose(rate, self.rate, rtol=1e-6):
            raise DataError(
                f"the header says {self.rate:g} Hz, and sampling_rate is {rate:g}; correct it, or bring the records "
                "to one rate",
                file=path,
            )
        names = list(self.names)
        for name in channels or names:
            if name not in names:
                raise DataError(f"{unknown_name('channel', name, names)}; the record has {names}", file=path)
            if names.count(name) > 1:
                raise DataError(f"two channels are called '{name}'; the record has {names}", file=path)
        return [names.index(name) for name in channels or names]


def factor(stored: str, wanted: str, channel: str, path: Path) -> float:
    """What a value is multiplied by to come from one unit to another.

    Args:
        stored: unit of the file.
        wanted: unit that is asked for; "" for that of the file.
        channel: name of the channel, for errors.
        path: the file, for errors.

    Raises:
        DataError: they are units of different quantities.
    """
    if not wanted or stored == wanted:
        return 1.0
    try:
        return VOLTS[stored.lower()] / VOLTS[wanted.lower()]
    except KeyError:
        raise DataError(
            f"channel '{channel}' is in {stored!r}, which cannot be brought to the unit {wanted!r}; name the "
            "channels that are wanted, or correct the unit",
            file=path,
        ) from None
