"""Limits: copies and told membership exceed them, new values and what chance does not."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import DataError, SpecError
from zoo.evaluation.generated.audit import AuditLimits, audit_numbers, audit_texts, chance
from zoo.evaluation.generated.privacy import PrivacyOptions

FAST = PrivacyOptions(resamples=100, draws=5)


def units(**sets: object) -> dict[str, list[str]]:
    """Each row is its own unit."""
    return {name: [f"{name}:{k}" for k in range(len(rows))] for name, rows in sets.items()}  # type: ignore[arg-type]


def rows(n: int, seed: int) -> np.ndarray:
    """Rows of one distribution."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, 12)) + 3 * generator.integers(0, 4, n)[:, None]


def test_copies_with_slight_noise_exceed_every_limit() -> None:
    train, heldout = rows(120, 0), rows(120, 1)
    made = train[:90] + np.random.default_rng(2).normal(0, 0.05, (90, 12))
    sets = {"made": made, "train": train, "heldout": heldout}
    found = audit_numbers("scan", sets, units(**sets), options=FAST)
    assert len(found.complaints) == 3
    assert "scan: 100.0% of the made values are near copies by distance" in found.complaints[0]
    assert "AUC of" in found.complaints[2]
    assert found.pairs[0].made == found.pairs[0].train
    ratio = found.figures[0]
    assert ratio.value.value < 0.5
    assert ratio.beside == 1.0


def test_a_few_copies_exceed_a_limit_and_a_looser_one_lets_them_pass() -> None:
    train, heldout, made = rows(300, 0), rows(300, 1), rows(200, 2)
    made[:20] = train[:20] + 0.01
    sets = {"made": made, "train": train, "heldout": heldout}
    complaints = audit_numbers("scan", sets, units(**sets), options=FAST).complaints
    assert len(complaints) == 1
    assert "near copies by ratio of distances" in complaints[0]
    assert not audit_numbers("scan", sets, units(**sets), AuditLimits(copies=0.2), FAST).complaints


@pytest.mark.parametrize("heldout", [20, 300])
def test_new_values_exceed_no_limit_however_few_held_out_rows_there_are(heldout: int) -> None:
    for seed in range(10, 22, 3):
        sets = {"made": rows(150, seed), "train": rows(200, seed + 1), "heldout": rows(heldout, seed + 2)}
        assert audit_numbers("scan", sets, units(**sets), options=FAST).complaints == []


def test_blurred_new_values_are_near_to_everything_and_no_copies() -> None:
    sets = {"made": 0.3 * rows(150, 2) + 0.7 * rows(150, 2).mean(1, keepdims=True), "train": rows(200, 0)}
    sets["heldout"] = rows(200, 1)
    found = audit_numbers("scan", sets, units(**sets), options=FAST)
    near = {f.name: f for f in found.figures}["near copies by distance"]
    assert near.value.value > 10 * near.beside
    assert near.exchanged > 10 * near.beside
    assert np.isnan(near.limit)
    assert found.complaints == []
    sets["made"][:60] = sets["train"][:60] + 0.01
    assert audit_numbers("scan", sets, units(**sets), options=FAST).complaints


def test_a_generator_that_says_one_common_text_again_and_again_gives_nobody_away() -> None:
    common = ["the lungs are clear and the heart is normal"]
    real = {name: common * 10 + [f"{name} {k} alone" for k in range(50)] for name in ("train", "heldout")}
    sets = {"made": common * 80, **real}
    found = audit_texts("report", sets, units(**sets))
    assert found.figures[1].value.value == 1.0
    assert found.complaints == []


def test_texts_of_one_patient_exceed_a_limit_and_common_ones_do_not() -> None:
    generator = np.random.default_rng(0)

    def said(n: int) -> list[str]:
        return [" ".join(f"w{k}" for k in generator.integers(0, 500, 12)) for _ in range(n)]

    common = ["the lungs are clear and the heart is normal"]
    train, heldout = said(60) + common * 40, said(60) + common * 40
    sets = {"made": said(60) + common * 40, "train": train, "heldout": heldout}
    assert audit_texts("report", sets, units(**sets)).complaints == []
    sets["made"] = train[:20] + common * 40
    complaints = audit_texts("report", sets, units(**sets)).complaints
    assert len(complaints) == 2
    assert "words of one training patient only" in complaints[0]


def test_chance_is_what_new_rows_reach_in_one_of_a_hundred_cases_at_most() -> None:
    generator = np.random.default_rng(0)
    above = []
    for _ in range(2000):  # the threshold of a copy is the nearest of 30 held-out rows
        limit = generator.random(30).min()
        above.append((generator.random(100) <= limit).mean() > chance(1, 30, 100))
    assert np.mean(above) <= 0.01


def test_limits_that_say_nothing_are_refused() -> None:
    with pytest.raises(SpecError, match=r"got 1.5 and 0.6"):
        AuditLimits(copies=1.5)
    with pytest.raises(SpecError, match=r"got 0.01 and 0.4"):
        AuditLimits(auc=0.4)


def test_a_patient_in_training_and_held_out_texts_is_refused() -> None:
    sets = {"made": ["a", "b"], "train": ["c"], "heldout": ["d"]}
    with pytest.raises(DataError, match=r"1 units are in training and held-out rows, such as 'patient:1'"):
        audit_texts("report", sets, {"made": ["x", "y"], "train": ["patient:1"], "heldout": ["patient:1"]})
