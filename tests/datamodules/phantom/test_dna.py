"""DNA: boxes where they should be, and an activity that follows from the motifs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict, cross_val_score

from datamodules.phantom.dna import BOX_10, BOX_35, expression, occupancy, render_dna
from datamodules.phantom.latent import draw_patient
from zoo.errors import DataError, SpecError

PATIENTS = [draw_patient(0, i) for i in range(500)]
DNA = [render_dna(p) for p in PATIENTS]


def test_the_sequence_is_a_function_of_the_patient() -> None:
    assert DNA[7] == render_dna(draw_patient(0, 7))
    assert all(len(d) == 100 and set(d) <= set("ACGT") for d in DNA)
    assert len(render_dna(PATIENTS[0], length=150)) == 150
    with pytest.raises(SpecError, match="at least 80"):
        render_dna(PATIENTS[0], length=40)


def test_an_exact_minus_10_box_occurs_exactly_in_strong_promoters() -> None:
    assert [d.count(BOX_10) for d in DNA] == [p.promoter for p in PATIENTS]


def test_the_boxes_are_seventeen_letters_apart() -> None:
    hits = 0
    for dna, patient in zip(DNA, PATIENTS, strict=True):
        if patient.promoter:
            at = dna.find(BOX_10)
            assert 67 <= at <= 75
            hits += dna[at - 23 : at - 17] == BOX_35
    assert hits / sum(p.promoter for p in PATIENTS) == pytest.approx(0.92**6, abs=0.1)


def test_the_up_element_is_rich_in_a_and_t() -> None:
    shares: dict[int, list[float]] = {0: [], 1: []}
    for dna, patient in zip(DNA, PATIENTS, strict=True):
        if patient.promoter:
            end = dna.find(BOX_10) - 23 - 2
            shares[patient.upstream].append(sum(c in "AT" for c in dna[end - 20 : end]) / 20)
    assert np.mean(shares[0]) == pytest.approx(0.5, abs=0.05)
    assert np.mean(shares[1]) == pytest.approx(0.9, abs=0.05)


def test_occupancy_of_one_site_by_hand() -> None:
    dna = BOX_35 + "N" * 17 + BOX_10 + "N"
    score = sum(np.log(np.array([0.69, 0.79, 0.61, 0.56, 0.54, 0.54, 0.77, 0.76, 0.60, 0.61, 0.56, 0.82]) / 0.25))
    weight = np.exp(0.6 * score - 6.0)
    # sites shifted by one, or of spacer 16 or 18, add their own small weights
    assert weight / (1 + weight) < occupancy(dna) < 1.3 * weight / (1 + weight)
    # thirty N score 0 everywhere: 3 sites of spacer 16, 2 of 17, 1 of 18
    total = np.exp(-6.0) * (3 * np.exp(-1.0) + 2 + np.exp(-1.0))
    assert occupancy("N" * 30) == pytest.approx(total / (1 + total))


def test_each_motif_raises_occupancy() -> None:
    up, flat = "AATTATAATTTATTAATATT", "GACTGACTGACTGACTGACT"
    weak = BOX_10.replace("TAA", "GCC")
    core = BOX_35 + "GCGTCAGTCCGATCGGC"
    full = occupancy(up + "GC" + core + BOX_10)
    assert full > occupancy(flat + "GC" + core + BOX_10) > occupancy(flat + "GC" + core + weak)
    assert full > occupancy(up + "GC" + BOX_35 + "GCGTCAGTCCGATCGGCGCGC" + BOX_10)  # spacer 21 is no site
    assert 0 < full < 1


def test_bad_sequences_are_refused() -> None:
    with pytest.raises(DataError, match="'X' at position 2"):
        occupancy("ACX" * 20)
    with pytest.raises(DataError, match="too short"):
        occupancy("ACGT")


def test_expression_is_log_occupancy_with_small_noise() -> None:
    noise = np.array([expression(p, d) - np.log(occupancy(d)) for p, d in zip(PATIENTS, DNA, strict=True)])
    assert abs(noise.mean()) < 0.03
    assert noise.std() == pytest.approx(0.15, abs=0.02)
    assert expression(PATIENTS[0], DNA[0]) == expression(PATIENTS[0], DNA[0])


def test_a_strong_promoter_is_more_active_in_the_same_patient() -> None:
    for patient in PATIENTS[:50]:
        strong, weak = (occupancy(render_dna(replace(patient, promoter=k))) for k in (1, 0))
        assert strong > weak


def test_kmers_read_the_promoter_and_the_expression_but_nothing_hidden() -> None:
    words = CountVectorizer(analyzer="char", ngram_range=(4, 6)).fit_transform(DNA)
    model = LogisticRegression(max_iter=500, C=0.3)
    assert cross_val_score(model, words, [p.promoter for p in PATIENTS], cv=4).mean() > 0.9
    assert cross_val_score(model, words, [p.response for p in PATIENTS], cv=4).mean() < 0.6
    words = CountVectorizer(analyzer="char", ngram_range=(1, 6)).fit_transform(DNA)
    activity = np.array([expression(p, d) for p, d in zip(PATIENTS, DNA, strict=True)])
    guess = cross_val_predict(Ridge(alpha=100.0), words, activity, cv=4)
    assert np.corrcoef(guess, activity)[0, 1] > 0.7
