"""The small captioner: it learns on training rows to fill in a record from a picture and its metadata."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.encoders.frozen import BACKBONE, EFFICIENTNET
from zoo.errors import DataError, SpecError, unknown_name
from zoo.generation.captioners.appearance import learn_thresholds, quality_note, words
from zoo.generation.captioners.base import Captioner
from zoo.generation.captioners.features import (
    Columns,
    Floats,
    Network,
    Scaler,
    frozen_network,
    is_known,
    measure_once,
    picture_features,
    scratch_network,
)
from zoo.generation.captioners.guesses import AgeGuess, WordGuess
from zoo.generation.captioners.wording import order, rationale, typical_words, with_typical
from zoo.generation.records.schema import UNKNOWN, check_record
from zoo.generator import GENERATORS, Condition, Flat, Generation
from zoo.tasks.readout import Readout, fit_classes

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse strengths of regularisation to choose from by cross-validated log-loss."""
BUDGET = 1e9
"""Stored values x classes x strengths up to which the strength is chosen (see ``fit_classes``)."""


@GENERATORS.register
class FieldCaptioner(Captioner):
    """Write the record of a picture field by field, by what was learned from training rows in seconds.

    Risk and provisional diagnosis come from a regularised logistic regression on a frozen network's features of the
    picture, its measured appearance (see ``appearance``), and the metadata. The risk is the probability of all
    malignant classes together. Age, sex, site and size are copied where the metadata tell them; age, sex and
    site are else guessed from the picture where that is possible (see ``guesses``), or unknown. Findings are
    the appearance in words, orders follow the risk by ORDER_RULE, and the rationale puts both in sentences.

    With ``leaky_replication`` the label of a row is read as the published prompt does: the diagnosis is the label,
    the risk is the mean of what the picture says and of 1 or 0 for a malignant or benign label, and findings
    typical of the class in training are added, in place of words that contradict them.

    Args:
        malignant: names of the classes that are malignant.
        backbone: timm model whose frozen features describe a picture; "" trains a small network from scratch.
        pretrained: weights of the backbone: ``package:NAME`` or a file (see ``image_network``).
        side: side in pixels of the pictures that the backbone reads.
        age_column, sex_column, site_column, size_column: columns of the metadata with age in years, sex,
            anatomical site and size in mm; "" for none.
        encounter_type, encounter_site: what every record says of the encounter; nothing in a row tells it.
        leaky_replication: whether the label of a row is read when its record is written.
    """

    makes = "tabular"
    processor = "RecordProcessor"
    fits = True

    def __init__(
        self,
        *,
        malignant: Sequence[str],
        backbone: str = BACKBONE,
        pretrained: str = EFFICIENTNET,
        side: int = 160,
        age_column: str = "age",
        sex_column: str = "sex",
        site_column: str = "localization",
        size_column: str = "",
        encounter_type: str = UNKNOWN,
        encounter_site: str = UNKNOWN,
        leaky_replication: bool = False,
    ) -> None:
        if isinstance(malignant, str) or not malignant:
            raise SpecError(
                f"FieldCaptioner: malignant must list the classes that are malignant, got {malignant!r}; "
                "for example malignant: [melanoma]"
            )
        if side < 32:
            raise SpecError(f"FieldCaptioner: side must be at least 32 pixels, got {side}")
        if not encounter_type.strip() or not encounter_site.strip():
            raise SpecError(
                "FieldCaptioner: encounter_type and encounter_site must be words, got "
                f"{encounter_type!r} and {encounter_site!r}; write 'unknown' where nothing is known"
            )
        self.malignant = tuple(malignant)
        self.backbone, self.pretrained, self.side = backbone, pretrained, side
        self.age_column, self.sex_column = age_column, sex_column
        self.site_column, self.size_column = site_column, size_column
        self.encounter_type, self.encounter_site = encounter_type, encounter_site
        self.leaky_replication = leaky_replication
        self.classes: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return every argument, as plain JSON."""
        return {
            "malignant": list(self.malignant),
            "backbone": self.backbone,
            "pretrained": self.pretrained,
            "side": self.side,
            "age_column": self.age_column,
            "sex_column": self.sex_column,
            "site_column": self.site_column,
            "size_column": self.size_column,
            "encounter_type": self.encounter_type,
            "encounter_site": self.encounter_site,
            "leaky_replication": self.leaky_replication,
        }

    def fit(self, rows: Sequence[Condition], seed: int) -> None:
        """Learn from training rows with picture and label; others are counted in a warning.

        Raises:
            SpecError: no row has both, no malignant class is among the labels, or a column is in no row.
        """
        used = [row for row in rows if row.image is not None and row.label]
        if not used:
            raise SpecError(f"FieldCaptioner: none of {len(rows)} training rows has both a picture and a label")
        if len(used) < len(rows):
            warnings.warn(
                f"FieldCaptioner learns from {len(used)} of {len(rows)} training rows: the others lack a picture "
                "or a label",
                stacklevel=2,
            )
        self.classes = tuple(sorted({row.label for row in used}))
        self._check(used)
        images = [row.image for row in used if row.image is not None]
        codes = np.array([self.classes.index(row.label) for row in used])
        self._network: Network = (
            frozen_network(self.backbone, self.pretrained, self.side)
            if self.backbone
            else scratch_network(images, codes, seed)
        )
        pictures, measures = picture_features(images, self._network)
        metadata = [row.metadata or {} for row in used]
        self._columns = Columns(rows=metadata)
        features = np.hstack([pictures, np.stack([self._columns(m) for m in metadata])])
        self._scaler = Scaler(rows=features)
        scaled = self._scaler(features)
        self._readout: Readout = fit_classes(
            scaled, codes, len(self.classes), seed=seed, strengths=STRENGTHS, budget=BUDGET
        )
        self._thresholds = learn_thresholds(measures)
        self._typical = typical_words([words(m, self._thresholds) for m in measures], [r.label for r in used])
        seen = scaled[:, : pictures.shape[1]]
        self._age = AgeGuess(rows=seen, values=[m.get(self.age_column) for m in metadata])
        self._sex = WordGuess(rows=seen, values=[m.get(self.sex_column) for m in metadata], seed=seed)
        self._site = WordGuess(rows=seen, values=[m.get(self.site_column) for m in metadata], seed=seed)

    def _check(self, rows: Sequence[Condition]) -> None:
        """Refuse classes and columns that do not exist."""
        absent = [name for name in self.malignant if name not in self.classes]
        if len(absent) == len(self.malignant):
            raise unknown_name("malignant class", absent[0], self.classes)
        if absent:
            warnings.warn(
                f"FieldCaptioner: no training row is of the malignant class(es) {absent}; classes: {self.classes}",
                stacklevel=3,
            )
        known = {name for row in rows for name in row.metadata or {}}
        for option in ("age_column", "sex_column", "site_column", "size_column"):
            name = getattr(self, option)
            if known and name and name not in known:
                raise SpecError(
                    f"FieldCaptioner: {option}={name!r} is no column of the metadata; columns: {sorted(known)}; "
                    'write "" where there is none'
                )

    def generate(self, rows: Sequence[Condition], seed: int) -> list[Generation]:
        """Write one record a row; a row without a picture is rejected.

        Raises:
            SpecError: before ``fit``, or ``leaky_replication`` and a row without a label.
        """
        if not self.classes:
            raise SpecError("FieldCaptioner: fit has to be called before generate")
        return [self._one(row) for row in rows]

    def _one(self, row: Condition) -> Generation:
        if row.image is None:
            return Generation(None, "rejected", "the row has no picture")
        measures = measure_once(row.image)
        metadata = row.metadata or {}
        pictures, _ = picture_features([row.image], self._network)
        scaled = self._scaler(np.hstack([pictures, self._columns(metadata)[None]]))
        probabilities = self._readout(scaled)[0]
        risk = sum(float(p) for p, name in zip(probabilities, self.classes, strict=True) if name in self.malignant)
        findings = words(measures, self._thresholds)
        diagnosis = self.classes[int(probabilities.argmax())]
        if self.leaky_replication:
            diagnosis = self._told(row)
            risk = (risk + float(diagnosis in self.malignant)) / 2.0
            findings = with_typical(findings, self._typical.get(diagnosis, ()))
        record: dict[str, Any] = {
            **self._known(metadata, scaled[:, : pictures.shape[1]]),
            "assessment": {
                "provisional_diagnosis_label": diagnosis,
                "malignancy_risk": round(min(max(risk, 0.0), 1.0), 3),
                "rationale": rationale(risk, findings),
            },
            "orders": [order(risk)],
        }
        record["lesion_observation"]["visual_findings"] = list(findings)
        record["lesion_observation"]["image_quality_note"] = quality_note(measures, self._thresholds)
        try:
            return Generation(check_record(record))
        except DataError as error:  # metadata out of range, such as an age of 400 years
            return Generation(None, "rejected", str(error))

    def _told(self, row: Condition) -> str:
        """Return the label of a row that leaks."""
        if not row.label:
            raise SpecError(
                f"row '{row.id}': leaky_replication reads the label of a row, but the row was given none; give it "
                "one, or switch leaky_replication off"
            )
        return row.label

    def _known(self, metadata: Flat, pictures: Floats) -> dict[str, dict[str, Any]]:
        """Patient, encounter and place of a row: copied, else guessed from the picture, else unknown."""
        age, sex = metadata.get(self.age_column), metadata.get(self.sex_column)
        site, size = metadata.get(self.site_column), metadata.get(self.size_column)
        years = _number(age) if is_known(age) else self._age(pictures)
        word = str(sex).lower() if is_known(sex) else self._sex(pictures)
        return {
            "patient": {
                "age_years": UNKNOWN if years is None else round(years),
                "sex": word if word in ("male", "female") else UNKNOWN,
            },
            "encounter": {"encounter_type": self.encounter_type, "site": self.encounter_site},
            "lesion_observation": {
                "anatomical_site": str(site).lower() if is_known(site) else self._site(pictures),
                "size_mm": _number(size) if is_known(size) else UNKNOWN,
            },
        }


def _number(value: float | str | None) -> float | None:
    return None if value is None or isinstance(value, str) else float(value)
