"""Protein: bond lengths, angles, handedness, no clashes, and a fold that follows from the sequence."""

from __future__ import annotations

import numpy as np
import pytest
from Bio.PDB.vectors import Vector, calc_angle, calc_dihedral
from tmtools import tm_align

from datamodules.phantom.latent import draw_patient
from datamodules.phantom.protein import CA_DISTANCE, HELIX, LENGTHS, closest, render_protein, trace
from zoo.contract import AMINO_ACIDS

PROTEINS = [render_protein(draw_patient(0, i)) for i in range(300)]


def test_sequence_and_coordinates_fit() -> None:
    for sequence, atoms in PROTEINS:
        assert LENGTHS[0] <= len(sequence) <= LENGTHS[1]
        assert set(sequence) <= set(AMINO_ACIDS)
        assert atoms.shape == (len(sequence), 3)
        assert atoms.dtype == np.float32
        np.testing.assert_allclose(atoms.mean(0), 0.0, atol=1e-4)
    again = render_protein(draw_patient(0, 5))
    assert again[0] == PROTEINS[5][0]
    np.testing.assert_array_equal(again[1], PROTEINS[5][1])


def test_neighbours_are_3_8_angstrom_apart_and_nothing_clashes() -> None:
    for _, atoms in PROTEINS:
        steps = np.linalg.norm(np.diff(atoms, axis=0), axis=1)
        np.testing.assert_allclose(steps, CA_DISTANCE, atol=1e-3)
        assert closest(atoms.astype(float)) >= 3.79


def test_trace_places_angles_and_torsions_as_biopython_measures_them() -> None:
    rng = np.random.default_rng(0)
    angles, torsions = rng.uniform(80, 130, 12), rng.uniform(-179, 179, 12)
    points = [Vector(*p) for p in trace(angles, torsions)]
    for i in range(1, 11):
        assert np.degrees(calc_angle(*points[i - 1 : i + 2])) == pytest.approx(angles[i], abs=1e-6)
    for i in range(1, 10):
        assert np.degrees(calc_dihedral(*points[i - 1 : i + 3])) == pytest.approx(torsions[i], abs=1e-6)


def test_a_helix_is_right_handed_with_5_4_angstrom_pitch() -> None:
    atoms = trace(np.full(40, HELIX[0]), np.full(40, HELIX[1]))
    axis = atoms[36] - atoms[0]  # ten turns of 3.6 residues
    assert np.linalg.norm(axis) / 10 == pytest.approx(5.4, abs=0.35)
    axis /= np.linalg.norm(axis)
    centre = np.stack([atoms[i : i + 18].mean(0) for i in range(20)])
    radial = atoms[9:29] - centre
    turns = np.cross(radial[:-1], radial[1:]) @ axis
    assert (turns > 0).all()  # advances along the axis while turning anticlockwise


def test_strands_of_a_hairpin_run_side_by_side() -> None:
    seen = 0
    for sequence, atoms in PROTEINS:
        at = sequence.find("NGH")
        if at >= 0 and "SPD" not in sequence:
            pairs = [np.linalg.norm(atoms[at - 1 - k] - atoms[at + 3 + k]) for k in range(5)]
            seen += 1
            assert 3.7 < np.mean(pairs) < 6.5
    assert seen > 40


def test_architectures_are_all_there_and_the_same_architecture_folds_alike() -> None:
    def kind(sequence: str) -> str:
        return ("l" if "SPD" in sequence else "") + "t" * sequence.count("NGH")

    groups: dict[str, list[np.ndarray]] = {}
    for sequence, atoms in PROTEINS:
        groups.setdefault(kind(sequence), []).append(atoms.astype(float))
    assert set(groups) == {"", "l", "tt", "lt"}
    assert min(len(g) for g in groups.values()) > 45

    def score(a: np.ndarray, b: np.ndarray) -> float:
        return float(tm_align(a, b, "A" * len(a), "A" * len(b)).tm_norm_chain2)

    names = list(groups)
    within = np.mean([score(groups[k][i], groups[k][i + 1]) for k in names for i in range(8)])
    across = np.mean([score(groups[a][i], groups[b][i]) for a in names for b in names if a != b for i in range(4)])
    assert within > across + 0.15
