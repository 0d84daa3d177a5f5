"""The simulated cohort: virtual patients, their visits, and the labels that follow from them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.core.source import SOURCES, Source, SourceCard
from datamodules.phantom import eeg, latent, scrna
from datamodules.phantom.ct import render_ct
from datamodules.phantom.design import TASK_MODALITIES
from datamodules.phantom.dna import expression, render_dna
from datamodules.phantom.eeg import render_eeg
from datamodules.phantom.fundus import render_fundus
from datamodules.phantom.hand import render_hand
from datamodules.phantom.latent import Patient, draw_patient
from datamodules.phantom.mri import render_brain_mri, render_mri
from datamodules.phantom.notes import render_note
from datamodules.phantom.oct import render_oct
from datamodules.phantom.pathology import render_pathology
from datamodules.phantom.protein import render_protein
from datamodules.phantom.questions import render_question
from datamodules.phantom.scrna import render_scrna
from datamodules.phantom.xray import render_xray
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, unknown_name
from zoo.raw import RawModality, RawTask

VISITS: dict[str, tuple[str, ...]] = {
    "general": (
        "xray",
        "ct",
        "mri",
        "oct",
        "fundus",
        "pathology",
        "text",
        "genomics",
        "protein",
        "scrna",
        "question",
    ),
    "neuro": ("mri", "eeg"),
    "hand": ("xray",),
}
"""Visit -> the modalities that it can hold. A patient has at most one visit of each type."""
VISIT_TASKS: dict[str, tuple[str, ...]] = {
    "general": (
        "disease",
        "radiographic_findings",
        "breast_cancer",
        "retinopathy",
        "cell_type",
        "expression",
        "structure",
        "vqa",
        "response",
    ),
    "neuro": ("brain_tumor", "motor_imagery"),
    "hand": ("bone_age",),
}
"""Visit -> the tasks that it can be labelled for."""
ASKABLE = ("ct", "xray", "mri")
"""Images that a question can be about."""
MEMORY_BYTES = 512 * 2**20
"""Rows are kept in memory up to this size; further rows are rendered (or read from ``cache``) each time."""

_MODALITIES = (
    RawModality("text", "text"),
    RawModality("oct", "image"),
    RawModality("xray", "image"),
    RawModality("ct", "image", unit="HU"),
    RawModality("mri", "image", "relative intensity"),
    RawModality("pathology", "image"),
    RawModality("eeg", "signal", unit="uV", sampling_rate=eeg.SAMPLING_RATE, features=eeg.CHANNELS),
    RawModality("genomics", "dna"),
    RawModality("scrna", "expression", unit="counts", features=scrna.GENES),
    RawModality("protein", "protein"),
    RawModality("fundus", "image"),
    RawModality("question", "text"),
)
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "disease": ("classification", latent.DISEASES),
    "brain_tumor": ("classification", latent.BRAIN_TUMOURS),
    "breast_cancer": ("classification", latent.MALIGNANCY),
    "radiographic_findings": ("multilabel", latent.FINDINGS),
    "bone_age": ("ordinal", latent.BONE_AGES),
    "retinopathy": ("ordinal", latent.RETINOPATHY),
    "motor_imagery": ("classification", latent.HANDS),
    "cell_type": ("classification", latent.CELL_TYPES),
    "expression": ("regression", ("promoter_activity",)),
    "structure": ("structure", ()),
    "vqa": ("vqa", ()),
    "response": ("classification", latent.RESPONSES),
}
_READS = {"structure": "protein", "vqa": "question"}
_UNITS = {"structure": "angstrom", "expression": "ln occupancy"}
IMAGES: dict[tuple[str, str], Callable[[Patient, int], npt.NDArray[Any]]] = {
    ("general", "xray"): render_xray,
    ("general", "ct"): render_ct,
    ("general", "mri"): render_mri,
    ("general", "oct"): render_oct,
    ("general", "fundus"): render_fundus,
    ("general", "pathology"): render_pathology,
    ("neuro", "mri"): render_brain_mri,
    ("hand", "xray"): render_hand,
}
_LABELS: dict[str, Callable[[Patient], object]] = {
    "disease": lambda p: latent.DISEASES[p.disease],
    "brain_tumor": lambda p: latent.BRAIN_TUMOURS[p.brain_tumour],
    "breast_cancer": lambda p: latent.MALIGNANCY[p.malignant],
    "radiographic_findings": lambda p: {
        "lesion": int(latent.DISEASES[p.disease] in ("cyst", "hemorrhage")),  # what CT would show
        "calcification": p.calcification,
        "effusion": p.effusion,
    },
    "bone_age": lambda p: latent.BONE_AGES[p.bone_age],
    "retinopathy": lambda p: latent.RETINOPATHY[p.retinopathy],
    "motor_imagery": lambda p: latent.HANDS[p.hand],
    "cell_type": lambda p: latent.CELL_TYPES[p.cell_type],
    "expression": lambda p: {"promoter_activity": expression(p, render_dna(p))},
    "structure": lambda p: _structure(render_protein(p)[1]),
    "response": lambda p: latent.RESPONSES[p.response],
}


def _structure(atoms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Append the resolved mark 1 to (L, 3) coordinates: (L, 4)."""
    return np.concatenate([atoms, np.ones((len(atoms), 1), np.float32)], axis=1)


def visits(patient: Patient, presence: float) -> dict[str, tuple[str, ...]]:
    """Return visit -> modalities drawn as present, each with probability ``presence``; never none in general.

    A question needs an image of the same visit, so it falls away where there is none.
    """
    g = patient.generator("visits")
    drawn = {
        visit: [m for m, u in zip(names, g.uniform(size=len(names)), strict=True) if u < presence]
        for visit, names in VISITS.items()
    }
    general = drawn["general"]
    spare = VISITS["general"][int(g.integers(len(VISITS["general"]) - 1))]  # not the question, which is last
    if not set(general) - {"question"}:
        general.append(spare)
    if not set(general) & set(ASKABLE) and "question" in general:
        general.remove("question")
    return {visit: tuple(names) for visit, names in drawn.items() if names}


def asked_image(patient: Patient, present: tuple[str, ...]) -> str:
    """Return which of the images ``present`` the question is about; "" where there is none."""
    order = patient.generator("asked").permutation(len(ASKABLE))
    return next((ASKABLE[i] for i in order if ASKABLE[i] in present), "")


def _chosen(what: str, names: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """Check ``names`` (None for all) and return them in the order of ``known``."""
    if names is None:
        return known
    for name in names:
        if name not in known:
            raise unknown_name(what, name, known)
    return tuple(name for name in known if name in names)


@SOURCES.register
class PhantomCohort(Source):
    """Simulated patients with every modality and task; a row is a pure function of seed, patient and arguments.

    A patient has up to three visits (general, neuro, hand), one row each, all in the same group. A row is
    labelled for a task only if it holds an informative modality (see phantom.design), and for tasks that read
    a modality only with that one.

    Args:
        n: number of patients.
        seed: seed of the cohort; cohorts of different seeds share no patient.
        size: height and width of the images in pixels.
        modalities: the modalities to render and list; None for all. Rows left without input are not listed.
        tasks: the tasks to label and list; None for all that the modalities can inform.
        presence: probability of each modality in a visit, above 0 and at most 1.
        cache: folder for rendered rows (one npz file a row, no pickle); "" keeps rows in memory only.

    Raises:
        UnknownNameError: an unknown modality or task.
        SpecError: ``n``, ``seed``, ``size`` or ``presence`` is out of range, or none of the modalities can
            inform one of the named tasks.
    """

    group_unit = "patient"

    def __init__(
        self,
        *,
        n: int = 1200,
        seed: int = 0,
        size: int = 32,
        modalities: list[str] | None = None,
        tasks: list[str] | None = None,
        presence: float = 0.4,
        cache: str = "",
    ) -> None:
        super().__init__()
        for what, value, least in (("n", n, 1), ("seed", seed, 0), ("size", size, 16)):
            if value < least:
                raise SpecError(f"PhantomCohort: {what} must be at least {least}, got {value}")
        if not 0.0 < presence <= 1.0:
            raise SpecError(f"PhantomCohort: presence must be above 0 and at most 1, got {presence}")
        self.n, self.seed, self.size, self.presence, self.cache = n, seed, size, float(presence), cache
        self.modalities = _chosen("modality", modalities, tuple(m.name for m in _MODALITIES))
        chosen = _chosen("task", tasks, tuple(_KINDS))
        self.tasks = tuple(t for t in chosen if _reachable(t, self.modalities))
        if tasks is not None and self.tasks != chosen:
            lost = next(t for t in chosen if t not in self.tasks)
            raise SpecError(
                f"PhantomCohort: no row of the modalities {list(self.modalities)} can be labelled for task '{lost}'; "
                f"add what it needs (one of {TASK_MODALITIES[lost]}"
                + (f", and '{_READS[lost]}', which it reads)" if lost in _READS else ")")
            )
        self.card = _card(self.modalities, self.tasks)
        self._rows: dict[int, Sample] = {}
        self._bytes = 0

    def _inputs(self, patient: Patient, visit: str) -> tuple[str, ...]:
        """Modalities of a visit that are present and chosen."""
        present = [m for m in visits(patient, self.presence).get(visit, ()) if m in self.modalities]
        if "question" in present and not set(present) & set(ASKABLE):
            present.remove("question")
        return tuple(present)

    def _index(self) -> pd.DataFrame:
        rows: list[dict[str, object]] = []
        for number in range(self.n):
            patient = draw_patient(self.seed, number)
            for visit in VISITS:
                if self._inputs(patient, visit):
                    rows.append(
                        {
                            "id": f"s{self.seed}-p{number:06d}-{visit}",
                            "subject": "",
                            "group": f"s{self.seed}-p{number:06d}",
                            "stratum": latent.DISEASES[patient.disease] if visit == "general" else visit,
                            "split": "",
                            "patient": number,
                            "visit": visit,
                        }
                    )
        columns = ["id", "subject", "group", "stratum", "split", "patient", "visit"]
        return pd.DataFrame(rows, columns=columns)

    def read(self, row: int) -> Sample:
        """Read one visit; arrays are fresh copies.

        Raises:
            DataError: a cache file is damaged.
        """
        if row not in self._rows:
            line = self.index.iloc[row]
            sample = self._load(str(line["id"]), int(line["patient"]), str(line["visit"]))
            size = sum(v.nbytes for v in (*sample.inputs.values(), *sample.targets.values()) if hasattr(v, "nbytes"))
            if self._bytes + size > MEMORY_BYTES:
                return sample
            self._rows[row], self._bytes = sample, self._bytes + size
        kept = self._rows[row]
        return Sample(kept.id, _copy(kept.inputs), _copy(kept.targets), dict(kept.groups))

    def group_names(self) -> dict[str, tuple[str, ...]]:
        """Names of organs and cell types; only general visits carry these codes."""
        return {"organ": latent.ORGANS, "cell_type": latent.CELL_TYPES}

    def _render(self, name: str, number: int, visit: str) -> Sample:
        """Render one visit."""
        patient = draw_patient(self.seed, number)
        present = self._inputs(patient, visit)
        sample = Sample(name, groups={"organ": patient.organ, "cell_type": patient.cell_type})
        if visit != "general":
            sample.groups = {}
        reply = ""
        for modality in present:
            if modality == "question":
                sample.inputs[modality], reply = render_question(patient, asked_image(patient, present))
            else:
                sample.inputs[modality] = render_input(patient, visit, modality, self.size)
        for task in self.tasks:
            if task in VISIT_TASKS[visit] and _informed(task, present):
                sample.targets[task] = reply if task == "vqa" else _LABELS[task](patient)
        return sample

    def _load(self, name: str, number: int, visit: str) -> Sample:
        """Read one visit from the cache folder, rendering and writing it first where it is not there."""
        if not self.cache:
            return self._render(name, number, visit)
        choice = json.dumps([self.modalities, self.tasks])
        key = hashlib.sha256(choice.encode()).hexdigest()[:10]
        folder = f"phantom-v{latent.VERSION}-seed{self.seed}-size{self.size}-presence{self.presence!r}-{key}"
        file = Path(self.cache) / folder / f"{name}.npz"
        if not file.exists():
            sample = self._render(name, number, visit)
            _write(file, sample)
            return sample
        return _read(file, name)


def _informed(task: str, present: tuple[str, ...]) -> bool:
    """Whether a visit with the modalities ``present`` is labelled for ``task``."""
    return bool(set(TASK_MODALITIES[task]) & set(present)) and _READS.get(task, present[0]) in present


def render_input(patient: Patient, visit: str, modality: str, size: int) -> object:
    """Render one modality of one visit, the question apart.

    Args:
        patient: the virtual patient.
        visit: name of the visit.
        modality: to render.
        size: side of images, in pixels.
    """
    if (visit, modality) in IMAGES:
        return IMAGES[visit, modality](patient, size)
    if modality == "protein":
        return render_protein(patient)[0]
    others: dict[str, Callable[[Patient], object]] = {
        "text": render_note,
        "genomics": render_dna,
        "scrna": render_scrna,
        "eeg": render_eeg,
    }
    return others[modality](patient)


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.copy() if isinstance(v, (np.ndarray, dict)) else v for k, v in values.items()}


def _write(file: Path, sample: Sample) -> None:
    """Write one row to ``file`` in one step: other processes see the whole file or none."""
    arrays: dict[str, Any] = {f"input/{k}": np.asarray(v) for k, v in sample.inputs.items()}
    arrays |= {f"target/{k}": np.asarray(v) for k, v in sample.targets.items() if not isinstance(v, dict)}
    tables = {k: v for k, v in sample.targets.items() if isinstance(v, dict)}
    arrays["rest"] = np.asarray(json.dumps({"groups": sample.groups, "tables": tables}))
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, **arrays)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(file: Path, name: str) -> Sample:
    """Read what ``_write`` wrote."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {k: archive[k] for k in archive.files}
        rest = json.loads(str(arrays.pop("rest")))
        sample = Sample(name, targets=dict(rest["tables"]), groups=dict(rest["groups"]))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"the cached row is damaged ({error}); delete the file to render it again", file=file
        ) from error
    for key, value in arrays.items():
        part, _, field = key.partition("/")
        (sample.inputs if part == "input" else sample.targets)[field] = str(value) if value.ndim == 0 else value
    return sample


def _card(modalities: tuple[str, ...], tasks: tuple[str, ...]) -> SourceCard:
    """Card of a cohort with these modalities and tasks."""
    listed = [
        RawTask(
            name,
            _KINDS[name][0],
            classes=_KINDS[name][1],
            modalities=tuple(m for m in TASK_MODALITIES[name] if m in modalities),
            reads=_READS.get(name, ""),
            unit=_UNITS.get(name, ""),
        )
        for name in tasks
    ]
    return SourceCard(
        title=f"Phantom cohort, simulator version {latent.VERSION}",
        modalities=tuple(m for m in _MODALITIES if m.name in modalities),
        tasks=tuple(listed),
        licence="same as this code",
        access="simulated",
        citation="datamodules.phantom of this repository",
        where="nothing to get: rows are rendered on demand",
        layout="no files",
        caution="Simulated: results say what a model can learn, nothing about patients. See phantom.design.",
    )


def _reachable(task: str, modalities: tuple[str, ...]) -> bool:
    """Whether any visit with the chosen modalities can be labelled for ``task``."""
    visit = next(v for v, names in VISIT_TASKS.items() if task in names)
    present = tuple(m for m in VISITS[visit] if m in modalities)
    if "question" in present and not set(present) & set(ASKABLE):
        present = tuple(m for m in present if m != "question")
    return bool(present) and _informed(task, present)
