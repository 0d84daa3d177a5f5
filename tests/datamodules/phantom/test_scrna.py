"""scRNA: over-dispersed counts whose programs follow cell type and organ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datamodules.phantom.latent import CELL_TYPES, draw_patient
from datamodules.phantom.scrna import GENES, MARKERS, gene_names, programs, render_scrna
from zoo.errors import SpecError

PATIENTS = [draw_patient(0, i) for i in range(500)]
COUNTS = np.stack([render_scrna(p) for p in PATIENTS])


def test_counts_are_whole_and_a_function_of_the_patient() -> None:
    assert COUNTS.shape == (500, 200)
    assert COUNTS.dtype == np.float32
    assert (COUNTS >= 0).all()
    np.testing.assert_array_equal(COUNTS, COUNTS.round())
    np.testing.assert_array_equal(COUNTS[9], render_scrna(draw_patient(0, 9)))
    assert len(GENES) == len(set(GENES)) == 200
    assert render_scrna(PATIENTS[0], genes=80).shape == (80,)
    with pytest.raises(SpecError, match="at least 60"):
        gene_names(10)


def test_mean_and_variance_are_those_of_the_mixture() -> None:
    patient = replace(PATIENTS[0], cell_type=2, organ=1)
    draws = np.stack([render_scrna(replace(patient, index=i)) for i in range(3000)])
    mean = programs()[2, 1]
    library, spread = np.exp(0.35**2 / 2), np.exp(0.35**2) - 1
    np.testing.assert_allclose(draws.mean(0).sum(), library * mean.sum(), rtol=0.03)
    m = library * mean
    expected = m + m**2 * ((1 + 1 / 2.0) * (1 + spread) - 1)  # Poisson, gamma and library size
    assert np.median(draws.var(0) / expected) == pytest.approx(1.0, abs=0.1)


def test_markers_rise_in_their_own_cell_type() -> None:
    table = programs()
    for k, cell_type in enumerate(CELL_TYPES):
        genes = [GENES.index(name) for name in MARKERS[cell_type]]
        others = np.delete(table, k, axis=0)[..., genes].max(axis=(0, 1))
        assert (table[k][:, genes].min(0) > 2.4 * others).all()


def test_programs_are_read_only_and_the_same_for_every_cohort() -> None:
    with pytest.raises(ValueError, match="read-only"):
        programs()[0, 0, 0] = 1.0
    assert programs(90).shape == (5, 4, 90)


def test_log_counts_tell_cell_type_and_organ_but_not_the_disease() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, C=0.05))
    features = np.log1p(COUNTS)
    assert cross_val_score(model, features, [p.cell_type for p in PATIENTS], cv=4).mean() > 0.9
    assert cross_val_score(model, features, [p.organ for p in PATIENTS], cv=4).mean() > 0.6
    assert cross_val_score(model, features, [p.disease for p in PATIENTS], cv=4).mean() < 0.35
