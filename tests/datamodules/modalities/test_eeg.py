"""SignalProcessor against SciPy, and by what it must refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal as dsp

from datamodules.modalities.eeg import SignalProcessor
from tests.options import grouped_for
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality

RAW = RawModality("eeg", "signal", "uV", 100.0, ("C3", "Cz", "C4"))


def waves(n: int = 5, length: int = 400, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(0, 10, (3, length)).astype(np.float32) for _ in range(n)]


def fitted(values: list[np.ndarray] | None = None, **arguments: object) -> SignalProcessor:
    processor = SignalProcessor(**grouped_for(SignalProcessor, **arguments))  # type: ignore[arg-type]
    processor.fit(RAW, values or waves())
    return processor


def test_default_keeps_the_signal():
    value = waves()[1]
    processor = fitted()
    spec = processor.spec(RAW)
    assert (spec.shape, spec.unit, spec.sampling_rate, spec.features) == ((3, 400), "uV", 100.0, ("C3", "Cz", "C4"))
    assert torch.equal(processor(value), torch.from_numpy(value))
    assert processor(value).dtype == torch.float32


def test_band_pass_is_scipys_zero_phase_butterworth():
    value = waves()[0]
    sections = dsp.butter(4, (8, 12), btype="bandpass", fs=100, output="sos")
    expected = dsp.sosfiltfilt(sections, value.astype(float), axis=1)
    got = fitted(band_hz=(8, 12))(value).numpy()
    np.testing.assert_allclose(got[:, 50:350], expected[:, 50:350], rtol=1e-3, atol=1e-2)


def test_band_pass_keeps_what_is_inside_and_removes_what_is_outside():
    time = np.arange(400) / 100
    inside, outside = (np.tile(np.sin(2 * np.pi * f * time), (3, 1)).astype(np.float32) for f in (10, 40))
    processor = fitted(band_hz=(8.0, 12.0))
    middle = slice(100, 300)
    assert processor(inside)[:, middle].std() == pytest.approx(inside[:, middle].std(), rel=0.02)
    assert processor(outside)[:, middle].std() < 1e-3


def test_resampling_is_scipys():
    value = waves()[0]
    processor = fitted(sampling_rate=80.0)
    assert processor.spec(RAW).shape == (3, 320)
    assert processor.spec(RAW).sampling_rate == 80.0
    np.testing.assert_allclose(processor(value).numpy(), dsp.resample_poly(value, 4, 5, axis=1), atol=1e-5)


def test_window_and_common_average():
    value = waves()[0]
    got = fitted(seconds=1.5, start_seconds=0.5, reference="average")(value).numpy()
    np.testing.assert_allclose(got, (value - value.mean(0))[:, 50:200], atol=1e-5)


def test_longer_recordings_are_cut_only_where_seconds_is_given():
    long = waves(1, 500)[0]
    assert fitted(seconds=2.0)(long).shape == (3, 200)
    with pytest.raises(DataError, match="set seconds to at most 5"):
        fitted()(long)
    with pytest.raises(DataError, match="100 samples at 100 Hz"):
        fitted(seconds=2.0)(long[:, :100])


def test_scale_is_the_deviation_of_training_signals():
    train = waves(8)
    processor = fitted(train, scale="training")
    deviation = np.stack(train).std(axis=(0, 2))
    np.testing.assert_allclose(processor(train[0]).numpy(), train[0] / deviation[:, None], rtol=1e-4)
    assert processor.spec(RAW).unit == "sd"
    assert processor.fits
    assert not fitted().fits


def test_fit_reads_nothing_but_its_values():
    train, other = waves(4), waves(4, seed=9)
    processor = fitted(train, scale="training")
    before = processor(train[0])
    for value in other:
        processor(value * 1000)
    assert torch.equal(before, processor(train[0]))


def test_augmentation_is_off_by_default_and_a_function_of_the_generator():
    value = fitted()(waves()[0])
    assert fitted().augment(value, np.random.default_rng(0)) is value
    processor = fitted(augment=True, max_shift_seconds=0.2, max_gain=0.2)
    first, again, other = (processor.augment(value, np.random.default_rng(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == value.shape
    assert first.dtype == torch.float32


def test_augmentation_moves_and_scales():
    ramp = torch.arange(300, dtype=torch.float32).repeat(3, 1)
    processor = fitted(augment=True, max_gain=0.0, max_shift_seconds=0.1)
    for seed in range(20):
        got = processor.augment(ramp, np.random.default_rng(seed))
        shift = int(got[0, 100]) - 100
        assert abs(shift) <= 10
        assert torch.equal(got[:, 20:280], ramp[:, 20:280] + shift)
        assert 0 <= got.min() <= got.max() <= 299
    gains = [
        float(fitted(augment=True, max_gain=0.3, max_shift_seconds=0.0).augment(ramp, np.random.default_rng(s))[0, 1])
        for s in range(50)
    ]
    assert 0.7 <= min(gains) < 0.8
    assert 1.2 < max(gains) <= 1.3


def test_bad_signals_name_the_channel():
    value = waves()[0]
    value[2, 7] = np.nan
    with pytest.raises(DataError, match="channel 'C4' holds nan at sample 7"):
        fitted()(value)
    with pytest.raises(DataError, match=r"got shape \(2, 400\), expected \(3, times\)"):
        fitted()(waves()[0][:2])
    with pytest.raises(DataError, match="constant in training"):
        fitted([np.zeros((3, 50), dtype=np.float32)], scale="training")
    with pytest.raises(DataError, match="not empty"):
        fitted([np.zeros((3, 0), dtype=np.float32)])


@pytest.mark.parametrize(
    "arguments",
    [
        {"band_hz": (12.0, 8.0)},
        {"band_hz": (8.0, 50.0)},
        {"band_hz": (8.0, 30.0), "sampling_rate": 50.0},
        {"seconds": -1.0},
        {"max_gain": 1.0},
        {"reference": "linked"},
        {"scale": "test"},
        {"sampling_rate": float("nan")},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(SpecError):
        fitted(**arguments)


def test_a_source_without_a_rate():
    silent = RawModality("ecg", "signal", "mV")
    processor = SignalProcessor()
    processor.fit(silent, waves())
    assert processor.spec(silent).features == ("channel 0", "channel 1", "channel 2")
    with pytest.raises(SpecError, match="states no sampling rate"):
        SignalProcessor(seconds=1.0).fit(silent, waves())
    with pytest.raises(SpecError, match="only after fit"):
        SignalProcessor().spec(silent)
