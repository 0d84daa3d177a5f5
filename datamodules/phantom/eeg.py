"""Motor-imagery EEG of a virtual patient: cortical dipoles through a spherical head model."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from datamodules.phantom.latent import Patient
from zoo.errors import SpecError

CHANNELS = ("F3", "F4", "C3", "Cz", "C4", "P3", "P4", "Pz")
"""Electrodes of the standard 10-20 system, in the order of the rows."""
SAMPLING_RATE = 100.0
"""Sampling rate in Hz."""

_HEAD_CENTRE = np.array([0.0, 0.0, 0.04])
_HEAD_RADIUS = 0.09
_BACKGROUND = 24
_MU_NAM, _BETA_NAM, _ALPHA_NAM, _BACKGROUND_NAM = 55.0, 18.0, 25.0, 22.0
_SENSOR_UV = 0.6


def _directions(count: int) -> npt.NDArray[np.float64]:
    """Return (count, 3) unit vectors spread over the upper part of a sphere (a Fibonacci spiral)."""
    step = np.arange(count) + 0.5
    z = 1.0 - 1.2 * step / count
    turn = step * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(1.0 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)


@lru_cache(maxsize=1)
def lead_field() -> npt.NDArray[np.float64]:
    """Compute the potential of every source at every electrode, once a process.

    Sources: left hand area (below C3), right hand area (below C4), parietal midline (below Pz), then the
    background dipoles. Four-shell sphere of 9 cm radius, as MNE implements it (Berg and Scherg 1994);
    potentials are referenced to the average of the electrodes.

    Returns:
        (8, 27) in uV per nAm, read-only.
    """
    import mne

    info = mne.create_info(list(CHANNELS), SAMPLING_RATE, "eeg", verbose="error")
    info.set_montage("standard_1020", verbose="error")
    toward = np.stack([info["chs"][CHANNELS.index(c)]["loc"][:3] - _HEAD_CENTRE for c in ("C3", "C4", "Pz")])
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    shell = _directions(_BACKGROUND)
    where = np.concatenate([_HEAD_CENTRE + 0.068 * toward, _HEAD_CENTRE + 0.062 * shell])
    tilt = np.random.default_rng(20).normal(size=shell.shape)
    normal = np.concatenate([toward, shell + 0.8 * tilt])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    sphere = mne.make_sphere_model(r0=_HEAD_CENTRE, head_radius=_HEAD_RADIUS, verbose="error")
    sources = mne.setup_volume_source_space(
        pos={"rr": where, "nn": normal}, sphere=sphere, mindist=0.0, verbose="error"
    )
    forward = mne.make_forward_solution(
        info, trans=None, src=sources, bem=sphere, meg=False, eeg=True, verbose="error"
    )
    free = np.asarray(forward["sol"]["data"], dtype=np.float64).reshape(len(CHANNELS), len(where), 3)
    field: npt.NDArray[np.float64] = np.einsum("cnk,nk->cn", free, normal) * 1e-3  # V/Am = 1e-3 uV/nAm
    field -= field.mean(axis=0, keepdims=True)
    field.setflags(write=False)
    return field


def _pink(generator: np.random.Generator, rows: int, samples: int) -> npt.NDArray[np.float64]:
    """Draw (rows, samples) noise of unit variance whose power falls as 1/f."""
    frequency = np.fft.rfftfreq(samples, 1.0 / SAMPLING_RATE)
    weight = 1.0 / np.sqrt(np.maximum(frequency, 1.0))
    weight[0] = 0.0
    spectrum = generator.normal(size=(2, rows, len(frequency)))
    noise = np.fft.irfft((spectrum[0] + 1j * spectrum[1]) * weight, n=samples, axis=1)
    return np.asarray(noise / noise.std(axis=1, keepdims=True))


def _rhythm(generator: np.random.Generator, hertz: float, rows: int, samples: int) -> npt.NDArray[np.float64]:
    """Draw (rows, samples) oscillations near ``hertz`` with a random phase and a slow waxing and waning."""
    time = np.arange(samples) / SAMPLING_RATE
    carrier = hertz + generator.normal(0.0, 0.04 * hertz, (rows, 1))
    slow = generator.uniform(0.3, 1.0, (rows, 1))
    phase = generator.uniform(0.0, 2.0 * np.pi, (2, rows, 1))
    envelope = 1.0 + 0.4 * np.cos(2.0 * np.pi * slow * time + phase[1])
    return np.asarray(envelope * np.cos(2.0 * np.pi * carrier * time + phase[0]))


def render_eeg(patient: Patient, samples: int = 200) -> npt.NDArray[np.float32]:
    """Return (8, samples) EEG in uV at 100 Hz while the patient imagines moving ``patient.hand``.

    Mu (10 Hz) and beta (20 Hz) rhythms live in both hand areas; they lose amplitude opposite to the
    imagined hand (event-related desynchronisation, Pfurtscheller and Lopes da Silva 1999). A parietal alpha
    rhythm, 1/f background sources and sensor noise know nothing of the hand.

    Raises:
        SpecError: fewer than 50 samples (half a second), too few to hold the rhythms.
    """
    if samples < 50:
        raise SpecError(f"render_eeg: samples must be at least 50 (0.5 s at 100 Hz), got {samples}")
    generator = patient.generator("eeg")
    opposite = 1 - patient.hand  # source 0 is the left hemisphere; a left hand (0) acts on the right one (1)
    keep = 1.0 - generator.uniform(0.0, 0.15, 2)
    keep[opposite] = 1.0 - generator.uniform(0.35, 0.65)
    keep *= np.exp(generator.normal(0.0, 0.25, 2))  # the two hemispheres are never equally strong
    hands = keep[:, None] * (
        _MU_NAM * _rhythm(generator, 10.0, 2, samples) + _BETA_NAM * _rhythm(generator, 20.0, 2, samples)
    )
    alpha = _ALPHA_NAM * generator.uniform(0.3, 1.0) * _rhythm(generator, 10.0, 1, samples)
    background = _BACKGROUND_NAM * _pink(generator, _BACKGROUND, samples)
    signal = lead_field() @ np.concatenate([hands, alpha, background])
    signal += generator.normal(0.0, _SENSOR_UV, signal.shape)
    return np.asarray(signal, dtype=np.float32)
