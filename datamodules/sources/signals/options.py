"""Options of sources of recordings: how epochs are cut, and what is read of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from datamodules.core.settings import Settings
from zoo.errors import SpecError

DEFAULT_END = 4.0
"""End of an epoch in seconds from its event, where none is given."""


@dataclass(frozen=True)
class EpochOptions(Settings):
    """How a recording becomes rows.

    Attributes:
        tmin: start of an epoch in seconds from its event.
        tmax: its end, whose sample is not part of it; None takes 4 s, or with MOABB the length of the trial interval.
        baseline: (from, to) in seconds from the event; their mean is subtracted, in each channel; None does not.
        stim_channel: take the events from this trigger channel, described by their numbers, not from annotations.
        window_seconds: cut the whole recording into windows of this length, without events; the class is the group
            ``label`` of the pattern, or else the name of the file's folder. What remains at the end is not used.
        stride_seconds: from one window to the next; 0 takes ``window_seconds``.
        drop_bad: leave out epochs that touch an annotation that begins with "bad" or "edge", or is "boundary".
        incomplete: "raise" at an event whose epoch reaches beyond the recording, or "skip" and count it.
        group_by: what never crosses a split: "subject", or "session" for splits within a subject.

    Raises:
        SpecError: times that contradict each other or are out of range.
    """

    tmin: float = 0.0
    tmax: float | None = None
    baseline: tuple[float, float] | None = None
    stim_channel: str = ""
    window_seconds: float = 0.0
    stride_seconds: float = 0.0
    drop_bad: bool = False
    incomplete: Literal["raise", "skip"] = "raise"
    group_by: Literal["subject", "session"] = "subject"

    def __post_init__(self) -> None:
        super().__post_init__()
        tmax = np.inf if self.tmax is None else self.tmax
        if not (np.isfinite([self.tmin, self.tmax or 0.0]).all() and self.tmin < tmax):
            raise SpecError(f"epochs: tmin must be below tmax, got {self.tmin} and {self.tmax}")
        for name, number in (("window_seconds", self.window_seconds), ("stride_seconds", self.stride_seconds)):
            if not (np.isfinite(number) and number >= 0):
                raise SpecError(f"epochs: {name} must be a finite number >= 0, got {number}")
        if self.stim_channel and self.window_seconds:
            raise SpecError("epochs: windows have no events; give stim_channel or window_seconds, not both")
        low, high = (0.0, self.window_seconds) if self.window_seconds else (self.tmin, tmax)
        base = self.baseline
        if base is not None and not low <= base[0] < base[1] <= high:
            raise SpecError(f"epochs: baseline {base} must lie within the epoch, {low} to {high} s")


@dataclass(frozen=True)
class ReadingOptions(Settings):
    """What is read of a recording, and what is done to it.

    Attributes:
        channels: names of channels, in the order wanted; "eeg" takes those of type EEG in the first file, even if
            it marks them as bad, and demands them of all files.
        rename: name of a channel in the files -> its name here.
        montage: one of MNE's standard montages, such as "standard_1005"; channels take its spelling.
        reference: ("average",) subtracts the mean of the channels read, names of channels the mean of those; () keeps
            the recording's reference.
        band_hz: pass band (low, high) in Hz of a zero-phase FIR filter; low 0 is a low-pass; None does not filter.
        sampling_rate: in Hz of the result; 0 keeps that of the files, which must then agree.
        open_recordings: files that each process keeps open (headers, no samples, except of .set files).

    Raises:
        SpecError: a rate or a band out of range, or a channel that is named twice.
    """

    channels: str | tuple[str, ...] = "eeg"
    rename: Mapping[str, str] | None = None
    montage: str = ""
    reference: tuple[str, ...] = ()
    band_hz: tuple[float, float] | None = None
    sampling_rate: float = 0.0
    open_recordings: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (np.isfinite(self.sampling_rate) and self.sampling_rate >= 0):
            raise SpecError(f"reading: sampling_rate must be a finite number >= 0, got {self.sampling_rate}")
        if self.band_hz is not None and not 0 <= self.band_hz[0] < self.band_hz[1]:
            raise SpecError(f"reading: band_hz must be (low, high) with 0 <= low < high, got {self.band_hz}")
        if len({c.lower() for c in self.names}) != len(self.names):
            raise SpecError(f"reading: channels names one channel twice: {self.names}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels that are asked for; () for those of type EEG."""
        if self.channels == "eeg":
            return ()
        return (self.channels,) if isinstance(self.channels, str) else tuple(self.channels)


def refuse(owner: str, settings: Settings, *names: str) -> None:
    """Refuse options that a source does not use.

    Args:
        owner: name of the source, for the error.
        settings: a group of its options.
        names: fields of the group that must have their defaults.

    Raises:
        SpecError: one of them has another value.
    """
    for field in fields(settings):
        if field.name in names and getattr(settings, field.name) != field.default:
            raise SpecError(f"{owner} fixes {field.name}; leave it out")
