"""EEG: a dipole in a sphere, rhythms in the right place, and the hand in the band power."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from datamodules.phantom.eeg import CHANNELS, SAMPLING_RATE, lead_field, render_eeg
from datamodules.phantom.latent import draw_patient
from zoo.errors import SpecError


def _band(signal: np.ndarray, low: float, high: float) -> np.ndarray:
    power = np.abs(np.fft.rfft(signal * np.hanning(signal.shape[-1]), axis=-1)) ** 2
    frequency = np.fft.rfftfreq(signal.shape[-1], 1 / SAMPLING_RATE)
    return np.asarray(power[..., (frequency >= low) & (frequency <= high)].mean(-1))


def test_the_signal_is_a_function_of_the_patient() -> None:
    patient = draw_patient(0, 3)
    first = render_eeg(patient)
    render_eeg(draw_patient(0, 4))
    assert first.dtype == np.float32
    assert first.shape == (8, 200)
    np.testing.assert_array_equal(first, render_eeg(patient))
    assert render_eeg(patient, samples=256).shape == (8, 256)
    assert not np.array_equal(first, render_eeg(draw_patient(1, 3)))


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(SpecError, match="at least 50"):
        render_eeg(draw_patient(0, 0), samples=10)


def test_each_hand_area_is_strongest_at_the_electrode_above_it() -> None:
    field = lead_field()
    assert CHANNELS[int(np.abs(field[:, 0]).argmax())] == "C3"
    assert CHANNELS[int(np.abs(field[:, 1]).argmax())] == "C4"
    assert CHANNELS[int(np.abs(field[:, 2]).argmax())] == "Pz"
    np.testing.assert_allclose(field.sum(0), 0.0, atol=1e-12)  # average reference


def test_mu_falls_opposite_to_the_imagined_hand() -> None:
    c3, c4 = CHANNELS.index("C3"), CHANNELS.index("C4")
    left: list[float] = []
    right: list[float] = []
    for i in range(120):
        patient = draw_patient(2, i)
        for hand, store in ((0, left), (1, right)):
            power = np.log(_band(render_eeg(replace(patient, hand=hand)), 8, 12))
            store.append(power[c3] - power[c4])
    assert np.mean(left) > 0.6  # a left hand silences C4
    assert np.mean(right) < -0.6


def test_power_falls_with_frequency_and_stays_physiological() -> None:
    signals = np.stack([render_eeg(draw_patient(3, i)) for i in range(60)])
    assert 2.0 < signals.std() < 20.0  # uV
    outside = [_band(signals, low, high).mean() for low, high in ((2, 5), (13, 16), (30, 35), (42, 48))]
    assert outside == sorted(outside, reverse=True)


def test_log_band_power_tells_left_from_right() -> None:
    patients = [draw_patient(0, i) for i in range(500)]
    signals = np.stack([render_eeg(p) for p in patients])
    features = np.log(np.concatenate([_band(signals, 8, 13), _band(signals, 16, 25)], axis=1))
    model = LogisticRegression(max_iter=1000)
    assert cross_val_score(model, features, [p.hand for p in patients], cv=4).mean() > 0.85
    assert cross_val_score(model, features, [p.calcification for p in patients], cv=4).mean() < 0.6
