"""Copies of training rows are found, and none are found where a generator cannot know them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from zoo.errors import DataError, SpecError
from zoo.evaluation.generated.neighbours import nearest
from zoo.evaluation.generated.privacy import PrivacyOptions, auroc, privacy
from zoo.evaluation.generated.text_copies import text_copies

FAST = PrivacyOptions(resamples=100, draws=5)


def rows(n: int, seed: int) -> np.ndarray:
    """Rows of one distribution of four modes."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, 16)) + 3 * generator.integers(0, 4, n)[:, None]


def test_a_generator_that_returns_training_rows_with_slight_noise_is_found() -> None:
    train, heldout = rows(300, 0), rows(200, 1)
    copied = np.random.default_rng(2).permutation(300)[:150]
    made = train[copied] + np.random.default_rng(3).normal(0, 0.05, (150, 16))
    found = privacy(made, train, heldout, options=FAST)
    assert found.closer.low > 0.6  # a held-out row never wins, but only 2 of 3 copied rows are among equally many
    assert found.closer.low > found.closer_chance[1]
    assert found.copies.value == 1.0
    assert found.ratio_copies.value == 1.0
    assert found.copies_floor <= 0.02
    assert found.attack.low > 0.65
    assert found.attack_at_1.value > 0.3
    assert all(copied[p.made] == p.train for p in found.pairs)
    assert len(found.pairs) == 10
    assert found.to_train < found.to_heldout


def test_a_few_copies_among_many_honest_rows_are_named() -> None:
    train, heldout, made = rows(300, 0), rows(300, 1), rows(200, 2)
    made[[7, 90, 150]] = train[[11, 12, 13]] + 0.01
    found = privacy(made, train, heldout, options=FAST)
    assert {(p.made, p.train) for p in found.pairs[:3]} == {(7, 11), (90, 12), (150, 13)}
    assert 0.01 <= found.copies.value < 0.06


def test_a_generator_that_cannot_know_the_training_rows_is_not_accused() -> None:
    found = privacy(rows(300, 2), rows(300, 0), rows(300, 1), options=FAST)
    assert found.closer_chance[0] < found.closer.value < found.closer_chance[1]
    assert found.copies.low <= found.copies_floor
    assert found.ratio_copies.low <= found.ratio_floor + 0.01
    assert found.attack.low < 0.5 < found.attack.high
    assert found.attack_at_1.low <= 0.02
    assert found.to_train == pytest.approx(found.to_heldout, rel=0.05)


def test_more_training_than_held_out_rows_accuse_nobody() -> None:
    found = privacy(rows(200, 2), rows(900, 0), rows(100, 1), options=FAST)
    low, high = found.closer_chance
    assert low < found.closer.value < high
    assert 0.35 < low < 0.5 < high < 0.65


def test_nearest_and_auroc_are_those_of_the_libraries() -> None:
    a, b = rows(300, 0), rows(40, 1)
    distances, numbers = nearest(a, b, 2)
    assert np.allclose(distances, np.sort(cdist(a, b), 1)[:, :2])
    assert (numbers[:, 0] == cdist(a, b).argmin(1)).all()
    scores, truth = np.random.default_rng(0).integers(0, 5, 50), np.arange(50) % 3 == 0
    assert auroc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    assert np.isnan(auroc([1.0], [True]))


def test_rows_of_a_patient_make_wider_intervals() -> None:
    train, heldout, made = (np.repeat(rows(30, k), 10, 0) for k in range(3))
    names = [[f"{word}:{k // 10}" for k in range(300)] for word in ("a", "b", "c")]
    alone = privacy(made, train, heldout, options=FAST)
    grouped = privacy(
        made, train, heldout, train_units=names[0], heldout_units=names[1], made_units=names[2], options=FAST
    )
    width = [x.attack.high - x.attack.low for x in (alone, grouped)]
    assert width[1] > 2 * width[0]
    assert grouped.unit == "a (30), b (30)"


def test_what_cannot_be_compared_is_said() -> None:
    a = rows(5, 0)
    with pytest.raises(DataError, match="1 units are in training and held-out rows, such as 'p'"):
        privacy(a, a, a, train_units=["p", *"abcd"], heldout_units=["p", *"efgh"])
    with pytest.raises(DataError, match="differ in width"):
        privacy(a, a, a[:, :3])
    with pytest.raises(DataError, match=r"3 rows of each set at least, got \{'heldout': 2\}"):
        privacy(a, a, a[:2])
    with pytest.raises(DataError, match="4 units were given for 5 rows of 'made'"):
        privacy(a, a, a, made_units=list("abcd"))
    with pytest.raises(SpecError, match="quantile lies between 0 and 1"):
        PrivacyOptions(quantile=0)


TEMPLATE = "the heart is of normal size and the lungs are clear without effusion"


def report(k: int) -> str:
    return f"patient {k} has a nodule of {k} mm in segment {k % 8} since {k} weeks and comes again"


def test_copied_reports_are_told_from_reports_that_all_hospitals_write() -> None:
    train = [TEMPLATE] * 20 + [report(k) for k in range(20)]
    heldout = [TEMPLATE] * 10 + [report(k) for k in range(50, 60)]
    honest = text_copies([TEMPLATE] * 10 + [report(k) for k in range(80, 90)], train, heldout)
    assert honest.exact.made.value == honest.exact.floor.value == 0.5
    assert honest.rare.made.value == honest.rare.floor.value == 0.0
    copied = text_copies([TEMPLATE.upper()] * 10 + [report(k).upper() for k in range(5, 15)], train, heldout)
    assert copied.exact.made.value == 1.0
    assert copied.rare.made.value == 0.5
    assert copied.rare.floor.value == 0.0
    assert {(p.made, p.train) for p in copied.pairs} == {(10 + k, 25 + k) for k in range(10)}
    assert all(p.value == 1.0 for p in copied.pairs)


def test_near_copies_by_hand() -> None:
    train = ["a b c d e f g h", "x y"]
    found = text_copies(["a b c d e f z", "x y"], train, ["q r s t u v"], run=2, threshold=0.8)
    assert found.pairs[1].value == pytest.approx(5 / 6)  # ab bc cd de ef of ab bc cd de ef fz
    assert found.near.made.value == 1.0
    assert found.near.floor.value == 0.0
    assert text_copies(["a b c d e f z"], train, ["q"], run=2, threshold=0.9).near.made.value == 0.0


def test_texts_that_cannot_be_compared_are_said() -> None:
    with pytest.raises(DataError, match="'train' has 0 texts"):
        text_copies(["a"], [], ["b"])
    with pytest.raises(DataError, match="'made' has 1 texts and 2 units"):
        text_copies(["a"], ["b"], ["c"], made_units=["p", "q"])
    with pytest.raises(SpecError, match="run of 1 or more"):
        text_copies(["a"], ["b"], ["c"], run=0)
