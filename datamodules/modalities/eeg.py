"""EEG and other signals: a raw recording becomes a (C, T) tensor of one rate and one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from datamodules.core.processor import PROCESSORS, Processor
from datamodules.io.signal_file import signal_file
from datamodules.io.table_values import finite
from datamodules.modalities.drawing import draw_signal
from zoo.contract import MODALITIES, ModalityKind, ModalitySpec
from zoo.errors import DataError, SpecError, check_choice
from zoo.raw import RawModality
from zoo.values import Cell, Shown

FEATURE_STEPS = 64
"""Parts of time that signals are averaged over for methods without a network."""
FILTER_ORDER = 4
"""Order of the Butterworth band-pass, run forwards and backwards (zero phase)."""


@MODALITIES.register_as("signal")
class Signal(ModalityKind):
    """Signals of shape (C, T); raw: numpy float32 (C, T) in the unit of the modality.

    A cell of a table holds the numbers, or names a .npy file, a WFDB record (.hea with .dat), or a recording (EDF,
    BDF, GDF, FIF, BrainVision, EEGLAB).
    """

    rank = 2
    encoder = "LSTMEncoder"
    processor = "SignalProcessor"
    transforms = ("braindecode",)

    @classmethod
    def completed(cls, raw: RawModality, cell: Cell) -> RawModality:
        """Take the unit, the rate and the channels that are not told from a file that says them."""
        file = signal_file(cell.file)
        if file is None:
            return raw
        found = file.describe(file.path)
        return replace(
            raw,
            unit=raw.unit or found.unit,
            sampling_rate=raw.sampling_rate or found.rate,
            features=raw.features or found.names,
        )

    @classmethod
    def read(cls, cell: Cell) -> Any:
        """Read numbers, or the channels of a file by their names, in the unit of the modality."""
        file = signal_file(cell.file)
        if file is None:
            return cell.numbers()
        told = cell.form or RawModality("", "signal")
        values = file.read(file.path, unit=told.unit, channels=told.features, rate=told.sampling_rate)
        return finite(values, file.path)

    @classmethod
    def show(cls, raw: RawModality, value: Any, side: int) -> Shown:
        """Traces of the first channels, one below the other."""
        return Shown(picture=draw_signal(np.asarray(value), side, raw.features, raw.sampling_rate))

    @classmethod
    def features(cls, spec: ModalitySpec, rows: Tensor) -> Tensor:
        """Means (N, C, T) over at most FEATURE_STEPS parts of time, and the log variance of each channel."""
        rows = rows.float()
        means = functional.adaptive_avg_pool1d(rows, min(FEATURE_STEPS, rows.shape[2]))
        variance = (rows - rows.mean(2, keepdim=True)).square().mean(2)
        return torch.cat([means.flatten(1), (variance + 1e-6).log()], 1)


@dataclass(frozen=True)
class SignalAugmentation:
    """How far training signals are changed at random.

    Attributes:
        max_shift_seconds: largest move of the signal, either way.
        max_gain: largest relative change of the amplitude, 0.1 for 0.9 to 1.1.
    """

    max_shift_seconds: float = 0.1
    max_gain: float = 0.1


@PROCESSORS.register
class SignalProcessor(Processor):
    """Map a raw (C, T0) signal to (C, T) float32 in the unit of the source, such as uV.

    In this order: check, re-reference, band-pass, resample, cut, scale. The band-pass is a zero-phase
    Butterworth filter designed by MNE (Gramfort et al., Front. Neurosci. 7:267, 2013). Augmentation, in
    training only, moves the signal in time and multiplies the amplitude; what the move leaves empty is filled
    with the mirrored end of the signal.

    Args:
        band_hz: pass band (low, high) in Hz; None keeps all frequencies.
        sampling_rate: rate of the result in Hz; 0 keeps that of the source.
        seconds: length of the result; 0 keeps that of the training signals, which must then be equally long.
        start_seconds: where the window begins.
        reference: "average" subtracts the mean over channels at each time (common average); "none" does not.
        scale: "training" divides each channel by its standard deviation over the training signals (the unit
            is then "sd"); "none" keeps the unit.
        augment: move and scale training signals at random.
        augmentation: how far training signals are moved and scaled.

    Raises:
        SpecError: an argument is out of range, or the band does not fit below half the sampling rate.
    """

    kind = "signal"
    for_networks = True

    def __init__(
        self,
        *,
        band_hz: tuple[float, float] | None = None,
        sampling_rate: float = 0.0,
        seconds: float = 0.0,
        start_seconds: float = 0.0,
        reference: Literal["none", "average"] = "none",
        scale: Literal["none", "training"] = "none",
        augment: bool = False,
        augmentation: SignalAugmentation = SignalAugmentation(),
    ) -> None:
        for name, value, allowed in (
            ("reference", reference, ("none", "average")),
            ("scale", scale, ("none", "training")),
        ):
            check_choice(self, name, value, allowed)
        for name, number in (
            ("sampling_rate", sampling_rate),
            ("seconds", seconds),
            ("start_seconds", start_seconds),
            ("max_shift_seconds", augmentation.max_shift_seconds),
            ("max_gain", augmentation.max_gain),
        ):
            if not (np.isfinite(number) and number >= 0):
                raise SpecError(f"SignalProcessor: {name} must be a finite number >= 0, got {number}")
        if augmentation.max_gain >= 1:
            raise SpecError(f"SignalProcessor: max_gain must be below 1, got {augmentation.max_gain}")
        if band_hz is not None and not 0 < band_hz[0] < band_hz[1]:
            raise SpecError(f"SignalProcessor: band_hz must be (low, high) with 0 < low < high, got {band_hz}")
        self.band_hz, self.sampling_rate, self.seconds = band_hz, sampling_rate, seconds
        self.start_seconds, self.reference, self.scale = start_seconds, reference, scale
        self.augments, self.max_gain = augment, augmentation.max_gain
        self.max_shift_seconds = augmentation.max_shift_seconds
        self.fits = scale == "training"
        self._name, self._channels, self._rate = "", tuple[str, ...](), 0.0
        self._ratio = Fraction(1)
        self._shape = (0, 0)
        self._sections: npt.NDArray[np.float64] | None = None
        self._deviation: npt.NDArray[np.float32] | None = None

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Fix channels, rate and length from the first training value, and the scale from all of them.

        Raises:
            DataError: no value, no finite value, or a channel that is constant although ``scale`` divides by it.
            SpecError: resampling is asked of a source that states no rate, or the band is out of reach.
        """
        if not len(values):
            raise DataError(f"signal '{raw.name}': no training value to fit on")
        first = np.asarray(values[0])
        if first.ndim != 2 or 0 in first.shape:
            raise DataError(f"signal '{raw.name}': shape {first.shape}; a signal is (channels, times), not empty")
        self._name = raw.name
        self._channels = raw.features or tuple(f"channel {i}" for i in range(first.shape[0]))
        self._set_rate(raw)
        self._deviation = None
        self._shape = (len(self._channels), 0)
        length = self._resampled(self._checked(first)).shape[1]
        self._shape = (
            len(self._channels),
            round(self.seconds * self._rate) if self.seconds else length - self._start,
        )
        if self._shape[1] < 1:
            raise SpecError(f"signal '{raw.name}': nothing is left after start_seconds={self.start_seconds}")
        if self.fits:
            windows = np.stack([self._window(self._resampled(self._checked(v))) for v in values])
            deviation = windows.astype(np.float64).std(axis=(0, 2))
            flat = [c for c, d in zip(self._channels, deviation, strict=True) if d == 0]
            if flat:
                raise DataError(f"signal '{raw.name}': channels {flat} are constant in training; use scale='none'")
            self._deviation = deviation.astype(np.float32)[:, None]

    def spec(self, raw: RawModality) -> ModalitySpec:
        """Spec of shape (C, T), with the new sampling rate and the names of the channels."""
        if not self._shape[1]:
            raise SpecError(f"signal '{raw.name}': spec is known only after fit")
        return ModalitySpec(
            name=raw.name,
            kind=raw.kind,
            shape=self._shape,
            unit="sd" if self.fits else raw.unit,
            sampling_rate=self._rate,
            features=self._channels,
        )

    def __call__(self, value: Any) -> Tensor:
        """Map (C, T0) to (C, T) float32.

        Raises:
            DataError: wrong number of channels, a value that is not finite, or a recording too short.
        """
        window = self._window(self._resampled(self._checked(value)))
        if self._deviation is not None:
            window = window / self._deviation
        return torch.from_numpy(np.ascontiguousarray(window, dtype=np.float32))

    def decode(self, value: Tensor) -> npt.NDArray[np.float32]:
        """Map (C, T) back to a signal (C, T) in the unit of the source, at the new sampling rate."""
        signal = value.detach().cpu().float().numpy()
        return np.asarray(signal if self._deviation is None else signal * self._deviation, dtype=np.float32)

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Return the (C, T) signal moved in time and scaled, where the constructor's ``augment`` is set."""
        if not self.augments:
            return value
        most = min(round(self.max_shift_seconds * self._rate), value.shape[1] - 1)
        shift = int(generator.integers(-most, most + 1))
        gain = float(generator.uniform(1 - self.max_gain, 1 + self.max_gain))
        last = value.shape[1] - 1
        index = last - (last - (torch.arange(value.shape[1]) + shift).abs()).abs()
        return value[:, index] * gain

    @property
    def _start(self) -> int:
        return round(self.start_seconds * self._rate)

    def _set_rate(self, raw: RawModality) -> None:
        known = raw.sampling_rate > 0
        if not known and (self.band_hz or self.sampling_rate or self.seconds or self.start_seconds or self.augments):
            raise SpecError(
                f"signal '{raw.name}': its source states no sampling rate, so band_hz, sampling_rate, seconds, "
                "start_seconds and augment cannot be used; set sampling_rate in the source's RawModality"
            )
        self._rate = self.sampling_rate or raw.sampling_rate
        self._ratio = Fraction(1)
        if self.sampling_rate:
            self._ratio = Fraction(self.sampling_rate / raw.sampling_rate).limit_denominator(1000)
            if self._ratio <= 0 or not np.isclose(
                float(self._ratio) * raw.sampling_rate, self.sampling_rate, rtol=1e-6
            ):
                raise SpecError(
                    f"signal '{raw.name}': {raw.sampling_rate:g} Hz cannot be brought to {self.sampling_rate:g} Hz "
                    "by a ratio of whole numbers up to 1000; choose another sampling_rate"
                )
        self._sections = None
        if self.band_hz is None:
            return
        half = min(raw.sampling_rate, self._rate) / 2
        if self.band_hz[1] >= half:
            raise SpecError(
                f"signal '{raw.name}': band_hz {tuple(self.band_hz)} must end below half the rate, {half:g} Hz"
            )
        from mne.filter import create_filter

        design = {"order": FILTER_ORDER, "ftype": "butter", "output": "sos"}
        made = create_filter(
            None, raw.sampling_rate, *self.band_hz, method="iir", iir_params=design, phase="zero", verbose="ERROR"
        )
        self._sections = np.asarray(made["sos"], dtype=np.float64)

    def _checked(self, value: Any) -> npt.NDArray[np.float32]:
        signal = np.asarray(value, dtype=np.float32)
        if signal.ndim != 2 or signal.shape[0] != len(self._channels):
            raise DataError(
                f"signal '{self._name}': got shape {signal.shape}, expected ({len(self._channels)}, times) with the "
                f"channels {self._channels}"
            )
        bad = ~np.isfinite(signal)
        if bad.any():
            channel, time = (int(i) for i in np.argwhere(bad)[0])
            raise DataError(
                f"signal '{self._name}': channel '{self._channels[channel]}' holds {signal[channel, time]} at sample "
                f"{time} ({int(bad.sum())} values are not finite); drop or repair the recording"
            )
        return signal

    def _resampled(self, signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        from scipy import signal as dsp

        if self.reference == "average":
            signal = signal - signal.mean(axis=0, keepdims=True)
        if self._sections is not None:
            longest = signal.shape[1] - 1
            pad = min(3 * (2 * len(self._sections) + 1), longest)
            signal = dsp.sosfiltfilt(self._sections, signal.astype(np.float64), axis=1, padlen=pad)
        if self._ratio != 1:
            signal = dsp.resample_poly(signal, self._ratio.numerator, self._ratio.denominator, axis=1)
        return np.asarray(signal, dtype=np.float32)

    def _window(self, signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        have, length = signal.shape[1], self._shape[1]
        if have < self._start + length or (not self.seconds and have != self._start + length):
            raise DataError(
                f"signal '{self._name}': {have} samples at {self._rate:g} Hz, but the window takes {length} from "
                f"sample {self._start} on; set seconds to at most {max(have - self._start, 0) / (self._rate or 1):g}"
            )
        return signal[:, self._start : self._start + length]
