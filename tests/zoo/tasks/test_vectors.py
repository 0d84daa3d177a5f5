"""Classification, multilabel, ordinal, regression and vqa against hand-computed numbers, scikit-learn and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk

from zoo.contract import TaskSpec, Tokens
from zoo.tasks.classification import Classification
from zoo.tasks.multilabel import Multilabel
from zoo.tasks.ordinal import Ordinal, OrdinalHead, log_probabilities
from zoo.tasks.parts import average_precision, binary_auroc
from zoo.tasks.regression import Regression, concordance
from zoo.tasks.vqa import VQA


def probabilities(n: int, k: int, seed: int = 0) -> torch.Tensor:
    return torch.softmax(2 * torch.randn(n, k, generator=torch.Generator().manual_seed(seed)), -1)


def codes(n: int, k: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, k, (n,), generator=torch.Generator().manual_seed(seed))


def test_classification_loss_by_hand() -> None:
    task = Classification(TaskSpec("t", "classification", 3))
    loss = task.loss(torch.log(torch.tensor([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]])), torch.tensor([2, 0]))
    torch.testing.assert_close(loss, torch.tensor([math.log(8 / 5), math.log(4)]))


def test_classification_metrics_equal_scikit_learn() -> None:
    task = Classification(TaskSpec("t", "classification", 5))
    p, y = probabilities(300, 5), codes(300, 5)
    got, choice = task.metrics(p, y), p.argmax(-1)
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(y, choice))
    assert got["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, choice))
    assert got["macro_f1"] == pytest.approx(sk.f1_score(y, choice, average="macro"))
    assert got["auroc"] == pytest.approx(
        sk.roc_auc_score(y, p.double(), multi_class="ovr", average="macro"), abs=1e-6
    )


def test_classification_auroc_leaves_absent_classes_out() -> None:
    task = Classification(TaskSpec("t", "classification", 4))
    p, y = probabilities(100, 4), codes(100, 2)
    expected = np.mean([sk.roc_auc_score(y == k, p[:, k]) for k in range(2)])
    assert task.metrics(p, y)["auroc"] == pytest.approx(expected)
    assert math.isnan(task.metrics(p, torch.zeros(100, dtype=torch.long))["auroc"])


def test_classification_baselines() -> None:
    task = Classification(TaskSpec("t", "classification", 5))
    train = torch.tensor([0, 0, 3, 3, 3, 4])
    assert task.constant(train, 2).argmax(-1).tolist() == [3, 3]
    chance = task.chance(train, 3000, np.random.default_rng(0))
    assert sorted(set(chance.argmax(-1).tolist())) == [0, 3, 4]
    y = torch.full((3000,), 3)
    assert task.primary_value(chance, y) == pytest.approx(1 / 3, abs=0.04)


def test_voting_and_averaging_by_hand() -> None:
    task = Classification(TaskSpec("t", "classification", 2))
    p = torch.tensor([[[0.9, 0.1]], [[0.4, 0.6]], [[0.4, 0.6]]])
    w = torch.full((3, 1), 1 / 3)
    torch.testing.assert_close(task.combine(p, w), torch.tensor([[1.7 / 3, 1.3 / 3]]))
    torch.testing.assert_close(task.combine(p, w, True), torch.tensor([[1 / 3, 2 / 3]]), atol=1e-4, rtol=0)
    tie = task.combine(p[:2], torch.full((2, 1), 0.5), True)
    assert tie.argmax(-1).item() == 0, "a tie goes to the larger average"


def multilabel_case(n: int = 200, k: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    value, seen = (torch.rand(n, k, generator=g) > 0.6).float(), (torch.rand(n, k, generator=g) > 0.3).float()
    score = (torch.rand(n, k, generator=g) + 0.4 * value).div(1.4).mul(20).round().div(20)
    return score, torch.stack([value, seen], 1)


def test_multilabel_loss_by_hand_and_nan_where_unobserved() -> None:
    task = Multilabel(TaskSpec("t", "multilabel", 3))
    logits = torch.tensor([[0.0, math.log(3), 5.0], [1.0, 2.0, 3.0]], requires_grad=True)
    target = torch.tensor([[[1.0, 0.0, math.nan], [1.0, 1.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    loss = task.loss(logits, target)
    torch.testing.assert_close(loss, torch.tensor([(math.log(2) + math.log(4)) / 2, 0.0]))
    loss.sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[-0.25, 0.375, 0.0], [0.0, 0.0, 0.0]]))


def test_multilabel_metrics_equal_scikit_learn() -> None:
    score, target = multilabel_case()
    got = Multilabel(TaskSpec("t", "multilabel", 4)).metrics(score, target)
    seen, value = target[:, 1] > 0, target[:, 0]
    columns = [(value[seen[:, k], k], score[seen[:, k], k]) for k in range(4)]
    assert got["auroc"] == pytest.approx(np.mean([sk.roc_auc_score(y, s) for y, s in columns]))
    assert got["average_precision"] == pytest.approx(np.mean([sk.average_precision_score(y, s) for y, s in columns]))
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(value[seen], score[seen] > 0.5))
    assert got["brier"] == pytest.approx(sk.brier_score_loss(value[seen], score[seen]), rel=1e-5)


def test_multilabel_skips_labels_with_one_class_and_ignores_the_unobserved() -> None:
    task = Multilabel(TaskSpec("t", "multilabel", 4))
    score, target = multilabel_case()
    target[:, 0, 2] = 0.0
    before = task.metrics(score, target)
    expected = [
        binary_auroc(score[s, k].double().numpy(), target[s, 0, k].numpy() > 0)
        for k in (0, 1, 3)
        for s in [target[:, 1, k] > 0]
    ]
    assert before["auroc"] == pytest.approx(np.mean(expected))
    hidden = target.clone()
    hidden[:, 0][target[:, 1] == 0] = math.nan
    assert task.metrics(score, hidden) == before


def test_multilabel_baselines_and_votes() -> None:
    task = Multilabel(TaskSpec("t", "multilabel", 2))
    train = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    torch.testing.assert_close(task.constant(train, 1), torch.tensor([[1 / 3, 0.5]]))
    p = torch.tensor([[[0.9, 0.2]], [[0.6, 0.4]], [[0.1, 0.45]]])
    votes = task.combine(p, torch.tensor([[0.2], [0.2], [0.6]]), True)
    torch.testing.assert_close(votes, torch.tensor([[0.4, 0.0]]), atol=1e-4, rtol=0)


def test_curves_of_constant_scores() -> None:
    y = np.array([True, False, True])
    assert binary_auroc(np.ones(3), y) == 0.5
    assert average_precision(np.ones(3), y) == pytest.approx(2 / 3)
    assert math.isnan(average_precision(np.ones(3), np.ones(3, dtype=bool)))


def test_ordinal_probabilities_by_hand() -> None:
    logits = torch.logit(torch.tensor([[0.9, 0.6, 0.1]]))
    torch.testing.assert_close(log_probabilities(logits).exp(), torch.tensor([[0.1, 0.3, 0.5, 0.1]]))
    task = Ordinal(TaskSpec("t", "ordinal", 4))
    torch.testing.assert_close(task.loss(logits, torch.tensor([2])), torch.tensor([math.log(2)]))


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_ordinal_head_is_rank_consistent(classes: int) -> None:
    head = OrdinalHead(TaskSpec("t", "ordinal", classes), 3)
    with torch.no_grad():
        head.steps.uniform_(-5, 5)
    logits = head(10 * torch.randn(50, 3))
    assert (logits.diff(dim=-1) <= 0).all()
    p = Ordinal(TaskSpec("t", "ordinal", classes)).predict(logits)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(50))


def test_ordinal_extreme_logits_stay_finite() -> None:
    task = Ordinal(TaskSpec("t", "ordinal", 4))
    logits = torch.tensor([[90.0, 80.0, -80.0], [-70.0, -80.0, -90.0], [5.0, 5.0, 5.0]], requires_grad=True)
    loss = task.loss(logits, torch.tensor([0, 3, 1]))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_ordinal_argmax_follows_the_score_through_all_classes() -> None:
    head = OrdinalHead(TaskSpec("t", "ordinal", 5), 1)
    with torch.no_grad():
        head.score.weight.fill_(1.0)
        head.score.bias.zero_()
    choice = Ordinal(TaskSpec("t", "ordinal", 5)).predict(head(torch.linspace(-12, 15, 300)[:, None])).argmax(-1)
    assert (choice.diff() >= 0).all()
    assert set(choice.tolist()) == {0, 1, 2, 3, 4}


def test_ordinal_thresholds_find_the_frequencies_of_the_classes_at_an_ordinary_rate() -> None:
    torch.manual_seed(0)
    head, task = OrdinalHead(TaskSpec("t", "ordinal", 3), 1), Ordinal(TaskSpec("t", "ordinal", 3))
    target = torch.tensor([0] * 2 + [1] * 16 + [2] * 2)
    z = torch.zeros(len(target), 1)
    optimizer = torch.optim.Adam(head.parameters(), 1e-3)
    for _ in range(400):
        optimizer.zero_grad()
        task.loss(head(z), target).mean().backward()
        optimizer.step()
    assert task.predict(head(z))[0].tolist() == pytest.approx([0.1, 0.8, 0.1], abs=0.05)


def test_a_new_ordinal_head_can_choose_every_class() -> None:
    torch.manual_seed(0)
    head, task = OrdinalHead(TaskSpec("t", "ordinal", 3), 1), Ordinal(TaskSpec("t", "ordinal", 3))
    head.score = torch.nn.Identity()
    choice = task.predict(head(torch.linspace(-5, 5, 50)[:, None])).argmax(-1)
    assert choice.unique().tolist() == [0, 1, 2]


def test_ordinal_metrics_equal_scikit_learn() -> None:
    task = Ordinal(TaskSpec("t", "ordinal", 5))
    p, y = probabilities(200, 5), codes(200, 5)
    got, choice = task.metrics(p, y), p.argmax(-1)
    assert got["kappa"] == pytest.approx(sk.cohen_kappa_score(y, choice, weights="quadratic"))
    assert got["mae"] == pytest.approx(sk.mean_absolute_error(y, choice))
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(y, choice))
    assert got["within_one"] == pytest.approx(float(((choice - y).abs() <= 1).double().mean()))
    assert task.metrics(torch.eye(5), torch.arange(5))["kappa"] == 1.0
    assert math.isnan(task.metrics(torch.eye(5)[:1], torch.zeros(1, dtype=torch.long))["kappa"])


def test_regression_loss_by_hand() -> None:
    task = Regression(TaskSpec("t", "regression", 3))
    logits = torch.tensor([[0.5, 3.0, 9.0], [1.0, 1.0, 1.0]], requires_grad=True)
    target = torch.tensor([[[0.0, 0.0, math.nan], [1.0, 1.0, 0.0]], [[0.0] * 3, [0.0] * 3]])
    loss = task.loss(logits, target)
    torch.testing.assert_close(loss, torch.tensor([(0.125 + 2.5) / 2, 0.0]))
    loss.sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[0.25, 0.5, 0.0], [0.0] * 3]))


def test_regression_metrics_equal_scipy_and_scikit_learn() -> None:
    task = Regression(TaskSpec("t", "regression", 4))
    g = torch.Generator().manual_seed(0)
    value, seen = torch.randn(80, 4, generator=g), (torch.rand(80, 4, generator=g) > 0.3).float()
    guess = 0.5 * value + torch.randn(80, 4, generator=g)
    guess[:, 1] = 0.3
    value[:, 2] = 1.7
    seen[2:, 3] = 0.0
    seen[:2, 3] = 1.0
    got = task.metrics(guess, torch.stack([value, seen], 1))
    keep = seen > 0
    p, t = guess[keep[:, 0], 0], value[keep[:, 0], 0]
    assert got["pearson"] == pytest.approx((stats.pearsonr(p, t)[0] + 0.0) / 2, abs=1e-6)
    assert got["spearman"] == pytest.approx((stats.spearmanr(p, t)[0] + 0.0) / 2, abs=1e-6)
    second = sk.r2_score(value[keep[:, 1], 1], guess[keep[:, 1], 1])
    assert got["r2"] == pytest.approx((sk.r2_score(t, p) + second) / 2, abs=1e-6)
    assert got["mse"] == pytest.approx(sk.mean_squared_error(value[keep], guess[keep]), abs=1e-6)
    assert got["concordance"] == pytest.approx((by_all_pairs(p.numpy(), t.numpy()) + 0.5) / 2, abs=1e-6)


def by_all_pairs(x: np.ndarray, y: np.ndarray) -> float:
    """Concordance by its definition: every pair of different truth, alike predictions counting one half."""
    sign = np.sign(x[:, None] - x[None]) * np.sign(y[:, None] - y[None])
    differ = y[:, None] != y[None]
    return float(((sign > 0) + 0.5 * (sign == 0))[differ].mean())


def test_concordance_equals_its_definition_and_scikit_survival() -> None:
    rng = np.random.default_rng(0)
    assert concordance(np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(1 / 3)
    assert concordance(np.zeros(4), np.arange(4.0)) == 0.5
    assert math.isnan(concordance(np.arange(4.0), np.ones(4)))
    for ties in (2, 5, 1000):
        x, y = rng.integers(0, ties, 60).astype(float), rng.integers(0, 6, 60).astype(float)
        assert concordance(x, y) == pytest.approx(by_all_pairs(x, y), abs=1e-12)
        survival = pytest.importorskip("sksurv.metrics")
        event = np.ones(60, dtype=bool)
        assert concordance(x, y) == pytest.approx(survival.concordance_index_censored(event, y, -x)[0], abs=1e-12)


def test_regression_baselines_and_median() -> None:
    task = Regression(TaskSpec("t", "regression", 2))
    train = torch.tensor([[[1.0, 7.0], [1.0, 0.0]], [[3.0, 7.0], [1.0, 0.0]]])
    assert task.constant(train, 1).tolist() == [[2.0, 0.0]]
    noise = task.chance(train, 4000, np.random.default_rng(0))
    assert float(noise.std()) == pytest.approx(1.0, abs=0.05)
    p = torch.tensor([[[1.0, 1.0]], [[5.0, 5.0]], [[100.0, 2.0]]])
    assert task.combine(p, torch.full((3, 1), 1 / 3), True).tolist() == [[5.0, 2.0]]
    assert task.combine(p, torch.tensor([[0.0], [0.25], [0.75]]), True).tolist() == [[100.0, 2.0]]


def vqa_task() -> VQA:
    return VQA(TaskSpec("t", "vqa", 4, classes=("yes", "no", "lung", "left"), reads="question"))


def test_vqa_answers_outside_the_vocabulary() -> None:
    task = vqa_task()
    logits = torch.zeros(3, 4, requires_grad=True)
    target = torch.tensor([0, -1, 2])
    loss = task.loss(logits, target)
    torch.testing.assert_close(loss, torch.tensor([math.log(4), 0.0, math.log(4)]))
    loss.sum().backward()
    assert logits.grad is not None
    assert logits.grad[1].abs().sum() == 0
    assert task.answerable(target).tolist() == [True, False, True]
    assert task.constant(torch.tensor([-1, -1, 2]), 1).argmax(-1).tolist() == [2]


def test_vqa_metrics_by_hand() -> None:
    target = torch.tensor([0, 1, 1, 2, 3, -1])
    prediction = torch.eye(4)[torch.tensor([0, 1, 0, 2, 0, 0])]
    assert vqa_task().metrics(prediction, target) == pytest.approx(
        {"accuracy": 3 / 6, "accuracy_in_vocabulary": 3 / 5, "yes_no": 2 / 3, "open": 1 / 3, "coverage": 5 / 6}
    )
    other = VQA(TaskSpec("t", "vqa", 4, classes=("a", "b", "c", "d"), reads="question")).metrics(prediction, target)
    assert math.isnan(other["yes_no"])
    assert other["open"] == other["accuracy"]


def test_vqa_head_ignores_padding_and_reads_the_question() -> None:
    torch.manual_seed(0)
    head = vqa_task().head(6, 5)
    z, values = torch.randn(2, 6), torch.randn(2, 7, 5)
    mask = torch.tensor([[True] * 4 + [False] * 3, [False] * 7])
    changed = torch.where(mask.unsqueeze(-1), values, 50.0)
    one, two = (head(z, Tokens(v, mask, v.mean(1))) for v in (values, changed))
    torch.testing.assert_close(one, two)
    shifted = head(z, Tokens(values + 1, mask, values.mean(1)))
    assert not torch.allclose(one[0], shifted[0])
    torch.testing.assert_close(one[1], shifted[1])
