"""Notes: what they reveal can be read, what they hide stays at chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from datamodules.phantom.latent import draw_patient
from datamodules.phantom.notes import ORGAN_WORDS, UNCERTAIN, disease_group, render_note

PATIENTS = [draw_patient(0, i) for i in range(600)]
NOTES = [render_note(p) for p in PATIENTS]


def _score(features: object, labels: object) -> float:
    return float(cross_val_score(LogisticRegression(max_iter=300, C=10.0), features, labels, cv=4).mean())


def test_notes_are_a_function_of_the_patient_and_vary() -> None:
    assert render_note(draw_patient(0, 11)) == NOTES[11]
    assert len(set(NOTES)) > 590
    assert all("{" not in note and note.endswith(".") for note in NOTES)


def test_hemorrhage_and_tumour_give_the_same_note_word_for_word() -> None:
    for patient in PATIENTS[:100]:
        tumour = render_note(replace(patient, disease=3))
        assert tumour == render_note(replace(patient, disease=2))
        assert UNCERTAIN in tumour
        assert UNCERTAIN not in render_note(replace(patient, disease=0))


def test_hidden_factors_leave_no_trace() -> None:
    for patient in PATIENTS[:50]:
        other = replace(
            patient, calcification=1 - patient.calcification, promoter=1 - patient.promoter, severity=0.5, side=0
        )
        assert render_note(other) == render_note(patient)


def test_no_forbidden_word_is_ever_used() -> None:
    text = " ".join(NOTES).lower()
    assert not [w for w in ("hemorrhage", "bleed", "tumour", "tumor", "calcif", "malignan", "cancer") if w in text]


def test_negation_is_frequent_so_single_words_mislead() -> None:
    counts = Counter((disease_group(p.disease), "cyst" in n) for p, n in zip(PATIENTS, NOTES, strict=True))
    assert counts["none", True] > counts["none", False]
    healthy = [n for p, n in zip(PATIENTS, NOTES, strict=True) if not p.effusion]
    assert np.mean(["effusion" in n.lower() for n in healthy]) > 0.6


def test_every_organ_is_named_in_its_own_words() -> None:
    words = [w for options in ORGAN_WORDS.values() for w in options]
    assert len(words) == len(set(words)) == 12


def test_a_linear_model_reads_the_partitions_and_not_more() -> None:
    features = TfidfVectorizer(ngram_range=(1, 2)).fit_transform(NOTES)
    assert _score(features, [p.organ for p in PATIENTS]) > 0.97
    assert _score(features, [p.effusion for p in PATIENTS]) > 0.97
    assert _score(features, [disease_group(p.disease) for p in PATIENTS]) > 0.97
    assert _score(features, [p.calcification for p in PATIENTS]) < 0.6
    uncertain = [i for i, p in enumerate(PATIENTS) if p.disease >= 2]
    assert _score(features[uncertain], [PATIENTS[i].disease for i in uncertain]) < 0.62
