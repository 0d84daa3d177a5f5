"""Whole recordings as signals: EDF, BDF, GDF, FIF, BrainVision and EEGLAB files, read by MNE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.formats.recordings import (
    check_units,
    open_recording,
    read_samples,
    records_of,
    stored_samples,
)
from datamodules.io.formats.signal_header import SignalHeader, factor
from zoo.errors import DataError

UNIT = "uV"
"""Unit of signals where none is asked for; MNE brings all voltages to volts."""
_NO_SIGNALS = ("stim", "misc", "syst", "exci", "ias")
"""Types of channels of MNE that are taken only where they are named."""


def describe_recording(path: Path) -> SignalHeader:
    """Names of the channels that hold signals, their unit and their rate.

    Args:
        path: the recording.

    Raises:
        DataError, MissingExtraError: see ``open_recording``; or no channel holds a signal.
    """
    raw = open_recording(path)
    return _header(raw, path, _signals(raw, path))


def read_recording(
    path: Path, *, unit: str = "", channels: Sequence[str] = (), rate: float = 0.0
) -> npt.NDArray[Any]:
    """Read a whole recording.

    Args:
        path: the recording.
        unit: of the values; "" for uV.
        channels: names of the channels, in the order wanted; () for all that hold signals, in the order of the file.
        rate: that the recording must have, in Hz; 0 for any.

    Returns:
        (C, T) float32.

    Raises:
        DataError: the recording is broken, has gaps, is of another rate, lacks a channel, stores channels at several
            rates, or a channel is no voltage.
        MissingExtraError: a library that the format needs is not installed.
    """
    raw = open_recording(path)
    picks = list(range(len(raw.ch_names))) if channels else _signals(raw, path)
    picks = [picks[k] for k in _header(raw, path, picks).places(channels, rate, path)]
    check_units(raw, path, picks)
    samples = stored_samples(raw)
    if samples is not None and {samples[k] for k in picks} != {max(samples)}:
        raise DataError(
            "channels are stored at different rates, or slower than others that are not wanted; export the recording "
            "at one rate",
            file=path,
        )
    records = records_of(path)
    if records is not None and records.breaks(float(raw.info["sfreq"])):
        raise DataError(
            "the recording has gaps (EDF+D); read it with EEGFolder, whose epochs lie between them", file=path
        )
    scale = factor("V", unit or UNIT, raw.ch_names[picks[0]], path)
    return np.ascontiguousarray(read_samples(raw, path, picks, 0, int(raw.n_times)) * scale, dtype=np.float32)


def _signals(raw: Any, path: Path) -> list[int]:
    """Positions of the channels that hold signals."""
    picks = [k for k, kind in enumerate(raw.get_channel_types()) if kind not in _NO_SIGNALS]
    if not picks:
        raise DataError(f"no channel holds a signal; name the channels. There are {raw.ch_names}", file=path)
    return picks


def _header(raw: Any, path: Path, picks: Sequence[int]) -> SignalHeader:
    names = tuple(raw.ch_names[k] for k in picks)
    return SignalHeader(names, (UNIT,) * len(names), float(raw.info["sfreq"]))
