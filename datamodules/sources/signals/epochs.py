"""What an epoch of a recording takes: its samples and margins, filter and rate, and channels that are voltages."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.io.formats.recordings import read_samples
from zoo.errors import DataError


@dataclass(frozen=True)
class Cut:
    """What has to be read and computed for an epoch of a recording at ``rate`` Hz.

    The band-pass is MNE's default: a zero-phase FIR filter (Hamming window), whose length h is finite, so that an
    epoch needs (h - 1) / 2 samples on either side and equals the same epoch of the filtered recording. At the ends
    of a recording these samples are its reflection, as in MNE. Resampling is polyphase, from a grid that begins at
    the epoch.

    Args:
        rate, new_rate: sampling rates in Hz of the recording and of the result.
        tmin, tmax: of the epoch in seconds from the event; the sample at tmax is not part of it.
        band_hz: pass band; 0 as its lower end is a low-pass.
        baseline: from and to in seconds; the mean over them is subtracted.

    Attributes:
        start: first sample of the epoch from the event.
        length: samples of the recording that the epoch covers.
        margin: further samples on either side that are read where there are any.
        size: samples of the result.
    """

    rate: float
    new_rate: float
    tmin: float
    tmax: float
    band_hz: tuple[float, float] | None
    baseline: tuple[float, float] | None
    taps: npt.NDArray[np.float64] | None
    ratio: Fraction
    start: int
    length: int
    margin: int
    size: int

    @classmethod
    def make(
        cls,
        rate: float,
        new_rate: float,
        tmin: float,
        tmax: float,
        band_hz: tuple[float, float] | None,
        baseline: tuple[float, float] | None,
        file: Path,
    ) -> Cut:
        """Design the filter and count the samples.

        Args:
            rate: of the recording, in Hz.
            new_rate: of the epochs, in Hz; 0 keeps that of the recording.
            tmin: beginning of an epoch after its event, in seconds.
            tmax: end of an epoch after its event, in seconds.
            band_hz: lower and upper edge of the filter, in Hz; None for no filter.
            baseline: beginning and end of what is averaged and taken away, in seconds; None for nothing.
            file: of the recording, for errors.

        Raises:
            DataError: the band or the new rate does not fit the recording ``file``.
        """
        new_rate = new_rate or rate
        ratio = Fraction(new_rate / rate).limit_denominator(1000)
        if ratio <= 0 or not np.isclose(float(ratio) * rate, new_rate, rtol=1e-6):
            raise DataError(f"{rate:g} Hz cannot be brought to sampling_rate {new_rate:g} Hz exactly", file=file)
        taps = None
        if band_hz is not None:
            if band_hz[1] >= rate / 2:
                raise DataError(f"band_hz {band_hz} must end below half the rate, {rate / 2:g} Hz", file=file)
            from mne.filter import create_filter

            taps = np.asarray(create_filter(None, rate, band_hz[0] or None, band_hz[1], verbose="ERROR"))
        size = round((tmax - tmin) * new_rate)
        length = size if ratio == 1 else ceil((size - 1) / ratio) + 1
        margin = 0 if taps is None else len(taps) // 2
        if ratio != 1:  # scipy's polyphase filter reaches 10 samples of the lower rate; keep the grid of the epoch
            reach = 10 * max(ratio.numerator, ratio.denominator) / ratio.numerator + 1
            margin += ratio.denominator * ceil(reach / ratio.denominator)
        start = round(tmin * rate)
        return cls(rate, new_rate, tmin, tmax, band_hz, baseline, taps, ratio, start, length, margin, size)

    def apply(self, signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map (C, length + 2 * margin) samples of the recording to the epoch (C, size)."""
        from scipy import signal as dsp

        if self.taps is not None:
            signal = dsp.oaconvolve(signal, self.taps[None], mode="valid", axes=1)
        if self.ratio != 1:
            before = (signal.shape[1] - self.length) // 2
            up, down = self.ratio.numerator, self.ratio.denominator
            signal = dsp.resample_poly(signal, up, down, axis=1)[:, before * up // down :]
        signal = signal[:, : self.size]
        if self.baseline is not None:
            first = self.start / self.rate
            low, high = (round((t - first) * self.new_rate) for t in self.baseline)
            signal = signal - signal[:, max(low, 0) : high + 1].mean(axis=1, keepdims=True)
        return signal


@dataclass(frozen=True)
class Opened:
    """An open recording: which of its channels are read, in order, and how an epoch is cut from it."""

    raw: Any
    path: Path
    picks: tuple[int, ...]
    references: tuple[int, ...]
    average: bool
    cut: Cut
    breaks: tuple[int, ...] = ()

    def epoch(self, onset: int) -> npt.NDArray[np.float32]:
        """Read the epoch (C, size) in uV of the event at sample ``onset``; only its samples and its margins."""
        begin = onset + self.cut.start - self.cut.margin
        end = begin + self.cut.length + 2 * self.cut.margin
        first = max((b for b in self.breaks if b <= onset), default=0)  # samples behind a gap are no neighbours
        last = min((b for b in self.breaks if b > onset), default=int(self.raw.n_times))
        low, high = max(begin, first), min(end, last)
        values = read_samples(self.raw, self.path, (*self.picks, *self.references), low, high)
        if self.average or self.references:
            values = values - values[0 if self.average else len(self.picks) :].mean(axis=0)
        values = values[: len(self.picks)]
        if (low, high) != (begin, end):
            values = np.pad(values, ((0, 0), (low - begin, end - high)), mode="reflect", reflect_type="odd")
        return (self.cut.apply(values) * 1e6).astype(np.float32)
