"""Files that say the unit, the rate and the channels of their signals: WFDB records and recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from datamodules.io.formats.recorded_signals import describe_recording, read_recording
from datamodules.io.formats.recordings import SUFFIXES
from datamodules.io.formats.signal_header import SignalHeader
from datamodules.io.formats.wfdb_records import header_of, read_header, read_record


class ReadSignal(Protocol):
    """Reads a file."""

    def __call__(self, path: Path, *, unit: str, channels: tuple[str, ...], rate: float) -> npt.NDArray[Any]:
        """(C, T) float32 in the unit, of the channels in their order; see ``read_record``."""


@dataclass(frozen=True)
class SignalFile:
    """A file of signals, and how it is read.

    Attributes:
        path: the file that says what there is.
        describe: reads what it says of itself.
        read: reads the signals.
    """

    path: Path
    describe: Callable[[Path], SignalHeader]
    read: ReadSignal


def signal_file(path: Path | None) -> SignalFile | None:
    """The file that a path names; None where it does not say the unit, the rate and the channels of its signals.

    Args:
        path: of a cell; None where there is no file.
    """
    if path is None:
        return None
    if path.suffix.lower() in SUFFIXES:
        return SignalFile(path, describe_recording, read_recording)
    header = header_of(path)
    return None if header is None else SignalFile(header, read_header, read_record)
