"""BCI Competition IV, data set 2b: left or right hand motor imagery in EEG of three channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.modalities.whitening import euclidean_alignment
from zoo.contract import Sample
from zoo.errors import DataError, check_choice
from zoo.raw import RawModality, RawTask

CLASSES = ("left", "right")
GROUPINGS = ("subject", "session", "none")
_KEYS = ("x", "y", "subject", "session", "scale", "sfreq", "channels")


@SOURCES.register
class BCIIV2b(Source):
    """Read trials of motor imagery: EEG (3, 400), C3 Cz C4, in uV at 100 Hz, and the hand that was imagined.

    Args:
        folder: folder of the file, below the root.
        file: npz archive of x (N, C, T) whole numbers, scale in uV a unit, y (0 left, 1 right), subject, session,
            sfreq in Hz and channels.
        group_by: what never crosses a split: "subject" (the test split holds unseen subjects), "session" (one
            recording of a subject), or "none".
        align: whiten each session by the mean covariance of its trials (Euclidean alignment; the unit is then "sd"),
            which makes subjects and days alike. No label is used, but all trials of a session are: they must have
            been recorded before the first is classified.

    Raises:
        SpecError: ``group_by`` is none of these.
    """

    def __init__(
        self,
        *,
        folder: str = "bci_iv_2b",
        file: str = "bci4_2b_100hz_int16.npz",
        group_by: Literal["subject", "session", "none"] = "subject",
        align: bool = False,
    ) -> None:
        super().__init__(folder=folder)
        check_choice(self, "group_by", group_by, GROUPINGS)
        self.file, self.group_by, self.align = file, group_by, align
        self.group_unit = group_by
        self.card = SourceCard(
            title="BCI Competition IV data set 2b (Graz), derived: epoched, 100 Hz",
            modalities=(RawModality("eeg", "signal", "sd" if align else "uV", 100.0, ("C3", "Cz", "C4")),),
            tasks=(RawTask("motor_imagery", "classification", CLASSES, ("eeg",)),),
            licence="not stated for the recordings (the repository they were taken from: MIT)",
            access="open",
            citation="Leeb, Brunner, Mueller-Putz, Schloegl, Pfurtscheller, BCI Competition 2008, Graz data set B; "
            "Tangermann et al., Front. Neurosci. 6:55, 2012",
            where="BNCI Horizon 2020, data set 004-2014; epoch it to the layout below",
            layout=f"{file} with the arrays {', '.join(_KEYS)}",
            caution="already band-passed (about 6 to 27 Hz); where the epoch lies from the cue is not documented; "
            "trials of one subject are alike, so split by subject",
            size="9 subjects, 5 sessions each; 5,400 trials of 4 s and 3 channels in the derived file, 10 MB",
        )
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._alignments: dict[int, npt.NDArray[np.float64]] = {}

    def _index(self) -> pd.DataFrame:
        path = self.path / self.file
        arrays = self._arrays = _load(path)
        self.card = replace(
            self.card,
            modalities=(
                replace(
                    self.card.modalities[0],
                    sampling_rate=float(arrays["sfreq"]),
                    features=tuple(str(c) for c in arrays["channels"]),
                ),
            ),
        )
        subject, session = arrays["subject"], arrays["session"]
        table = pd.DataFrame({"trial": np.arange(len(subject)), "person": subject, "recording": session})
        number = table.groupby(["person", "recording"]).cumcount()
        table["id"] = [
            f"subject{p:02d}/session{s:02d}/trial{n:03d}" for p, s, n in zip(subject, session, number, strict=True)
        ]
        names = {
            "subject": [f"subject{p:02d}" for p in subject],
            "session": [f"subject{p:02d}/session{s:02d}" for p, s in zip(subject, session, strict=True)],
        }
        self._names = {name: tuple(sorted(set(values))) for name, values in names.items()}
        for name, values in names.items():
            table[f"{name}_code"] = pd.Categorical(values, categories=list(self._names[name])).codes.astype(int)
        if self.align:
            self._alignments = self._whiten(table["session_code"].to_numpy())
        table["subject"] = ""
        table["group"] = names.get(self.group_by, "")
        table["stratum"] = [CLASSES[k] for k in arrays["y"]]
        table["split"] = ""
        return table

    def _whiten(self, sessions: npt.NDArray[np.int64]) -> dict[int, npt.NDArray[np.float64]]:
        """The matrix (C, C) of each session, from its trials that are finite; ``read`` refuses the others."""
        x = self._arrays["x"] * np.float64(self._arrays["scale"])
        finite = np.isfinite(x).all(axis=(1, 2))
        return {int(k): euclidean_alignment(x[(sessions == k) & finite]) for k in np.unique(sessions[finite])}

    def read(self, row: int) -> Sample:
        """Read one trial: EEG (C, T) in uV, or whitened, its label, and the codes of subject and session."""
        sample = self.peek(row)
        trial = int(self.index["trial"].to_numpy()[row])
        signal = self._arrays["x"][trial].astype(np.float32) * np.float32(self._arrays["scale"])
        if not np.isfinite(signal).all():
            channel = int(np.flatnonzero(~np.isfinite(signal).all(axis=1))[0])
            raise DataError(
                f"channel '{self.card.modalities[0].features[channel]}' is not finite everywhere; drop the trial",
                file=self.path / self.file,
                row=sample.id,
            )
        if self.align:
            signal = (self._alignments[sample.groups["session"]] @ signal).astype(np.float32)
        sample.inputs["eeg"] = signal
        return sample

    def peek(self, row: int) -> Sample:
        """Like ``read``, with None for the EEG."""
        line = self.index.iloc[row]
        groups = {"subject": int(line["subject_code"]), "session": int(line["session_code"])}
        return Sample(line["id"], {"eeg": None}, {"motor_imagery": line["stratum"]}, groups)

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of subjects, and of their sessions."""
        return dict(self._names)


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    if not path.is_file():
        raise DataError("the file does not exist; check the source's 'file' argument", file=path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [k for k in _KEYS if k not in archive.files]
            arrays = {k: archive[k] for k in _KEYS if k in archive.files}
    except Exception as error:
        raise DataError(f"not a readable npz archive of plain arrays ({error}); get it again", file=path) from error
    if missing:
        raise DataError(f"the archive lacks the arrays {missing}; expected {_KEYS}", file=path)
    kinds = {"x": "iuf", "channels": "US", "scale": "iuf", "sfreq": "iuf"}
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds.get(key, array.dtype.kind):
            held = array.dtype if isinstance(array, np.ndarray) else "no array"
            raise DataError(f"'{key}' is of type {held}; get the archive again", file=path)
    x, n = arrays["x"], len(arrays["x"]) if arrays["x"].ndim else 0
    if x.ndim != 3 or 0 in x.shape or x.shape[1] != arrays["channels"].size:
        raise DataError(
            f"x has shape {x.shape}; expected (trials, {arrays['channels'].size} channels, times)", file=path
        )
    for key in ("y", "subject", "session"):
        if arrays[key].shape != (n,) or arrays[key].dtype.kind not in "iu":
            raise DataError(
                f"{key} has shape {arrays[key].shape} and type {arrays[key].dtype}; expected {n} whole numbers",
                file=path,
            )
    for key in ("scale", "sfreq"):
        if arrays[key].shape != () or not (np.isfinite(arrays[key]) and arrays[key] > 0):
            raise DataError(f"{key} is {arrays[key]}; expected one number above 0", file=path)
    outside = np.flatnonzero(~np.isin(arrays["y"], range(len(CLASSES))))
    if len(outside):
        value = arrays["y"][outside[0]]
        raise DataError(f"the label {value} is no class; 0 is left and 1 is right", file=path, row=int(outside[0]))
    return arrays
