"""Fingerprints of other kinds, columns that tell the label, and what the zoo's own split makes of copies."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules.audit.leaks import Judged, Own, by_chance, column_accuracy, number_correlation
from datamodules.core.fingerprints import Prints
from zoo.contract import MODALITIES

LABELS = ["a", "b", "c"] * 20
IDS = [str(k) for k in range(60)]


@pytest.mark.parametrize(
    ("kind", "one", "same", "other"),
    [
        ("dna", "acgt\nACGT", "ACGTACGT", "ACGTACGA"),
        ("protein", "mkv", "MKV", "MKL"),
        ("text", " No  Change.", "no change.", "change."),
        ("tabular", {"a": 1, "b": None}, {"b": None, "a": 1.0}, {"a": 1.0, "b": "x"}),
        ("signal", np.ones((2, 3), np.float32), np.ones((2, 3), np.float32), np.ones((3, 2), np.float32)),
        ("expression", np.arange(3.0), np.arange(3.0), np.arange(3.0) + 1e-9),
    ],
)
def test_content_keys(kind: str, one: object, same: object, other: object) -> None:
    key = MODALITIES.get(kind).fingerprint
    assert key(one) == key(same) != key(other)


def test_strands() -> None:
    prints = Prints("dna")
    for row, sequence in enumerate(("AACG", "CGTT", "ACGT", "TTTT", "aacg")):  # ACGT is its own reverse complement
        prints.add(row, sequence)
    assert prints.twin_pairs() == [(0, 1)]
    assert prints.clusters()[0].tolist() == [0, 4]


def test_columns_that_tell_the_label() -> None:
    rng = np.random.default_rng(0)
    assert column_accuracy([f"code {label}" for label in LABELS], LABELS, IDS) == (1.0, "by value")
    numbers = [ord(label) + float(n) for label, n in zip(LABELS, rng.uniform(0, 0.5, 60), strict=True)]
    assert column_accuracy(numbers, LABELS, IDS) == (1.0, "by range")
    assert column_accuracy(IDS, LABELS, IDS)[0] == 0.0  # all different
    assert column_accuracy([f"x{k}" for k in rng.integers(0, 4, 60)], LABELS, IDS)[0] < 0.9
    assert column_accuracy(rng.normal(size=60).tolist(), LABELS, IDS)[0] < 0.9
    assert column_accuracy(["a"] * 10, ["a", "b"] * 5, IDS[:10]) == (0.0, "")  # too few
    assert column_accuracy([None] * 60, LABELS, IDS) == (0.0, "")


def test_a_column_that_is_the_group_tells_nothing() -> None:
    """What is known of a patient in training says nothing of other patients."""
    patients = [f"p{k // 8}" for k in range(80)]
    labels = ["ab"[(k // 8) % 2] for k in range(80)]
    assert column_accuracy(patients, labels, patients)[0] < 0.6
    assert column_accuracy(patients, labels, [str(k) for k in range(80)])[0] > 0.99


def test_numbers() -> None:
    target = np.arange(30.0)
    assert number_correlation((3 * target + 1).tolist(), target.tolist()) == pytest.approx(1.0)
    assert number_correlation([1.0] * 30, target.tolist()) == 0.0


def test_repeats_of_common_values_are_chance() -> None:
    table = {"sex": ["m", "f"] * 50, "age": [float(k % 5) for k in range(100)]}
    assert by_chance(table).all()
    rare = {f"c{k}": np.random.default_rng(k).normal(size=100).tolist() for k in range(3)}
    assert not by_chance(rare).any()


def test_what_becomes_of_copies() -> None:
    own = Own(
        {"a": "train", "b": "test", "c": "train", "d": "train", "e": "train", "f": "train"},
        {"a": "1", "b": "2", "c": "3", "d": "3", "e": "4", "f": "5"},
        {"e", "f"},
    )
    sets = {"apart": "ab", "grouped": "cd", "chance": "ac", "dropped": "ax"}
    assert {wanted: own.judge(list(ids)) for wanted, ids in sets.items()} == {w: w for w in sets}
    assert own.judge(["e", "f"]) == "grouped"  # both stay where their publisher put them
    judged = Judged()
    judged.add(["c", "d"], ["train", "test"], own)
    assert (judged.leaks, judged.across, judged.handled) == (True, 1, "yes, grouped")
    judged.add(["a", "b"], ["train", "train"], own)
    assert (judged.apart, judged.handled) == (1, "no: 1 of 2 can end in two splits")
    assert judged.pairs(1) == (("c", "d"),)
