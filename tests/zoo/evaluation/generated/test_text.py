"""BLEU, ROUGE and F1 of words against torchmetrics and by hand; baselines; paired differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import bleu_score

from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.evaluation.generated.text import MEASURES, bleu, bleu_counts, compare_texts, distinct_share, token_f1, words
from zoo.evaluation.generated.text_baselines import constant_text, random_texts, retrieved_texts

REPORTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join), min_size=1, max_size=6)


@given(REPORTS, st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_bleu_is_that_of_torchmetrics(real: list[str], order: int, seed: int) -> None:
    made = [real[k] for k in np.random.default_rng(seed).permutation(len(real))]
    made[0] += " a b a c d"
    counts = sum(bleu_counts(words(a), words(b)) for a, b in zip(made, real, strict=True))
    expected = float(bleu_score(made, [[r] for r in real], n_gram=order))
    assert float(bleu(counts, order)) == pytest.approx(expected, abs=1e-6)


def test_bleu_by_hand() -> None:
    # words: 2 of 3 right; pairs: 1 of 2; one word short of 4: exp(1 - 4 / 3)
    counts = bleu_counts(["no", "pleural", "mass"], ["no", "pleural", "effusion", "seen"])
    assert counts.tolist() == [2, 1, 0, 0, 3, 2, 1, 0, 3, 4]
    assert float(bleu(counts, 2)) == pytest.approx(np.exp(-1 / 3) * (2 / 3 * 1 / 2) ** 0.5)
    assert float(bleu(counts, 3)) == 0.0


def test_scores_of_the_same_texts_are_one_and_of_others_zero() -> None:
    real = ["no effusion is seen here", "heart is of normal size"]
    result = compare_texts({"same": real, "other": ["x y z v w"] * 2}, real, reference="other", resamples=20)
    for measure in MEASURES:
        assert result.methods["same"].scores[measure].value == pytest.approx(1.0)
        assert result.methods["other"].scores[measure].value == 0.0
        assert result.differences["same"][measure].value == pytest.approx(1.0)
    assert result.methods["other"].distinct == 0.5
    assert result.methods["other"].distinct_real == 1.0
    assert result.methods["same"].length_ratio == 1.0


def test_rouge_and_f1_by_hand() -> None:
    real, made = ["no pleural effusion"], ["effusion no pleural"]
    scores = compare_texts({"a": made}, real, reference="a", resamples=0).methods["a"].scores
    assert scores["rouge_1"].value == 1.0
    assert scores["rouge_2"].value == 0.5
    assert scores["rouge_l"].value == pytest.approx(2 / 3)
    assert scores["token_f1"].value == 1.0
    assert token_f1([], []) == 1.0
    assert token_f1([], ["a"]) == 0.0


def test_empty_texts_score_zero_and_are_counted() -> None:
    result = compare_texts({"a": ["", "b c"]}, ["b c", "b c"], reference="a", resamples=0).methods["a"]
    assert result.empty == 1
    assert result.scores["rouge_1"].value == 0.5
    assert result.scores["token_f1"].value == 0.5
    assert result.scores["bleu_1"].value == pytest.approx(np.exp(1 - 4 / 2))


def test_a_constant_beats_a_random_text_in_bleu_where_most_texts_are_alike() -> None:
    generator = np.random.default_rng(0)
    train = ["the heart is normal and the lungs are clear"] * 60 + [
        " ".join(generator.choice(list("abcdefgh"), 9)) for _ in range(40)
    ]
    real = train[:30] + train[60:80]
    made = {"constant": [constant_text(train)] * 50, "random": random_texts(train, 50), "real": list(real)}
    result = compare_texts(made, real, reference="constant", resamples=100)
    assert made["constant"][0] == train[0]
    assert result.differences["random"]["bleu_4"].high < 0
    assert result.differences["real"]["bleu_4"].low > 0
    assert result.methods["constant"].distinct == 0.02


@given(REPORTS, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_the_constant_text_is_the_best_of_all_training_texts(train: list[str], order: int) -> None:
    train = [*train, "a b a b a"]
    values = {t: float(bleu(sum(bleu_counts(words(t), words(r)) for r in train), order)) for t in train}
    assert values[constant_text(train, order=order)] == pytest.approx(max(values.values()))


def test_rows_of_a_patient_are_drawn_together() -> None:
    real = ["a b c d", "b c d e", "c d e f", "d e f g"] * 10
    made = [r if k % 4 < 2 else "x y" for k, r in enumerate(real)]
    rows = compare_texts({"m": made}, real, reference="m").methods["m"]
    patients = compare_texts({"m": made}, real, reference="m", units=[f"patient:{k % 4}" for k in range(40)]).methods[
        "m"
    ]
    a, b = (x.scores["token_f1"] for x in (rows, patients))
    assert a.value == b.value
    assert b.high - b.low > 2 * (a.high - a.low)
    assert patients.unit == "patient (4)"


def test_neighbours_texts() -> None:
    assert retrieved_texts(["a", "b"], [1, 1, 0]) == ["b", "b", "a"]
    with pytest.raises(DataError, match=r"neighbour 2 is of none of 2 training texts.*\[row: 1\]"):
        retrieved_texts(["a", "b"], [0, 2])


def test_what_cannot_be_scored_is_said() -> None:
    with pytest.raises(UnknownNameError, match="unknown method 'constant'"):
        compare_texts({"model": ["a"]}, ["a"], reference="constant")
    with pytest.raises(DataError, match="'model' has 2 entries for 1 real texts"):
        compare_texts({"model": ["a", "b"]}, ["a"], reference="model")
    with pytest.raises(DataError, match="'units' has 1 entries for 2"):
        compare_texts({"model": ["a", "b"]}, ["a", "b"], reference="model", units=["p"])
    with pytest.raises(SpecError, match="no texts to compare"):
        compare_texts({"model": []}, [], reference="model")
    with pytest.raises(SpecError, match="got 2 and 4"):
        constant_text(["", "..."])
    with pytest.raises(SpecError, match="need training texts"):
        random_texts([], 3)
    assert np.isnan(distinct_share([]))
