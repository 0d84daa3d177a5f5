"""Signals: spatial filters and band power, the standard pipelines of motor imagery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.baselines.base import BASELINES, FeatureBaseline
from zoo.contract import TaskSpec
from zoo.errors import DataError, SpecError
from zoo.tasks.readout import Matrix, Readout

BANDS = ((8.0, 12.0), (12.0, 16.0), (16.0, 30.0))
"""Bands in Hz: mu, low beta and high beta."""
ALL_BANDS = ((1.0, 4.0), (4.0, 8.0), *BANDS, (30.0, 45.0))
"""Bands in Hz for tasks other than motor imagery: delta and theta below, gamma above."""
FILTERS = 6
"""Spatial filters a band at most."""
TINY = 1e-20

Signal = npt.NDArray[np.float32]


class SignalBaseline(FeatureBaseline):
    """What signal baselines share: a filter bank over rows (C, T) of any T."""

    modality_kinds = ("signal",)
    bands: tuple[tuple[float, float], ...] = ALL_BANDS

    def __init__(self, task: TaskSpec, modality: str, seed: int = 0, sampling_rate: float = 0.0) -> None:
        super().__init__(task, modality, seed, sampling_rate)
        if not sampling_rate > 0:
            raise SpecError(f"{type(self).__name__} of '{modality}' needs sampling_rate in Hz, got {sampling_rate}")
        half = sampling_rate / 2
        self.used = tuple((a, min(b, 0.95 * half)) for a, b in self.bands if a < 0.9 * half)
        if not self.used:
            raise SpecError(
                f"{type(self).__name__}: no band of {self.bands} Hz lies below half the sampling rate of "
                f"'{modality}', {sampling_rate} Hz"
            )

    def filtered(self, signals: npt.NDArray[Any]) -> list[npt.NDArray[np.float64]]:
        """Band-pass (N, C, T) forth and back (Butterworth, order 4): one array a band."""
        from scipy.signal import butter, sosfiltfilt

        pad = min(signals.shape[-1] - 1, int(self.sampling_rate))
        banks = [butter(4, band, "bandpass", fs=self.sampling_rate, output="sos") for band in self.used]
        return [sosfiltfilt(sos, signals.astype(np.float64), axis=-1, padlen=pad) for sos in banks]

    def stacks(self, values: Sequence[Signal]) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Group rows of one shape: (row numbers, (n, C, T)).

        Raises:
            DataError: rows have different numbers of channels.
        """
        channels = sorted({v.shape[0] for v in values})
        if len(channels) > 1:
            raise DataError(f"signals '{self.modality}' of {channels} channels; one spatial filter takes one number")
        lengths = np.array([v.shape[1] for v in values])
        groups = [np.flatnonzero(lengths == n) for n in np.unique(lengths)]
        return [(rows, np.stack([values[i] for i in rows.tolist()])) for rows in groups]


@BASELINES.register
class CSPBaseline(SignalBaseline):
    """Common spatial patterns in three bands, log power, linear discriminant analysis.

    With few channels the filters are as many as channels, and it is log band power after a rotation.
    """

    task_kinds = ("classification", "ordinal")
    bands = BANDS
    citation = (
        "Blankertz et al., Optimizing spatial filters for robust EEG single-trial analysis, IEEE SPM 25:41, 2008; "
        "Ang et al., Filter bank common spatial pattern, IJCNN 2008"
    )
    _filters: list[Any] | None = None

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N signals to (N, bands x filters) log powers."""
        from mne.decoding import CSP
        from mne.utils import use_log_level

        stacks = self.stacks(values)
        with use_log_level("ERROR"):
            if target is not None:
                shortest = min(signals.shape[-1] for _, signals in stacks)
                rows = np.concatenate([r for r, _ in stacks])
                whole = self.filtered(np.concatenate([s[..., :shortest] for _, s in stacks]))
                filters = min(FILTERS, whole[0].shape[1])
                codes = target.numpy()[rows]
                self._filters = [CSP(n_components=filters, reg=1e-6, log=True).fit(x, codes) for x in whole]
            out = np.zeros((len(values), sum(f.n_components for f in self._filters or [])))
            for rows, signals in stacks:
                bands = zip(self._filters or [], self.filtered(signals), strict=True)
                out[rows] = np.concatenate([f.transform(x) for f, x in bands], 1)
        return out

    def readout(self, features: Matrix, target: Tensor) -> Readout:
        """Fit the discriminant."""
        return discriminant(features, target.numpy(), self.task.num_outputs)


def discriminant(features: Matrix, codes: npt.NDArray[np.int64], classes: int) -> Readout:
    """Linear discriminant analysis with a shrunken covariance (Ledoit and Wolf 2004), as probabilities (N, K).

    Args:
        features: (N, F) training rows.
        codes: (N,) their classes.
        classes: K, the number of classes.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features, codes)

    def predict(x: Matrix) -> npt.NDArray[np.float64]:
        out = np.zeros((len(x), classes))
        out[:, model.classes_] = model.predict_proba(x)
        return out

    return predict


@BASELINES.register
class BandPowerBaseline(SignalBaseline):
    """Log power of every channel in six bands, standardised, then a linear model."""

    citation = (
        "Pfurtscheller and Lopes da Silva, Event-related EEG/MEG synchronization, Clin. Neurophysiol. 110, 1999"
    )
    _scaler: Any = None

    def features(self, values: Sequence[Any], target: Tensor | None = None) -> Matrix:
        """Map N signals to (N, bands x channels) standardised log powers."""
        from sklearn.preprocessing import StandardScaler

        out = np.zeros((len(values), len(self.used) * values[0].shape[0]))
        for rows, signals in self.stacks(values):
            powers = [np.log((x**2).mean(-1) + TINY) for x in self.filtered(signals)]
            out[rows] = np.concatenate(powers, 1)
        if target is not None:
            self._scaler = StandardScaler().fit(out)
        return self._scaler.transform(out)
